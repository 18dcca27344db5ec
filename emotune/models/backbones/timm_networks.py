"""timm's classifiers as backbones, up to the map that their own classifier pools (Wightman, github.com/huggingface/
pytorch-image-models).

No weights are downloaded: timm would ask a hub for them.
"""

import math
from collections.abc import Mapping
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.layers.pos_embed import resample_abs_pos_embed
from torch import nn

from emotune.config.input_spec import InputSpec
from emotune.core.errors import InputError, closest, suggest
from emotune.models.backbones.backbone import MapsFunction

__all__ = ["adapt_tensors", "timm_input", "timm_network"]


def timm_network(name: str, side: int | None) -> tuple[nn.Module, MapsFunction]:
    """A network of timm with its classifier and random weights, and the function that computes its maps.

    Args:
        name: The name, such as ``resnet18`` or ``resnet50.a1_in1k``.
        side: The side of images, in pixels; None is the network's own.

    Raises:
        InputError: timm has no such network, or it gives no maps of its stages.
    """
    _require_known(name)
    config = timm.models.get_pretrained_cfg(name)
    is_fixed = config is not None and config.fixed_input_size and side not in (None, config.input_size[-1])
    arguments: dict[str, Any] = {"img_size": side} if is_fixed else {}
    try:
        network = timm.create_model(name, pretrained=False, **arguments)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise InputError(
            f"timm's {name} cannot be built for images of {side} pixels ({error}); set another side"
        ) from None
    if not hasattr(network, "forward_intermediates"):
        raise InputError(f"timm's {name} gives no maps of its stages (forward_intermediates); use another backbone")
    return network, _maps


def timm_input(network: nn.Module) -> InputSpec:
    """The input of a network according to the configuration of timm's weights for it.

    Raises:
        InputError: it does not take square images in red, green and blue.
    """
    config = resolve_model_data_config(network)
    channels, height, width = config["input_size"]
    if channels != 3 or height != width:
        raise InputError(f"takes inputs {channels}×{height}×{width}; images are square, in red, green and blue")
    return InputSpec(
        side=height, resize=max(height, math.floor(height / config["crop_pct"])),
        interpolation=config["interpolation"], mean=tuple(config["mean"]), std=tuple(config["std"]),
    )  # fmt: skip


def adapt_tensors(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dict with position embeddings of a ViT for the network's side.

    Args:
        network: The network, which may be on the meta device.
        tensors: The state dict.
    """
    model: Any = network
    adapted, given, needed = dict(tensors), tensors.get("pos_embed"), getattr(model, "pos_embed", None)
    if given is None or needed is None or given.ndim != 3 or given.shape[1] == needed.shape[1]:
        return adapted
    prefix = 0 if getattr(model, "no_embed_class", False) else getattr(model, "num_prefix_tokens", 0)
    if math.isqrt(given.shape[1] - prefix) ** 2 == given.shape[1] - prefix:
        adapted["pos_embed"] = resample_abs_pos_embed(
            given, list(model.patch_embed.grid_size), num_prefix_tokens=prefix
        )
    return adapted


def _require_known(name: str) -> None:
    base, _, tag = name.partition(".")
    if not timm.is_model(base):
        close = closest(base, timm.list_models())
        hint = f'; did you mean "{close}"?' if close else "; timm.list_models() has all names"
        raise InputError(f'timm has no network "{base}"{hint}')
    tags = [one.partition(".")[2] for one in timm.list_pretrained(f"{base}.*")]
    if tag and tag not in tags:
        offered = suggest(tag, tags) if tags else "; leave it out"
        raise InputError(f'timm has no weights "{tag}" of {base}{offered}')


def _maps(network: nn.Module, images: torch.Tensor, levels: int | None) -> list[torch.Tensor]:
    """The maps of a network: the last is what its classifier pools; tokens are positions, without those before them."""
    model: Any = network
    last, maps = model.forward_intermediates(images, indices=levels, output_fmt="NCHW")
    height, width = maps[-1].shape[-2:]
    if last.ndim == 3:  # tokens (B, N, C), of which the first are a class token, for example
        last = last[:, -height * width :].transpose(1, 2).unflatten(2, (height, width))
    elif getattr(model, "output_fmt", "NCHW") == "NHWC":
        last = last.permute(0, 3, 1, 2)
    return [*maps[:-1], last]
