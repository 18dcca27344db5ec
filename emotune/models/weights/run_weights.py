"""Weights that a network begins with, and those that a finished run leaves behind.

``weights.safetensors`` has every parameter of a run's network in float32; its metadata, under ``emotune``, is JSON with
``run`` (its id), ``model``, ``classes`` and ``normalisation``: what it takes to use the network. Other people's files
are in `emotune.models.weights.foreign`.
"""

import hashlib
import io
import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors.torch import load, save
from torch import nn

from emotune.config.model import ModelConfig
from emotune.config.normalisation import IMAGENET, Normalisation
from emotune.config.run import RunConfig, WeightsRef
from emotune.config.types import ClassName
from emotune.core.errors import InputError
from emotune.core.storage import Folder, split_location
from emotune.models.build import build_on_meta
from emotune.models.networks.backbone import POSITIONS, Backbone
from emotune.models.weights.foreign import LAYERS, AlexNetWeights, layers_of_arrays, layers_of_state, read_arrays
from emotune.models.weights.torchvision_file import torchvision_file
from emotune.runs.directory import WEIGHTS

__all__ = ["Initialisation", "RunWeights", "check_weights", "load_weights", "read_run_weights", "save_weights"]

METADATA = "emotune"


@dataclass(frozen=True)
class Initialisation:
    """Where the first weights of a network are from.

    Attributes:
        normalisation: Of the images that it is to see.
        layout: ``run``, ``torchvision``, ``caffe`` or ``tensorflow``; None: all drawn.
        loaded: Names of the parameters that came from the file.
        new: Names of those that were drawn all the same.
        note: What speaks against this file for this network.
    """

    normalisation: Normalisation = IMAGENET
    layout: str | None = None
    loaded: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    note: str = ""

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Initialisation":
        """The reverse of ``dataclasses.asdict``, through a checkpoint."""
        mean, std = value["normalisation"]["mean"], value["normalisation"]["std"]
        names = {key: tuple(value[key]) for key in ("loaded", "new")}
        return Initialisation(Normalisation(tuple(mean), tuple(std)), value["layout"], note=value["note"], **names)


@dataclass(frozen=True)
class RunWeights:
    """What a finished run left behind: its network's parameters, and what it takes to use it."""

    tensors: dict[str, torch.Tensor]
    model: dict[str, Any]
    classes: tuple[str, ...]
    normalisation: Normalisation
    layout: str = "run"


def save_weights(
    folder: Folder, run: RunConfig, network: nn.Module, classes: Sequence[str], normalisation: Normalisation
) -> str:
    """Writes a run's ``weights.safetensors``; returns its sha256."""
    # Copies: branches may share a layer, and a file has no two names for one tensor.
    tensors = {
        name: tensor.detach().to("cpu", torch.float32).clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }
    about = {
        "run": run.id, "model": asdict(run.model), "classes": list(classes), "normalisation": asdict(normalisation),
    }  # fmt: skip
    # One entry: safetensors writes several in an order that differs from process to process.
    data = save(tensors, {METADATA: json.dumps(about, sort_keys=True)})
    folder.write(WEIGHTS, data)
    return hashlib.sha256(data).hexdigest()


def read_run_weights(folder: Folder, sha256: str) -> RunWeights:
    """The weights in a finished run's folder.

    Args:
        folder: The run's.
        sha256: Of the file, as the record says.

    Raises:
        InputError: the file is missing or damaged.
    """
    where, data = f"{folder / WEIGHTS}", folder.read(WEIGHTS)
    if data is None or hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(
            f"{where}: {'missing' if data is None else 'damaged'}; delete {folder} and train the run again"
        )
    return _parse(where, data)


