"""Views are drawn from seed and epoch; a crop is that part of the picture, mirrored where it says so, normalised."""

import numpy as np
import pytest
import torch

from emotune.data.augment import CROP, Views, apply_views, center_views, draw_views
from emotune.data.cache import SIDE

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
SPARE = SIDE - CROP


def maps(count: int) -> torch.Tensor:
    """Pictures whose red says the row, whose green the column, and whose blue the picture."""
    assert SIDE == 256
    batch = np.empty((count, SIDE, SIDE, 3), np.uint8)
    batch[..., 0], batch[..., 1] = np.arange(SIDE)[:, None], np.arange(SIDE)
    batch[..., 2] = np.arange(count)[:, None, None]
    return torch.from_numpy(batch)


def pixels(views: torch.Tensor) -> np.ndarray:
    """The bytes behind normalised pictures: int (B, CROP, CROP, 3)."""
    return np.rint((views.numpy().transpose(0, 2, 3, 1) * STD + MEAN) * 255).astype(int)


def test_a_crop_is_that_part_of_its_picture_and_mirrored_where_it_says_so():
    views = Views(np.array([[0, 0], [3, 17], [SPARE, SPARE], [5, 9]]), np.array([False, False, True, True]))
    found = pixels(apply_views(maps(4), views, np.arange(4)))
    for row, ((top, left), flipped) in enumerate(zip(views.corners, views.flipped, strict=True)):
        columns = np.arange(left, left + CROP)
        assert (found[row, ..., 0] == np.arange(top, top + CROP)[:, None]).all()
        assert (found[row, ..., 1] == (columns[::-1] if flipped else columns)).all()
        assert (found[row, ..., 2] == row).all()


def test_a_picture_gets_the_view_of_its_index_in_the_split_not_of_its_place_in_the_batch():
    views, indices = draw_views(20, seed=1, epoch=0, flip=False), np.array([11, 3, 19])
    found = pixels(apply_views(maps(3), views, indices))
    assert found[:, 0, 0, :2].tolist() == views.corners[indices].tolist()


def test_a_picture_is_normalised_by_imagenets_mean_and_deviation():
    batch = torch.tensor([10, 120, 250], dtype=torch.uint8).expand(1, SIDE, SIDE, 3).contiguous()
    found = apply_views(batch, center_views(1), np.array([0]))[0, :, 100, 100]
    assert found.tolist() == pytest.approx((np.array([10, 120, 250]) / 255 - MEAN) / STD, abs=1e-5)


def test_the_result_is_float32_in_channels_last_memory():
    found = apply_views(maps(2), center_views(2), np.arange(2))
    assert (found.dtype, found.shape) == (torch.float32, (2, 3, CROP, CROP))
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_the_stored_pictures_are_not_changed():
    batch = maps(2)
    before = batch.clone()
    apply_views(batch, draw_views(2, 0, 0), np.arange(2))
    assert torch.equal(batch, before)


def test_evaluation_sees_the_centre_as_it_is():
    views = center_views(3)
    found = pixels(apply_views(maps(3), views, np.arange(3)))
    margins = found[0, 0, 0, 0], SIDE - 1 - found[0, -1, 0, 0], found[0, 0, 0, 1], SIDE - 1 - found[0, 0, -1, 1]
    assert max(margins) - min(margins) <= 1
    assert not views.flipped.any()


def test_views_depend_on_seed_and_epoch():
    first = draw_views(50, seed=1, epoch=2)
    same = draw_views(50, seed=1, epoch=2)
    assert (first.corners == same.corners).all()
    assert (first.flipped == same.flipped).all()
    for other in (draw_views(50, seed=1, epoch=3), draw_views(50, seed=2, epoch=2)):
        assert (first.corners != other.corners).any()
        assert (first.flipped != other.flipped).any()


def test_crops_reach_both_ends_and_never_leave_the_picture():
    corners = draw_views(4000, seed=0, epoch=0).corners
    assert corners.shape == (4000, 2)
    assert set(corners[:, 0].tolist()) == set(corners[:, 1].tolist()) == set(range(SPARE + 1))
    assert abs(np.corrcoef(corners.T)[0, 1]) < 0.1


def test_half_of_the_pictures_are_mirrored():
    assert 0.45 < draw_views(4000, seed=0, epoch=0).flipped.mean() < 0.55


def test_crop_and_flip_can_be_switched_off_each_by_itself():
    both, centre = draw_views(50, 3, 4), center_views(50)
    cropped, flipped = draw_views(50, 3, 4, flip=False), draw_views(50, 3, 4, crop="center")
    assert (cropped.corners == both.corners).all()
    assert not cropped.flipped.any()
    assert (flipped.corners == centre.corners).all()
    assert (flipped.flipped == both.flipped).all()
