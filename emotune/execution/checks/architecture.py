"""What each variant's network is, and how it differs from the baseline's: a study's ``networks.json`` in the pool.

==============  ========================================================================================================
``format``      1
``key``         Digest of what the file follows from: this code, the variants, the data sets' numbers of classes.
``baseline``    Name of the variant that the others are compared with.
``networks``    One entry per number of classes: ``classes``, ``datasets`` (names), and ``variants``, by name:

                ``settings``: by ``model.…`` or ``train.…``, the baseline's value and its own, where they differ; null
                where a network has no such setting.
                ``parameters``, ``forward_flops``: see `emotune.models.cost.Cost`.
                ``added``, ``removed``: modules, by their dotted names, that only it has, or only the baseline; a whole
                branch is one module. ``changed``: modules that both have, as it ``was`` and as it ``is``.
                A module is ``name`` (empty: the network itself), ``kind`` (its class), ``attributes`` and
                ``parameters`` (shapes by dotted name; one that modules share is the first's).
==============  ========================================================================================================
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from emotune.analysis.architecture import settings
from emotune.config.study import Study
from emotune.core.errors import raise_if_any
from emotune.execution.checks.versions import versions

if TYPE_CHECKING:
    from torch import nn

    from emotune.models.cost import Cost

__all__ = ["describe", "file_key"]

FORMAT = 1


def file_key(study: Study, classes: Mapping[str, int]) -> str:
    """The ``key`` of the file that `describe` would make; torch is not imported for it.

    Args:
        study: Whose variants are compared.
        classes: Number of classes by data set.
    """
    variants = [[name, asdict(model), asdict(study.variants[name][1])] for name, model in study.networks.items()]
    value = [FORMAT, versions(), study.baseline, variants, sorted(classes.items())]
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def describe(study: Study, classes: Mapping[str, int]) -> dict[str, Any]:
    """The content of the file: every variant is built, without memory for its numbers.

    Args:
        study: Whose variants are compared.
        classes: Number of classes by data set.

    Raises:
        InputError: a variant cannot be built.
    """
    networks = []
    for count in dict.fromkeys(classes.values()):
        built = _built(study, count)
        entries = {
            name: {
                "settings": settings(study, name), "parameters": costs.parameters,
                "forward_flops": costs.forward_flops, **_difference(built[study.baseline][0], network),
            }
            for name, (network, costs) in built.items()
        }  # fmt: skip
        datasets = [name for name, number in classes.items() if number == count]
        networks.append({"classes": count, "datasets": datasets, "variants": entries})
    value = {"format": FORMAT, "key": file_key(study, classes), "baseline": study.baseline, "networks": networks}
    return json.loads(json.dumps(value))  # what is read has no tuples either


def _built(study: Study, classes: int) -> dict[str, tuple["nn.Module", "Cost"]]:
    from emotune.models.build import build_on_meta  # late: with torch
    from emotune.models.cost import cost

    built, of_model, problems = {}, {}, []
    for name, model in study.networks.items():
        try:
            if model not in of_model:
                of_model[model] = (build_on_meta(model, classes), cost(model, classes))
            built[name] = of_model[model]
        except Exception as error:  # whatever a network's constructor, or its first image, runs into
            says = f"{type(error).__name__}: {error}".partition("\n")[0]
            problems.append(f"variants.{name}: its network cannot be built ({says}); change its model.… settings")
    raise_if_any(problems)
    return built


def _difference(baseline: "nn.Module", network: "nn.Module") -> dict[str, Any]:
    """What was added, removed and changed on the way from the baseline's network to this one."""
    return _Comparison(baseline, network).found


