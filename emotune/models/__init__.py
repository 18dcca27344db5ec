"""The networks, one paper or idea a file. A config's fields are the constructor's arguments."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from emotune.model_config import ModelConfig
from emotune.models.alexnet import AlexNet
from emotune.models.attention import AttentionAlexNet
from emotune.models.dual_branch import DualBranch
from emotune.models.mldr import MldrNet
from emotune.models.mldr_v2 import MldrNetV2

__all__ = ["MODELS", "build", "outline"]

MODELS: dict[str, type[nn.Module]] = {
    "alexnet": AlexNet,
    "attention": AttentionAlexNet,
    "dual_branch": DualBranch,
    "mldr": MldrNet,
    "mldr_v2": MldrNetV2,
}


def build(config: ModelConfig, classes: int) -> nn.Module:
    """The network of a config, with freshly drawn weights: (B, 3, 227, 227) → logits (B, classes)."""
    arguments = asdict(config)
    return MODELS[arguments.pop("name")](classes, **arguments)


def outline(config: ModelConfig, classes: int) -> nn.Module:
    """The network of a config without numbers, on torch's meta device: it takes no memory, whatever its size."""
    with torch.device("meta"), _Undrawn():
        return build(config, classes)


class _Undrawn(TorchFunctionMode):
    """Leaves out what would be drawn: on the meta device, a normal distribution imports torch's compiler, a second."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if function in (nn.init.normal_, torch.Tensor.normal_):
            return args[0] if args else given["tensor"]
        return function(*args, **given)
