"""Crop, flip and normalisation, on the batch and on its device; what is drawn depends on seed, epoch and image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from emotune.config.normalisation import IMAGENET, Normalisation
from emotune.data.image_io import CROP_SIDE, IMAGE_SIDE

__all__ = [
    "CropBoxes",
    "crop_and_normalise",
    "crop_resize",
    "crop_resize_batch",
    "draw_crops",
    "evaluation_crops",
]

WIDEST = 4 / 3
"""Width over height of a resized crop, and the other way round (Szegedy et al. 2015, section 6)."""


@dataclass(frozen=True)
class CropBoxes:
    """How each image of a split is seen: boxes (N, 4) as top, left, height, width in pixels; mirrored or not (N,)."""

    boxes: np.ndarray
    flipped: np.ndarray


def draw_crops(
    images: int, seed: int, epoch: int, *, crop: str = "random", flip: bool = True, min_scale: float = 0.25
) -> CropBoxes:
    """The views of one epoch, for all images of the split, so that they do not depend on rank or batch.

    Args:
        images: N.
        seed: Of the stream; with ``epoch`` it decides about everything.
        epoch: From 0.
        crop: *random* or *center*, CROP pixels square; or *resized*: see `TrainConfig`.
        flip: Whether half of the images are mirrored; which ones does not depend on ``crop``.
        min_scale: The smallest part of an image's area that a resized crop shows.
    """
    generator = np.random.default_rng([seed, epoch])
    corners = generator.integers(0, IMAGE_SIDE - CROP_SIDE + 1, (images, 2))
    flipped = (generator.random(images) < 0.5) & flip
    if crop == "resized":
        return CropBoxes(_resized_boxes(images, generator, min_scale), flipped)
    return CropBoxes(_squares(corners) if crop == "random" else evaluation_crops(images)[0].boxes, flipped)


def evaluation_crops(images: int, crops: int = 1) -> list[CropBoxes]:
    """The views over which a test averages: of all images the centre, or with 5 crops centre and corners.

    10 crops are these and their mirror images (KSH12, section 4.1).
    """
    spare = IMAGE_SIDE - CROP_SIDE
    places = [(spare // 2, spare // 2), (0, 0), (0, spare), (spare, 0), (spare, spare)][:crops]
    return [
        CropBoxes(_squares(np.tile(place, (images, 1))), np.full(images, mirrored))
        for mirrored in (False, True)[: 1 + (crops == 10)]
        for place in places
    ]


def _squares(corners: np.ndarray) -> np.ndarray:
    return np.hstack([corners, np.full_like(corners, CROP_SIDE)])


def _resized_boxes(images: int, generator: np.random.Generator, min_scale: float) -> np.ndarray:
    """Boxes (N, 4) of even area and log-even shape; shapes that would leave the image are not drawn."""
    area = generator.uniform(min_scale, 1, images)
    widest = np.minimum(math.log(WIDEST), -np.log(area))
    shape = np.exp(generator.uniform(-1, 1, images) * widest)
    sizes = IMAGE_SIDE * np.sqrt(np.stack([area / shape, area * shape], axis=1))
    sizes = sizes.round().astype(np.int64).clip(1, IMAGE_SIDE)
    return np.hstack([generator.integers(0, IMAGE_SIDE - sizes + 1), sizes])


def crop_and_normalise(
    batch: Sequence[torch.Tensor] | torch.Tensor,
    views: CropBoxes,
    indices: np.ndarray,
    normalisation: Normalisation = IMAGENET,
) -> torch.Tensor:
    """Images to normalised float32 (B, 3, CROP, CROP) in channels-last memory, on the device where they are.

    Args:
        batch: The images at ``indices`` of the split, B of uint8 (SIDE, SIDE, 3).
        crops: Of the whole split.
        indices: (B,).
        normalisation: Which belongs to the network's weights.
    """
    boxes, flipped = views.boxes[indices], views.flipped[indices]
    # For a line of pixels each: a processor calculates with many numbers at a time, not with three.
    device = batch.device if isinstance(batch, torch.Tensor) else torch.device("cpu")
    pair = (normalisation.mean, normalisation.std)
    mean, std = (torch.tensor(values).mul(255).repeat(CROP_SIDE).to(device, non_blocking=True) for values in pair)
    if device.type == "cpu":
        seen = torch.empty((len(batch), CROP_SIDE, CROP_SIDE, 3))
        for image, out, box, mirrored in zip(batch, seen, boxes.tolist(), flipped.tolist(), strict=True):
            out.copy_(crop_resize(image, box, mirrored))
            out.view(CROP_SIDE, 3 * CROP_SIDE).sub_(mean).div_(std)  # now, while they are in the processor's cache
    else:
        seen = crop_resize_batch(batch, boxes, flipped).float()
        seen.view(len(batch), CROP_SIDE, 3 * CROP_SIDE).sub_(mean).div_(std)
    return seen.permute(0, 3, 1, 2)  # the permuted view is channels-last memory


def crop_resize(image: torch.Tensor, box: list[int], mirrored: bool) -> torch.Tensor:
    """A box of an image, brought to uint8 (CROP, CROP, 3) by bilinear interpolation where it has another size."""
    top, left, height, width = box
    view = image[top : top + height, left : left + width]
    if (height, width) != (CROP_SIDE, CROP_SIDE):
        channels_last = view.contiguous()[None].permute(0, 3, 1, 2)  # and so is what comes back
        view = F.interpolate(channels_last, (CROP_SIDE, CROP_SIDE), mode="bilinear").permute(0, 2, 3, 1)[0]
    return view.flip(1) if mirrored else view


def crop_resize_batch(batch: torch.Tensor, boxes: np.ndarray, flipped: np.ndarray) -> torch.Tensor:
    """What `crop_resize` gives for each image, (B, CROP, CROP, 3), in a few operations on the whole batch.

    This is for a GPU, where each operation costs a launch. Both round to whole grey levels along each axis, but
    `crop_resize` calculates with 16 bits: of interpolated values, some differ by a level, seldom by two.
    """
    rows, columns = (_positions(boxes[:, axis], boxes[:, axis + 2]) for axis in (0, 1))
    columns = np.where(flipped[:, None], columns[:, ::-1], columns)
    image = torch.arange(len(batch), device=batch.device)[:, None, None]

    def on_device(positions: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(positions).to(batch.device, non_blocking=True)

    def pixels(row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        return batch[image, row[:, :, None], column[:, None, :]]

    above, left = on_device(rows.astype(np.int64)), on_device(columns.astype(np.int64))
    if (boxes[:, 2:] == CROP_SIDE).all():
        return pixels(above, left)
    below, right = (before.add(1).clamp_(max=IMAGE_SIDE - 1) for before in (above, left))
    down, along = on_device((rows % 1).astype(np.float32)), on_device((columns % 1).astype(np.float32))
    upper, lower = (
        torch.lerp(pixels(row, left).float(), pixels(row, right).float(), along[:, None, :, None]).round_()
        for row in (above, below)
    )
    return torch.lerp(upper, lower, down[:, :, None, None]).round_()


def _positions(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Where the rows (or columns) of views lie among those of their images: (B, CROP), in pixels and parts of one."""
    within = (np.arange(CROP_SIDE) + 0.5) * (sizes[:, None] / CROP_SIDE) - 0.5  # the middle of a pixel lies at a half
    return starts[:, None] + within.clip(0, sizes[:, None] - 1)
