"""``weights.safetensors``, the weights that a finished run leaves behind: their format and how they are written.

The file has every parameter of the run's network in float32. Its metadata, under the key ``emotune``, is JSON with all
that is needed to use the network: ``run`` (the run's id), ``model``, ``classes`` and ``normalisation``.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors.torch import load, save
from torch import nn

from emotune.config.normalisation import Normalisation
from emotune.config.run import RunConfig
from emotune.config.types import ClassName
from emotune.core.storage import Folder
from emotune.runs.directory import WEIGHTS

__all__ = ["METADATA", "RunWeights", "parse_run_weights", "safetensors_metadata", "save_weights"]

METADATA = "emotune"


@dataclass(frozen=True)
class RunWeights:
    """The weights of a finished run and what is needed to use them.

    Attributes:
        tensors: The network's parameters by name, in float32.
        model: The options of the network's config.
        classes: The class names, in the order of the network's outputs.
        normalisation: The normalisation of the images that the network was trained on.
    """

    tensors: dict[str, torch.Tensor]
    model: dict[str, Any]
    classes: tuple[str, ...]
    normalisation: Normalisation

    @property
    def layout(self) -> str:
        """The format's name in records."""
        return "run"


def save_weights(
    folder: Folder, run: RunConfig, network: nn.Module, classes: Sequence[str], normalisation: Normalisation
) -> str:
    """Writes a run's ``weights.safetensors`` and returns its sha256."""
    # Copies: branches may share a layer, and the format allows no two names for one tensor.
    tensors = {
        name: tensor.detach().to("cpu", torch.float32).clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }
    about = {
        "run": run.id, "model": asdict(run.model), "classes": list(classes), "normalisation": asdict(normalisation),
    }  # fmt: skip
    # One entry only: safetensors writes several in an order that differs between processes.
    data = save(tensors, {METADATA: json.dumps(about, sort_keys=True)})
    folder.write(WEIGHTS, data)
    return hashlib.sha256(data).hexdigest()


def safetensors_metadata(data: bytes) -> dict[str, str]:
    """The metadata in the header of a safetensors file."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return header.get("__metadata__") or {}


def parse_run_weights(data: bytes) -> RunWeights:
    """The weights in the bytes of a ``weights.safetensors``.

    Raises:
        Exception: the bytes are damaged; safetensors, json and pydantic each have their own errors.
    """
    about = json.loads(safetensors_metadata(data)[METADATA])
    normalisation = TypeAdapter(Normalisation).validate_python(about["normalisation"])
    classes = TypeAdapter(tuple[ClassName, ...]).validate_python(about["classes"])
    return RunWeights(load(data), about["model"], classes, normalisation)
