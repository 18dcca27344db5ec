"""IHSL against colours whose hue is known, and statistics of hues on the circle."""

import numpy as np
import pytest

from emotune.models.handmade.colour_spaces import circular_mean, hue_weights, ihsl

COLOURS = {
    (255, 0, 0): 0, (255, 255, 0): 60, (0, 255, 0): 120, (0, 255, 255): 180, (0, 0, 255): 240, (255, 0, 255): 300,
}  # fmt: skip


def one_colour(*rgb: int) -> np.ndarray:
    return np.full((2, 3, 3), rgb, np.uint8)


@pytest.mark.parametrize(("rgb", "degrees"), COLOURS.items())
def test_pure_colours_have_their_hue(rgb: tuple[int, int, int], degrees: int) -> None:
    image = ihsl(one_colour(*rgb))
    assert np.rad2deg(image.hue) == pytest.approx(degrees, abs=1e-4)
    assert image.saturation == pytest.approx(1)


def test_dark_pixels_have_little_saturation_unlike_in_hsv() -> None:
    assert ihsl(one_colour(51, 0, 0)).saturation == pytest.approx(0.2)
    assert ihsl(one_colour(255, 204, 204)).saturation == pytest.approx(0.2)


def test_luminance_is_that_of_bt_709() -> None:
    found = [float(ihsl(one_colour(*rgb)).luminance[0, 0]) for rgb in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    assert found == pytest.approx([0.2126, 0.7152, 0.0722])
    assert ihsl(one_colour(255, 255, 255)).luminance.max() == 1


def test_hues_lie_below_a_full_turn_and_grey_has_hue_zero() -> None:
    every = np.stack(np.meshgrid(*3 * [np.arange(0, 256, 5)]), axis=-1).reshape(1, -1, 3).astype(np.uint8)
    image = ihsl(every)
    assert (image.hue >= 0).all()
    assert (image.hue < np.float32(2 * np.pi)).all()
    assert (image.hue[image.saturation == 0] == 0).all()
    just_below_red = ihsl(one_colour(255, 0, 1)).hue
    assert np.rad2deg(just_below_red) == pytest.approx(359.8, abs=0.1)


def test_the_mean_hue_of_both_sides_of_red_is_red() -> None:
    """Public code swaps the arguments of the arc tangent and loses the quadrant: it would find 90° and 0°."""
    mean, dispersion = circular_mean(np.deg2rad([350.0, 10.0]))
    assert mean == pytest.approx(0, abs=1e-6)
    assert dispersion == pytest.approx(1 - np.cos(np.deg2rad(10)))
    assert np.rad2deg(circular_mean(np.deg2rad([200.0, 220.0]))[0]) == pytest.approx(-150)
    assert np.rad2deg(circular_mean(np.deg2rad([110.0, 130.0]))[0]) == pytest.approx(120)


def test_weights_count_pixels_and_do_not_scale_angles() -> None:
    """Public code multiplies the angle by the saturation: it would find 60° for half-saturated green."""
    green = np.deg2rad([120.0, 120.0])
    mean, dispersion = circular_mean(green, np.array([0.5, 0.5]))
    assert np.rad2deg(mean) == pytest.approx(120)
    assert dispersion == pytest.approx(0, abs=1e-9)
    assert circular_mean(np.deg2rad([0.0, 90.0]), np.array([1.0, 0.0])) == pytest.approx((0, 0))


def test_hues_without_weight_or_that_cancel_out_have_direction_zero() -> None:
    assert circular_mean(np.array([1.0, 2.0]), np.zeros(2)) == (0, 0)
    assert circular_mean(np.deg2rad([30.0, 210.0])) == pytest.approx((0, 1))


def test_nearly_grey_pixels_have_a_hue_in_part() -> None:
    assert hue_weights(np.array([0, 0.05, 0.1, 1])) == pytest.approx([0, 0.5, 1, 1])
