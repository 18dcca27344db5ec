"""Depth of field and the middle ninth of images in which only the middle has something."""

import numpy as np
import pytest

from emotune.models.handmade.colour_spaces import ihsl
from emotune.models.handmade.machajdik.composition import COLUMNS, centre_ninth, composition, depth_of_field
from emotune.models.handmade.machajdik.prepared import prepare
from emotune.models.handmade.machajdik.wavelets import channel_details


def depth(image: np.ndarray) -> np.ndarray:
    return depth_of_field(channel_details(ihsl(image)))


def test_a_sharp_middle_has_all_the_details() -> None:
    image = np.full((256, 256, 3), 100, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    assert depth(image) == pytest.approx([0.25] * 3)
    image[64:192, 64:192] = noise
    assert depth(image) == pytest.approx([1] * 3)
    everywhere = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    assert depth(everywhere) == pytest.approx([0.25] * 3, abs=0.03)


@pytest.mark.parametrize("shape", [(16, 16), (16, 900), (37, 41)])
def test_any_shape_has_inner_blocks(shape: tuple[int, int]) -> None:
    everywhere = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    found = depth(everywhere)
    assert ((found > 0) & (found <= 1)).all()


def test_the_middle_ninth_has_means_of_its_own_and_not_nine_times_that() -> None:
    """Public code divides by the inner area and multiplies by nine."""
    image = np.zeros((90, 120, 3), np.uint8)
    image[30:60, 40:80] = 0, 0, 255
    hue, saturation, luminance = centre_ninth(ihsl(image))
    assert np.rad2deg(hue) == pytest.approx(-120, abs=1e-3)
    assert saturation == pytest.approx(1)
    assert luminance == pytest.approx(0.0722)


def test_the_hue_of_the_middle_is_circular() -> None:
    image = np.zeros((90, 120, 3), np.uint8)
    image[:45], image[45:] = (255, 0, 30), (255, 30, 0)
    assert centre_ninth(ihsl(image))[0] == pytest.approx(0, abs=1e-3)


def test_a_drawing_without_edges_has_no_lines_and_one_segment() -> None:
    found = dict(zip(COLUMNS, composition(prepare(np.full((50, 50, 3), 200, np.uint8))), strict=True))
    assert found["detail/segments"] == 1
    assert [found[name] for name in COLUMNS if name.startswith("dynamics/")] == [0] * 6
