"""The earth mover's distance against another solver, and where it is known."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from skimage.color.colorconv import rgb2luv

from emotune.models.handmade.machajdik.pixel_colour import COLUMNS, colourfulness, pixel_colour
from emotune.models.handmade.machajdik.prepared import prepare

CENTRES = (np.stack(np.meshgrid(*3 * [np.arange(4)], indexing="ij"), axis=-1).reshape(-1, 3) + 0.5) / 4


def named(image: np.ndarray) -> dict[str, float]:
    return dict(zip(COLUMNS, map(float, pixel_colour(prepare(image))), strict=True))


def test_one_colour_is_as_far_as_the_mean_of_all_others() -> None:
    colour = np.array([200, 30, 90], np.uint8)
    expected = np.linalg.norm(rgb2luv(CENTRES) - rgb2luv(colour / 255), axis=1).mean()
    assert colourfulness(np.tile(colour, (4, 4, 1))) == pytest.approx(expected)


def test_all_colours_alike_have_no_distance() -> None:
    cells = np.stack(np.meshgrid(*3 * [np.array([31, 95, 159, 223])], indexing="ij"), axis=-1)
    low, high = cells.reshape(8, 8, 3).astype(np.uint8), cells.reshape(8, 8, 3).astype(np.uint8) + 1
    assert colourfulness(np.concatenate([low, high])) == pytest.approx(0, abs=1)  # their mean is 31.5, not 31.875


@pytest.mark.parametrize("seed", range(3))
def test_the_distance_is_that_of_the_best_assignment(seed: int) -> None:
    """With equal masses, moving earth is an assignment, for which scipy has another algorithm."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 128, (1, 64, 3)).astype(np.uint8)  # eight cells
    levels = image[0] // 64
    cells = (levels * [16, 4, 1]).sum(axis=1)
    means = np.stack([image[0][cells == cell].mean(axis=0) / 255 for cell in cells])  # 64 equal grains
    costs = np.linalg.norm(rgb2luv(means)[:, None] - rgb2luv(CENTRES)[None], axis=2)
    assert colourfulness(image) == pytest.approx(costs[linear_sum_assignment(costs)].mean(), rel=1e-6)


def test_colourful_images_are_nearer_to_all_colours_than_grey_ones() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert colourfulness(noise) < colourfulness(noise[..., :1].repeat(3, axis=2)) < 80
    assert colourfulness(noise) < 5


def test_the_mean_of_hues_is_circular_and_keeps_its_quadrant() -> None:
    """Public code has atan(C / Z): arguments swapped and the quadrant lost."""
    image = np.zeros((60, 60, 3), np.uint8)
    image[:, :30], image[:, 30:] = (255, 0, 40), (255, 40, 0)  # 351° and 9°
    found = named(image)
    assert found["hue/mean"] == pytest.approx(0, abs=0.01)
    assert found["hue/dispersion"] == pytest.approx(1 - np.cos(np.deg2rad(8.95)), abs=0.002)
    blue = named(np.full((8, 8, 3), (0, 0, 255), np.uint8))
    assert np.rad2deg(blue["hue/mean"]) == pytest.approx(-120, abs=0.01)


def test_saturation_weighs_pixels_and_does_not_scale_hues() -> None:
    image = np.zeros((60, 60, 3), np.uint8)
    image[:, :30], image[:, 30:] = (0, 128, 0), (128, 128, 128)
    found = named(image)
    assert np.rad2deg(found["hue/weighted_mean"]) == pytest.approx(120, abs=0.1)
    assert found["hue/weighted_dispersion"] == pytest.approx(0, abs=1e-3)
    assert np.rad2deg(found["hue/mean"]) == pytest.approx(60, abs=2)


def test_bright_images_are_less_dominant() -> None:
    white, black = (named(np.full((8, 8, 3), level, np.uint8)) for level in (255, 0))
    assert white["valdez/dominance"] == pytest.approx(-0.76)
    assert black["valdez/dominance"] == 0
