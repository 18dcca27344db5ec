"""Features of a backbone that is not trained, in the same bits whether they are computed once or in every step.

Two things make that so. They are rounded to float16, the precision in which they are kept. And they are computed in
batches of a fixed size, the last one filled up with zeros: libraries choose another algorithm for a small batch, which
rounds otherwise (of EfficientNet-lite0 on CPUs, batches of up to 12 images differ from larger ones), whereas the images
beside an image, its place in the batch and the number of threads make no difference.
"""

from collections.abc import Callable, Sequence

import torch

__all__ = ["BATCH", "Features", "in_batches", "rounded"]

Features = list[torch.Tensor]
"""All that a head needs of B images: tensors (B, …, C, h, w)."""

BATCH = {"cpu": 16, "cuda": 128}
"""The number of images that are computed at a time, by the type of the device; the features depend on it."""


def rounded(maps: Sequence[torch.Tensor], pooling: str | None = None) -> Features:
    """Features in float16, with their channels last in memory.

    Args:
        maps: The maps of images, each (B, …, C, h, w).
        pooling: The pooling over positions, *mean* or *max*, which is computed before rounding: (B, …, C, 1, 1). None:
            the maps themselves.
    """
    features = []
    for one in maps:
        values = one.float()
        if pooling == "mean":
            values = values.mean(dim=(-2, -1), keepdim=True)
        elif pooling == "max":
            values = values.amax(dim=(-2, -1), keepdim=True)
        last = values.movedim(-3, -1)
        # A new tensor, whose strides depend on nothing but its shape, as those of what is read from a file.
        features.append(torch.empty(last.shape, dtype=torch.float16, device=last.device).copy_(last).movedim(-1, -3))
    return features


def in_batches(compute: Callable[[torch.Tensor], Features], images: torch.Tensor) -> Features:
    """The features of images, computed in batches of the fixed size.

    On other devices, such as that of shapes without numbers, and in a program that is compiled or exported, all images
    are one batch.

    Args:
        compute: A function that gives the features of a batch of images.
        images: The images, (B, 3, side, side).
    """
    size = BATCH.get(images.device.type)
    if size is None or torch.compiler.is_compiling():
        return compute(images)
    parts = []
    for part in images.split(size):
        missing = size - len(part)
        whole = torch.cat([part, part.new_zeros((missing, *part.shape[1:]))]) if missing else part
        whole = whole.contiguous(memory_format=torch.channels_last)
        parts.append([one[: len(part)] for one in compute(whole)])
    return parts[0] if len(parts) == 1 else [_joined(tensors) for tensors in zip(*parts, strict=True)]


def _joined(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Several batches as one, with channels last in memory."""
    lengths = [len(one) for one in tensors]
    parts = [one.movedim(-3, -1) for one in tensors]
    whole = parts[0].new_empty((sum(lengths), *parts[0].shape[1:]))  # autocasting refuses torch.cat of float16 on CPUs
    for part, place in zip(parts, whole.split(lengths), strict=True):
        place.copy_(part)
    return whole.movedim(-1, -3)
