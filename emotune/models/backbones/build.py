"""Building the backbone that a study names."""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial

import torch
from torch import nn

from emotune.config.backbone import BackboneCode, BackboneConfig, LastStages
from emotune.config.input_spec import InputSpec
from emotune.core.errors import InputError
from emotune.models.backbones.backbone import Backbone, MapsFunction
from emotune.models.backbones.layout import Layout, find_layout, remove_unused
from emotune.models.meta_device import on_meta_device

__all__ = ["build_backbone", "library_layout", "library_network"]


def build_backbone(config: BackboneConfig, input_spec: InputSpec, levels: int) -> Backbone:
    """The backbone of a config with random weights, on the device on which tensors are made.

    Args:
        config: The network's config.
        input_spec: The network's input.
        levels: The number of maps that are wanted, from the last one backwards.

    Raises:
        InputError: the backbone is unknown or not supported, has fewer maps or stages, or is the user's own and cannot
            be built.
    """
    if isinstance(config.backbone, BackboneCode):
        from emotune.models.backbones.user_backbone import user_backbone

        backbone = user_backbone(config.backbone, input_spec.side, levels)
        if isinstance(config.tune, LastStages) and config.tune.last > (stages := len(backbone.stages())):
            raise InputError(
                f"model.tune: last is {config.tune.last}, but {config.backbone.code} has {stages} stages, one for each "
                "of its maps; give fewer, or all"
            )
        return backbone
    layout = library_layout(config.backbone, input_spec.side)
    if levels > len(layout.channels):
        raise InputError(
            f"{config.backbone} has {len(layout.channels)} maps, but model.head needs {levels}; give it fewer levels"
        )
    network, maps = library_network(config.backbone, input_spec.side)
    remove_unused(network, layout.unused)
    return Backbone(network, maps, partial(_known_layout, config.backbone, input_spec.side), levels)


def library_network(name: str, side: int | None) -> tuple[nn.Module, MapsFunction]:
    """A network of a library with its classifier and random weights, and the function that computes its maps.

    Args:
        name: The library and the name, such as ``timm:resnet18``.
        side: The side of images, in pixels; None is the network's own.

    Raises:
        InputError: the library has no such network, or it is not supported.
    """
    try:
        return _library_network(name, side)
    except NotImplementedError:  # on the meta device, where some constructors compute with numbers
        with torch.device("cpu"):
            network, maps = _library_network(name, side)
        return network.to("meta"), maps


def _library_network(name: str, side: int | None) -> tuple[nn.Module, MapsFunction]:
    library, _, network = name.partition(":")
    if library == "timm":
        from emotune.models.backbones.timm_networks import timm_network  # late: importing timm takes a second

        return timm_network(network, side)
    from emotune.models.backbones.torchvision_networks import torchvision_network

    return torchvision_network(network, side)


@lru_cache
def library_layout(name: str, side: int) -> Layout:
    """The layout of a network of a library, found on torch's meta device.

    Args:
        name: The library and the name, such as ``timm:resnet18``.
        side: The side of images, in pixels.

    Raises:
        InputError: the network is unknown or not supported, or takes no images of this side.
    """
    # A thread has neither the mode that records a network's draws, which may be around this, nor inference mode.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_find_layout, name, side).result()


def _find_layout(name: str, side: int) -> Layout:
    with on_meta_device():
        network, maps = library_network(name, side)
        try:
            layout = find_layout(network, lambda one, images: maps(one, images, None), torch.zeros(1, 3, side, side))
        except Exception as error:  # networks that cannot do it have errors of their own
            reason = str(error).strip().partition("\n")[0]
            raise InputError(
                f"{name} gives no maps for images of {side} pixels ({reason}); use another backbone or model.input.side"
            ) from None
    remove_unused(network, layout.unused)
    left = [one for one, _ in network.named_parameters() if one in layout.unused]
    if left or layout.channels[-1] != getattr(network, "num_features", layout.channels[-1]):  # what timm's heads pool
        reason = f"do not depend on its parameter {left[0]}" if left else "are not what its classifier pools"
        raise InputError(f"{name} is not supported as a backbone: its maps {reason}; use another one")
    return layout


def _known_layout(name: str, side: int, network: nn.Module) -> Layout:
    return library_layout(name, side)
