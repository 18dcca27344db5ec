"""Options, parameters and FLOPs of each variant's network: a study's ``networks.json`` in the store.

The file's fields are those of `emotune.analysis.architecture.NetworksFile`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from emotune.analysis.architecture import ClassCountEntry, NetworksFile, setting_differences
from emotune.config.input_spec import InputSpec
from emotune.config.model import ModelConfig
from emotune.config.study import Study
from emotune.core.errors import InputError, raise_if_any
from emotune.execution.checks.versions import versions

if TYPE_CHECKING:
    from emotune.models.cost import Cost

__all__ = ["describe", "file_key"]

FORMAT = 2


def file_key(study: Study, classes: Mapping[str, int], inputs: Mapping[str, InputSpec] | None = None) -> str:
    """The ``key`` of the file that `describe` would make, without importing torch.

    Args:
        study: The study whose variants are compared.
        classes: The number of classes of each data set, by its name.
        inputs: The inputs of the variants whose networks have others than AlexNet's.
    """
    variants = [
        [name, asdict(model), asdict(study.variants[name][1]), asdict((inputs or {}).get(name, InputSpec()))]
        for name, model in study.networks.items()
    ]
    value = [FORMAT, versions(), study.baseline, variants, sorted(classes.items())]
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def describe(study: Study, classes: Mapping[str, int], inputs: Mapping[str, InputSpec] | None = None) -> NetworksFile:
    """The content of the file: every variant's network is built on the meta device, which takes no memory.

    Args:
        study: The study whose variants are compared.
        classes: The number of classes of each data set, by its name.
        inputs: The inputs of the variants whose networks have others than AlexNet's.

    Raises:
        InputError: A variant's network cannot be built.
    """
    networks: list[ClassCountEntry] = []
    for count in dict.fromkeys(classes.values()):
        costs = _costs(study, count, inputs or {})
        networks.append({
            "classes": count,
            "datasets": [name for name, number in classes.items() if number == count],
            "variants": {
                name: {
                    "settings": setting_differences(study, name),
                    "parameters": cost.parameters,
                    "forward_flops": cost.forward_flops or 0,  # None only for models that are no networks
                }
                for name, cost in costs.items()
            },
        })  # fmt: skip
    key = file_key(study, classes, inputs)
    value = {"format": FORMAT, "key": key, "baseline": study.baseline, "networks": networks}
    return json.loads(json.dumps(value))  # a file has lists in the place of tuples


def _costs(study: Study, classes: int, inputs: Mapping[str, InputSpec]) -> dict[str, "Cost"]:
    """The cost of each variant's network, by the variant's name."""
    from emotune.models.cost import cost  # late: it imports torch

    costs: dict[str, Cost] = {}
    by_network: dict[tuple[ModelConfig, InputSpec], Cost] = {}
    problems = []
    for name, model in study.networks.items():
        try:
            network = model, inputs.get(name, InputSpec())
            if network not in by_network:
                by_network[network] = cost(network[0], classes, network[1])
            costs[name] = by_network[network]
        except InputError as error:
            problems.append(f"variants.{name}: {error}")
        except Exception as error:  # whatever a network's constructor, or its first image, raises
            message = f"{type(error).__name__}: {error}".partition("\n")[0]
            problems.append(f"variants.{name}: its network cannot be built ({message}); change its model.… settings")
    raise_if_any(problems)
    return costs
