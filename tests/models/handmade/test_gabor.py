import numpy as np
import pytest

from emotune.models.handmade.gabor import gabor


def energies(image):
    """(3 channels, 4 frequencies, 6 orientations, 5 regions)."""
    return gabor(image).reshape(3, 4, 6, 5)


def grating(degrees, period, low=(30, 30, 30), high=(220, 220, 220)):
    """A sine between two colours on an image of 128×128, whose waves run at an angle down from the x axis."""
    y, x = np.mgrid[:128, :128]
    wave = 0.5 + 0.5 * np.sin(2 * np.pi / period * (x * np.cos(np.deg2rad(degrees)) + y * np.sin(np.deg2rad(degrees))))
    return np.round(np.array(low) + wave[..., None] * (np.array(high) - np.array(low))).astype(np.uint8)


@pytest.mark.parametrize("orientation", range(6))
@pytest.mark.parametrize("frequency", range(4))
def test_the_filter_of_a_grating_answers_most(frequency, orientation):
    found = energies(grating(30 * orientation, 4 << frequency))[0, :, :, 0]
    assert np.unravel_index(found.argmax(), found.shape) == (frequency, orientation)


def test_a_grating_of_colours_of_one_intensity_is_seen_in_colour_channels_only():
    # E = .06 R + .63 G + .27 B is about equal for both.
    found = energies(grating(0, 8, low=(0, 110, 60), high=(255, 50, 143)))[:, 1, 0, 0]
    assert found[1] > 10 * found[0]
    assert found[2] > 10 * found[0]


def test_energy_is_in_the_region_where_the_texture_is():
    image = np.full((128, 128, 3), 125, np.uint8)
    image[64:, :64] = grating(0, 8)[64:, :64]
    regions = energies(image)[0, 1, 0]
    assert regions[1:].argmax() == 2
    assert regions[0] == pytest.approx(regions[1:].mean(), rel=1e-5)


def test_a_quarter_turn_moves_orientations_by_ninety_degrees():
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    turned = energies(np.rot90(image))[..., 0]
    np.testing.assert_allclose(np.roll(energies(image)[..., 0], 3, axis=2), turned, rtol=0.02)


def test_brightness_alone_gives_no_energy():
    assert np.abs(gabor(np.full((50, 50, 3), 230, np.uint8))).max() < 1e-4
