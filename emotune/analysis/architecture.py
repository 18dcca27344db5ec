"""How each variant's network differs from the baseline's: changed options, parameters and FLOPs.

Reads the file ``networks.json`` that `emotune.execution.checks.architecture` writes.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from emotune.config.contrast import Contrast
from emotune.config.design.factors import cells
from emotune.config.model import MODEL_CLASSES, PaperNetworkConfig
from emotune.config.network import NetworkConfig
from emotune.config.run import RunConfig, difference_to_defaults
from emotune.config.shown_options import effective_training, shown_options
from emotune.config.study import Study
from emotune.config.types import as_in_study
from emotune.runs.registry import Registry
from emotune.runs.store import RunStore

__all__ = [
    "ArchitectureDifference",
    "ClassCountEntry",
    "NetworksFile",
    "VariantEntry",
    "architecture_differences",
    "architecture_summary",
    "contrast_options",
    "read_architectures",
    "setting_differences",
]  # fmt: skip


CODE, SOURCE = "model.code", "model.source"
PAPER_NETWORKS = frozenset(kind.name for kind in MODEL_CLASSES if PaperNetworkConfig in kind.__mro__)
OF_ATTENTION = ("reach", "score", "output", "scale", "temperature")
"""The options of attention, which have no effect where there is none; only ``head.output`` has one, of its own."""
DIGEST = re.compile(r"(\(\))? [0-9a-f]{8}$")
"""The empty options and the digest at the end of the user's code, see `emotune.config.user_code.UserCode`."""


class VariantEntry(TypedDict):
    """A variant's network in ``networks.json``.

    Attributes:
        settings: The baseline's value and the variant's, by ``model.…`` or ``train.…``, where they differ; None where a
            network has no such setting.
        parameters: The number of its parameters.
        forward_flops: The FLOPs of one image's forward pass, see `emotune.models.cost.Cost`.
    """

    settings: dict[str, tuple[Any, Any]]
    parameters: int
    forward_flops: int


class ClassCountEntry(TypedDict):
    """The networks for one number of classes in ``networks.json``.

    Attributes:
        classes: The number of classes that the networks tell apart.
        datasets: The names of the data sets with so many classes.
        variants: The networks by their variants' names, the baseline's first.
    """

    classes: int
    datasets: list[str]
    variants: dict[str, VariantEntry]


class NetworksFile(TypedDict):
    """The content of ``networks.json``.

    Attributes:
        format: The version of this format.
        key: The digest of what the file follows from: the code, the variants and the data sets' numbers of classes.
        baseline: The name of the variant that the others are compared with.
        networks: One entry for each number of classes.
    """

    format: int
    key: str
    baseline: str
    networks: list[ClassCountEntry]


@dataclass(frozen=True)
class ArchitectureDifference:
    """A variant's network beside the baseline's.

    Attributes:
        variant: The variant's name.
        settings: The changed options, ``train.lr 0.01 → 0.5`` for example; ``model.score tanh`` where the baseline's
            network has no such option.
        parameters: The number of parameters, with its unit.
        more_parameters: The number of parameters less the baseline's, with its sign and unit.
        flops: The FLOPs of an image's forward pass, with their unit.
        more_flops: The FLOPs less the baseline's, with their sign and unit.
    """

    variant: str
    settings: tuple[str, ...]
    parameters: str
    more_parameters: str
    flops: str
    more_flops: str


def setting_differences(study: Study, variant: str, reference: str = "") -> dict[str, tuple[Any, Any]]:
    """The reference's value and the variant's of each option, ``model.…`` or ``train.…``, in which they differ.

    None stands for a model that has no such option. An option of training differs only where it has an effect on both.

    Args:
        study: The study.
        variant: The name of the variant.
        reference: The name of the variant that it is compared with; empty: the baseline.
    """
    (model, train), (other, other_train) = (study.variants[name] for name in (reference or study.baseline, variant))
    before, now = effective_training(model, train), effective_training(other, other_train)
    training = _changes("train", before, now)
    if not (isinstance(model, NetworkConfig) and isinstance(other, NetworkConfig)):
        common = {f"train.{key}" for key in before if key in now}
        training = {key: values for key, values in training.items() if key in common}
    return _changes("model", shown_options(model), shown_options(other)) | training


