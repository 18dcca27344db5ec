"""An image is augmented as torchvision does with its own seed, whatever the other images are."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from emotune.config.input_spec import InputSpec
from emotune.config.train import TrainConfig
from emotune.data.augment import crop_and_normalise, draw_crops
from emotune.data.augmentation_policies import drawing_from, erase, make_augmentation

IMAGE_SIDE = InputSpec.resize

COUNT = 12
POLICIES = {
    "randaugment": ({"augment": "randaugment"}, v2.RandAugment(2, 9)),
    "three strong operations": (
        {"augment": "randaugment", "augment_ops": 3, "augment_magnitude": 30},
        v2.RandAugment(3, 30),
    ),
    "trivialaugment": ({"augment": "trivialaugment"}, v2.TrivialAugmentWide()),
}


def pictures() -> torch.Tensor:
    """Smooth coloured images, uint8 (COUNT, 3, 64, 64)."""
    coarse = np.random.default_rng(0).integers(0, 256, (COUNT, 5, 5, 3), dtype=np.uint8)
    fine = [np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BICUBIC)) for image in coarse]
    return torch.from_numpy(np.stack(fine)).permute(0, 3, 1, 2)


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize("name", list(POLICIES))
def test_an_image_is_augmented_as_by_torchvision_with_its_seed(name: str):
    settings, transform = POLICIES[name]
    augment, images = make_augmentation(TrainConfig(**settings)), pictures()
    assert augment
    found = augment(images, seeded(*range(COUNT)))
    for seed, (image, augmented) in enumerate(zip(images, found, strict=True)):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            expected = np.asarray(transform(Image.fromarray(image.permute(1, 2, 0).numpy())))
        assert np.array_equal(augmented.permute(1, 2, 0), expected)
    assert sum(not torch.equal(*pair) for pair in zip(images, found, strict=True)) > COUNT / 2
    alone = augment(images[[5, 2]], seeded(5, 2))
    assert torch.equal(alone, found[[5, 2]])


def test_torchs_own_generator_is_left_as_it_was_and_an_images_generator_goes_on():
    before, images, generators = torch.get_rng_state(), pictures(), seeded(*range(COUNT))
    augment = make_augmentation(TrainConfig(augment="trivialaugment"))
    assert augment
    first, second = (augment(images, generators) for _ in range(2))
    erase(images.float(), 0.5, generators)
    assert not torch.equal(first, second)
    with pytest.raises(KeyError), drawing_from(generators[0]):
        torch.rand(1)
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)


def test_a_rectangle_is_erased_with_its_probability_and_where_the_images_seed_says():
    images = torch.ones(200, 3, 40, 50)
    seeds = range(len(images))
    erase(images, 0.3, seeded(*seeds))
    gone = (images == 0).all(1)
    assert set(images.unique().tolist()) == {0.0, 1.0}
    assert 0.2 < gone.flatten(1).any(1).float().mean() < 0.4
    for mask in gone[gone.flatten(1).any(1)]:
        rows, columns = mask.any(1), mask.any(0)
        assert torch.equal(mask, rows[:, None] & columns)  # a rectangle
        assert 0.01 < mask.float().mean() < 0.35
    again = torch.ones(3, 3, 40, 50)
    erase(again, 0.3, seeded(*seeds)[50:53])
    assert torch.equal(again, images[50:53])


@pytest.mark.parametrize("crop", ["random", "resized"])
def test_an_augmentation_changes_cropped_bytes_before_they_are_normalised(crop: str):
    generator = torch.Generator().manual_seed(0)
    batch = torch.randint(0, 256, (5, IMAGE_SIDE, IMAGE_SIDE, 3), dtype=torch.uint8, generator=generator)
    crops, indices = draw_crops(5, 1, 2, crop=crop), np.arange(5)
    seen = []

    def invert(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return 255 - images

    plain, augmented = (crop_and_normalise(batch, crops, indices, augment=f) for f in (lambda images: images, invert))
    assert torch.equal(plain, crop_and_normalise(batch, crops, indices))
    assert (seen[0].dtype, seen[0].shape) == (torch.uint8, plain.shape)
    assert augmented.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(plain, augmented)
    twice = crop_and_normalise(batch, crops, indices, augment=lambda images: 255 - invert(images))
    assert torch.equal(twice, plain)
    assert crop_and_normalise([], crops, indices[:0], augment=invert).shape == (0, *plain.shape[1:])
