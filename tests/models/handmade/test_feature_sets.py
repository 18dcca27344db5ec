"""What every set of hand-made features promises, for images of any kind."""

import re
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from emotune.config.feature_sets import FEATURE_SETS
from emotune.models.handmade.catalogue import feature_set

MODELS = Path(__file__).parents[3] / "docs" / "reference" / "models.md"
COLUMN = re.compile(r"[a-z][a-z0-9_]*/[a-z0-9][a-z0-9_.-]*")
"""A group of numbers, and one of its numbers."""


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def flat(height, width, *colour):
    return np.full((height, width, 3), colour, np.uint8)


IMAGES = {
    "black": flat(256, 256, 0, 0, 0),
    "white": flat(256, 256, 255, 255, 255),
    "grey": flat(256, 256, 128, 128, 128),
    "red": flat(256, 256, 255, 0, 0),
    "grey noise": noise(256, 256)[..., :1].repeat(3, axis=2),
    "noise": noise(256, 256),
    "a ramp": np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 256, axis=0).repeat(3, axis=2),
    "two halves": np.concatenate([flat(256, 128, 255, 255, 0), flat(256, 128, 0, 0, 255)], axis=1),
    "a dot": np.pad(flat(1, 1, 255, 255, 255), ((99, 100), (50, 149), (0, 0))),
    "a line": np.concatenate([flat(100, 256, 255, 255, 255), flat(1, 256, 0, 0, 0), flat(155, 256, 255, 255, 255)]),
    "a pixel": flat(1, 1, 10, 200, 30),
    "two pixels": noise(1, 2),
    "tiny": noise(5, 3),
    "a row": noise(1, 300),
    "a column": noise(300, 1),
    "high": noise(4000, 10),
    "wide": noise(10, 4000),
    "huge": np.tile(noise(256, 256), (12, 10, 1)),
}


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_columns_are_named_once_and_groups_are_together(name):
    features = feature_set(name)
    assert features.name == name
    assert all(COLUMN.fullmatch(column) for column in features.columns)
    assert len(set(features.columns)) == len(features.columns)
    groups = [column.partition("/")[0] for column in features.columns]
    assert len(list(groupby(groups))) == len(set(groups))


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("name", FEATURE_SETS)
def test_any_image_has_finite_features_that_are_the_same_each_time(name, image):
    features, pixels = feature_set(name), IMAGES[image]
    before = pixels.copy()
    values = features.compute(pixels)
    assert values.shape == (len(features.columns),)
    assert values.dtype == np.float32
    bad = [column for column, value in zip(features.columns, values, strict=True) if not np.isfinite(value)]
    assert bad == []
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(values, features.compute(pixels))


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_features_depend_on_neither_the_thread_nor_other_images(name):
    features = feature_set(name)
    pixels = [IMAGES["noise"], IMAGES["two halves"], IMAGES["grey"]]
    alone = [features.compute(image) for image in pixels]
    with ThreadPoolExecutor(3) as pool:
        at_once = list(pool.map(features.compute, pixels))
    backwards = list(map(features.compute, pixels[::-1]))[::-1]
    np.testing.assert_array_equal(at_once, alone)
    np.testing.assert_array_equal(backwards, alone)


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_an_image_that_cannot_be_written_to_has_the_same_features(name):
    """Images are views of the cache, and rows of it need not lie side by side."""
    features = feature_set(name)
    image = noise(64, 48)
    frozen = image.copy()
    frozen.flags.writeable = False
    strided = np.zeros((128, 48, 3), np.uint8)
    strided[::2] = image
    np.testing.assert_array_equal(features.compute(frozen), features.compute(image))
    np.testing.assert_array_equal(features.compute(strided[::2]), features.compute(image))


def test_the_documentation_lists_every_set_with_its_numbers():
    listed = dict(re.findall(r"^\| `([a-z_]+)` \| (\d+) \|", MODELS.read_text(), re.MULTILINE))
    assert listed == {name: str(len(feature_set(name).columns)) for name in FEATURE_SETS}
