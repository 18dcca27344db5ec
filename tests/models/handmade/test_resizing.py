"""Images of a fixed area keep their aspect ratio, as far as no side becomes too short."""

import numpy as np
import pytest

from emotune.models.handmade.resizing import AREA, REGION_AREA, SQUARE_AREA, fixed_area, square


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (256, 256), (300, 200), (4000, 10), (10, 4000), (3000, 4000)])
@pytest.mark.parametrize("area", [AREA, REGION_AREA])
def test_the_area_is_fixed_and_no_side_too_short(shape: tuple[int, int], area: int) -> None:
    image = np.full((*shape, 3), 77, np.uint8)
    found = fixed_area(image, area)
    height, width = found.shape[:2]
    assert height * width == pytest.approx(area, rel=0.02)
    assert min(height, width) >= 32
    assert (found == 77).all()
    ratio = np.clip(shape[1] / shape[0], 32**2 / area, area / 32**2)
    assert width / height == pytest.approx(ratio, rel=0.02)


def test_a_side_of_a_mosaic_stays_where_it_was() -> None:
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 200:] = 255
    assert fixed_area(image).mean() == pytest.approx(85, abs=0.5)


def test_an_image_of_that_size_stays_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    assert fixed_area(image, SQUARE_AREA) is image
    assert square(image, 256) is image


def test_reducing_averages_over_all_pixels() -> None:
    stripes = np.zeros((1024, 512, 3), np.uint8)
    stripes[:, ::2] = 200
    for found in (fixed_area(stripes, SQUARE_AREA), square(stripes, 64)):
        assert np.abs(found[:, 4:-4].astype(int) - 100).max() <= 12  # every pixel counts, none alone
    assert square(stripes, 64).shape == (64, 64, 3)
