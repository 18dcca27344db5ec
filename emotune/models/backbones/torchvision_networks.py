"""torchvision's classifiers as backbones: their layers in order, up to the map that their own classifier pools."""

import contextlib
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models import (
    DenseNet,
    MaxVit,
    MNASNet,
    RegNet,
    ResNet,
    ShuffleNetV2,
    SwinTransformer,
    VisionTransformer,
)
from torchvision.models.swin_transformer import PatchMerging, PatchMergingV2
from torchvision.models.vision_transformer import interpolate_embeddings

from emotune.config.input_spec import InputSpec
from emotune.core.errors import InputError, suggest
from emotune.models.backbones.backbone import MapsFunction

__all__ = ["adapt_tensors", "torchvision_input", "torchvision_network", "torchvision_weights"]

CHAINS: tuple[tuple[type[nn.Module], tuple[str, ...]], ...] = (
    (ResNet, ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")),
    (ShuffleNetV2, ("conv1", "maxpool", "stage2", "stage3", "stage4", "conv5")),
    (RegNet, ("stem", "trunk_output.*")),
    (MNASNet, ("layers.*",)),
    (MaxVit, ("stem", "blocks.*")),
    (SwinTransformer, ("features.*", "norm")),
)
"""The layers of each family in the order in which they are called; the others' are those in ``features``."""

OLD_DENSE_LAYER = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.\w+)$")
"""Names of tensors in torchvision's files of weights for DenseNet, which are older than its present names."""

MERGING = (PatchMerging, PatchMergingV2)
"""Layers that lower the resolution without a stride."""

SIDE_ARGUMENTS = {"vit_": "image_size", "maxvit_": "input_size"}
"""The constructors' arguments for the side of images, by the beginning of the names of networks of a fixed side."""

REFUSED = {
    "googlenet": "it has auxiliary classifiers",
    "inception_v3": "it has auxiliary classifiers",
}


class PlainMNASNet(MNASNet):
    """MNASNet that loads every state dict with its names, also without the version that torchvision asks for."""

    _load_from_state_dict = nn.Module._load_from_state_dict


def torchvision_network(name: str, side: int | None) -> tuple[nn.Module, MapsFunction]:
    """A network of torchvision with its classifier and random weights, and the function that computes its maps.

    Args:
        name: The name, such as ``resnet18``.
        side: The side of images, in pixels; None is the network's own.

    Raises:
        InputError: torchvision has no such classifier, or it is not supported.
    """
    _require_known(name)
    arguments: dict[str, Any] = {}
    for beginning, argument in SIDE_ARGUMENTS.items():
        if side is not None and name.startswith(beginning):
            arguments[argument] = side if argument == "image_size" else (side, side)
    network = torchvision.models.get_model(name, weights=None, **arguments)
    if isinstance(network, MNASNet):
        network.__class__ = PlainMNASNet
    if isinstance(network, VisionTransformer):
        return network, _vision_transformer_maps
    return network, partial(_maps, _stages(network))


def torchvision_input(name: str) -> InputSpec:
    """The input of a network according to torchvision's own weights for it.

    Raises:
        InputError: as for `torchvision_network`.
    """
    _require_known(name)
    transforms = torchvision.models.get_model_weights(name)["DEFAULT"].transforms()
    return InputSpec(
        side=transforms.crop_size[0], resize=transforms.resize_size[0], interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean), std=tuple(transforms.std),
    )  # fmt: skip


def torchvision_weights(name: str) -> str:
    """The URL of torchvision's own weights, whose file name has the first digits of their sha256."""
    return torchvision.models.get_model_weights(name)["DEFAULT"].url


def adapt_tensors(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dict with the names of today's torchvision, and with position embeddings for the network's side.

    Args:
        network: The network, which may be on the meta device.
        tensors: The state dict.
    """
    adapted = dict(tensors)
    if isinstance(network, DenseNet):  # as in torchvision.models.densenet._load_state_dict
        adapted = {OLD_DENSE_LAYER.sub(r"\1\2", name): one for name, one in adapted.items()}
    if isinstance(network, VisionTransformer) and "encoder.pos_embedding" in adapted:
        with contextlib.suppress(ValueError):  # not of a square: its shape does not fit, which is reported
            adapted = dict(interpolate_embeddings(network.image_size, network.patch_size, OrderedDict(adapted)))
    return adapted


def _require_known(name: str) -> None:
    names = [one for one in torchvision.models.list_models(module=torchvision.models) if one not in REFUSED]
    if name in REFUSED:
        raise InputError(f"torchvision's {name} is not supported: {REFUSED[name]}; use another backbone")
    if name not in names:
        raise InputError(f'torchvision has no classifier "{name}"{suggest(name, names)}')


def _stages(network: nn.Module) -> tuple[tuple[str, ...], ...]:
    """The dotted paths of the layers in order, stage by stage: a stage begins where the resolution becomes lower."""
    chain = next((chain for kind, chain in CHAINS if isinstance(network, kind)), ("features.*",))
    stages: list[list[str]] = []
    for path in chain:
        folder = path.removesuffix(".*")
        children = network.get_submodule(folder).named_children() if folder != path else ()
        for one in [f"{folder}.{name}" for name, _ in children] or [path]:
            if not stages or _reduces(network.get_submodule(one)):
                stages.append([])
            stages[-1].append(one)
    if not any(list(network.get_submodule(one).parameters()) for one in stages[-1]):
        last = stages.pop()  # a pooling at the end belongs to the layers before it
        stages[-1] += last
    return tuple(map(tuple, stages))


def _reduces(layer: nn.Module) -> bool:
    """Whether a layer lowers the resolution."""
    for module in layer.modules():
        stride: Any = getattr(module, "stride", 1)
        if max(stride if isinstance(stride, tuple) else (stride,)) > 1 or isinstance(module, MERGING):
            return True
    return False


def _maps(
    stages: Sequence[Sequence[str]], network: nn.Module, images: torch.Tensor, levels: int | None
) -> list[torch.Tensor]:
    """The maps of a network whose layers are called one after another."""
    x, maps = images, []
    for stage in stages:
        for path in stage:
            x = network.get_submodule(path)(x)
        maps.append(x.permute(0, 3, 1, 2) if isinstance(network, SwinTransformer) else x)
    if isinstance(network, DenseNet):
        maps[-1] = F.relu(maps[-1])
    return maps[-levels:] if levels else maps


def _vision_transformer_maps(network: nn.Module, images: torch.Tensor, levels: int | None) -> list[torch.Tensor]:
    """The maps of a ViT, one per block: the tokens of the image's patches, without the class token."""
    vit: Any = network
    x = vit._process_input(images)
    x = torch.cat([vit.class_token.expand(x.shape[0], -1, -1), x], 1)
    x = vit.encoder.dropout(x + vit.encoder.pos_embedding)
    maps, positions = [], (images.shape[2] // vit.patch_size, images.shape[3] // vit.patch_size)
    for block in vit.encoder.layers:
        x = block(x)
        maps.append(x)
    maps[-1] = vit.encoder.ln(x)
    wanted = maps[-levels:] if levels else maps
    return [one[:, 1:].transpose(1, 2).unflatten(2, positions) for one in wanted]
