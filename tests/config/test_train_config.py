"""Options of training and resources that make no sense are refused, each with what to write instead."""

import pytest
from pydantic import TypeAdapter, ValidationError

from emotune.config.resources import Resources
from emotune.config.run import difference_to_defaults
from emotune.config.train import TrainConfig


def refusal(kind: type, **settings: object) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(settings)
    (mistake,) = caught.value.errors()
    return f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_scale": 0.5}, '"min_scale" is set, but crop is "random": it would change nothing'),
        ({"step_epochs": 3}, '"step_epochs" is set, but schedule is "cosine": it would change nothing'),
        ({"schedule": "linear", "step_factor": 0.5}, '"step_factor" is set, but schedule is "linear"'),
    ],
)
def test_a_setting_that_would_change_nothing_is_refused(settings: dict[str, object], message: str):
    assert message in refusal(TrainConfig, **settings)


def test_a_warm_up_that_does_not_end_before_the_run_is_refused():
    assert '"warmup_epochs" is 3 and "epochs" 3' in refusal(TrainConfig, epochs=3, warmup_epochs=3)
    assert TrainConfig(epochs=3, warmup_epochs=2.5).warmup_epochs == 2.5


def test_steps_of_the_learning_rate_after_the_end_are_refused():
    message = refusal(TrainConfig, epochs=10, schedule="step")
    assert '"step_epochs" is 10 and "epochs" 10' in message
    assert TrainConfig(epochs=10, schedule="step", step_epochs=9).step_epochs == 9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "fp16"}, "precision: Input should be 'float32', 'tf32' or 'bf16'"),
        ({"clip_norm": 0}, "clip_norm: Input should be greater than 0"),
        ({"clip_norm": True}, "clip_norm: Value error, a number is needed, not true or false"),
        ({"label_smoothing": 1}, "label_smoothing: Input should be less than 1"),
        ({"class_weights": "equal"}, "class_weights: Input should be 'none' or 'balanced'"),
        ({"ema_decay": 1}, "ema_decay: Input should be less than 1"),
        ({"schedule": "step", "step_factor": 1}, "step_factor: Input should be less than 1"),
        ({"schedule": "liner"}, "schedule: Input should be 'cosine', 'linear', 'step' or 'constant'"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_right(settings: dict[str, object], message: str):
    assert refusal(TrainConfig, **settings).startswith(message)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"accumulate": 0}, "accumulate: Input should be greater than or equal to 1"),
        ({"accumulate": True}, "accumulate: Value error, a number is needed"),
        ({"compile": "often"}, "compile: Input should be a valid boolean"),
        ({"deterministic": 2}, "deterministic: Input should be a valid boolean"),
    ],
)
def test_wrong_resources_are_refused(settings: dict[str, object], message: str):
    assert refusal(Resources, **settings).startswith(message)


def test_options_at_their_defaults_are_not_in_the_identity():
    plain = TrainConfig(
        precision="float32", clip_norm=None, label_smoothing=0.0, class_weights="none", ema_decay=0.0, step_factor=0.1
    )
    assert difference_to_defaults(plain) == {}
