"""Images for which every feature must be finite."""

import numpy as np
import pytest


def strange_images():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    line = np.full((256, 256, 3), 255, np.uint8)
    line[128] = 0
    return {
        "black": np.zeros((64, 64, 3), np.uint8),
        "white": np.full((64, 64, 3), 255, np.uint8),
        "red": np.full((64, 64, 3), (255, 0, 0), np.uint8),
        "grey": rng.integers(0, 256, (80, 60, 1), dtype=np.uint8).repeat(3, axis=2),
        "one pixel": np.full((1, 1, 3), (10, 200, 30), np.uint8),
        "two pixels": np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8),
        "tiny": noise[:5, :7],
        "column": rng.integers(0, 256, (4000, 10, 3), dtype=np.uint8),
        "thread": rng.integers(0, 256, (1, 5000, 3), dtype=np.uint8),
        "huge": np.tile(noise, (10, 12, 1)),
        "noise": noise,
        "one line": line,
        "one dot": np.pad(np.full((1, 1, 3), 255, np.uint8), ((99, 100), (50, 149), (0, 0))),
    }


STRANGE = strange_images()


@pytest.fixture(params=STRANGE)
def strange_image(request):
    return STRANGE[request.param]
