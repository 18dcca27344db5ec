"""The networks, one paper or idea a file. A config's fields are the constructor's arguments."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from emotune.config.model import ModelConfig
from emotune.models.initialisation import initialise_by_path
from emotune.models.networks.alexnet import AlexNet
from emotune.models.networks.attention import AttentionAlexNet
from emotune.models.networks.dual_branch import DualBranch
from emotune.models.networks.mldr import MldrNet
from emotune.models.networks.mldr_v2 import MldrNetV2

__all__ = ["MODELS", "build", "build_on_meta"]

MODELS: dict[str, type[nn.Module]] = {
    "alexnet": AlexNet,
    "attention": AttentionAlexNet,
    "dual_branch": DualBranch,
    "mldr": MldrNet,
    "mldr_v2": MldrNetV2,
}


def build(config: ModelConfig, classes: int, seed: int | None = None) -> nn.Module:
    """The network of a config, with freshly drawn weights: (B, 3, 227, 227) → logits (B, classes).

    Args:
        config: Its model.
        classes: How many it tells apart.
        seed: Each parameter is drawn from it and from its own path and shape, see `emotune.models.initialisation`;
            None: as torch's generator happens to stand, for weights that are replaced at once.
    """
    arguments = asdict(config)
    construct = partial(MODELS[arguments.pop("name")], classes, **arguments)
    return construct() if seed is None else initialise_by_path(construct, seed)


def build_on_meta(config: ModelConfig, classes: int) -> nn.Module:
    """The network of a config without numbers, on torch's meta device: it takes no memory, whatever its size."""
    with torch.device("meta"), _SkipInit():
        return build(config, classes)


class _SkipInit(TorchFunctionMode):
    """Leaves out what would be drawn: on the meta device, a normal distribution imports torch's compiler, a second."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if function in (nn.init.normal_, torch.Tensor.normal_):
            return args[0] if args else given["tensor"]
        return function(*args, **given)
