"""The options of a variant with a setting in the place of its own, and what is wrong with a study's tuning."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from emotune.config.head_training import head_training_problems
from emotune.config.merge import check_path, config_class, set_option
from emotune.config.model import ModelConfig
from emotune.config.network import BaselineConfig, NetworkConfig
from emotune.config.rungs import halving_problems, rungs_of
from emotune.config.train import TrainConfig
from emotune.config.tuning import RandomSearch, Range, Setting, Tuning, setting_text
from emotune.config.validation import describe_validation_error, format_problem
from emotune.core.errors import suggest

__all__ = ["declared_setting", "is_tuned", "set_twice", "tried", "tuning_problems", "with_setting"]

Variant = tuple[ModelConfig, TrainConfig]
FIXED = {
    "train.epochs": "the budget of a run is no option to choose; set tune.epochs",
    "train.patience": "tuning runs do not end early, so that all have the same budget",
    "train.init": "other initial weights are another variant",
    "model.name": "another model is another variant",
    "model.backbone": "another backbone is another variant",
    "model.code": "other code is another variant",
    "model.input": "another input is another variant",
}
"""The options that cannot be tuned, and why."""
TRAIN_OPTIONS = frozenset(one.name for one in fields(TrainConfig))


def is_tuned(study_tune: Tuning | None, variant: str) -> bool:
    """Whether a variant's options are chosen by validation."""
    return study_tune is not None and variant not in study_tune.untuned


def with_setting(model: ModelConfig, train: TrainConfig, setting: Setting, epochs: int | None = None) -> Variant:
    """A variant's model and training with a setting, as if it were written in the study.

    Args:
        model: The model.
        train: The training.
        setting: The values by dotted keys.
        epochs: The number of epochs of a network's training; None: as many as it has.

    Raises:
        ValueError: an option does not exist there.
        pydantic.ValidationError: a value is not valid, or does not fit the others.
    """
    merged = {"model": asdict(model), "train": asdict(train)}
    more = [("train.epochs", epochs)] if epochs and isinstance(model, NetworkConfig) else []
    for key, value in (*setting, *more):
        part, *keys = key.split(".")
        check_path(part, keys, merged)
        merged[part] = set_option(merged[part], keys, value)
    context = {"folder": None}  # the user's code comes with the options
    return (
        TypeAdapter[ModelConfig](ModelConfig).validate_python(merged["model"], context=context),
        TypeAdapter(TrainConfig).validate_python(merged["train"], context=context),
    )


def tried(model: ModelConfig, train: TrainConfig, setting: Setting, epochs: int | None) -> Variant:
    """A variant's model and training in a tuning run, which does not end early and may have fewer epochs.

    Arguments and errors are those of `with_setting`.
    """
    return with_setting(model, replace(train, patience=None), setting, epochs)


def tuning_problems(
    tune: Tuning | None, variants: Mapping[str, Variant], seeds: int, looks: Sequence[int], test_curve: bool = False
) -> list[str]:
    """The problems with a study's tuning; empty if there are none.

    Args:
        tune: The tuning; None: nothing is tuned.
        variants: The model and the training of each variant.
        seeds: The number of seeds of the study.
        looks: The numbers of seeds at which the study is judged, if those are adaptive.
        test_curve: Whether the study's metric asks for test accuracies of every epoch.
    """
    if tune is None:
        return []
    problems = _space_problems(tune)
    problems += [f'tune.untuned: "{one}" is not a variant{suggest(one, variants)}' for one in tune.untuned
                 if one not in variants]  # fmt: skip
    tuned = {name: pair for name, pair in variants.items() if is_tuned(tune, name)}
    if not tuned:
        problems.append("tune.untuned: no variant is left to be tuned; leave out tune")
    if tune.nested and looks:
        problems.append(
            f"tune.nested: with seeds.looks, how many seeds are tuned is not known in advance; write seeds: {seeds}, "
            "or leave out nested"
        )
    if test_curve:
        problems.append("metric.test_curve: with tune, nothing is shown that test images would choose; leave it out")
    epochs = {name: train.epochs for name, (model, train) in tuned.items() if isinstance(model, NetworkConfig)}
    if not tune.epochs and len(set(epochs.values())) > 1:
        shown = ", ".join(f"{name} {number}" for name, number in epochs.items())
        problems.append(f"tune.epochs: the variants have different train.epochs ({shown}); give one number for all")
    if not problems:
        fitted = [name for name, (model, _) in tuned.items() if not isinstance(model, NetworkConfig)]
        problems = halving_problems(tune, next(iter(epochs.values()), 1), fitted)
    if problems:
        return problems
    return _set_problems(tune, tuned) + _applied_problems(tune, tuned)


