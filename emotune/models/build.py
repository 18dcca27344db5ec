"""Building the network of a config: the table of all networks, with their initial weights or on the meta device.

A new network has a file in `emotune.models.networks`, a config in `emotune.config.model` and an entry in `MODELS`.
Networks of the user's own, and those of a backbone and a head, have constructors that take more.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from emotune.config.backbone import BackboneConfig
from emotune.config.input_spec import InputSpec
from emotune.config.model import CodeConfig, ModelConfig, own_code
from emotune.config.network import NetworkConfig
from emotune.models.initialisation import initialise_by_path
from emotune.models.meta_device import on_meta_device
from emotune.models.networks.alexnet import AlexNet
from emotune.models.networks.attention import AttentionAlexNet
from emotune.models.networks.backbone_network import backbone_network
from emotune.models.networks.clips import see_clips
from emotune.models.networks.dual_branch import DualBranch
from emotune.models.networks.mldr import MldrNet
from emotune.models.networks.mldr_v2 import MldrNetV2
from emotune.models.networks.user_network import user_network

__all__ = ["MODELS", "build", "build_for_inspection", "inspection_device"]

MODELS: Mapping[str, Callable[[int, Any], nn.Module]] = {
    "alexnet": AlexNet,
    "attention": AttentionAlexNet,
    "dual_branch": DualBranch,
    "mldr": MldrNet,
    "mldr_v2": MldrNetV2,
}
"""The constructor of each network by its config's ``name``; it takes the number of classes and the config."""


def build(config: ModelConfig, classes: int, seed: int | None = None, input_spec: InputSpec = InputSpec()) -> nn.Module:
    """The network of a config with freshly drawn weights: (B, 3, side, side) → logits (B, classes).

    Of a data set of videos, it takes clips, (B, frames, 3, side, side), and images, too.

    In training, a network of a backbone and a head may give a tuple of logits, see
    `emotune.models.networks.backbone_network.BackboneNetwork`.

    Args:
        config: The options of a network.
        classes: The number of classes.
        seed: The seed of the weights: each parameter is drawn from it and from the parameter's own path and shape, see
            `emotune.models.initialisation`. None draws from torch's generator in its present state, for weights that
            are replaced at once.
        input_spec: The network's input, which gives the side of images, and whether it sees clips.
    """
    construct: Callable[[], nn.Module]
    match config:
        case CodeConfig():
            construct = partial(user_network, classes, config)
        case BackboneConfig():
            construct = partial(backbone_network, classes, config, input_spec)
        case _:
            construct = partial(MODELS[config.name], classes, config)
    if input_spec.frames > 1:
        construct = partial(_of_clips, construct, config)
    return construct() if seed is None else initialise_by_path(construct, seed)


def _of_clips(construct: Callable[[], nn.Module], config: ModelConfig) -> nn.Module:
    if not isinstance(config, NetworkConfig):
        raise TypeError(f"{config.name} is not a network")
    return see_clips(construct(), config)


def build_for_inspection(config: ModelConfig, classes: int, input_spec: InputSpec = InputSpec()) -> nn.Module:
    """The network of a config on torch's meta device: shapes without numbers, which take no memory.

    A network that is, or has, the user's own code is on the CPU, because that may compute with numbers while it is
    built or called.
    """
    if own_code(config):
        return build(config, classes, input_spec=input_spec)
    with on_meta_device():
        return build(config, classes, input_spec=input_spec)


def inspection_device(config: ModelConfig) -> torch.device:
    """The device of the network that `build_for_inspection` builds."""
    return torch.device("cpu" if own_code(config) else "meta")
