"""The networks, one paper or idea a file. A config's fields are the constructor's arguments."""

from dataclasses import asdict

from torch import nn

from emotune.model_config import ModelConfig
from emotune.models.alexnet import AlexNet
from emotune.models.attention import AttentionAlexNet
from emotune.models.dual_branch import DualBranch
from emotune.models.mldr import MldrNet
from emotune.models.mldr_v2 import MldrNetV2

__all__ = ["MODELS", "build"]

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