def set_twice(tune: Tuning, variant: str, keys: Sequence[str]) -> list[str]:
    """A line for each tuned option that a variant sets itself.

    Args:
        tune: The tuning.
        variant: The variant's name.
        keys: The dotted keys that the variant gives.
    """
    if not is_tuned(tune, variant):
        return []
    return [
        f"variants.{variant}: sets {given}, but tune.over tunes {'it, too' if given == key else key}; remove it from "
        f"one of the two, or add {variant} to tune.untuned"
        for key in tune.over for given in keys
        if given == key or given.startswith(f"{key}.") or (key.startswith(f"{given}.") and given.startswith("train."))
    ]  # fmt: skip


def _space_problems(tune: Tuning) -> list[str]:
    """The problems of the space alone."""
    problems = []
    for key in tune.over:
        part, _, option = key.partition(".")
        if part not in ("model", "train") or not option:
            problems.append(f"tune.over.{key}: is not of the form model.OPTION or train.OPTION")
        fixed = next((one for one in FIXED if key == one or key.startswith(f"{one}.")), "")
        if fixed:
            problems.append(f"tune.over.{key}: cannot be tuned: {FIXED[fixed]}")
    ranges = [key for key, values in tune.over.items() if isinstance(values, Range)]
    if isinstance(tune.search, RandomSearch):
        if (found := len(tune.settings)) < tune.search.random:
            problems.append(
                f"tune.search: random: {tune.search.random}, but there are {found} settings; write search: grid"
            )
    else:
        problems += [
            f"tune.over.{key}: a grid has no ranges; list the values, or give search: {{random: N}}" for key in ranges
        ]
    return problems


def _set_problems(tune: Tuning, variants: Mapping[str, Variant]) -> list[str]:
    """A line for each tuned option that a variant has otherwise than the first variant, and not by default."""
    problems, first = [], next(iter(variants.values()))
    for key in tune.over:
        shared = _value(first, key)
        for name, pair in variants.items():
            own = _value(pair, key)
            if own != shared and own != _default(pair, key):
                problems += set_twice(tune, name, [key])
    return problems


def _applied_problems(tune: Tuning, variants: Mapping[str, Variant]) -> list[str]:
    """A line for each mistake that a setting makes in a variant; one that several variants share is reported once."""
    found: dict[tuple[str, str], dict[str, None]] = {}  # the names of the variants in their order
    problems = []
    for name, (model, train) in variants.items():
        if isinstance(model, BaselineConfig):
            unused = [key for key in tune.over if key.startswith("train.") and key.split(".")[1] in TRAIN_OPTIONS
                      and key.split(".")[1] not in model.TRAIN_OPTIONS]  # fmt: skip
            problems += [
                f"tune.over.{key}: {model.name} has no such option; add variant {name} to the untuned: "
                f"tune: {{untuned: [{', '.join([*tune.untuned, name])}]}}"
                for key in unused
            ]
            if unused:
                continue
        before = head_training_problems(model, train)
        for setting in tune.settings:
            for where, text in _mistakes(model, train, setting, tune, before):
                found.setdefault((where, text), {})[name] = None
    for (where, text), names in found.items():
        first = next(iter(names))
        advice = f" (variants.{first}; add it to tune.untuned if it shall keep its own option)"
        problems.append(f"{where}: {text}{advice if len(names) < len(variants) else ''}")
    return problems


def _mistakes(
    model: ModelConfig, train: TrainConfig, setting: Setting, tune: Tuning, before: Sequence[str]
) -> list[tuple[str, str]]:
    """The places and texts of what is wrong with a setting in a variant."""
    place = ""
    try:
        applied = with_setting(model, train, setting)
        for rung in rungs_of(tune, train.epochs):
            place = f" (in the rung of {rung.epochs} epoch{'s' * (rung.epochs > 1)})" * tune.halving
            tried(model, train, setting, rung.epochs)
    except ValidationError as error:
        part = "train" if error.title == TrainConfig.__name__ else "model"
        kind = config_class(part, {"model": {"name": model.name}})
        return [
            ("tune.over", format_problem(".".join(filter(None, [part, key])), text) + place)
            for key, text in describe_validation_error(error, kind)
        ]
    except ValueError as error:
        return [("tune.over", f"{setting_text(setting)}{error}")]
    return [("tune.over", text) for text in head_training_problems(*applied) if text not in before]


def declared_setting(tune: Tuning, pair: Variant) -> Setting:
    """The values that the tuned options have in a variant's own model and training.

    Args:
        tune: The tuning.
        pair: The model and the training.
    """
    return tuple((key, _value(pair, key)) for key in tune.over)


def _value(pair: Variant, key: str) -> Any:
    """The value of an option by its dotted key; None where a variant does not have it."""
    part, *keys = key.split(".")
    value: Any = asdict(pair[part == "train"])
    for one in keys:
        value = value.get(one) if isinstance(value, Mapping) else None
    return value


def _default(pair: Variant, key: str) -> Any:
    """The default of an option of a variant's model or training; None for an option of an option."""
    part, *keys = key.split(".")
    return next((one.default for one in fields(pair[part == "train"]) if [one.name] == keys), None)
