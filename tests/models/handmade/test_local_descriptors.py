"""Local descriptors of images whose gradients and colours are known."""

import numpy as np
import pytest
from skimage.color import rgb2lab

from emotune.models.handmade.catalogue import feature_set
from emotune.models.handmade.local_descriptors import COLOURS, GRADIENTS, local_descriptors, positions


@pytest.mark.parametrize(("step", "side"), [(8, 31), (16, 15), (32, 7)])
def test_descriptors_lie_on_a_grid_and_their_set_has_the_same_numbers(step: int, side: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    found = local_descriptors(image, step)
    assert found.shape == (side**2, GRADIENTS + COLOURS)
    assert found.dtype == np.float16
    assert positions(step) == pytest.approx((np.arange(side) + 1) * step / 256)
    features = feature_set(f"local_descriptors_{step}")
    assert features.kept_as == "float16"
    np.testing.assert_array_equal(features.compute(image).reshape(found.shape), found)
    assert len(features.columns) == found.size


def test_gradients_of_stripes_have_the_orientation_of_the_stripes_and_flat_patches_none() -> None:
    image = np.full((256, 256, 3), 90, np.uint8)
    image[:, :128] += (np.arange(128)[None, :, None] // 4 % 2 * 100).astype(np.uint8)  # vertical stripes on the left
    found = local_descriptors(image, 8).reshape(31, 31, -1)[..., :GRADIENTS].reshape(31, 31, 4, 8)
    assert (found[:, 17:] == 0).all()
    striped = found[:, :14].sum(axis=2)
    assert (striped.argmax(axis=2) == striped.argmax(axis=2)[0, 0]).all()
    assert (striped.max(axis=2) > 0.99 * striped.sum(axis=2)).all()
    turned = local_descriptors(np.ascontiguousarray(image.transpose(1, 0, 2)), 8)[..., :GRADIENTS]
    assert turned.reshape(31, 31, 4, 8)[:14].sum(axis=2).argmax(axis=2)[0, 0] != striped.argmax(axis=2)[0, 0]


def test_colours_are_the_means_of_cells() -> None:
    image = np.zeros((256, 256, 3), np.uint8)
    image[:, 16:] = 255, 0, 0
    found = local_descriptors(image, 8).reshape(31, 31, -1)[..., GRADIENTS:].reshape(31, 31, 2, 2, 3)
    red = rgb2lab(np.array([[[255, 0, 0]]], np.uint8))[0, 0] / 100
    assert found[5, 20].reshape(4, 3) == pytest.approx(np.tile(red, (4, 1)), abs=1e-3)
    assert found[5, 0] == pytest.approx(0, abs=1e-3)
    assert found[5, 1, 0] == pytest.approx(np.stack([np.zeros(3), red]), abs=1e-3)  # the edge is in the middle of it
