"""Model configurations: a dataclass for each model, with the paper's values as defaults.

Where a paper can be read in several ways, an option offers each reading, and the docstrings here name the source of
each value. The models themselves are in `emotune.models`, so that reading a study needs no torch. Sources: *KSH12* is
Krizhevsky, Sutskever, Hinton (2012); *thesis* is Agarwal (2019); *HAN* is Yang et al. (2016); *ours* is no paper.
"""

from collections.abc import Hashable
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from emotune.config.backbone import BackboneConfig
from emotune.config.baselines import ConstantConfig, LogisticConfig, RidgeConfig, SvmConfig, SvrConfig
from emotune.config.blocks import BlocksConfig
from emotune.config.input_spec import InputOptions
from emotune.config.network import NetworkConfig
from emotune.config.types import FORBID_UNKNOWN_KEYS, Count, Fraction, Positive, reject_unused
from emotune.config.user_code import UserCode
from emotune.config.zero_shot import ZeroShotConfig

__all__ = [
    "MODEL_CLASSES",
    "AlexNetConfig",
    "AttentionConfig",
    "BackboneConfig",
    "BlocksConfig",
    "CodeConfig",
    "ConstantConfig",
    "DualBranchConfig",
    "LogisticConfig",
    "MldrConfig",
    "MldrV2Config",
    "ModelConfig",
    "PaperNetworkConfig",
    "RidgeConfig",
    "SvmConfig",
    "SvrConfig",
    "ZeroShotConfig",
    "own_code",
]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class PaperNetworkConfig(NetworkConfig):
    """The options that the networks of emotune share.

    Attributes:
        width: A factor for all channels and units (1: the paper's network; 0.125: fast on a CPU).
        dropout: The dropout probability in the hidden fully connected layers (KSH12 and thesis: 0.5; 0: no dropout).
        weight_init: The distribution of the initial weights: *ksh12*, N(0, 0.01²) with biases of 1 (KSH12, section 5),
            or *he*, N(0, 2/fan-in) (He et al. 2015).
    """

    width: Positive = 1.0
    dropout: Fraction = 0.5
    weight_init: Literal["ksh12", "he"] = "ksh12"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class AlexNetConfig(PaperNetworkConfig):
    """AlexNet, `emotune.models.networks.alexnet.AlexNet`.

    Attributes:
        lrn: The local response normalisation after conv1 and conv2 of the backbone *alexnet*: *sum*, the formula of
            KSH12, α = 1e-4 times the sum over 5 channels; *mean*, α times their mean, as in torch and caffe; *caffe*,
            the same with k = 1 instead of 2, as bvlc_alexnet was trained; or *none*. *alexnet_owt* has none.
        backbone: The convolutional layers: *alexnet*, the two towers of KSH12, or *alexnet_owt*, the single tower of
            torchvision (Krizhevsky 2014), for which pretrained weights can be downloaded.
    """

    name: Literal["alexnet"] = "alexnet"
    lrn: Literal["sum", "mean", "caffe", "none"] = "sum"
    backbone: Literal["alexnet", "alexnet_owt"] = "alexnet"

    @model_validator(mode="after")
    def _no_normalisation_in_one_tower(self) -> "AlexNetConfig":
        if self.backbone == "alexnet_owt":
            reject_unused(self, ["lrn"], 'backbone is "alexnet_owt", which has none')
        return self


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class AttentionConfig(AlexNetConfig):
    """AlexNet with attention over the 36 positions of its last feature map: `emotune.models.networks.attention`.

    Attributes:
        reach: The input of a position's score: *shared*, one layer applied to the 256 values of that position (thesis,
            as we read it), or *full*, one layer on the whole map (the other reading).
        score: The scoring function: *linear* (thesis), or *tanh*, with a hidden layer and a context vector (HAN).
        output: The input of fc6: the weighted *map* (thesis), or its *sum* over positions (HAN).
        scale: The scale of the weights: *positions*, the softmax times 36, with mean 1 (ours: the network starts as
            AlexNet), or *raw*, the softmax (thesis).
        temperature: The divisor of the scores (thesis: 1; smaller values sharpen the attention).
    """

    name: Literal["attention"] = "attention"  # type: ignore[assignment]
    reach: Literal["shared", "full"] = "shared"
    score: Literal["linear", "tanh"] = "linear"
    output: Literal["map", "sum"] = "map"
    scale: Literal["positions", "raw"] = "positions"
    temperature: Positive = 1.0


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class DualBranchConfig(AttentionConfig):
    """Two AlexNets side by side before one output layer, `emotune.models.networks.dual_branch.DualBranch`.

    Attributes:
        attention: The branches with attention: *spatial*, the first one (thesis); *both*; or *none*, a control with the
            same capacity.
        convolutions: The convolutional layers: *separate* for each branch (thesis), or *shared* (ours).
        fusion: The fusion of the two vectors of 4096: *concat* (thesis), or *sum*, *max* or *product* of each unit
            (ours).
    """

    name: Literal["dual_branch"] = "dual_branch"  # type: ignore[assignment]
    attention: Literal["spatial", "both", "none"] = "spatial"
    convolutions: Literal["separate", "shared"] = "separate"
    fusion: Literal["concat", "sum", "max", "product"] = "concat"

    @model_validator(mode="after")
    def _no_settings_of_an_absent_layer(self) -> "DualBranchConfig":
        if self.attention == "none":
            names = ["reach", "score", "output", "scale", "temperature"]
            reject_unused(self, names, 'attention is "none"')
        return self


