import numpy as np
import pytest

from emotune.models.handmade.image_size import AREA, LEAST_SIDE, to_area, to_side


@pytest.mark.parametrize("sides", [(1, 1), (3, 2), (4000, 10), (1, 20000), (2, 2000), (1200, 1600)])
def test_any_image_gets_the_same_area_and_nearly_its_proportions(sides):
    image = to_area(np.full((*sides, 3), 77, np.uint8))
    height, width, channels = image.shape
    assert channels == 3
    assert min(height, width) >= LEAST_SIDE
    assert height * width == pytest.approx(AREA, rel=0.05)
    ratio = np.clip(sides[0] / sides[1], LEAST_SIDE**2 / AREA, AREA / LEAST_SIDE**2)
    assert height / width == pytest.approx(ratio, rel=0.05)
    assert (image == 77).all()


def test_an_image_of_that_size_stays_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    assert to_area(image) is image


def test_reducing_averages_over_all_pixels():
    stripes = np.zeros((1024, 1024, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(to_area(stripes)[:, 4:-4].astype(int) - 100).max() <= 1
    assert to_side(stripes, 32).shape == (32, 32, 3)
