"""Images of a fixed area keep their aspect ratio, as far as no side becomes too short."""

import numpy as np
import pytest

from emotune.models.handmade.resizing import AREA, REGION_AREA, fixed_area


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
