"""The names of colours about which nobody doubts, and their shares."""

import numpy as np
import pytest

from emotune.models.handmade.colour_names import COLOUR_NAMES, colour_name_shares, named_pixels

PLAIN = {
    "black": (5, 5, 5), "blue": (10, 60, 220), "brown": (110, 65, 25), "grey": (130, 128, 131), "green": (20, 140, 40),
    "orange": (250, 150, 10), "pink": (250, 170, 190), "purple": (110, 20, 130), "red": (215, 10, 15),
    "white": (252, 252, 252), "yellow": (250, 235, 20),
}  # fmt: skip


def test_plain_colours_have_their_names() -> None:
    names = named_pixels(np.array([list(PLAIN.values())], np.uint8))
    assert [COLOUR_NAMES[name] for name in names[0]] == list(PLAIN)
    assert tuple(PLAIN) == COLOUR_NAMES


@pytest.mark.parametrize("rgb", [(135, 206, 235), (150, 190, 220)])
def test_a_bright_sky_is_blue(rgb: tuple[int, int, int]) -> None:
    assert COLOUR_NAMES[named_pixels(np.full((1, 1, 3), rgb, np.uint8))[0, 0]] == "blue"


def test_shares_are_those_of_areas() -> None:
    image = np.zeros((10, 10, 3), np.uint8)
    image[:, 7:] = 255, 0, 0
    shares = dict(zip(COLOUR_NAMES, colour_name_shares(image), strict=True))
    assert (shares["black"], shares["red"]) == pytest.approx((0.7, 0.3))
    assert sum(shares.values()) == pytest.approx(1)
