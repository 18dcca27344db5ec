"""How variants' networks differ from the baseline's, in words: reads `emotune.execution.checks.architecture`'s file."""

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from emotune.config.run import RunConfig
from emotune.config.study import Study
from emotune.runs.registry import Registry

__all__ = ["Difference", "differences", "read_networks", "settings", "summary"]

WORDS = MappingProxyType({"Trunk": ("branch", "branches"), "Sequential": ("layer stack", "layer stacks")})
"""Kinds of modules that have another name among people."""


@dataclass(frozen=True)
class Difference:
    """A variant's network beside the baseline's.

    Attributes:
        variant: Its name.
        parts: What was added, removed and changed, in a few words each; nothing where all modules are alike.
        settings: ``train.lr 0.01 → 0.5``, one for each that differs; ``model.reach shared`` where the baseline's
            network has no such setting.
        parameters: How many it has, and ``more_parameters``: than the baseline; written with their unit.
        flops: Of an image's forward pass; ``more_flops`` likewise.
    """

    variant: str
    parts: tuple[str, ...]
    settings: tuple[str, ...]
    parameters: str
    more_parameters: str
    flops: str
    more_flops: str


def settings(study: Study, variant: str) -> dict[str, tuple[Any, Any]]:
    """By ``model.…`` or ``train.…``, the baseline's value and the variant's, where they differ; None: it has none."""
    former, own = (
        {f"{part}.{key}": value for part, config in zip(("model", "train"), study.variants[name], strict=True)
         for key, value in asdict(config).items()}
        for name in (study.baseline, variant)
    )  # fmt: skip
    return {
        key: (former.get(key), own.get(key)) for key in former | own
        if key not in former or key not in own or former[key] != own[key]
    }  # fmt: skip


def read_networks(pool: str, study: Study, runs: Iterable[RunConfig]) -> dict[str, Any] | None:
    """What the pool has of a study's networks; None where it has nothing, or only of studies with other networks."""
    now = json.loads(json.dumps({name: settings(study, name) for name in study.networks}))  # a file has no tuples
    for value in Registry(pool).networks(study, runs):
        with contextlib.suppress(LookupError, TypeError, AttributeError):  # not this file's format
            known = [{name: one["settings"] for name, one in entry["variants"].items()} for entry in value["networks"]]
            if value["baseline"] == study.baseline and known and all(entry == now for entry in known):
                return value
    return None


def differences(value: Mapping[str, Any], dataset: str | None = None) -> list[Difference]:
    """The baseline itself, and what differs in each other variant.

    Args:
        value: Of ``networks.json``.
        dataset: Whose classes the networks tell apart; None: of the data set that comes first.
    """
    entry = next((e for e in value["networks"] if dataset in e["datasets"]), value["networks"][0])
    baseline = entry["variants"][value["baseline"]]
    return [_difference(name, variant, baseline) for name, variant in entry["variants"].items()]


def summary(value: Mapping[str, Any]) -> list[str]:
    """A line for each variant: what differs, and what it costs, on the data set that comes first."""
    lines = []
    for d in differences(value):
        if d.variant == value["baseline"]:
            lines.append(f"{d.variant} (baseline): {d.parameters} parameters, {d.flops} FLOPs")
        elif d.parts:
            cost = f"{d.parameters} parameters ({d.more_parameters}), {d.flops} FLOPs ({d.more_flops})"
            lines.append(f"{d.variant}: {', '.join(d.parts)}; {cost}")
        else:  # how weights are drawn, say, or how they are trained
            lines.append(f"{d.variant}: the baseline's modules and shapes; {', '.join(d.settings)}")
    return lines


def _difference(name: str, entry: Mapping[str, Any], baseline: Mapping[str, Any]) -> Difference:
    costs = [
        text for key in ("parameters", "forward_flops")
        for text in (_short(entry[key]), _signed(entry[key] - baseline[key]))
    ]  # fmt: skip
    differing = (_setting(key, was, own) for key, (was, own) in entry["settings"].items())
    return Difference(name, tuple(_parts(entry)), tuple(filter(None, differing)), *costs)


def _setting(key: str, was: Any, own: Any) -> str:
    """What the baseline's network has no setting for did not change; what only that has goes without saying."""
    if key.startswith("model.") and own is None:
        return ""
    return f"{key} {own}" if key.startswith("model.") and was is None else f"{key} {was} → {own}"


def _parts(entry: Mapping[str, Any]) -> list[str]:
    """In a few words each: what was added, removed and changed."""
    gone, come, altered = Counter(), Counter(), 0
    come.update(module["kind"] for module in entry["added"])
    gone.update(module["kind"] for module in entry["removed"])
    for change in entry["changed"]:
        was, now = change["was"]["kind"], change["is"]["kind"]
        if was == now:
            altered += 1
        else:
            gone[was] += 1
            come[now] += 1
    words = [
        f"{sign}{count} {WORDS.get(kind, (kind, kind))[count > 1]}"
        for sign, kinds in (("+", come), ("−", gone)) for kind, count in kinds.items() if kind != "Identity"
    ]  # fmt: skip
    return words + ([f"{altered} module{'s' if altered > 1 else ''} changed"] if altered else [])


def _signed(number: int) -> str:
    return f"{'−' if number < 0 else '+'}{_short(abs(number))}"


def _short(number: int) -> str:
    size, unit = next(((s, u) for s, u in ((1e9, " G"), (1e6, " M"), (1e3, " k")) if number >= s), (1, ""))
    return f"{number / size:.3g}{unit}"
