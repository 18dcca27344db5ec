import numpy as np
import pytest

from emotune.models.handmade.colours import BINS, colours


def test_an_image_of_two_colours_fills_two_bins_with_the_roots_of_their_shares():
    image = np.zeros((64, 64, 3), np.uint8)
    image[:16] = (255, 0, 0)
    image[16:] = (0, 255, 255)
    shares = colours(image).reshape(BINS) ** 2
    assert shares[0, 3, 3] == pytest.approx(0.25)  # hue 0, saturated, bright
    assert shares[8, 3, 3] == pytest.approx(0.75)  # the opposite hue
    assert shares.sum() == pytest.approx(1)


def test_colours_do_not_feel_where_they_are():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    moved = image.reshape(-1, 3)[np.random.default_rng(1).permutation(1024)].reshape(image.shape)
    np.testing.assert_array_equal(colours(image), colours(moved))
