import numpy as np
import pytest

from emotune.models.handmade.textures import textures


def grating(angle, cycles=16):
    """A grey sine of this many cycles across an image of 256×256."""
    y, x = np.mgrid[:256, :256] / 256
    wave = np.sin(2 * np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle)))
    return np.repeat(np.round(127 + 100 * wave)[..., None], 3, axis=2).astype(np.uint8)


def gist(image):
    """(4 frequencies, 8 orientations, 4, 4)."""
    return textures(image)[:512].reshape(4, 8, 4, 4)


@pytest.mark.parametrize("orientation", range(8))
def test_the_filter_along_a_grating_answers_most(orientation):
    # 16 cycles in 256 pixels are 16 in the 128 that GIST looks at: an eighth of a cycle a pixel, the second frequency.
    energies = gist(grating(orientation * np.pi / 8)).mean(axis=(2, 3))
    assert np.unravel_index(energies.argmax(), energies.shape) == (1, orientation)


def test_energy_is_in_the_cells_where_the_texture_is():
    image = np.full((256, 256, 3), 127, np.uint8)
    image[:64, 192:] = grating(0)[:64, 192:]
    energies = gist(image)[1, 0]
    assert np.unravel_index(energies.argmax(), energies.shape) == (0, 3)
    assert energies[2:, :2].max() < 0.05 * energies.max()


def test_textures_do_not_feel_colours_of_the_same_grey():
    flat = textures(np.full((256, 256, 3), 200, np.uint8))
    assert np.abs(flat[:512]).max() < 1e-4
    for start, end in ((512, 522), (522, 540)):
        assert (flat[start:end] ** 2).sum() == pytest.approx(1)


def test_a_pattern_turned_by_a_right_angle_is_the_same_pattern():
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 1), dtype=np.uint8).repeat(3, axis=2)
    np.testing.assert_allclose(textures(image)[512:], textures(np.rot90(image).copy())[512:], atol=0.01)
