"""A backbone of the user's own, built by the class or function that a study names."""

from functools import partial
from typing import Any

import torch
from torch import nn

from emotune.config.backbone import BackboneCode
from emotune.core.errors import InputError
from emotune.core.user_module import load_function, user_errors
from emotune.models.adapt import adapt_network
from emotune.models.backbones.backbone import Backbone
from emotune.models.backbones.layout import Layout, find_layout

__all__ = ["user_backbone"]


def user_backbone(code: BackboneCode, side: int, levels: int) -> Backbone:
    """The backbone that the user's code builds, with its own initial weights; its dropout layers are seeded.

    Its maps are those of two images of zeros, because nothing else tells their channels and sizes.

    Args:
        code: The code and the options with which it is called.
        side: The side of images, in pixels.
        levels: The number of maps that are wanted, from the last one backwards.

    Raises:
        InputError: the code cannot be run, raises an error, or does not give a module that gives so many maps.
    """
    construct = load_function(code.source, code.file, code.entry, code.options)
    with user_errors(f"{code.code} cannot be built", code.file):
        network = construct()
    if not isinstance(network, nn.Module):
        raise InputError(f"{code.code} gives a {type(network).__name__}; it must give a torch.nn.Module")
    adapt_network(network)
    backbone = Backbone(network, partial(_maps, code), partial(_layout, code, side), levels)
    if levels > len(backbone.channels):
        raise InputError(f"{code.code} gives {len(backbone.channels)} maps, but model.head needs {levels}; give more")
    return backbone


def _layout(code: BackboneCode, side: int, network: nn.Module) -> Layout:
    device = next((one.device for one in network.parameters()), torch.device("cpu"))
    return find_layout(network, partial(_maps, code, levels=None), torch.zeros(2, 3, side, side, device=device))


def _maps(code: BackboneCode, network: nn.Module, images: torch.Tensor, levels: int | None) -> list[torch.Tensor]:
    """The maps that the user's network gives.

    Raises:
        InputError: it fails, or gives something else.
    """
    with user_errors(f"{code.code} fails on images {tuple(images.shape)}", code.file):
        given: Any = network(images)
    maps = [given] if isinstance(given, torch.Tensor) else given
    if not isinstance(maps, list | tuple) or not maps or not all(_is_map(one, images.shape[0]) for one in maps):
        shown = [_shape(one) for one in maps] if isinstance(maps, list | tuple) else _shape(maps)
        raise InputError(
            f"{code.code} gives {shown} for images {tuple(images.shape)}; it must give a map (B, C, h, w), or a list "
            "of maps"
        )
    return list(maps[-levels:] if levels else maps)


def _is_map(value: object, images: int) -> bool:
    # The number of images may be a symbol, while a network is exported; len would make a number of it.
    return (
        isinstance(value, torch.Tensor) and value.ndim == 4 and value.shape[0] == images and value.is_floating_point()
    )


def _shape(value: object) -> object:
    return tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
