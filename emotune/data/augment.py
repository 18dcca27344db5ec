"""Crop, flip and normalise batches on their device; random draws depend on seed, epoch and image only."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
import torch
import torch.nn.functional as F

from emotune.config.input_spec import InputSpec
from emotune.config.normalisation import IMAGENET, Normalisation

__all__ = [
    "CropBoxes",
    "crop_and_normalise",
    "crop_resize",
    "crop_resize_batch",
    "draw_crops",
    "evaluation_crops",
    "frames_of",
]

MAX_ASPECT = 4 / 3
"""Maximum ratio of the sides of a resized crop, before it is resized (Szegedy et al. 2015, section 6)."""


@dataclass(frozen=True)
class CropBoxes:
    """The crop of each image of a split.

    Attributes:
        boxes: The boxes (N, 4) as top, left, height and width in pixels.
        flipped: Whether each image is mirrored, bool (N,).
        side: The side of the squares that the network sees, in pixels; boxes of another size are resized to it.
    """

    boxes: np.ndarray
    flipped: np.ndarray
    side: int = InputSpec.side


def draw_crops(
    images: int,
    seed: int,
    epoch: int,
    input_spec: InputSpec = InputSpec(),
    *,
    crop: str = "random",
    flip: bool = True,
    min_scale: float = 0.25,
) -> CropBoxes:
    """The crops of one epoch, drawn for all images of the split at once: they do not depend on rank or batch.

    Args:
        images: The number of images, N.
        seed: The seed of the augmentation stream; with ``epoch`` it determines all crops.
        epoch: The epoch, counted from 0.
        input_spec: The input of the network, which gives the sides of images and of their crops.
        crop: *random* or *center* for squares of the network's side, or *resized*, see `TrainConfig`.
        flip: Whether half of the images are mirrored; the choice of images does not depend on ``crop``.
        min_scale: The minimum share of an image's area that a resized crop shows.
    """
    generator = np.random.default_rng([seed, epoch])
    corners = generator.integers(0, input_spec.resize - input_spec.side + 1, (images, 2))
    flipped = (generator.random(images) < 0.5) & flip
    if crop == "resized":
        return CropBoxes(_resized_boxes(images, generator, min_scale, input_spec.resize), flipped, input_spec.side)
    if crop == "center":
        return replace(evaluation_crops(images, input_spec=input_spec)[0], flipped=flipped)
    return CropBoxes(_squares(corners, input_spec.side), flipped, input_spec.side)


def evaluation_crops(images: int, crops: int = 1, input_spec: InputSpec = InputSpec()) -> list[CropBoxes]:
    """The crops over which evaluation averages: the centre of each image, or with 5 crops its centre and corners.

    With 10 crops, their mirror images are added (KSH12, section 4.1).
    """
    side, spare = input_spec.side, input_spec.resize - input_spec.side
    corners = [(spare // 2, spare // 2), (0, 0), (0, spare), (spare, 0), (spare, spare)][:crops]
    return [
        CropBoxes(_squares(np.tile(corner, (images, 1)), side), np.full(images, mirrored), side)
        for mirrored in (False, True)[: 1 + (crops == 10)]
        for corner in corners
    ]


def _squares(corners: np.ndarray, side: int) -> np.ndarray:
    """Boxes (N, 4) of that side whose top left corners (N, 2) are given."""
    return np.hstack([corners, np.full_like(corners, side)])


def _resized_boxes(images: int, generator: np.random.Generator, min_scale: float, image_side: int) -> np.ndarray:
    """Boxes (N, 4) of uniform area and log-uniform aspect ratio; ratios that would exceed the image are not drawn."""
    area = generator.uniform(min_scale, 1, images)
    max_log_aspect = np.minimum(math.log(MAX_ASPECT), -np.log(area))
    aspect = np.exp(generator.uniform(-1, 1, images) * max_log_aspect)
    sizes = image_side * np.sqrt(np.stack([area / aspect, area * aspect], axis=1))
    sizes = sizes.round().astype(np.int64).clip(1, image_side)
    return np.hstack([generator.integers(0, image_side - sizes + 1), sizes])


def crop_and_normalise(
    batch: Sequence[torch.Tensor] | torch.Tensor,
    crops: CropBoxes,
    indices: np.ndarray,
    normalisation: Normalisation = IMAGENET,
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """The cropped and normalised images: float32 (B, 3, side, side), channels last, on the batch's device.

    Clips are (B, frames, 3, side, side); all frames of a clip get the same crop.

    Args:
        batch: The B images at ``indices`` of the split, each uint8 (resize, resize, 3) as of the crops' `InputSpec`, or
            clips, each (frames, resize, resize, 3).
        crops: The crops of the whole split.
        indices: The images' positions in the split, (B,).
        normalisation: The normalisation that belongs to the network's weights.
        augment: A function that changes the cropped images before they are normalised, all uint8 (B, 3, H, W); the
            frames of a clip are images that follow each other.
    """
    if frames := frames_of(batch):
        images = batch.flatten(0, 1) if isinstance(batch, torch.Tensor) else [one for clip in batch for one in clip]
        cropped = crop_and_normalise(images, crops, np.repeat(indices, frames), normalisation, augment)
        return cropped.unflatten(0, (len(batch), frames))
    boxes, flipped, side = crops.boxes[indices], crops.flipped[indices], crops.side
    # Mean and std are repeated for a whole line of pixels, since processors calculate with many numbers at a time.
    device = batch.device if isinstance(batch, torch.Tensor) else torch.device("cpu")
    pair = (normalisation.mean, normalisation.std)
    mean, std = (torch.tensor(values).mul(255).repeat(side).to(device, non_blocking=True) for values in pair)
    if device.type == "cpu" or not isinstance(batch, torch.Tensor):
        cropped = torch.empty((len(batch), side, side, 3))
        parts: Iterable[torch.Tensor] = map(crop_resize, batch, boxes.tolist(), flipped.tolist(), repeat(side))
        if augment and len(batch):
            parts = _channels_last(augment, torch.stack(list(parts)))
        for part, out in zip(parts, cropped, strict=True):
            out.copy_(part)
            out.view(side, 3 * side).sub_(mean).div_(std)  # while the pixels are in the processor's cache
    else:
        pixels = crop_resize_batch(batch, boxes, flipped, side)
        if augment and len(batch):
            pixels = _channels_last(augment, pixels.to(torch.uint8))
        cropped = pixels.float().contiguous()
        cropped.view(len(batch), side, 3 * side).sub_(mean).div_(std)
    return cropped.permute(0, 3, 1, 2)  # the permuted view is in channels-last memory


def frames_of(batch: Sequence[torch.Tensor] | torch.Tensor) -> int:
    """The number of frames of clips, each (frames, H, W, 3); 0 for images."""
    shape = batch.shape[1:] if isinstance(batch, torch.Tensor) else batch[0].shape if len(batch) else ()
    return shape[0] if len(shape) == 4 else 0


def _channels_last(augment: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """The augmented images, uint8 (B, H, W, 3), of images of that shape."""
    return augment(images.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def crop_resize(image: torch.Tensor, box: list[int], mirrored: bool, side: int = InputSpec.side) -> torch.Tensor:
    """A box of an image: uint8 (side, side, 3), resized by bilinear interpolation if it has another size."""
    top, left, height, width = box
    view = image[top : top + height, left : left + width]
    if (height, width) != (side, side):
        channels_last = view.contiguous()[None].permute(0, 3, 1, 2)  # the result is channels-last, too
        view = F.interpolate(channels_last, (side, side), mode="bilinear").permute(0, 2, 3, 1)[0]
    return view.flip(1) if mirrored else view


def crop_resize_batch(
    batch: torch.Tensor, boxes: np.ndarray, flipped: np.ndarray, side: int = InputSpec.side
) -> torch.Tensor:
    """The boxes of a batch, (B, side, side, 3), in a few operations on the whole batch.

    This is `crop_resize` for a GPU, where each operation costs a launch. Both round to whole grey levels along each
    axis, but `crop_resize` calculates with 16 bits: some interpolated values differ by a level, few by two.
    """
    rows, columns = (_positions(boxes[:, axis], boxes[:, axis + 2], side) for axis in (0, 1))
    columns = np.where(flipped[:, None], columns[:, ::-1], columns)
    image = torch.arange(len(batch), device=batch.device)[:, None, None]

    def on_device(positions: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(positions).to(batch.device, non_blocking=True)

    def pixels(row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        return batch[image, row[:, :, None], column[:, None, :]]

    above, left = on_device(rows.astype(np.int64)), on_device(columns.astype(np.int64))
    if (boxes[:, 2:] == side).all():
        return pixels(above, left)
    below, right = (before.add(1).clamp_(max=batch.shape[1] - 1) for before in (above, left))
    down, along = on_device((rows % 1).astype(np.float32)), on_device((columns % 1).astype(np.float32))
    upper, lower = (
        torch.lerp(pixels(row, left).float(), pixels(row, right).float(), along[:, None, :, None]).round_()
        for row in (above, below)
    )
    return torch.lerp(upper, lower, down[:, :, None, None]).round_()


def _positions(starts: np.ndarray, sizes: np.ndarray, side: int) -> np.ndarray:
    """The positions of the crops' rows (or columns) in their images, in pixels with fractions: (B, side)."""
    within = (np.arange(side) + 0.5) * (sizes[:, None] / side) - 0.5  # the centre of a pixel is at one half
    return starts[:, None] + within.clip(0, sizes[:, None] - 1)
