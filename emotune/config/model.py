"""Which model: a dataclass each; of networks, its fields are the constructor's arguments, with their defaults.

The paper's values are the defaults; where papers leave a reading open, it is an option, and the docstring here says
whose each value is. The networks themselves are in `emotune.models`; reading a study needs no torch. Sources: *KSH12*:
Krizhevsky, Sutskever, Hinton (2012); *thesis*: Agarwal (2019); *HAN*: Yang et al. (2016); *ours*: no paper's.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from emotune.config.types import FORBID_UNKNOWN_KEYS, Count, Fraction, Positive

__all__ = ["AlexNetConfig", "AttentionConfig", "ConstantConfig", "DualBranchConfig", "MldrConfig", "MldrV2Config",
           "ModelConfig", "NetworkConfig", "SvmConfig"]  # fmt: skip


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class NetworkConfig:
    """What all networks have; other models are fitted at once, not step by step.

    ``width`` multiplies all channels and units (1: the paper's network; 0.125: quick on a CPU). ``dropout``:
    probability on the hidden fully connected layers (KSH12 and thesis: 0.5; 0: none). ``weight_init``, the first
    weights: *ksh12*, N(0, 0.01²) and biases of 1 (KSH12, section 5); or *he*, N(0, 2/fan-in) (He et al. 2015).
    """

    width: Positive = 1.0
    dropout: Fraction = 0.5
    weight_init: Literal["ksh12", "he"] = "ksh12"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class AlexNetConfig(NetworkConfig):
    """AlexNet, `emotune.models.networks.alexnet.AlexNet`.

    ``backbone``: *alexnet*, KSH12's with two towers, or *alexnet_owt*, torchvision's with one (Krizhevsky 2014), whose
    pretrained weights are at hand. ``lrn``, local response normalisation after conv1 and conv2 of *alexnet*: *sum*,
    KSH12's formula, α = 1e-4 times a sum over 5 channels; *mean*, α times their mean, as torch and caffe read it;
    *caffe*, that with k = 1 instead of 2, which bvlc_alexnet was trained with; *none*. *alexnet_owt* has none at all.
    """

    name: Literal["alexnet"] = "alexnet"
    lrn: Literal["sum", "mean", "caffe", "none"] = "sum"
    backbone: Literal["alexnet", "alexnet_owt"] = "alexnet"

    @model_validator(mode="after")
    def _no_normalisation_in_one_tower(self) -> "AlexNetConfig":
        if self.backbone == "alexnet_owt":
            _refuse(self, AlexNetConfig, ["lrn"], 'backbone is "alexnet_owt", which has none')
        return self


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class AttentionConfig(AlexNetConfig):
    """AlexNet with attention over the 36 positions of its last map: `emotune.models.networks.attention`.

    ``reach``: a position's score follows from its own 256 values by one layer (*shared*: thesis, as we read it), or all
    scores from the whole map (*full*, the other reading). ``score``: *linear* (thesis) or *tanh*, with a hidden layer
    and a context vector (HAN). ``output``: the weighted *map* goes on into fc6 (thesis), or the *sum* over positions
    (HAN). ``scale``: weights are the softmax times 36, with mean 1 (*positions*: ours, so that the network starts as
    AlexNet), or the *raw* softmax (thesis). ``temperature`` divides the scores (thesis: 1; below 1 it sharpens).
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

    ``attention``: the first branch attends (*spatial*: thesis), *both* do, or *none*, the control of the same capacity.
    ``convolutions``: each branch has its own (*separate*: thesis) or they have one stack and part behind it (*shared*:
    ours). ``fusion`` of the two vectors of 4096: *concat* (thesis), or unit by unit *sum*, *max* or *product* (ours).
    """

    name: Literal["dual_branch"] = "dual_branch"  # type: ignore[assignment]
    attention: Literal["spatial", "both", "none"] = "spatial"
    convolutions: Literal["separate", "shared"] = "separate"
    fusion: Literal["concat", "sum", "max", "product"] = "concat"

    @model_validator(mode="after")
    def _no_settings_of_an_absent_layer(self) -> "DualBranchConfig":
        if self.attention == "none":
            names = ["reach", "score", "output", "scale", "temperature"]
            _refuse(self, DualBranchConfig, names, 'attention is "none"')
        return self


Grid = Annotated[Count, Field(le=22)]  # 23 × 23 patches of 227 pixels are smaller than conv1's window of 11
Depth = Annotated[Count, Field(le=5)]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class MldrConfig(NetworkConfig):
    """MldrNet v1, networks on a pyramid of patches (Rao, Xu, Xu 2016, and thesis): `emotune.models.networks.mldr`.

    ``levels``: patches along a side, per level (thesis: 1, 2, 4). ``depths``: convolutions of each level's network, 1
    to 5 (5: AlexNet, thesis; 4 and 2: our reading of "shallower"). ``patches`` keep their pixels (*native*) or are
    *resized* to 227×227. ``aggregation`` of a level's patches: *mean*, *max*, *logsumexp* (a soft maximum), or
    *noisy-or* (the probability that at least one patch shows the class). ``fusion`` of the levels' logits: *mean*
    (thesis), *max*, *min*, or *concat*, a linear layer on all of them that starts as their mean. ``lrn``: as in
    AlexNet. Values without a source are ours: the paper's are not known.
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
            _refuse(self, MldrConfig, ["patches", "aggregation"], "no level has more than one patch")
        if len(self.levels) == 1:
            _refuse(self, MldrConfig, ["fusion"], "there is one level")
        if max(self.depths) == 1:
            _refuse(self, MldrConfig, ["lrn"], "it stands between convolutions and no level has two")
        return self


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class MldrV2Config(NetworkConfig):
    """MldrNet v2, one network whose four levels each have a say (Rao et al. 2018): `emotune.models.networks.mldr_v2`.

    ``fusion`` of the levels' vectors of 1024, unit by unit: *mean* (paper) or *max* (ours); or *concat* (ours). Its
    first weights are *he*'s by default: the paper's are not known.
    """

    name: Literal["mldr_v2"] = "mldr_v2"
    weight_init: Literal["ksh12", "he"] = "he"
    fusion: Literal["mean", "max", "concat"] = "mean"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class ConstantConfig:
    """Says of every image how frequent each class is in training: the least that a classifier must surpass."""

    name: Literal["constant"] = "constant"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class SvmConfig:
    """A support vector machine on hand-made features, what networks are to surpass: `emotune.models.baselines`.

    ``features``: *colours*, a histogram of hue, saturation and value, or *textures*, GIST's energies of Gabor filters
    and histograms of local binary patterns; see `emotune.models.baselines.features`. ``c_grid``: values of the penalty
    C; the one with the highest validation accuracy is taken.
    """

    name: Literal["svm"] = "svm"
    features: Literal["colours", "textures"] = "colours"
    c_grid: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1.0, 10.0)


ModelConfig = Annotated[
    AlexNetConfig | AttentionConfig | DualBranchConfig | MldrConfig | MldrV2Config | ConstantConfig | SvmConfig,
    Field(discriminator="name"),
]


def _refuse(config: Any, kind: type, names: list[str], why: str) -> None:
    """Raises a ValueError, which pydantic collects, if one of these options is not at its default."""
    for name in names:
        if getattr(config, name) != getattr(kind, name):
            raise ValueError(f'"{name}" is set, but {why}: it would change nothing')
