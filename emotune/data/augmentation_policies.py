"""Augmentations of cropped images beyond the flip; each image has a generator of its own, so that nothing else counts.

torchvision's classes draw from torch's global generator. Here they draw for each image as if that were the image's own
generator, and the global one is left as it was.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image

from emotune.config.input_spec import InputSpec
from emotune.config.train import AugmentationCode, TrainConfig
from emotune.core.errors import InputError
from emotune.core.user_module import load_function, user_errors

__all__ = ["Augmentation", "check_augmentation", "drawing_from", "erase", "generator_states", "make_augmentation"]

Augmentation = Callable[[torch.Tensor, list[torch.Generator]], torch.Tensor]
"""A function of images, uint8 (B, 3, H, W), and B seeded generators to augmented images of the same shape and type.

It gets the images on the device of training, and generators of the CPU. The images are some of a batch, and any of its
images may be among them: an image's result must depend on this image and on its generator alone.
"""


def make_augmentation(train: TrainConfig) -> Augmentation | None:
    """The augmentation that ``train.augment`` names; None without one.

    *randaugment* and *trivialaugment* are torchvision's `RandAugment` and `TrivialAugmentWide` with their defaults:
    31 magnitudes, nearest-neighbour interpolation, and black where a moved image leaves a gap.
    """
    if train.augment == "none":
        return None
    if isinstance(train.augment, AugmentationCode):
        return _user_augmentation(train.augment)
    from torchvision.transforms import v2  # late: importing it takes seconds

    if train.augment == "randaugment":
        return partial(_transform_each, v2.RandAugment(train.augment_ops, train.augment_magnitude))
    return partial(_transform_each, v2.TrivialAugmentWide())


def check_augmentation(train: TrainConfig, side: int = InputSpec.side) -> None:
    """Tries an augmentation of the user's own on two images of noise, before anything is spent.

    Args:
        train: The options of training.
        side: The side of the network's images, in pixels.

    Raises:
        InputError: it fails, gives no images of the same shape and type, draws from other generators than those of the
            images, or mixes images.
    """
    code = train.augment
    if not isinstance(code, AugmentationCode):
        return
    augment, noise = _user_augmentation(code), torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, side, side), generator=noise, dtype=torch.uint8)

    images = images.contiguous(memory_format=torch.channels_last)  # as in training

    def of(*numbers: int) -> torch.Tensor:
        generators = [torch.Generator().manual_seed(number) for number in numbers]
        given = images[list(numbers)].contiguous(memory_format=torch.channels_last)
        with user_errors(f"train.augment: {code.code} fails", code.file):
            result = augment(given.clone(), generators)
        if not isinstance(result, torch.Tensor) or (result.shape, result.dtype) != (given.shape, given.dtype):
            is_tensor = isinstance(result, torch.Tensor)
            shown = f"{result.dtype} {tuple(result.shape)}" if is_tensor else type(result).__name__
            raise InputError(
                f"train.augment: {code.code} gives {shown}; it must give images, uint8 {tuple(given.shape)}"
            )
        return result

    before = generator_states()
    augmented = of(0, 1)
    if generator_states() != before:
        raise InputError(f"train.augment: {code.code} draws from a global generator; draw from those of the images")
    if not torch.equal(augmented, torch.cat([of(0), of(1)])):
        raise InputError(f"train.augment: {code.code} gives an image another result alone; images must not mix")
    of()  # a worker's share of the last batch may be empty


def generator_states() -> dict[str, str]:
    """The states of the generators that belong to the whole process: torch's, Python's and numpy's."""
    return {
        "torch": str(torch.get_rng_state().tolist()),
        "random": str(random.getstate()),
        "numpy.random": str(np.random.get_state(legacy=False)),
    }


def _user_augmentation(code: AugmentationCode) -> Augmentation:
    """The user's function with its options."""
    return load_function(code.source, code.file, code.entry, code.options)


def erase(images: torch.Tensor, probability: float, generators: Sequence[torch.Generator]) -> None:
    """Sets a rectangle of each image to zero, in place, with some probability (Zhong et al. 2020, algorithm 1).

    The rectangle has torchvision's default size: 2 to 33 % of the area, and a ratio of its sides of 0.3 to 3.3.

    Args:
        images: The images, float32 (B, 3, H, W). Once they are normalised, zero is the mean colour.
        probability: The probability that an image loses a rectangle.
        generators: The generator of each image, (B,).
    """
    from torchvision.transforms import v2

    transform = v2.RandomErasing(probability, inplace=True)
    for image, generator in zip(images, generators, strict=True):
        with drawing_from(generator):
            transform(image)


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Makes torch's global generator of the CPU continue a generator's numbers while the block lasts."""
    before = torch.get_rng_state()
    torch.set_rng_state(generator.get_state())
    try:
        yield
    finally:
        generator.set_state(torch.get_rng_state())
        torch.set_rng_state(before)


def _transform_each(
    transform: Callable[[Any], Any], images: torch.Tensor, generators: list[torch.Generator]
) -> torch.Tensor:
    """Each image, uint8 (3, H, W), as torchvision's class transforms it.

    On the CPU by Pillow, which takes a fourth of the time of tensors; they differ by one or two grey levels and at a
    few pixels of an edge.
    """
    augmented = torch.empty_like(images)
    for image, out, generator in zip(images, augmented, generators, strict=True):
        with drawing_from(generator):
            out.copy_(transform(image) if image.is_cuda else _by_pillow(transform, image))
    return augmented


def _by_pillow(transform: Callable[[Any], Any], image: torch.Tensor) -> torch.Tensor:
    pillow_image = Image.fromarray(image.permute(1, 2, 0).numpy())
    return torch.from_numpy(np.array(transform(pillow_image))).permute(2, 0, 1)
