"""Loading weights into a network before its first step: which of a file's tensors go where, and what stays as drawn."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from emotune.config.model import ModelConfig
from emotune.config.normalisation import IMAGENET, Normalisation
from emotune.config.run import RunConfig, WeightsRef
from emotune.core.errors import InputError
from emotune.models.build import build_for_inspection
from emotune.models.networks.alexnet_backbone import POSITIONS, AlexNetBackbone
from emotune.models.weights.foreign import LAYERS, AlexNetWeights
from emotune.models.weights.run_weights import RunWeights
from emotune.models.weights.weights_file import read_weights

__all__ = ["Initialisation", "check_weights", "load_weights"]


@dataclass(frozen=True)
class Initialisation:
    """Where the first weights of a network are from.

    Attributes:
        normalisation: The normalisation of the images that the network is to see.
        layout: The file's format, ``run``, ``torchvision``, ``caffe`` or ``tensorflow``; None if there was no file.
        loaded: The names of the parameters that were loaded from the file.
        new: The names of the parameters that stay as they were drawn; empty if there was no file.
        note: A warning about this file for this network.
    """

    normalisation: Normalisation = IMAGENET
    layout: str | None = None
    loaded: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    note: str = ""

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Initialisation":
        """The reverse of ``dataclasses.asdict``, after the value was in a checkpoint."""
        mean, std = value["normalisation"]["mean"], value["normalisation"]["std"]
        return Initialisation(
            Normalisation(tuple(mean), tuple(std)), value["layout"], tuple(value["loaded"]), tuple(value["new"]),
            value["note"],
        )  # fmt: skip


def load_weights(network: nn.Module, run: RunConfig, classes: Sequence[str]) -> Initialisation:
    """Loads a run's initial weights into its freshly drawn network wherever they fit; all else stays as drawn.

    Raises:
        InputError: the weights are missing, unreadable, or do not belong to this network.
    """
    if run.weights is None:
        return Initialisation()
    tensors, initialisation = _match(network, run, run.weights, classes)
    parameters = dict(network.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                problem = f"{name}: contains numbers that are not finite"
                raise InputError(f"{run.weights.location}: {problem}; use other weights")
            parameters[name].copy_(tensor)
    return initialisation


def check_weights(run: RunConfig, classes: Sequence[str]) -> Initialisation:
    """The result of `load_weights` for a run, or its error, without the memory and time that a network takes."""
    if run.weights is None:
        return Initialisation()
    return _match(build_for_inspection(run.model, len(classes)), run, run.weights, classes)[1]


def _match(
    network: nn.Module, run: RunConfig, ref: WeightsRef, classes: Sequence[str]
) -> tuple[dict[str, torch.Tensor], Initialisation]:
    """The file's tensors by the names of the network's parameters, and where they are from."""
    location, source = read_weights(ref)
    left_over: list[str] = []
    if isinstance(source, AlexNetWeights):
        candidates = _alexnet_tensors(location, source, network)
    else:
        candidates, left_over = _run_tensors(source, network, run.model, classes)
    tensors = _fitting(network, candidates)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and f"{name}.weight" not in tensors:
            candidate, expected = candidates.get(f"{name}.weight"), tuple(module.weight.shape)
            in_file = "none" if candidate is None else f"the shape {tuple(candidate.shape)}"
            raise InputError(
                f"{location}: {name} needs weights of the shape {expected}, but has {in_file} in this file; "
                f"{_remedy(source)}"
            )
    new = tuple(name for name, _ in network.named_parameters() if name not in tensors)
    if not new and run.train.head_lr_multiplier != 1:
        raise InputError(
            f"{location}: has all parameters, so that none is new and head_lr_multiplier has no effect; leave it out"
        )
    note = _note(source, run.model, left_over)
    return tensors, Initialisation(source.normalisation, source.layout, tuple(tensors), new, note)


def _note(source: AlexNetWeights | RunWeights, model: ModelConfig, left_over: Sequence[str]) -> str:
    """A warning of layers in the file that are not used, and of options with which the weights were not trained."""
    options = json.loads(json.dumps(asdict(model)))  # tuples become lists, as in the file
    options = {
        key: value for key, value in options.items() if key not in ("name", "dropout", "weight_init", "code", "source")
    }
    former = {key: source.model.get(key, value) for key, value in options.items()}
    changes = [f"{key} {former[key]}, not {value}" for key, value in options.items() if former[key] != value]
    unused = f"the network has no such layers as the file's {', '.join(left_over)}" if left_over else ""
    return "; ".join(filter(None, [unused, f"the weights were trained with {', '.join(changes)}" if changes else ""]))


def _remedy(source: AlexNetWeights | RunWeights) -> str:
    if isinstance(source, AlexNetWeights):
        return f"these weights are for networks with backbone {source.model['backbone']} and width {source.width:g}"
    return f"use the model that the weights were trained with: {json.dumps(source.model)}"


def _alexnet_tensors(location: str, weights: AlexNetWeights, network: nn.Module) -> dict[str, torch.Tensor]:
    """AlexNet's layers by the names of the parameters of every backbone in the network.

    A backbone whose attention sums over positions has another fc6, which therefore stays as drawn, as all behind it.
    """
    tensors: dict[str, torch.Tensor] = {}
    for prefix, backbone in network.named_modules():
        if not isinstance(backbone, AlexNetBackbone):
            continue
        convolutions = [
            (f"{prefix}.convolutions.{name}", module)
            for name, module in backbone.convolutions.named_modules()
            if isinstance(module, nn.Conv2d)
        ]
        linears = [
            (f"{prefix}.fc.{name}", module)
            for name, module in backbone.fc.named_modules()
            if isinstance(module, nn.Linear)
        ]
        modules: list[tuple[str, nn.Module]] = [*convolutions]
        if linears[0][1].in_features == convolutions[-1][1].out_channels * POSITIONS:
            modules += linears
        for layer, (name, module) in zip(LAYERS, modules, strict=False):
            for tensor, part in zip(weights.arrays[layer], ("weight", "bias"), strict=True):
                shape, expected = tuple(tensor.shape), tuple(getattr(module, part).shape)
                if shape != expected:
                    problem = f"its {part} has the shape {shape}, but {name} needs {expected}"
                    raise InputError(f"{location}: {layer}: {problem}; {_remedy(weights)}")
                tensors[f"{name}.{part}"] = tensor
    return tensors


def _run_tensors(
    source: RunWeights, network: nn.Module, model: ModelConfig, classes: Sequence[str]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """A run's tensors by the network's names for them, and the run's layers that the network does not have.

    The classifier is left out if the run's classes are others. The backbone of a network with one (``trunk``) serves
    for every backbone of a network with several. A layer that branches share takes the first branch's weights, even if
    the run had two such layers.
    """
    left_out = set() if source.classes == tuple(classes) else _classifier(model)
    names_in_file = {name: name for name in network.state_dict()}
    for prefix, backbone in network.named_modules():
        if isinstance(backbone, AlexNetBackbone):
            names_in_file |= {f"{prefix}.{name}": f"trunk.{name}" for name in backbone.state_dict()
                              if f"{prefix}.{name}" not in source.tensors}  # fmt: skip
    left_over = {name.rpartition(".")[0] for name in source.tensors.keys() - names_in_file.values()}
    tensors = {
        name: source.tensors[in_file]
        for name, in_file in names_in_file.items()
        if in_file in source.tensors and name not in left_out
    }
    return tensors, sorted(left_over)


def _fitting(network: nn.Module, candidates: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose shapes fit, by parameter: of each layer either all or none, and shared parameters once."""
    parameters = dict(network.named_parameters())
    unfit = {
        name.rpartition(".")[0]
        for name, parameter in parameters.items()
        if name not in candidates or candidates[name].shape != parameter.shape
    }
    return {name: candidates[name] for name in parameters if name.rpartition(".")[0] not in unfit}


def _classifier(model: ModelConfig) -> set[str]:
    """The names of the parameters whose shape depends on the number of classes."""
    two, three = (build_for_inspection(model, classes).state_dict() for classes in (2, 3))
    return {name for name in two if two[name].shape != three[name].shape}