Grid = Annotated[
    Count, Field(le=22)
]  # with 23 × 23 patches of 227 pixels, a patch is smaller than conv1's window of 11
Depth = Annotated[Count, Field(le=5)]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class MldrConfig(PaperNetworkConfig):
    """MldrNet v1, networks on a pyramid of patches (Rao, Xu, Xu 2016, and thesis): `emotune.models.networks.mldr`.

    Values without a source are ours, because the paper does not give them.

    Attributes:
        lrn: The local response normalisation, as in AlexNet.
        levels: The number of patches along a side, for each level (thesis: 1, 2, 4).
        depths: The number of convolutions of each level's network, 1 to 5 (5: AlexNet, thesis; 4 and 2: our reading of
            "shallower").
        patches: The size of the patches: *native* keeps their pixels, *resized* scales them to 227×227.
        aggregation: The aggregation of a level's patches: *mean*, *max*, *logsumexp* (a soft maximum), or *noisy-or*
            (the probability that at least one patch shows the class).
        fusion: The fusion of the levels' logits: *mean* (thesis), *max*, *min*, or *concat*, a linear layer on all of
            them that is initialised to their mean.
    """

    name: Literal["mldr"] = "mldr"
    lrn: Literal["sum", "mean", "caffe", "none"] = "sum"
    levels: Annotated[tuple[Grid, ...], Field(min_length=1)] = (1, 2, 4)
    depths: Annotated[tuple[Depth, ...], Field(min_length=1)] = (5, 4, 2)
    patches: Literal["native", "resized"] = "native"
    aggregation: Literal["mean", "max", "logsumexp", "noisy-or"] = "mean"
    fusion: Literal["mean", "max", "min", "concat"] = "mean"

    @model_validator(mode="after")
    def _levels_and_depths_fit(self) -> "MldrConfig":
        if len(self.levels) != len(self.depths):
            raise ValueError(
                f'"levels" has {len(self.levels)} entries and "depths" {len(self.depths)}: give one depth per level'
            )
        if max(self.levels) == 1:
            reject_unused(self, ["patches", "aggregation"], "no level has more than one patch")
        if len(self.levels) == 1:
            reject_unused(self, ["fusion"], "there is one level")
        if max(self.depths) == 1:
            reject_unused(self, ["lrn"], "it comes between convolutions and no level has two")
        return self


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class MldrV2Config(PaperNetworkConfig):
    """MldrNet v2, one network with outputs at four levels (Rao et al. 2018): `emotune.models.networks.mldr_v2`.

    Attributes:
        weight_init: The distribution of the initial weights, as in `PaperNetworkConfig`; the paper does not give it.
        fusion: The fusion of the levels' vectors of 1024: *mean* (paper) or *max* (ours) of each unit, or *concat*
            (ours).
    """

    name: Literal["mldr_v2"] = "mldr_v2"
    weight_init: Literal["ksh12", "he"] = "he"
    fusion: Literal["mean", "max", "concat"] = "mean"


@dataclass(frozen=True, kw_only=True, eq=False, config=FORBID_UNKNOWN_KEYS)
class CodeConfig(UserCode, NetworkConfig):
    """A network of the user's own: a class, or a function that returns a `torch.nn.Module`.

    It is called with the number of classes and the options, and gives a network from images (B, 3, side, side), with a
    ``side`` of 227 unless ``input`` gives another, to logits (B, classes); see `emotune.training.contract` for what
    else it must do.

    Attributes:
        input: Changes of the network's input, such as ``{side: 224}``; see `emotune.config.input_spec`.
    """

    POSITIONAL: ClassVar[int] = 1

    name: Literal["code"] = "code"
    input: InputOptions = InputOptions()

    @property
    def _key(self) -> tuple[Hashable, ...]:
        return (*super()._key, self.input, self.frames)


ModelConfig = Annotated[
    AlexNetConfig
    | AttentionConfig
    | DualBranchConfig
    | MldrConfig
    | MldrV2Config
    | BackboneConfig
    | CodeConfig
    | ConstantConfig
    | SvmConfig
    | SvrConfig
    | LogisticConfig
    | RidgeConfig
    | BlocksConfig
    | ZeroShotConfig,
    Field(discriminator="name"),
]
MODEL_CLASSES: tuple[type[Any], ...] = get_args(get_args(ModelConfig)[0])
"""The config classes of all models."""


def own_code(model: ModelConfig) -> UserCode | None:
    """The user's own code in a model, which is a network or a backbone; None for other models."""
    code = model.backbone if isinstance(model, BackboneConfig | LogisticConfig) else model
    return code if isinstance(code, UserCode) else None
