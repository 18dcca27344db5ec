"""Losses and targets with options in studies: how they are written, refused, identified and checked against classes."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from study_files import DATA, HEAD, Write, is_about, mistakes

from emotune.config.labels import EKMAN, MIKELS, POLARITY, WHEELS, wheel_of
from emotune.config.load import load_study
from emotune.config.losses import (
    LOSS_CLASSES,
    CnnrLoss,
    EmdLoss,
    GaussianTargets,
    JcdlLoss,
    KlLoss,
    PolarityLoss,
    class_problem,
)
from emotune.config.model import AlexNetConfig
from emotune.config.run import RunConfig
from emotune.config.shown_options import shown_options
from emotune.config.train import TrainConfig
from emotune.execution.plan.config_diff import changes

NEUTRAL = (*EKMAN, "neutral")
WHEEL = ["joy", "neutral", "surprise", "fear", "sadness", "disgust", "anger"]


def run(**train: Any) -> RunConfig:
    return RunConfig(dataset=DATA, seed=0, model=AlexNetConfig(), train=TrainConfig(**train))


def variant(write: Write, changed: str, shared: str = "{}") -> TrainConfig:
    text = f"{HEAD}model: {{name: alexnet}}\ntrain: {shared}\nvariants:\n  plain: {{}}\n  one: {{{changed}}}\n"
    return load_study(write(text)).variants["one"][1]


@pytest.mark.parametrize(
    ("changed", "shared", "loss"),
    [
        ("train.loss: kl, train.targets: soft", "{}", KlLoss()),
        ("train.loss: {name: jcdl, weight: 0.3}", "{targets: soft}", JcdlLoss(weight=0.3)),
        ("train.loss.weight: 0.4", "{targets: soft, loss: jcdl}", JcdlLoss(weight=0.4)),
        ("train.loss.name: emd", "{targets: soft, loss: {name: jcdl, weight: 0.3}}", EmdLoss()),
        ("train.loss: {name: polarity}", "{}", PolarityLoss()),
        ("train.loss: cross_entropy", "{loss: cnnr}", "cross_entropy"),
    ],
)
def test_a_loss_is_a_name_or_a_mapping_and_variants_change_its_options(
    write: Write, changed: str, shared: str, loss: Any
):
    assert variant(write, changed, shared).loss == loss


def test_targets_are_written_in_the_same_way(write: Write):
    assert variant(write, "train.targets: gaussian_on_wheel").targets == GaussianTargets()
    assert variant(write, "train.targets.sigma: 2", "{targets: gaussian_on_wheel}").targets == GaussianTargets(sigma=2)


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        ("train.loss: kll", ["kll", "kl"]),
        ("train.loss: {name: jcdl, lamda: 0.2}", ["lamda"]),
        ("train.loss: {name: jcdl, weight: 2}", ["weight"]),
        ("train.loss: {name: cross_entropy, weight: 2}", ["weight", "cross_entropy"]),
        ("train.loss: {weight: 2}", ["name"]),
        ("train.loss: 3", ["3"]),
        ("train.loss: {name: emd, wheel: [joy, joy, fear]}", ["twice"]),
        ("train.loss: kl", ["kl", "hard"]),
        ("train.loss: jcdl", ["jcdl", "hard"]),
        ("train.loss: cnnr, train.targets: weighted", ["cnnr", "weighted"]),
        ("train.targets: {name: gaussian_on_wheel, sigma: 0}", ["sigma"]),
    ],
)
def test_what_cannot_be_meant_is_refused(write: Write, changed: str, parts: list[str]):
    lines = mistakes(write(f"{HEAD}model: {{name: alexnet}}\nvariants:\n  plain: {{}}\n  one: {{{changed}}}\n"))
    assert len(lines) == 1 and all(part in lines[0] for part in parts), lines
    assert is_about(lines[0], "variants.one")


def test_ids_of_runs_without_these_options_are_as_before_and_options_change_them():
    plain = run()
    assert plain.id == run(loss="cross_entropy", targets="hard").id
    ids = {run(loss=kind(), targets="soft").id for kind in LOSS_CLASSES}
    ids |= {run(loss=JcdlLoss(weight=0.3), targets="soft").id, run(targets="soft").id, plain.id}
    assert len(ids) == len(LOSS_CLASSES) + 3
    assert run(loss="jcdl", targets="soft").id == run(loss={"name": "jcdl", "weight": 0.2}, targets="soft").id


@pytest.mark.parametrize("loss", [kind() for kind in LOSS_CLASSES])
def test_a_run_is_read_back_from_its_json(loss: Any):
    given = run(loss=loss, targets=GaussianTargets(sigma=0.5))
    assert RunConfig.from_json(given.to_json()) == given


def test_plans_and_tables_show_the_loss_by_name_and_each_option():
    given = TrainConfig(loss=JcdlLoss(), targets=GaussianTargets())
    shown = shown_options(given)
    assert (shown["loss"], shown["loss.weight"], shown["targets"], shown["targets.sigma"]) == (
        "jcdl", 0.2, "gaussian_on_wheel", 1.0,
    )  # fmt: skip
    earlier = {"format": 3, **run(targets="soft").to_json()}
    assert changes(run(targets="soft", loss=JcdlLoss(weight=0.3)), earlier) == [
        "train.loss cross_entropy → jcdl", "train.loss.weight 0.2 → 0.3",
    ]  # fmt: skip
    assert changes(replace(run(targets="soft", loss=KlLoss())), earlier) == ["train.loss cross_entropy → kl"]


def test_the_known_wheels_have_the_classes_of_their_label_spaces():
    assert [set(wheel) for wheel, _ in WHEELS] == [set(MIKELS), set(EKMAN)]
    assert all(source for _, source in WHEELS)
    assert set(wheel_of(reversed(EKMAN))) == set(EKMAN)


@pytest.mark.parametrize(
    ("option", "classes", "named"),
    [
        (EmdLoss(), MIKELS, None),
        (EmdLoss(), NEUTRAL, f"train.loss: {{name: emd, wheel: [{', '.join(NEUTRAL)}]}}"),
        (GaussianTargets(), NEUTRAL, f"train.targets: {{name: gaussian_on_wheel, wheel: [{', '.join(NEUTRAL)}]}}"),
        (EmdLoss(wheel=tuple(WHEEL)), NEUTRAL, None),
        (EmdLoss(wheel=tuple(WHEEL)), EKMAN, "neutral"),
        (GaussianTargets(), POLARITY, "negative"),
        (PolarityLoss(), MIKELS, None),
        (PolarityLoss(), EKMAN, "surprise"),
        (CnnrLoss(), POLARITY, None),
        ("hard", POLARITY, None),
    ],
)
def test_losses_and_targets_are_checked_against_the_classes(option: Any, classes: tuple[str, ...], named: str | None):
    problem = class_problem(option, classes)
    assert (problem is None) == (named is None) and (named or "") in (problem or "")


def test_the_same_loss_in_python():
    with pytest.raises(ValidationError):
        TypeAdapter(TrainConfig).validate_python({"loss": "kl"})
    assert TrainConfig(loss="kl", targets="soft").loss == KlLoss()
