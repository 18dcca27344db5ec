"""Models that are not trained in steps, as options of a study: they are fitted at once, and stand beside networks."""

from collections.abc import Collection
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from emotune.config.backbone import BackboneConfig, BackboneName
from emotune.config.blocks import BlocksConfig
from emotune.config.feature_sets import FeatureNames, listed_sets
from emotune.config.heads import MaxHeadConfig, MeanHeadConfig
from emotune.config.input_spec import InputOptions
from emotune.config.network import BaselineConfig
from emotune.config.train import VIEW_OPTIONS
from emotune.config.types import FORBID_UNKNOWN_KEYS, Positive, reject_unused

__all__ = ["ConstantConfig", "LogisticConfig", "RidgeConfig", "SvmConfig", "SvrConfig", "handmade_sets"]

Grid = Annotated[tuple[Positive, ...], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class ConstantConfig(BaselineConfig):
    """Predicts the class frequencies of the training set for every image, or its mean rating: the trivial baseline."""

    name: Literal["constant"] = "constant"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class SvmConfig(BaselineConfig):
    """A support vector machine on hand-made features, a baseline for networks: `emotune.models.baselines`.

    Of clips, it gets the mean of the features over the frames.

    Attributes:
        features: The set of features, a list of several sets, or *all*: `emotune.config.feature_sets` has the names,
            and the modules of `emotune.models.handmade` have what they stand for.
        c_grid: The values of the penalty C that are tried; the one with the highest validation accuracy is used.
    """

    name: Literal["svm"] = "svm"
    features: FeatureNames = "colours"
    c_grid: Grid = (1.0, 10.0)


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class LogisticConfig(BaselineConfig):
    """Logistic regression: `emotune.models.baselines.logistic`.

    It gets hand-made features, or the pooled features of a frozen backbone. The latter are those, bit for bit, that a
    head *mean* or *max* gets with ``tune: head``, and ``train.init`` names the backbone's weights, as there. Of a
    study's other options of training, ``precision`` and ``test_crops`` have an effect on them, and ``views`` with those
    that say how views are drawn; each view of a training image counts as an image. Of clips, it gets the mean of the
    features over the frames.

    Attributes:
        backbone: The backbone, as for a network with a head: ``torchvision:resnet18``, ``timm:tf_efficientnet_lite0``
            or the user's own, ``nets.py:Trunk``; None if there are hand-made features.
        features: The hand-made features as of `SvmConfig`; None if there is a backbone.
        pooling: The pooling over the positions of the backbone's last map, *mean* or *max*.
        c_grid: The values of C that are tried: the smaller, the stronger the penalty on the squares of the weights. The
            one with the highest validation accuracy is used.
        input: Changes of the network's input, such as ``{side: 160}``; see `emotune.config.input_spec`.
    """

    TRAIN_OPTIONS: ClassVar[tuple[str, ...]] = ("init", "precision", "test_crops", "views", *VIEW_OPTIONS)

    name: Literal["logistic"] = "logistic"
    backbone: BackboneName | None = None
    features: FeatureNames | None = None
    pooling: Literal["mean", "max"] = "mean"
    c_grid: Grid = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
    input: InputOptions = InputOptions()

    @model_validator(mode="after")
    def _gets_features_from_one_place(self) -> Self:
        if (self.backbone is None) == (self.features is None):
            what = "one of them" if self.features is None else "only one of them"
            raise ValueError(f"name: {self.name} gets features of a backbone, or features made by hand: give {what}")
        if self.features is not None:
            reject_unused(self, ("pooling", "input"), "features are made by hand, without a network")
        return self

    @classmethod
    def train_options(cls, given: Collection[str]) -> tuple[str, ...]:
        """Those of a backbone; features that are made by hand depend on none."""
        return () if "features" in given else cls.TRAIN_OPTIONS

    @property
    def network(self) -> BackboneConfig | None:
        """The network whose head gets the same features; None for hand-made features."""
        if self.backbone is None:
            return None
        head = MeanHeadConfig() if self.pooling == "mean" else MaxHeadConfig()
        return BackboneConfig(backbone=self.backbone, head=head, tune="head", input=self.input)


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class SvrConfig(SvmConfig):
    """Support vector regression of dimensions on hand-made features: `emotune.models.baselines.regression`.

    Attributes:
        features: The features as of `SvmConfig`.
        c_grid: The values of the penalty C that are tried; the one with the highest mean CCC of validation images is
            used.
        epsilon: The error without a penalty, on scales from -1 to 1.
    """

    name: Literal["svr"] = "svr"  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleVariableOverride]
    c_grid: Grid = (0.1, 1.0, 10.0)
    epsilon: Positive = 0.1


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class RidgeConfig(LogisticConfig):
    """Ridge regression of dimensions, on the same features as `LogisticConfig`.

    Attributes:
        backbone: The backbone as of `LogisticConfig`.
        features: The hand-made features as of `LogisticConfig`.
        pooling: The pooling as of `LogisticConfig`.
        c_grid: The values of C that are tried, with the penalty 1/C on the squares of the weights; the one with the
            highest mean CCC of validation images is used.
        input: Changes of the network's input as of `LogisticConfig`.
    """

    name: Literal["ridge"] = "ridge"  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleVariableOverride]


def handmade_sets(model: object) -> tuple[str, ...]:
    """The sets of hand-made features that a model gets in place of images; empty for other models."""
    if isinstance(model, BlocksConfig):
        return (model.descriptors,)
    return listed_sets(model.features) if isinstance(model, SvmConfig | LogisticConfig) and model.features else ()
