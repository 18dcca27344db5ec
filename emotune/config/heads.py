"""Heads: the part of a network behind a backbone, from the backbone's maps to logits, as options of a study.

They carry the ideas of the thesis to any backbone. The heads themselves are in `emotune.models.heads`. Sources:
*thesis* is Agarwal (2019); *HAN* is Yang et al. (2016); *MldrNet v1* is Rao, Xu, Xu (2016) and *v2* Rao et al. (2018);
*WSCNet* is Yang et al. (2018); *ours* is no paper.
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from emotune.config.types import FORBID_UNKNOWN_KEYS, Count, Fraction, Positive, reject_unused

__all__ = [
    "HEAD_CLASSES",
    "AttentionHeadConfig",
    "DualHeadConfig",
    "HanHeadConfig",
    "HeadConfig",
    "MaxHeadConfig",
    "MeanHeadConfig",
    "MultiLevelHeadConfig",
    "PatchesHeadConfig",
    "WscnetHeadConfig",
]

Grid = Annotated[Count, Field(le=16)]


def _differ(levels: tuple[int, ...]) -> tuple[int, ...]:
    """The levels of a pyramid, each of which comes once, because all share one backbone."""
    if len(set(levels)) < len(levels):
        raise ValueError(f"{list(levels)} has a level twice; give each once")
    return levels


Levels = Annotated[tuple[Grid, ...], Field(min_length=1), AfterValidator(_differ)]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class _Head:
    """The option that all heads share.

    Attributes:
        dropout: The dropout probability of the values that reach the output layer.
    """

    dropout: Fraction = 0.0


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class MeanHeadConfig(_Head):
    """The mean over the positions of the last map, and one linear layer: a linear probe if the backbone is frozen."""

    name: Literal["mean"] = "mean"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class MaxHeadConfig(_Head):
    """The maximum over the positions of the last map, and one linear layer."""

    name: Literal["max"] = "max"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class AttentionHeadConfig(_Head):
    """Attention over the positions of the last map, and one linear layer.

    With the defaults it begins as the head *mean*, because all positions weigh the same at first.

    Attributes:
        reach: The input of a position's score: *shared*, one layer applied to the values of that position, or *full*,
            one layer on the whole map.
        score: The scoring function: *linear* (thesis), or *tanh*, with a hidden layer and a context vector (HAN).
        output: The input of the linear layer: the *sum* of the weighted map over positions (HAN), or the whole weighted
            *map* (thesis).
        scale: The scale of the weights: *raw*, the softmax (thesis), or *positions*, the softmax times the number of
            positions, with mean 1 (ours).
        temperature: The divisor of the scores (thesis: 1; smaller values sharpen the attention).
        heads: The number of attention layers side by side, whose outputs are concatenated (ours).
    """

    name: Literal["attention"] = "attention"
    reach: Literal["shared", "full"] = "shared"
    score: Literal["linear", "tanh"] = "linear"
    output: Literal["sum", "map"] = "sum"
    scale: Literal["raw", "positions"] = "raw"
    temperature: Positive = 1.0
    heads: Annotated[Count, Field(le=64)] = 1


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class DualHeadConfig(AttentionHeadConfig):
    """The attended map beside the plain one, as two vectors before one linear layer (after the thesis' dual branch).

    Attributes:
        output: The vector of either side: with *sum* the sum of the weighted map over positions and the mean of the
            plain map; with *map* all values of these maps.
        heads: The number of attention layers of an attended side, whose outputs are concatenated (ours).
        attention: The sides with attention: *spatial*, the first one (thesis); *both*; or *none*, a control with the
            same capacity, which has copies of the plain vector in the place of attended ones.
        fusion: The fusion of the two vectors: *concat* (thesis), or *sum*, *max* or *product* of each unit (ours).
    """

    name: Literal["dual"] = "dual"  # type: ignore[assignment]
    attention: Literal["spatial", "both", "none"] = "spatial"
    fusion: Literal["concat", "sum", "max", "product"] = "concat"

    @model_validator(mode="after")
    def _options_fit_the_sides(self) -> "DualHeadConfig":
        if self.attention == "none":
            reject_unused(self, ["reach", "score", "scale", "temperature"], 'attention is "none"')
        if self.heads > 1 and self.fusion != "concat":
            raise ValueError(
                f'"heads" is {self.heads} and "fusion" {self.fusion}: vectors of two lengths can only be concatenated; '
                "give fusion: concat"
            )
        return self


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class MultiLevelHeadConfig(_Head):
    """Maps of several stages, fused as in MldrNet v2: laterals, added top-down; per level the mean over positions and
    two fully connected layers; a fusion of the levels' vectors; one linear layer.

    Attributes:
        levels: The number of maps, from the last one backwards (v2: 4).
        channels: The channels of the laterals (v2: 128).
        units: The units of the fully connected layers (v2: 1024).
        fusion: The fusion of the levels' vectors: *mean* (v2) or *max* (ours) of each unit, or *concat* (ours).
    """

    name: Literal["multi_level"] = "multi_level"
    levels: Annotated[Count, Field(ge=2)] = 4
    channels: Count = 128
    units: Count = 1024
    fusion: Literal["mean", "max", "concat"] = "mean"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class PatchesHeadConfig(_Head):
    """MldrNet v1's pyramid of patches over one shared backbone: each patch gets logits from its pooled map.

    Attributes:
        levels: The number of patches along a side, for each level (thesis: 1, 2, 4).
        patches: The size of the patches: *native* keeps their pixels, *resized* scales them to the network's input.
        aggregation: The aggregation of a level's patches: *mean*, *max*, *logsumexp* or *noisy-or*, see
            `emotune.models.networks.mldr.aggregate`.
        fusion: The fusion of the levels' logits: *mean* (thesis), *max*, *min*, or *concat*, a linear layer on all of
            them that is initialised to their mean.
    """

    name: Literal["patches"] = "patches"
    levels: Levels = (1, 2, 4)
    patches: Literal["native", "resized"] = "native"
    aggregation: Literal["mean", "max", "logsumexp", "noisy-or"] = "mean"
    fusion: Literal["mean", "max", "min", "concat"] = "mean"

    @model_validator(mode="after")
    def _options_fit_the_levels(self) -> "PatchesHeadConfig":
        if max(self.levels) == 1:
            reject_unused(self, ["patches", "aggregation"], "no level has more than one patch")
        if len(self.levels) == 1:
            reject_unused(self, ["fusion"], "there is one level")
        return self


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class HanHeadConfig(_Head):
    """HAN's two levels for images: attention over the positions of each patch, then over the patches of the image.

    This is our own reading of the thesis' inspiration, no reproduction of a paper on images.

    Attributes:
        levels: The number of patches along a side, for each level of the pyramid, all of which are attended together.
        patches: The size of the patches, as in the head *patches*.
        attention: The levels with attention: *both* (HAN); *positions* or *patches* alone; or *none*, means throughout.
        temperature: The divisor of the scores of both levels.
    """

    name: Literal["han"] = "han"
    levels: Levels = (1, 2, 4)
    patches: Literal["native", "resized"] = "native"
    attention: Literal["both", "positions", "patches", "none"] = "both"
    temperature: Positive = 1.0

    @model_validator(mode="after")
    def _options_fit_the_levels(self) -> "HanHeadConfig":
        if self.levels == (1,):
            reject_unused(self, ["patches"], "no level has more than one patch")
            if self.attention in ("both", "patches"):
                raise ValueError(
                    f'"attention" is {self.attention}, but there is one patch, so that attention over patches would '
                    "change nothing; give attention: positions or none"
                )
        if self.attention == "none":
            reject_unused(self, ["temperature"], 'attention is "none"')
        return self


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class WscnetHeadConfig(_Head):
    """WSCNet's two branches: a map of each class' evidence (detection) weights the last map for classification.

    Attributes:
        maps_per_class: The number of evidence maps of each class (WSCNet: 4).
    """

    name: Literal["wscnet"] = "wscnet"
    maps_per_class: Annotated[Count, Field(le=64)] = 4


HeadConfig = Annotated[
    MeanHeadConfig
    | MaxHeadConfig
    | AttentionHeadConfig
    | DualHeadConfig
    | MultiLevelHeadConfig
    | PatchesHeadConfig
    | HanHeadConfig
    | WscnetHeadConfig,
    Field(discriminator="name"),
]
HEAD_CLASSES: tuple[type[Any], ...] = get_args(get_args(HeadConfig)[0])
"""The config classes of all heads."""
