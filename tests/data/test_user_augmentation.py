"""An augmentation of the user's own draws for each image from a generator of that image."""

from pathlib import Path

import pytest
import torch

from emotune.config.train import AugmentationCode, TrainConfig
from emotune.core.errors import InputError
from emotune.data.augmentation_policies import check_augmentation, make_augmentation

NOISE = """
import torch

def noise(images, generators, amount=20):
    result = images.clone()
    for image, generator in zip(result, generators):
        image += torch.randint(0, amount, image.shape, generator=generator, dtype=torch.uint8)
    return result
"""


def own(text: str, **options) -> TrainConfig:
    return TrainConfig(augment=AugmentationCode(code="views.py:noise", source=text, options=options))


def test_options_and_generators_reach_the_function():
    train = own(NOISE, amount=2)
    check_augmentation(train)
    augment = make_augmentation(train)
    images = torch.zeros(2, 3, 5, 5, dtype=torch.uint8)
    first, again, other = (augment(images, [torch.Generator().manual_seed(s), torch.Generator()]) for s in (1, 1, 2))
    assert first.max() == 1 and torch.equal(first, again) and not torch.equal(first[0], other[0])


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        ("generator=generator, ", "", ["global"]),
        ("return result", "return result.float()", ["float32", "uint8"]),
        ("return result", "return result[:1]", ["(1, 3", "(2, 3"]),
        ("return result", "return result.flip(0)", ["alone"]),
        ("return result", "return result[9]", ["line 8", "IndexError"]),
        ("return result", "return result.view(len(images), -1).view(images.shape)", ["RuntimeError"]),
    ],
)
def test_an_augmentation_that_cannot_be_trained_with_is_refused(before: str, after: str, parts: list[str]):
    with pytest.raises(InputError) as caught:
        check_augmentation(own(NOISE.replace(before, after)))
    assert all(part in str(caught.value) for part in ["train.augment", "views.py:noise", *parts]), caught.value


def test_it_is_named_in_a_study_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "views.py").write_text(NOISE)
    monkeypatch.chdir(tmp_path)
    assert TrainConfig(augment="views.py:noise").augment == own(NOISE).augment
