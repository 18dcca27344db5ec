"""Loading weights into a network before its first step: which of a file's tensors go where, and what stays as drawn."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from emotune.config.head_training import as_network
from emotune.config.input_spec import InputOptions
from emotune.config.model import BackboneConfig, CodeConfig, ModelConfig, ZeroShotConfig
from emotune.config.normalisation import IMAGENET, Normalisation
from emotune.config.run import RunConfig, WeightsRef
from emotune.core.errors import InputError
from emotune.models.build import build_for_inspection
from emotune.models.networks.alexnet_backbone import POSITIONS, AlexNetBackbone
from emotune.models.weights.backbone_weights import COUNTER, StateDict, match_backbone
from emotune.models.weights.foreign import LAYERS, AlexNetWeights
from emotune.models.weights.run_weights import RunWeights
from emotune.models.weights.weights_file import read_weights

__all__ = ["Initialisation", "check_weights", "load_weights"]


@dataclass(frozen=True)
class Initialisation:
    """Where the first weights of a network are from.

    Attributes:
        normalisation: The normalisation of the images that the network is to see.
        layout: The file's format, ``run``, ``state_dict`` (of a backbone), ``torchvision``, ``caffe`` or ``tensorflow``
            (of an AlexNet); None if there was no file.
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
        return Initialisation(run.input.normalisation)
    tensors, initialisation = _match(network, run, run.weights, classes)
    places = _tensors(network)
    with torch.no_grad():
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                problem = f"{name}: contains numbers that are not finite"
                raise InputError(f"{run.weights.location}: {problem}; use other weights")
            places[name].copy_(tensor)
    return initialisation


def check_weights(run: RunConfig, classes: Sequence[str]) -> Initialisation:
    """The result of `load_weights` for a run, or its error, without the memory and time that a network takes."""
    if run.weights is None:
        return Initialisation(run.input.normalisation)
    if isinstance(run.model, ZeroShotConfig):
        from emotune.models.baselines.zero_shot import check_zero_shot  # late: with open_clip

        check_zero_shot(run, classes)
        return Initialisation(run.input.normalisation)
    network = build_for_inspection(as_network(run).model, len(classes), run.input)
    return _match(network, as_network(run), run.weights, classes)[1]


def _match(
    network: nn.Module, run: RunConfig, ref: WeightsRef, classes: Sequence[str]
) -> tuple[dict[str, torch.Tensor], Initialisation]:
    """The file's tensors by the names of the network's parameters and buffers, and where they are from."""
    location, source = read_weights(ref, run.model)
    left_over: list[str] = []
    if isinstance(source, StateDict):
        assert isinstance(run.model, BackboneConfig)
        candidates, note = match_backbone(location, source, network, run.model, run.input)
        normalisation = run.input.normalisation
    else:
        if isinstance(source, AlexNetWeights):
            candidates = _alexnet_tensors(location, source, network)
        else:
            candidates, left_over = _run_tensors(source, network, run, classes)
        note, normalisation = _note(source, run.model, left_over), _normalisation(run, source)
    tensors = _fitting(network, candidates)
    _require_layers(location, network, run.model, source, candidates, tensors)
    new = tuple(name for name, _ in network.named_parameters() if name not in tensors)
    if not new and run.train.head_lr_multiplier != 1:
        raise InputError(
            f"{location}: has all parameters, so that none is new and head_lr_multiplier has no effect; leave it out"
        )
    loaded = tuple(name for name, _ in network.named_parameters() if name in tensors)
    return tensors, Initialisation(normalisation, source.layout, loaded, new, note)


