"""Weights of a backbone from a file: a state dict of its library's network, or of the user's own.

Tensors are matched by their names. Where names differ, they are matched by their order, if every tensor of the
library's network, with its classifier, has its counterpart of the same shape at the same place. The classifier is left
out: it belongs to other classes.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from emotune.config.backbone import BackboneCode, BackboneConfig
from emotune.config.input_spec import InputSpec
from emotune.core.errors import InputError
from emotune.models.backbones.build import library_network
from emotune.models.meta_device import on_meta_device

__all__ = ["COUNTER", "StateDict", "fit_by_name", "match_backbone", "parse_any_state_dict"]

PREFIX = "backbone.network."
"""The beginning of the names of a backbone's tensors in a network with a head."""

CONTAINERS = ("state_dict", "model_state_dict", "model", "network", "net")
"""The keys under which training scripts keep a state dict among other things."""
WRAPPERS = ("module.", "model.", "network.", "backbone.", "_orig_mod.")
"""Beginnings that wrappers such as DistributedDataParallel put before all names."""
COUNTER = "num_batches_tracked"
"""The end of the names of counters of batch normalisation, which are of no use here and which some files lack."""
MOST_NAMES = 3
REMEDY = "use the backbone that the file is for"


@dataclass(frozen=True)
class StateDict:
    """The tensors of a file by name.

    Attributes:
        tensors: The tensors, in the file's order.
        ordered: Whether that is the order in which the network registers its layers.
        versions: The versions of the layers that were saved, which torch keeps beside a state dict.
        layout: The format's name in records.
    """

    tensors: Mapping[str, torch.Tensor]
    ordered: bool
    versions: Mapping[str, Any]
    layout: str = "state_dict"


def parse_any_state_dict(location: str, value: Any, *, ordered: bool) -> StateDict:
    """The tensors of a state dict, which may lie in a dictionary of a training script's.

    Args:
        location: The location of the file, for messages.
        value: The content of the file.
        ordered: Whether the file keeps the order in which the network registers its layers.

    Raises:
        InputError: there is no state dict.
    """
    while isinstance(value, Mapping) and not any(isinstance(one, torch.Tensor) for one in value.values()):
        value = next((value[key] for key in CONTAINERS if isinstance(value.get(key), Mapping)), None)
    if not isinstance(value, Mapping):
        raise InputError(f"{location}: contains no state dict; save the network's state_dict()")
    tensors = {str(name): one for name, one in value.items() if isinstance(one, torch.Tensor)}
    versions = getattr(value, "_metadata", None) or {}
    while wrapper := next((one for one in WRAPPERS if all(name.startswith(one) for name in tensors)), None):
        tensors = {name.removeprefix(wrapper): one for name, one in tensors.items()}
        versions = {name.removeprefix(wrapper): one for name, one in versions.items()}
    return StateDict(tensors, ordered, versions)


