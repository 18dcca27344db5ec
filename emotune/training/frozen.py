"""A new head on a frozen backbone, which a process keeps for the next run of the same backbone and weights.

Building a backbone and reading its weights takes longer than training a linear head on features that are there.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from weakref import WeakKeyDictionary

import torch
from torch import nn

from emotune.config.backbone import BackboneConfig
from emotune.config.run import RunConfig
from emotune.models.backbones.backbone import Backbone
from emotune.models.build import build
from emotune.models.heads.build import levels_needed
from emotune.models.initialisation import initialise_by_path
from emotune.models.networks.backbone_network import BackboneNetwork
from emotune.models.networks.clips import see_clips
from emotune.models.weights.initial_weights import Initialisation, load_weights

__all__ = ["backbone_digest", "forget", "frozen_network"]


@dataclass
class _Kept:
    """A backbone with its weights, and where the initial weights of networks with it are from, by their model."""

    backbone: Backbone
    initialisations: dict[str, Initialisation] = field(default_factory=dict)


_kept: dict[str, _Kept] = {}  # one at most, because backbones may be large
_digests: WeakKeyDictionary[Backbone, str] = WeakKeyDictionary()


def frozen_network(
    run: RunConfig, classes: Sequence[str], device: torch.device
) -> tuple[BackboneNetwork, Initialisation]:
    """A network whose head alone is trained, with its initial weights; its backbone may be that of earlier runs.

    Args:
        run: The run.
        classes: The classes.
        device: The device of the network.

    Raises:
        InputError: the weights that ``train.init`` names cannot be loaded.
    """
    model = run.model
    assert isinstance(model, BackboneConfig)  # no other has a frozen backbone
    about = asdict(model)
    key = _plain([about["backbone"], asdict(run.input), run.weights and asdict(run.weights), str(device),
                  None if run.weights else run.stream("init"), levels_needed(model.head)])  # fmt: skip
    kept, named = _kept.get(key), _plain([about, classes])
    if kept is None:
        forget()
        network = build(model, len(classes), run.stream("init"), run.input)
    else:
        network = initialise_by_path(partial(_on, kept.backbone, run, model, len(classes)), run.stream("init"))
    assert isinstance(network, BackboneNetwork)
    network = network.to(device).to(memory_format=torch.channels_last)
    if kept is None or named not in kept.initialisations:
        initialisation = load_weights(network, run, classes)
    else:
        initialisation = kept.initialisations[named]
    kept = _kept.setdefault(key, _Kept(network.backbone))
    if not any(name.startswith("head.") for name in initialisation.loaded):
        kept.initialisations[named] = initialisation
    return network, initialisation


def _on(backbone: Backbone, run: RunConfig, model: BackboneConfig, classes: int) -> nn.Module:
    """A network on a backbone that is there."""
    network = BackboneNetwork(backbone, model, classes, run.input.side)
    return see_clips(network, model) if run.input.frames > 1 else network


def forget() -> None:
    """Frees the backbone that is kept."""
    _kept.clear()


def backbone_digest(backbone: Backbone) -> str:
    """The sha256 of a frozen backbone's parameters and buffers."""
    if backbone not in _digests:
        digest = hashlib.sha256()
        for name, tensor in backbone.state_dict().items():
            values = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {tuple(values.shape)} {values.dtype}\n".encode())
            digest.update(values.flatten().view(torch.uint8).numpy().data)
        _digests[backbone] = digest.hexdigest()
    return _digests[backbone]


def _plain(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)
