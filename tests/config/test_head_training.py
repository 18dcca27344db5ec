"""Options of training that mean nothing if a head alone is trained, or if it is not, are mistakes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trunks import config

from emotune.config.head_training import head_training_problems, is_head_alone
from emotune.config.load import load_study
from emotune.config.model import AlexNetConfig
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError

STUDY = """
question: Which views?
datasets: [scenes]
model: {{backbone: "torchvision:resnet18", tune: {tune}}}
train: {{views: {views}}}
baseline: plain
variants: {{plain: {{}}, other: {{train.flip: false}}}}
"""


def keys(train: dict[str, Any], tune: Any = "head") -> list[str]:
    problems = head_training_problems(config(tune=tune), TrainConfig(**train))
    return [problem.partition(":")[0] for problem in problems]


@pytest.mark.parametrize(
    "train", [{}, {"views": 4, "crop": "resized", "flip": False, "augment": "randaugment"}], ids=str
)
def test_views_are_drawn_as_the_options_say(train: dict[str, Any]):
    assert keys(train) == []


@pytest.mark.parametrize("option", [{"flip": False}, {"crop": "center"}, {"random_erasing": 0.1}], ids=str)
def test_one_view_is_the_centre_crop(option: dict[str, Any]):
    assert keys(option) == [f"train.{name}" for name in option]
    assert keys({**option, "views": 2}) == []


def test_what_needs_several_images_or_the_whole_network_cannot_be_used():
    assert keys({"views": 2, "mixup": 0.2, "cutmix": 1, "layer_decay": 0.5}) == [
        "train.mixup", "train.cutmix", "train.layer_decay",
    ]  # fmt: skip


def test_views_are_for_a_head_alone():
    assert keys({"views": 2}, tune="all") == keys({"views": 2}, tune={"last": 1}) == ["train.views"]
    assert head_training_problems(AlexNetConfig(), TrainConfig(views=2))
    assert [is_head_alone(config(tune=tune)) for tune in ("all", {"last": 1}, "head")] == [False, False, True]


def test_a_study_names_the_variant(tmp_path: Path):
    study = tmp_path / "views.yaml"
    study.write_text(STUDY.format(tune="head", views=1))
    with pytest.raises(InputError, match=r"variants\.other: train\.flip"):
        load_study(study)
    study.write_text(STUDY.format(tune="all", views=2))
    with pytest.raises(InputError, match=r"variants\.plain: train\.views"):
        load_study(study)
    study.write_text(STUDY.format(tune="head", views=2))
    assert replace(load_study(study).variants["other"][1], flip=True) == TrainConfig(views=2)