def _changes(part: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The values of the options of a part of two configs that differ, or that only one of them has."""
    return {
        f"{part}.{key}": (before.get(key), now.get(key)) for key in {**before, **now}
        if key not in before or key not in now or before[key] != now[key]
    }  # fmt: skip


def read_architectures(store: RunStore, study: Study, runs: Iterable[RunConfig]) -> NetworksFile | None:
    """The store's file about a study's networks; None if it has none, or only files about other networks."""
    expected = json.loads(
        json.dumps({name: setting_differences(study, name) for name in study.networks})
    )  # as a file has them
    for value in Registry(store).networks(study, runs):
        with contextlib.suppress(LookupError, TypeError, AttributeError):  # another format
            entries = [{name: one["settings"] for name, one in e["variants"].items()} for e in value["networks"]]
            if value["baseline"] == study.baseline and entries and all(entry == expected for entry in entries):
                return NetworksFile(
                    format=value["format"], key=value["key"], baseline=value["baseline"], networks=value["networks"]
                )
    return None


def architecture_differences(value: NetworksFile, dataset: str | None = None) -> list[ArchitectureDifference]:
    """The baseline's network, and how each other variant's differs from it.

    Args:
        value: The content of ``networks.json``.
        dataset: The data set whose classes the networks tell apart; None: the first one.
    """
    entry = next((e for e in value["networks"] if dataset in e["datasets"]), value["networks"][0])
    baseline = entry["variants"][value["baseline"]]
    return [_difference(name, variant, baseline) for name, variant in entry["variants"].items()]


def contrast_options(study: Study) -> dict[str, tuple[str, ...]]:
    """The options in which the variants of each contrast differ, by the contrast's name.

    A difference of two variants has both values, ``train.lr 0.01 → 0.5`` for example. An effect of factors has those of
    the levels that it compares, of each factor; any other contrast has the names of the options. Two kinds of model
    hardly share an option: then it is said that they are, with those of their options that a study gave.
    """
    return {contrast.name: _contrast_options(study, contrast) for contrast in study.contrasts}


def _contrast_options(study: Study, contrast: Contrast) -> tuple[str, ...]:
    if contrast.pair:
        variant, reference = contrast.pair
        return _setting_texts(_compared(study, variant, reference))
    if contrast.effect:
        compared = contrast.effect.compared
        return tuple(text for factor, levels in compared.items() for text in _level_options(study, factor, *levels))
    first, *others = contrast.weights
    names = {key for other in others for key in _compared(study, other, first)}
    return tuple(sorted(names - {SOURCE}))


def _compared(study: Study, variant: str, reference: str) -> dict[str, tuple[Any, Any]]:
    """Their `setting_differences`; of two kinds of model without the options that both have as they are by default."""
    differences = setting_differences(study, variant, reference)
    models = [study.variants[name][0] for name in (reference, variant)]
    if _kind(models[0].name) == _kind(models[1].name):
        return differences
    before, now = map(difference_to_defaults, models)
    given = {"name", *now, *(set(before) - {"backbone"})}  # this one has two meanings
    return {
        key: values for key, values in differences.items() if not key.startswith("model.") or key.split(".")[1] in given
    }


def _kind(name: str) -> str:
    """The kind of a model, by its name: networks of papers are of one kind, and every other model is of its own."""
    return "network of a paper" if name in PAPER_NETWORKS else name


def _level_options(study: Study, factor: str, level: str, first: str) -> tuple[str, ...]:
    """The options in which two levels of a factor differ, whatever the levels of the other factors are.

    An option that they change in some combinations only, such as one that not every network has, is left out.
    """
    levels = list(study.factors)
    by_levels = {names: variant for names, (variant, *_) in cells(study.factors).items()}
    place, alike = levels.index(factor), list[tuple[str, ...]]()
    for names, variant in by_levels.items():
        if names[place] == level:
            reference = by_levels[(*names[:place], first, *names[place + 1 :])]
            alike.append(_setting_texts(_compared(study, variant, reference)))
    return tuple(text for text in alike[0] if all(text in texts for texts in alike))


def architecture_summary(value: NetworksFile) -> list[str]:
    """A line for each variant on the first data set: the changed options, parameters and FLOPs."""
    lines = []
    for d in architecture_differences(value):
        if d.variant == value["baseline"]:
            lines.append(f"{d.variant} (baseline): {d.parameters} parameters, {d.flops} FLOPs")
        else:
            cost = f"{d.parameters} parameters ({d.more_parameters}), {d.flops} FLOPs ({d.more_flops})"
            lines.append(f"{d.variant}: {', '.join(d.settings)}; {cost}")
    return lines


def _difference(name: str, entry: VariantEntry, baseline: VariantEntry) -> ArchitectureDifference:
    return ArchitectureDifference(
        name,
        _setting_texts(entry["settings"]),
        _short(entry["parameters"]),
        _signed(entry["parameters"] - baseline["parameters"]),
        _short(entry["forward_flops"]),
        _signed(entry["forward_flops"] - baseline["forward_flops"]),
    )


def _setting_texts(settings: Mapping[str, tuple[Any, Any]]) -> tuple[str, ...]:
    """The changed options; a text of the user's code is named by its file and class, where these differ, too."""
    told = {key: values for key, values in settings.items() if key != SOURCE or CODE not in settings}
    for part in ("model.", "model.head."):
        if settings.get(f"{part}attention", ("", ""))[1] == "none":
            inert = {f"{part}{name}" for name in OF_ATTENTION} - {"model.head.output"}
            told = {key: values for key, values in told.items() if key not in inert}
    names = settings.get("model.name", ("", ""))
    if "backbone" in names and "model.backbone" in told:  # networks of papers have an option of this name, too
        told["model.backbone"] = None, told["model.backbone"][1]
    texts = {key: _setting(key, before, after) for key, (before, after) in told.items()}
    if CODE not in settings and _kind(names[0]) != _kind(names[1]):
        texts["model.name"] += ", another kind of model"
    return tuple(filter(None, texts.values()))


def _setting(key: str, before: Any, after: Any) -> str:
    """One changed option; empty for one of the reference's network, loss or targets that the variant's do not have."""
    owned = key.startswith(("model.", "train.loss.", "train.targets."))
    if owned and after is None:
        return ""
    if key == SOURCE:
        return "the text of model.code"
    before, after = (as_in_study(value) if isinstance(value, dict | tuple) else value for value in (before, after))
    if (told := [DIGEST.sub("", str(value)) for value in (before, after)])[0] != told[1]:
        before, after = (None if value is None else one for value, one in zip((before, after), told, strict=True))
    return f"{key} {after}" if owned and before is None else f"{key} {before} → {after}"


def _signed(number: int) -> str:
    return f"{'−' if number < 0 else '+'}{_short(abs(number))}"


def _short(number: int) -> str:
    size, unit = next(((s, u) for s, u in ((1e9, " G"), (1e6, " M"), (1e3, " k")) if number >= s), (1, ""))
    return f"{number / size:.3g}{unit}"
