"""A backbone of torchvision, timm or the user's own with a head on its last maps."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from emotune.config.backbone import BackboneConfig, LastStages
from emotune.config.heads import HanHeadConfig, MaxHeadConfig, MeanHeadConfig, PatchesHeadConfig
from emotune.config.input_spec import InputSpec
from emotune.core.errors import InputError
from emotune.models.adapt import adapt_network
from emotune.models.backbones.backbone import Backbone
from emotune.models.backbones.build import build_backbone
from emotune.models.heads.build import levels_needed, make_head
from emotune.models.networks.clips import frame_pooling
from emotune.models.networks.fixed_features import Features, in_batches, rounded
from emotune.models.networks.mldr import pyramid

__all__ = ["BackboneNetwork", "HeadNetwork", "backbone_network"]


class BackboneNetwork(nn.Module):
    """A backbone and a head: (B, 3, side, side) → logits (B, K), or in training a tuple of them.

    The first logits predict, and the loss is the mean over all of them. What is not trained has no gradient and stays
    in evaluation mode: its batch normalisation keeps its statistics, and its dropout and stochastic depth do nothing.
    If the head alone is trained, features are those of `emotune.models.networks.fixed_features`.

    Attributes:
        is_frozen: Whether the head alone is trained.
        rounds: Whether the features of a frozen backbone are rounded to float16.

    Args:
        backbone: The backbone with as many maps as the head needs. Its dropout layers become those with a seed per
            image.
        config: The options: the head's, and ``tune``, which says what is trained.
        classes: The number of classes, K.
        side: The side of the images that the network sees, in pixels.

    Raises:
        InputError: the head's options do not fit the backbone's maps.
    """

    def __init__(self, backbone: Backbone, config: BackboneConfig, classes: int, side: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = make_head(config.head, backbone.channels, backbone.sizes, classes)
        self.side = side
        self.grids: tuple[int, ...] = ()
        self.resize = False
        if isinstance(config.head, PatchesHeadConfig | HanHeadConfig):
            self.grids, self.resize = config.head.levels, config.head.patches == "resized"
        adapt_network(backbone)
        self.tuned = None if config.tune == "all" else _freeze(backbone, config.tune)
        self.is_frozen, self.rounds = self.tuned == [], True
        self.pooling = config.head.name if isinstance(config.head, MeanHeadConfig | MaxHeadConfig) else None
        self.train()

    def train(self, mode: bool = True) -> "BackboneNetwork":
        """Sets training mode, except in what is not trained."""
        super().train(mode)
        if mode and self.tuned is not None:
            self.backbone.eval()
            for module in self.tuned:
                module.training = True
        return self

    def features(self, images: torch.Tensor) -> Features:
        """All that the head needs of images, as the backbone computes it.

        Args:
            images: The images, (B, 3, side, side), or clips, (B, T, 3, side, side), of which the features of each frame
                are computed: they are (B, T, …) in place of (B, …).

        Returns:
            Maps (B, C, H, W), from the finest to the last; or, for a head of patches, for each level of the pyramid the
            last maps of its P patches, (B, P, C, H, W), row by row. Of a frozen backbone: the same in float16, without
            gradients, and if the head only pools, pooled to (B, C, 1, 1).
        """
        if images.ndim == 5:
            return [one.unflatten(0, images.shape[:2]) for one in self.features(images.flatten(0, 1))]
        if not self.is_frozen:
            return self._maps(images)
        with torch.no_grad():
            return in_batches(self._frozen_features, images) if self.rounds else self._maps(images)

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        features = self.features(images)
        return self.head([one.float() for one in features] if self.is_frozen else features)

    def _frozen_features(self, images: torch.Tensor) -> Features:
        return rounded(self._maps(images), self.pooling)

    def _maps(self, images: torch.Tensor) -> Features:
        if self.grids:
            return [self._patches(images, grid) for grid in self.grids]
        return list(self.backbone(images))

    def _patches(self, images: torch.Tensor, grid: int) -> torch.Tensor:
        """The last maps of the patches of one level; all patches of all images go through the backbone in one pass."""
        patches = pyramid(images, grid) if grid > 1 else images
        if self.resize and grid > 1:
            patches = F.interpolate(patches, size=(self.side, self.side), mode="bilinear", align_corners=False)
        try:
            maps = self.backbone(patches)
        except Exception as error:  # whatever a network raises that takes images of one size, as most ViTs do
            if self.resize or grid == 1:
                raise
            size = "×".join(map(str, patches.shape[2:]))
            raise InputError(
                f"model.head.patches: native gives the backbone patches of {size} pixels, which it does not take "
                f"({error}); set patches: resized"
            ) from error
        return maps[-1].unflatten(0, (-1, grid**2))


class HeadNetwork(nn.Module):
    """The head of a network whose backbone is frozen, which is what is trained of it: features → logits (B, K).

    Its parameters and layers have the names that they have in the whole network, and are the same objects. Of clips, it
    gets the features of all frames, and has attention over them where the network has it.

    Args:
        network: The whole network.
    """

    def __init__(self, network: BackboneNetwork) -> None:
        super().__init__()
        self.head = network.head
        if pooling := frame_pooling(network):
            pooling.see(self, None)  # the head's last layer tells it already

    def forward(self, features: Features) -> torch.Tensor | tuple[torch.Tensor, ...]:
        return self.head([one.float() for one in features])


def _freeze(backbone: Backbone, tune: Literal["head"] | LastStages) -> list[nn.Module]:
    """Leaves gradients to the parameters of the last stages alone; returns the modules of these stages."""
    stages: Sequence[Sequence[nn.Module]] = backbone.stages()[-tune.last :] if isinstance(tune, LastStages) else ()
    tuned = [module for stage in stages for module in stage]
    kept = [one for module in tuned for one in module.parameters(recurse=False) if one.requires_grad]
    backbone.requires_grad_(False)
    for parameter in kept:
        parameter.requires_grad_(True)
    return tuned


def backbone_network(classes: int, config: BackboneConfig, input_spec: InputSpec) -> BackboneNetwork:
    """The network of a config, with the backbone that it names.

    Raises:
        InputError: the backbone cannot be built, or does not fit its head.
    """
    backbone = build_backbone(config, input_spec, levels_needed(config.head))
    return BackboneNetwork(backbone, config, classes, input_spec.side)
