"""Views are drawn from seed and epoch; a crop is that part of the image, mirrored where it says so, normalised."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from emotune.config.input_spec import InputSpec
from emotune.data.augment import (
    CropBoxes,
    crop_and_normalise,
    crop_resize,
    crop_resize_batch,
    draw_crops,
    evaluation_crops,
)

CROP_SIDE, IMAGE_SIDE = InputSpec.side, InputSpec.resize

MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
SPARE = IMAGE_SIDE - CROP_SIDE
WHOLE = (0, 0, IMAGE_SIDE, IMAGE_SIDE)


def maps(count: int) -> torch.Tensor:
    """Images whose red says the row, whose green the column, and whose blue the image."""
    assert IMAGE_SIDE == 256
    batch = np.empty((count, IMAGE_SIDE, IMAGE_SIDE, 3), np.uint8)
    batch[..., 0], batch[..., 1] = np.arange(IMAGE_SIDE)[:, None], np.arange(IMAGE_SIDE)
    batch[..., 2] = np.arange(count)[:, None, None]
    return torch.from_numpy(batch)


def noise(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, IMAGE_SIDE, IMAGE_SIDE, 3), dtype=torch.uint8, generator=generator)


def views_of(*boxes: tuple[int, ...], flipped: bool = False) -> CropBoxes:
    return CropBoxes(np.array(boxes), np.full(len(boxes), flipped))


def square(top: int, left: int) -> tuple[int, ...]:
    return (top, left, CROP_SIDE, CROP_SIDE)


def pixels(views: torch.Tensor) -> np.ndarray:
    """The bytes behind normalised images: int (B, CROP_SIDE, CROP_SIDE, 3)."""
    return np.rint((views.numpy().transpose(0, 2, 3, 1) * STD + MEAN) * 255).astype(int)


def cut_each(batch: torch.Tensor, views: CropBoxes) -> torch.Tensor:
    rows = zip(batch, views.boxes.tolist(), views.flipped.tolist(), strict=True)
    return torch.stack([crop_resize(image, box, mirrored, views.side) for image, box, mirrored in rows])


def test_a_crop_is_that_part_of_its_image_and_mirrored_where_it_says_so():
    corners = [(0, 0), (3, 17), (SPARE, SPARE), (5, 9)]
    views = CropBoxes(np.array([square(*corner) for corner in corners]), np.array([False, False, True, True]))
    found = pixels(crop_and_normalise(maps(4), views, np.arange(4)))
    for row, ((top, left), flipped) in enumerate(zip(corners, views.flipped, strict=True)):
        columns = np.arange(left, left + CROP_SIDE)
        assert (found[row, ..., 0] == np.arange(top, top + CROP_SIDE)[:, None]).all()
        assert (found[row, ..., 1] == (columns[::-1] if flipped else columns)).all()
        assert (found[row, ..., 2] == row).all()


@pytest.mark.parametrize("crop", ["random", "center"])
def test_crops_have_the_bits_of_the_formula_written_plainly(crop: str):
    batch, indices = noise(6), np.array([3, 8, 1, 0, 5, 7])
    views = draw_crops(9, seed=1, epoch=2, crop=crop)
    assert len(set(views.flipped[indices])) == 2
    expected = np.empty((6, CROP_SIDE, CROP_SIDE, 3), np.float32)
    for row, index in enumerate(indices):
        top, left, height, width = views.boxes[index]
        part = batch.numpy()[row, top : top + height, left : left + width].astype(np.float32)
        expected[row] = ((part[:, ::-1] if views.flipped[index] else part) - MEAN * 255) / (STD * 255)
    found = crop_and_normalise(batch, views, indices).permute(0, 2, 3, 1)
    assert (found.numpy().view(np.int32) == expected.view(np.int32)).all()


def test_a_image_gets_the_view_of_its_index_in_the_split_not_of_its_place_in_the_batch():
    views, indices = draw_crops(20, seed=1, epoch=0, flip=False), np.array([11, 3, 19])
    found = pixels(crop_and_normalise(maps(3), views, indices))
    assert found[:, 0, 0, :2].tolist() == views.boxes[indices, :2].tolist()


@pytest.mark.parametrize("crop", ["random", "resized"])
def test_how_a_image_looks_does_not_depend_on_the_others_in_its_batch(crop: str):
    batch, views = noise(6), draw_crops(6, seed=1, epoch=0, crop=crop)
    together = crop_and_normalise(batch, views, np.arange(6))
    for indices in ([4], [5, 0, 3]):
        assert torch.equal(crop_and_normalise(batch[indices], views, np.array(indices)), together[indices])


def test_a_image_is_normalised_by_imagenets_mean_and_deviation():
    batch = torch.tensor([10, 120, 250], dtype=torch.uint8).expand(1, IMAGE_SIDE, IMAGE_SIDE, 3).contiguous()
    found = crop_and_normalise(batch, evaluation_crops(1)[0], np.array([0]))[0, :, 100, 100]
    assert found.tolist() == pytest.approx((np.array([10, 120, 250]) / 255 - MEAN) / STD, abs=1e-5)


@pytest.mark.parametrize("crop", ["center", "resized"])
def test_the_result_is_float32_in_channels_last_memory(crop: str):
    found = crop_and_normalise(maps(2), draw_crops(2, 0, 0, crop=crop), np.arange(2))
    assert (found.dtype, found.shape) == (torch.float32, (2, 3, CROP_SIDE, CROP_SIDE))
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("crop", ["random", "resized"])
def test_the_stored_images_are_not_changed(crop: str):
    batch = maps(2)
    before = batch.clone()
    crop_and_normalise(batch, draw_crops(2, 0, 0, crop=crop), np.arange(2))
    assert torch.equal(batch, before)


def test_evaluation_sees_the_centre_as_it_is():
    (views,) = evaluation_crops(3)
    found = pixels(crop_and_normalise(maps(3), views, np.arange(3)))
    margins = (
        found[0, 0, 0, 0],
        IMAGE_SIDE - 1 - found[0, -1, 0, 0],
        found[0, 0, 0, 1],
        IMAGE_SIDE - 1 - found[0, 0, -1, 1],
    )
    assert max(margins) - min(margins) <= 1
    assert not views.flipped.any()


def test_five_crops_are_the_centre_and_the_corners_and_ten_add_their_exact_mirror_images():
    five, ten = evaluation_crops(2, 5), evaluation_crops(2, 10)
    seen = [pixels(crop_and_normalise(maps(2), views, np.arange(2))) for views in ten]
    corners = {tuple(view[0, 0, 0, :2].tolist()) for view in seen[:5]}
    assert corners == {(SPARE // 2, SPARE // 2), (0, 0), (0, SPARE), (SPARE, 0), (SPARE, SPARE)}
    assert [views.boxes.tolist() for views in five] == [views.boxes.tolist() for views in ten[:5]]
    assert not any(views.flipped.any() for views in five)
    for view, mirrored in zip(seen[:5], seen[5:], strict=True):
        assert (view[:, :, ::-1] == mirrored).all()


@pytest.mark.parametrize("crop", ["random", "resized"])
def test_views_depend_on_seed_and_epoch(crop: str):
    first, same = draw_crops(50, seed=1, epoch=2, crop=crop), draw_crops(50, seed=1, epoch=2, crop=crop)
    assert (first.boxes == same.boxes).all()
    assert (first.flipped == same.flipped).all()
    for other in (draw_crops(50, seed=1, epoch=3, crop=crop), draw_crops(50, seed=2, epoch=2, crop=crop)):
        assert (first.boxes != other.boxes).any()
        assert (first.flipped != other.flipped).any()


def test_views_stay_what_they_are():
    """A run that goes on after an update must go on with the same views."""
    random, resized = draw_crops(3, seed=1, epoch=2), draw_crops(3, seed=1, epoch=2, crop="resized")
    assert random.boxes[:, :2].tolist() == [[19, 13], [28, 12], [2, 12]]
    assert resized.boxes.tolist() == [[88, 110, 158, 133], [9, 4, 243, 244], [5, 0, 192, 254]]
    assert random.flipped.tolist() == [True, False, True]


def test_crops_reach_both_ends_and_never_leave_the_image():
    corners = draw_crops(4000, seed=0, epoch=0).boxes[:, :2]
    assert corners.shape == (4000, 2)
    assert set(corners[:, 0].tolist()) == set(corners[:, 1].tolist()) == set(range(SPARE + 1))
    assert abs(np.corrcoef(corners.T)[0, 1]) < 0.1


def test_half_of_the_images_are_mirrored():
    assert 0.45 < draw_crops(4000, seed=0, epoch=0).flipped.mean() < 0.55


def test_crop_and_flip_can_be_switched_off_each_by_itself():
    both, centre = draw_crops(50, 3, 4), evaluation_crops(50)[0]
    cropped, flipped = draw_crops(50, 3, 4, flip=False), draw_crops(50, 3, 4, crop="center")
    assert (cropped.boxes == both.boxes).all()
    assert not cropped.flipped.any()
    assert (flipped.boxes == centre.boxes).all()
    assert (flipped.flipped == both.flipped).all()
    assert (draw_crops(50, 3, 4, crop="resized").flipped == both.flipped).all()


def test_resized_crops_show_even_parts_of_the_area_in_shapes_between_3_4_and_4_3():
    boxes = draw_crops(20_000, 0, 0, crop="resized", min_scale=0.2).boxes
    area, shape = boxes[:, 2] * boxes[:, 3] / IMAGE_SIDE**2, boxes[:, 3] / boxes[:, 2]
    assert np.allclose(np.quantile(area, [0, 0.25, 0.5, 0.75, 1]), [0.2, 0.4, 0.6, 0.8, 1], atol=0.02)
    assert 0.74 < shape.min() < 0.76
    assert 1.32 < shape.max() < 1.35
    fitting = np.log(shape[area < 0.7]) / np.log(4 / 3)
    assert np.allclose(np.quantile(fitting, [0.25, 0.5, 0.75]), [-0.5, 0, 0.5], atol=0.05)


def test_resized_crops_reach_both_ends_and_never_leave_the_image():
    boxes = draw_crops(20_000, 0, 0, crop="resized").boxes
    for axis in (0, 1):
        ends = boxes[:, axis] + boxes[:, axis + 2]
        assert (boxes[:, axis].min(), ends.max()) == (0, IMAGE_SIDE)
        assert abs((boxes[:, axis] + IMAGE_SIDE - ends - 2 * boxes[:, axis]).mean()) < 1


def test_resized_crops_of_at_least_the_whole_area_are_the_whole_image():
    assert (draw_crops(50, 0, 0, crop="resized", min_scale=1.0).boxes == WHOLE).all()


def test_the_resized_crop_of_the_whole_area_is_the_resized_image():
    batch = noise(2)
    planes = batch.permute(0, 3, 1, 2).float()
    expected = F.interpolate(planes, (CROP_SIDE, CROP_SIDE), mode="bilinear").permute(0, 2, 3, 1).numpy()
    found = pixels(crop_and_normalise(batch, views_of(WHOLE, WHOLE), np.arange(2)))
    assert np.abs(found - expected).max() < 1.1, "two roundings, one along each axis"


def test_a_resized_crop_is_what_pillow_makes_of_that_part_of_the_image():
    batch, boxes = noise(3), [(0, 0, 100, 130), (56, 29, 200, 227), (130, 101, 1, 2)]
    found = pixels(crop_and_normalise(batch, views_of(*boxes), np.arange(3)))
    for row, (top, left, height, width) in enumerate(boxes):
        part = Image.fromarray(batch[row].numpy()).crop((left, top, left + width, top + height))
        expected = np.asarray(part.resize((CROP_SIDE, CROP_SIDE), Image.Resampling.BILINEAR)).astype(int)
        assert np.abs(found[row] - expected).max() <= 1


def test_a_resized_crop_moves_with_its_box():
    batch, (down, right) = noise(1), (31, 17)
    moved = torch.roll(batch, (down, right), dims=(1, 2))
    here = crop_and_normalise(batch, views_of((10, 20, 150, 140)), np.array([0]))
    there = crop_and_normalise(moved, views_of((10 + down, 20 + right, 150, 140)), np.array([0]))
    assert torch.equal(here, there)


def test_a_mirrored_resized_crop_is_the_exact_mirror_image():
    batch, boxes = noise(2), ((10, 20, 150, 140), WHOLE)
    plain, mirrored = views_of(*boxes), views_of(*boxes, flipped=True)
    seen = [crop_and_normalise(batch, views, np.arange(2)) for views in (plain, mirrored)]
    assert torch.equal(seen[1], seen[0].flip(3))
    at_once = [crop_resize_batch(batch, views.boxes, views.flipped) for views in (plain, mirrored)]
    assert torch.equal(at_once[1], at_once[0].flip(2))


@pytest.mark.parametrize("crop", ["random", "center"])
def test_crops_of_a_batch_at_once_are_those_of_its_images_one_by_one(crop: str):
    batch, views = noise(8), draw_crops(8, 3, 4, crop=crop)
    assert torch.equal(crop_resize_batch(batch, views.boxes, views.flipped), cut_each(batch, views))


def test_resized_crops_of_a_batch_at_once_are_those_of_its_images_one_by_one_but_for_rounding():
    batch, views = noise(9), draw_crops(8, 3, 4, crop="resized")
    boxes, flipped = np.vstack([views.boxes, square(3, 4)]), np.append(views.flipped, True)
    expected, found = cut_each(batch, CropBoxes(boxes, flipped)).float(), crop_resize_batch(batch, boxes, flipped)
    difference = (found - expected).abs()
    assert difference.max() <= 2
    assert (difference > 0).float().mean() < 0.01
    assert torch.equal(found[8], expected[8]), "a box of the crop's own size is not interpolated"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("crop", ["random", "resized"])
def test_a_gpu_sees_what_a_processor_sees(crop: str):
    batch, views = noise(8), draw_crops(8, 3, 4, crop=crop)
    here, there = (crop_and_normalise(batch.to(device), views, np.arange(8)).cpu() for device in ("cpu", "cuda"))
    assert there.is_contiguous(memory_format=torch.channels_last)
    assert np.abs(pixels(here) - pixels(there)).max() <= (2 if crop == "resized" else 0)
    assert (here - there).abs().mean() < 1e-3


@pytest.mark.parametrize(("side", "resize"), [(64, 72), (33, 48), (40, 40)])
def test_crops_of_other_sides_are_those_parts_of_their_images(side: int, resize: int):
    seen, generator = InputSpec(side=side, resize=resize), torch.Generator().manual_seed(0)
    batch = torch.randint(0, 256, (40, resize, resize, 3), dtype=torch.uint8, generator=generator)
    for views in (draw_crops(40, 0, 0, seen), *evaluation_crops(40, 5, seen)):
        corners = views.boxes[:, :2]
        assert corners.min() >= 0 and corners.max() <= resize - side
        found = crop_and_normalise(batch, views, np.arange(40)).permute(0, 2, 3, 1)
        assert found.shape == (40, side, side, 3)
        rows = zip(batch.numpy(), corners, views.flipped, strict=True)
        cut = np.stack([i[y : y + side, x : x + side][:, :: -1 if mirrored else 1] for i, (y, x), mirrored in rows])
        np.testing.assert_allclose(found, (cut / np.float32(255) - MEAN) / STD, atol=1e-5)
    (centre,) = evaluation_crops(1, 1, seen)
    assert centre.boxes.tolist() == [[(resize - side) // 2] * 2 + [side] * 2]
    resized = draw_crops(40, 0, 0, seen, crop="resized")
    assert (resized.boxes[:, :2] + resized.boxes[:, 2:]).max() == resize
    at_once = crop_resize_batch(batch, resized.boxes, resized.flipped, side)
    assert (at_once - cut_each(batch, resized).float()).abs().max() <= 2