def _require_layers(
    location: str,
    network: nn.Module,
    model: ModelConfig,
    source: AlexNetWeights | StateDict | RunWeights,
    candidates: Mapping[str, torch.Tensor],
    tensors: Mapping[str, torch.Tensor],
) -> None:
    """Checks that the file has every layer of the backbone, or every convolution of a network without one."""
    for name, module in network.named_modules():
        parameters = dict(module.named_parameters(recurse=False))
        if isinstance(model, BackboneConfig):
            needed = list(parameters) if name.startswith("backbone.") else []
        else:
            needed = ["weight"] if isinstance(module, nn.Conv2d) else []
        for part in needed:
            if f"{name}.{part}" in tensors:
                continue
            candidate, expected = candidates.get(f"{name}.{part}"), tuple(parameters[part].shape)
            in_file = "none" if candidate is None else f"the shape {tuple(candidate.shape)}"
            raise InputError(
                f"{location}: {name} needs weights of the shape {expected}, but has {in_file} in this file; "
                f"{_remedy(source)}"
            )


def _normalisation(run: RunConfig, source: AlexNetWeights | RunWeights) -> Normalisation:
    """The normalisation that the study sets as ``model.input``, or else the one that the weights were trained with."""
    changes = run.model.input if isinstance(run.model, BackboneConfig | CodeConfig) else InputOptions()
    return source.normalisation if changes.mean is changes.std is None else run.input.normalisation


def _note(source: AlexNetWeights | RunWeights, model: ModelConfig, left_over: Sequence[str]) -> str:
    """A warning of layers in the file that are not used, and of options with which the weights were not trained."""
    unused = f"the network has no such layers as the file's {', '.join(left_over)}" if left_over else ""
    if isinstance(model, BackboneConfig):
        return unused
    options = json.loads(json.dumps(asdict(model)))  # tuples become lists, as in the file
    options = {
        key: value for key, value in options.items() if key not in ("name", "dropout", "weight_init", "code", "source")
    }
    former = {key: source.model.get(key, value) for key, value in options.items()}
    changes = [f"{key} {former[key]}, not {value}" for key, value in options.items() if former[key] != value]
    return "; ".join(filter(None, [unused, f"the weights were trained with {', '.join(changes)}" if changes else ""]))


def _remedy(source: AlexNetWeights | StateDict | RunWeights) -> str:
    if isinstance(source, StateDict):
        return "use the backbone that the file is for"
    if isinstance(source, AlexNetWeights):
        return f"these weights are for networks with backbone {source.model['backbone']} and width {source.width:g}"
    options = {key: value for key, value in source.model.items() if key != "source"}
    if isinstance(backbone := options.get("backbone"), dict):  # the user's own, with the text of its file
        options["backbone"] = backbone.get("code")
    return f"use the model that the weights were trained with: {json.dumps(options)}"


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
    source: RunWeights, network: nn.Module, run: RunConfig, classes: Sequence[str]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """A run's tensors by the network's names for them, and the run's layers that the network does not have.

    The classifier is left out if the run's classes are others. The backbone of a network with one (``trunk``) serves
    for every backbone of a network with several. A layer that branches share takes the first branch's weights, even if
    the run had two such layers.
    """
    left_out = set() if source.classes == tuple(classes) else _classifier(run)
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


def _tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    """The network's parameters and those of its buffers that are saved; what branches share is there once."""
    saved = network.state_dict().keys()
    buffers = {name: one for name, one in network.named_buffers() if name in saved}
    return dict(network.named_parameters()) | buffers


def _fitting(network: nn.Module, candidates: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose shapes fit, by name. A layer gets all of its tensors or none; a file may lack counters."""
    places = _tensors(network)
    unfit = {
        name.rpartition(".")[0]
        for name, place in places.items()
        if not (name in candidates and candidates[name].shape == place.shape)
        and not (name.endswith(COUNTER) and name not in candidates)
    }
    return {name: candidates[name] for name in places if name in candidates and name.rpartition(".")[0] not in unfit}


def _classifier(run: RunConfig) -> set[str]:
    """The names of the parameters whose shape depends on the number of classes."""
    two, three = (build_for_inspection(run.model, classes, run.input).state_dict() for classes in (2, 3))
    return {name for name in two if two[name].shape != three[name].shape}
