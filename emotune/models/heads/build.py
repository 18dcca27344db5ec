"""Building the head of a config, and what it needs of a backbone."""

from collections.abc import Sequence

from torch import nn

from emotune.config.heads import (
    AttentionHeadConfig,
    DualHeadConfig,
    HanHeadConfig,
    HeadConfig,
    MaxHeadConfig,
    MeanHeadConfig,
    MultiLevelHeadConfig,
    PatchesHeadConfig,
    WscnetHeadConfig,
)
from emotune.models.heads.han import HanHead
from emotune.models.heads.multi_level import MultiLevelHead
from emotune.models.heads.patches import PatchesHead
from emotune.models.heads.pooled import AttentionHead, DualHead, PooledHead
from emotune.models.heads.wscnet import WscnetHead

__all__ = ["levels_needed", "make_head"]


def levels_needed(config: HeadConfig) -> int:
    """The number of maps that a head needs, from the backbone's last one backwards."""
    return config.levels if isinstance(config, MultiLevelHeadConfig) else 1


def make_head(config: HeadConfig, channels: Sequence[int], sizes: Sequence[tuple[int, int]], classes: int) -> nn.Module:
    """The head of a config: what `emotune.models.networks.backbone_network.BackboneNetwork.features` gives → logits.

    In training it may give a tuple of logits: the first predicts, and the loss is the mean over all of them.

    Args:
        config: The head's options.
        channels: The channels of the maps that the head needs, from the finest to the last.
        sizes: The height and width of these maps, for the network's input.
        classes: The number of classes, K.

    Raises:
        InputError: the options do not fit these maps.
    """
    last, head = channels[-1], nn.Module()
    match config:
        case DualHeadConfig():
            head = DualHead(config, last, sizes[-1], classes)
        case AttentionHeadConfig():
            head = AttentionHead(config, last, sizes[-1], classes)
        case MultiLevelHeadConfig():
            head = MultiLevelHead(config, channels, classes)
        case PatchesHeadConfig():
            head = PatchesHead(config, last, classes)
        case HanHeadConfig():
            head = HanHead(config, last, classes)
        case WscnetHeadConfig():
            head = WscnetHead(config, last, classes)
        case MeanHeadConfig() | MaxHeadConfig():
            head = PooledHead(config, last, classes)
    return head