class _Comparison:
    """Two networks, part by part; ``found`` is what the file has of it."""

    def __init__(self, baseline: "nn.Module", network: "nn.Module") -> None:
        self.found: dict[str, list[Any]] = {"added": [], "removed": [], "changed": []}
        # A parameter that modules share has one name here.
        self._names = [{name for name, _ in side.named_parameters()} for side in (baseline, network)]
        if _kind(baseline) == _kind(network) and _attributes(baseline) != _attributes(network):
            self._change(("", baseline), ("", network), alone=True)
        former, own = _parts_of(baseline), _parts_of(network)
        self._go_through(former, own, self._pairs(former, own))

    def _pairs(self, former: Mapping[str, "nn.Module"], own: Mapping[str, "nn.Module"]) -> list[tuple[str, str]]:
        """Names of parts that are those of one another: by name, trunks in their order, and what is just alike."""
        pairs = [(name, name) for name in own if name in former and _kind(own[name]) == _kind(former[name])]
        for alike in (lambda module: _kind(module) == "Trunk", lambda module: self._described(0, "", module)):
            paired = [{pair[side] for pair in pairs} for side in (0, 1)]
            for name, module in former.items():
                if name in paired[0] or not (mark := alike(module)):
                    continue
                if twin := next((n for n, m in own.items() if n not in paired[1] and alike(m) == mark), None):
                    pairs.append((name, twin))
                    paired[1].add(twin)
        return pairs

    def _go_through(
        self, former: Mapping[str, "nn.Module"], own: Mapping[str, "nn.Module"], pairs: list[tuple[str, str]]
    ) -> None:
        for was, now in pairs:
            self._compare((was, former[was]), (now, own[now]))
        paired = [{pair[side] for pair in pairs} for side in (0, 1)]
        self.found["removed"] += [self._described(0, n, m) for n, m in former.items() if n not in paired[0]]
        self.found["added"] += [self._described(1, n, m) for n, m in own.items() if n not in paired[1]]

    def _compare(self, former: tuple[str, "nn.Module"], own: tuple[str, "nn.Module"]) -> None:
        """Finds how two modules differ, down to the smallest that do."""
        if _kind(former[1]) != _kind(own[1]):
            self._change(former, own)
            return
        before, after = (self._described(side, *module, alone=True) for side, module in enumerate((former, own)))
        if before | {"name": own[0]} != after:
            self._change(former, own, alone=True)
        parts = [{f"{name}.{n}": m for n, m in module.named_children()} for name, module in (former, own)]
        last = {name.rpartition(".")[2]: name for name in parts[1]}
        pairs = [(name, last[n]) for name in parts[0] if (n := name.rpartition(".")[2]) in last]
        self._go_through(parts[0], parts[1], pairs)

    def _change(self, former: tuple[str, "nn.Module"], own: tuple[str, "nn.Module"], **of: bool) -> None:
        was, now = (self._described(side, *module, **of) for side, module in enumerate((former, own)))
        self.found["changed"].append({"was": was, "is": now})

    def _described(self, side: int, name: str, module: "nn.Module", *, alone: bool = False) -> dict[str, Any]:
        """A module as the file has it: ``alone``, or with what its children have."""
        shapes = {
            key: list(parameter.shape) for key, parameter in module.named_parameters(recurse=not alone)
            if not name or f"{name}.{key}" in self._names[side]
        }  # fmt: skip
        return {"name": name, "kind": _kind(module), "attributes": _attributes(module), "parameters": shapes}


def _parts_of(network: "nn.Module") -> dict[str, "nn.Module"]:
    """A network's trunks, and the largest modules beside them that hold none, by their dotted names."""

    def parts(prefix: str, module: "nn.Module") -> Iterator[tuple[str, "nn.Module"]]:
        for name, child in module.named_children():
            dotted = f"{prefix}{name}"
            if _kind(child) != "Trunk" and any(_kind(inner) == "Trunk" for inner in child.modules()):
                yield from parts(f"{dotted}.", child)
            else:
                yield dotted, child

    return dict(parts("", network))


def _kind(module: "nn.Module") -> str:
    return type(module).__name__


def _attributes(module: "nn.Module") -> dict[str, Any]:
    """What a module's behaviour is set by, as far as it is plain values."""
    return {
        key: value for key, value in vars(module).items()
        if not key.startswith("_") and key != "training" and isinstance(value, str | bool | int | float | tuple)
    }  # fmt: skip
