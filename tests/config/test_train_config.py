"""Options of training and resources that make no sense are refused, each with what to write instead."""

import re
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from emotune.config.resources import Resources
from emotune.config.run import difference_to_defaults
from emotune.config.train import TrainConfig


def refusal(kind: type, **settings: object) -> dict[str, Any]:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(settings)
    (mistake,) = caught.value.errors()
    return dict(mistake)


def names(kind: type, **settings: object) -> list[str]:
    """What the refusal of these settings has in quotation marks."""
    mistake = refusal(kind, **settings)
    assert mistake["type"] == "value_error"
    return re.findall(r'"(\w+)"', mistake["msg"])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"min_scale": 0.5}, ["min_scale", "random"]),
        ({"step_epochs": 3}, ["step_epochs", "cosine"]),
        ({"schedule": "linear", "step_factor": 0.5}, ["step_factor", "linear"]),
        ({"augment_ops": 3}, ["augment_ops", "none"]),
        ({"batch_size": 1, "mixup": 0.2}, ["mixup", "batch_size"]),
        ({"batch_size": 1, "cutmix": 1}, ["cutmix", "batch_size"]),
        ({"augment": "trivialaugment", "augment_magnitude": 5}, ["augment_magnitude", "trivialaugment"]),
    ],
)
def test_a_setting_that_would_change_nothing_is_refused(settings: dict[str, object], named: list[str]):
    assert names(TrainConfig, **settings) == named


def test_a_warm_up_that_does_not_end_before_the_run_is_refused():
    assert names(TrainConfig, epochs=3, warmup_epochs=3)[:2] == ["warmup_epochs", "epochs"]
    assert TrainConfig(epochs=3, warmup_epochs=2.5).warmup_epochs == 2.5


def test_steps_of_the_learning_rate_after_the_end_are_refused():
    assert names(TrainConfig, epochs=10, schedule="step")[:2] == ["step_epochs", "epochs"]
    assert TrainConfig(epochs=10, schedule="step", step_epochs=9).step_epochs == 9


@pytest.mark.parametrize(
    ("settings", "kind", "right"),
    [
        ({"precision": "fp16"}, "literal_error", ("'float32'", "'tf32'", "'bf16'")),
        ({"clip_norm": 0}, "greater_than", ("0",)),
        ({"layer_decay": 0}, "greater_than", ("0",)),
        ({"layer_decay": 1.1}, "less_than_equal", ("1",)),
        ({"clip_norm": True}, "value_error", ("true", "false")),
        ({"label_smoothing": 1}, "less_than", ("1",)),
        ({"class_weights": "equal"}, "literal_error", ("'none'", "'balanced'")),
        ({"ema_decay": 1}, "less_than", ("1",)),
        ({"schedule": "step", "step_factor": 1}, "less_than", ("1",)),
        ({"schedule": "liner"}, "literal_error", ("'cosine'", "'linear'", "'step'", "'constant'")),
        ({"augment": "randaug"}, "value_error", ('"randaugment"',)),
        ({"augment": "colours"}, "value_error", ("none", "randaugment", "trivialaugment", "FILE.py:NAME")),
        ({"augment": "randaugment", "augment_ops": 0}, "greater_than_equal", ("1",)),
        ({"augment": "randaugment", "augment_magnitude": 31}, "less_than_equal", ("30",)),
        ({"augment": "randaugment", "augment_magnitude": True}, "value_error", ("true", "false")),
        ({"random_erasing": 1.5}, "less_than_equal", ("1",)),
        ({"mixup": -0.1}, "greater_than_equal", ("0",)),
        ({"cutmix": 1e6}, "less_than_equal", ("100",)),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_right(settings: dict[str, object], kind: str, right: tuple[str, ...]):
    mistake = refusal(TrainConfig, **settings)
    assert (mistake["type"], mistake["loc"]) == (kind, (list(settings)[-1],))
    assert all(value in mistake["msg"] for value in right)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"accumulate": 0}, "greater_than_equal"),
        ({"accumulate": True}, "value_error"),
        ({"compile": "often"}, "bool_parsing"),
        ({"deterministic": 2}, "bool_parsing"),
    ],
)
def test_wrong_resources_are_refused(settings: dict[str, object], kind: str):
    mistake = refusal(Resources, **settings)
    assert (mistake["type"], mistake["loc"]) == (kind, tuple(settings))


def test_options_at_their_defaults_are_not_in_the_identity():
    plain = TrainConfig(
        precision="float32", clip_norm=None, label_smoothing=0.0, class_weights="none", ema_decay=0.0, step_factor=0.1,
        augment="none", augment_ops=2, augment_magnitude=9, random_erasing=0, mixup=0, cutmix=0.0,
    )  # fmt: skip
    assert difference_to_defaults(plain) == {}