def match_backbone(
    location: str, source: StateDict, network: nn.Module, config: BackboneConfig, input_spec: InputSpec
) -> tuple[dict[str, torch.Tensor], str]:
    """A file's tensors by the names that they have in the network, and a note on how they were matched.

    Args:
        location: The location of the file, for messages.
        source: The file's tensors.
        network: The network of a backbone and a head.
        config: The network's config.
        input_spec: The network's input.

    Raises:
        InputError: a tensor of the backbone is missing in the file, or has another shape there; the message names the
            first ones.
    """
    names = [name.removeprefix(PREFIX) for name in network.state_dict() if name.startswith(PREFIX)]
    note = ""
    if isinstance(config.backbone, BackboneCode):
        shapes = _shapes(network.get_submodule(PREFIX.rstrip(".")))
        tensors = fit_by_name(
            f"{location}: its tensors do not fit {config.backbone.code}", shapes, names, source.tensors
        )
    else:
        problem = f"{location}: its tensors do not fit {config.backbone}"
        with on_meta_device():
            whole, _ = library_network(config.backbone, input_spec.side)
        shapes = _shapes(whole)
        try:
            converted = _converted(config.backbone, whole, source)
        except (RuntimeError, ValueError) as error:  # a layer's own conversion of older weights failed
            raise InputError(f"{problem} ({str(error).partition(chr(10))[0]}); {REMEDY}") from None
        if 2 * len(converted.keys() & set(names)) >= len(names):
            tensors = fit_by_name(problem, shapes, names, converted)
        else:
            tensors = _by_order(problem, shapes, source)
            note = f"{location} has other names than {config.backbone}: its tensors were matched by order and shape"
    return {f"{PREFIX}{name}": tensors[name] for name in names if name in tensors}, note


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def _converted(backbone: str, whole: nn.Module, source: StateDict) -> dict[str, torch.Tensor]:
    """The tensors as today's version of the library names and shapes them, which may differ from an older one's."""
    if backbone.startswith("timm:"):
        from emotune.models.backbones.timm_networks import adapt_tensors  # late: importing timm takes a second
    else:
        from emotune.models.backbones.torchvision_networks import adapt_tensors
    tensors, shapes = adapt_tensors(whole, source.tensors), _shapes(whole)
    state = OrderedDict((name, one) for name, one in tensors.items() if one.shape == shapes.get(name, one.shape))
    state._metadata = source.versions  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # as torch does
    whole.load_state_dict(state, strict=False, assign=True)  # the layers' own conversions
    return tensors | {name: one for name, one in whole.state_dict().items() if not one.is_meta}


def fit_by_name(
    problem: str,
    shapes: Mapping[str, torch.Size],
    names: Sequence[str],
    tensors: Mapping[str, torch.Tensor],
    remedy: str = REMEDY,
) -> Mapping[str, torch.Tensor]:
    """The tensors, after it was checked that a file has all that are needed, in their shapes.

    Args:
        problem: The beginning of the message.
        shapes: The shapes by name.
        names: The names of those that are needed.
        tensors: The file's tensors.
        remedy: The end of the message.

    Raises:
        InputError: a tensor is missing or has another shape; the message names the first ones.
    """
    missing = [name for name in names if name not in tensors and not name.endswith(COUNTER)]
    if missing:
        more = f" and {len(missing) - MOST_NAMES} more" if len(missing) > MOST_NAMES else ""
        raise InputError(f"{problem}: it has no {', '.join(missing[:MOST_NAMES])}{more}; {remedy}")
    pairs = [(name, shapes[name], name, tensors[name].shape) for name in names if name in tensors]
    _require_shapes(problem, pairs, remedy)
    return tensors


def _by_order(problem: str, shapes: Mapping[str, torch.Size], source: StateDict) -> dict[str, torch.Tensor]:
    """The tensors by the names that a library has for those at the same place."""
    if not source.ordered:
        raise InputError(f"{problem}: it has other names, and a .safetensors file does not keep their order; {REMEDY}")
    needed = [name for name in shapes if not name.endswith(COUNTER)]
    counters = {name for name, one in source.tensors.items() if one.ndim == 0 and not one.is_floating_point()}
    given = [(name, one) for name, one in source.tensors.items() if name not in counters]
    pairs = list(zip(needed, given, strict=False))
    _require_shapes(problem, [(name, shapes[name], other, tensor.shape) for name, (other, tensor) in pairs])
    if len(needed) != len(given):
        raise InputError(f"{problem}: it has {len(given)} tensors, not {len(needed)}, and other names; {REMEDY}")
    return {name: tensor for name, (_, tensor) in pairs}


def _require_shapes(
    problem: str, pairs: Sequence[tuple[str, torch.Size, str, torch.Size]], remedy: str = REMEDY
) -> None:
    wrong = [pair for pair in pairs if pair[1] != pair[3]]
    if wrong:
        texts = [
            f"{name} needs the shape {tuple(needed)}, not {tuple(given)}{'' if name == other else f' of {other}'}"
            for name, needed, other, given in wrong[:MOST_NAMES]
        ]
        more = f", and {len(wrong) - MOST_NAMES} more" if len(wrong) > MOST_NAMES else ""
        raise InputError(f"{problem}: {'; '.join(texts)}{more}; {remedy}")