def load_weights(network: nn.Module, run: RunConfig, classes: Sequence[str]) -> Initialisation:
    """Puts the run's weights into its freshly drawn network, wherever they fit; what they lack stays as drawn.

    Raises:
        InputError: they are not there, not readable, or none of this network's.
    """
    tensors, initialisation = _matched(network, run, classes)
    parameters = dict(network.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                raise InputError(
                    f"{run.weights.location}: {name}: holds numbers that are not finite; name other weights"
                )
            parameters[name].copy_(tensor)
    return initialisation


def check_weights(run: RunConfig, classes: Sequence[str]) -> Initialisation:
    """What `load_weights` will say of a run, or raise, found without a network's memory and time."""
    return _matched(build_on_meta(run.model, len(classes)), run, classes)[1]


def _matched(
    network: nn.Module, run: RunConfig, classes: Sequence[str]
) -> tuple[dict[str, torch.Tensor], Initialisation]:
    """The file's tensors by the network's names for them."""
    if run.weights is None:
        return {}, Initialisation()
    where, data = _read(run.weights)
    source = _parse(where, data)
    if isinstance(source, AlexNetWeights):
        found, left_over = _of_layers(where, source, network), []
    else:
        found, left_over = _of_run(source, network, run.model, classes)
    tensors = _fitting(network, found)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and f"{name}.weight" not in tensors:
            has, expected = found.get(f"{name}.weight"), tuple(module.weight.shape)
            says = "it has none" if has is None else f"its own have the shape {tuple(has.shape)}"
            raise InputError(
                f"{where}: weights of the shape {expected} are needed for {name}, {says}; {_remedy(source)}"
            )
    new = tuple(name for name, _ in network.named_parameters() if name not in tensors)
    if not new and run.train.head_lr_multiplier != 1:
        raise InputError(
            f"{where}: has all parameters, none is new: head_lr_multiplier would change nothing; leave it out"
        )
    note = _note(source, run.model, left_over)
    return tensors, Initialisation(source.normalisation, source.layout, tuple(tensors), new, note)


def _note(source: AlexNetWeights | RunWeights, model: ModelConfig, left_over: Sequence[str]) -> str:
    """What of the file is left over, and what the network computes otherwise than the one whose weights these are."""
    options = json.loads(json.dumps(asdict(model)))  # what was read has no tuples either
    options = {key: value for key, value in options.items() if key not in ("name", "dropout", "weight_init")}
    former = {key: source.model.get(key, value) for key, value in options.items()}
    others = [f"{key} {former[key]}, not {value}" for key, value in options.items() if former[key] != value]
    unused = f"the network has no such layers as the file's {', '.join(left_over)}" if left_over else ""
    return "; ".join(filter(None, [unused, f"the weights were trained with {', '.join(others)}" if others else ""]))


def _remedy(source: AlexNetWeights | RunWeights) -> str:
    if isinstance(source, AlexNetWeights):
        return f"these are for networks with backbone {source.model['backbone']} and width {source.width:g}"
    return f"a model like the run's is needed: {json.dumps(source.model)}"


def _read(ref: WeightsRef) -> tuple[str, bytes]:
    """The location and the bytes of a file of weights, which are those that the run was planned with."""
    remedy = "plan the study again, or put the former file back"
    location = ref.location
    if location == "torchvision":
        from torchvision.models import AlexNet_Weights  # late: it takes a second

        weights = AlexNet_Weights.IMAGENET1K_V1
        location, remedy = str(torchvision_file(weights)), f"delete it, or put {weights.url} there"
    folder, name = split_location(location)
    try:
        data = Folder(folder).read(name)
    except OSError as error:
        raise InputError(f"{location}: cannot be read ({error})") from None
    if data is None:
        raise InputError(f"{location}: not there; every machine that trains must reach it at this path or URL")
    if not hashlib.sha256(data).hexdigest().startswith(ref.digest):
        raise InputError(f"{location}: its sha256 does not begin with {ref.digest}: changed, or not whole; {remedy}")
    return location, data


def _parse(where: str, data: bytes) -> AlexNetWeights | RunWeights:
    """What a file's bytes hold; the end of its name says how they are to be read."""
    try:
        if where.lower().endswith((".npy", ".npz")):
            return layers_of_arrays(where, read_arrays(where, data))
        if not where.lower().endswith(".safetensors"):
            return layers_of_state(where, _unpickled(where, data))
        tensors, header = load(data), json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        if METADATA not in (metadata := header.get("__metadata__") or {}):
            return layers_of_state(where, tensors)
        about = json.loads(metadata[METADATA])
        normalisation = Normalisation(*(tuple(map(float, about["normalisation"][key])) for key in ("mean", "std")))
        classes = TypeAdapter(tuple[ClassName, ...]).validate_python(about["classes"])
        return RunWeights(_renamed(tensors), about["model"], classes, normalisation)
    except InputError:
        raise
    except Exception as error:  # every format has its own, and a pickle has any
        says = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise InputError(f"{where}: not readable as weights ({says}); fetch or write it again") from None


def _renamed(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A run's tensors by today's names: up to format 2, ``trunk`` was ``first`` in networks with two branches."""
    former = "first."
    return {f"trunk.{n.removeprefix(former)}" if n.startswith(former) else n: t for n, t in tensors.items()}


def _unpickled(where: str, data: bytes) -> Any:
    """What ``torch.save`` wrote, if it is tensors in dicts and lists."""
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # torch would advise to run what is in it
        raise InputError(
            f"{where}: not readable as weights, it holds more than tensors; write a network's state_dict() alone"
        ) from None


def _of_layers(where: str, layers: AlexNetWeights, network: nn.Module) -> dict[str, torch.Tensor]:
    """The layers in every trunk of the network.

    A trunk whose attention sums positions has an fc6 of its own; with it, all that follows is drawn.
    """
    tensors = {}
    for prefix, trunk in network.named_modules():
        if not isinstance(trunk, Backbone):
            continue
        parts = {"convolutions": nn.Conv2d, "fc": nn.Linear}  # an attention layer has some, too, of its own
        modules = [
            (f"{prefix}.{part}.{name}", module)
            for part, kind in parts.items()
            for name, module in trunk.get_submodule(part).named_modules()
            if isinstance(module, kind)
        ]
        for layer, (name, module) in zip(LAYERS, modules, strict=True):
            if layer == "fc6" and module.in_features != modules[4][1].out_channels * POSITIONS:
                break
            for tensor, part in zip(layers.arrays[layer], ("weight", "bias"), strict=True):
                found, expected = tuple(tensor.shape), tuple(getattr(module, part).shape)
                if found != expected:
                    what = f"{where}: {layer}: its {part} has the shape {found}, {expected} is expected in {name}"
                    raise InputError(f"{what}; {_remedy(layers)}")
                tensors[f"{name}.{part}"] = tensor
    return tensors


def _of_run(
    source: RunWeights, network: nn.Module, model: ModelConfig, classes: Sequence[str]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The run's tensors that have the network's names, and its layers that have none of them.

    The classifier is among the tensors only if it names these classes.

    The trunk of a network with one is also every trunk of a network that has others. A layer that branches share is the
    first's, wherever the run had two.
    """
    left_out = set() if source.classes == tuple(classes) else _classifier(model)
    former = {name: name for name in network.state_dict()}
    for prefix, trunk in network.named_modules():
        if isinstance(trunk, Backbone):
            former |= {f"{prefix}.{name}": f"trunk.{name}" for name in trunk.state_dict()
                       if f"{prefix}.{name}" not in source.tensors}  # fmt: skip
    left_over = {name.rpartition(".")[0] for name in source.tensors.keys() - former.values()}
    found = {new: source.tensors[old] for new, old in former.items() if old in source.tensors and new not in left_out}
    return found, sorted(left_over)


def _fitting(network: nn.Module, found: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Those tensors whose shapes are the network's; of a layer all, or none; of one that is shared, once."""
    own = dict(network.named_parameters())
    unfit = {n.rpartition(".")[0] for n in own if n not in found or found[n].shape != own[n].shape}
    return {name: found[name] for name in own if name.rpartition(".")[0] not in unfit}


def _classifier(model: ModelConfig) -> set[str]:
    """Names of the parameters whose shape depends on the number of classes."""
    two, three = (build_on_meta(model, classes).state_dict() for classes in (2, 3))
    return {name for name in two if two[name].shape != three[name].shape}
