"""Models that are not trained in steps, as options of a study: they are fitted at once, and stand beside networks."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from emotune.config.backbone import BackboneConfig, BackboneName
from emotune.config.heads import MaxHeadConfig, MeanHeadConfig
from emotune.config.input_spec import InputOptions
from emotune.config.network import BaselineConfig
from emotune.config.train import VIEW_OPTIONS
from emotune.config.types import FORBID_UNKNOWN_KEYS, Positive

__all__ = ["ConstantConfig", "LogisticConfig", "SvmConfig"]

Grid = Annotated[tuple[Positive, ...], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class ConstantConfig(BaselineConfig):
    """Predicts the class frequencies of the training set for every image: the trivial baseline."""

    name: Literal["constant"] = "constant"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class SvmConfig(BaselineConfig):
    """A support vector machine on hand-made features, a baseline for networks: `emotune.models.baselines`.

    Attributes:
        features: The features: *colours*, a histogram of hue, saturation and value, or *textures*, GIST's energies of
            Gabor filters and histograms of local binary patterns; see `emotune.models.handmade`.
        c_grid: The values of the penalty C that are tried; the one with the highest validation accuracy is used.
    """

    name: Literal["svm"] = "svm"
    features: Literal["colours", "textures"] = "colours"
    c_grid: Grid = (1.0, 10.0)


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class LogisticConfig(BaselineConfig):
    """Logistic regression on the pooled features of a frozen backbone: `emotune.models.baselines.logistic`.

    The features are those, bit for bit, that a head *mean* or *max* gets with ``tune: head``, and ``train.init`` names
    the backbone's weights, as there. Of a study's other options of training, ``precision`` and ``test_crops`` have an
    effect, and ``views`` with those that say how views are drawn; each view of a training image counts as an image.

    Attributes:
        backbone: The backbone, as for a network with a head: ``torchvision:resnet18``, ``timm:tf_efficientnet_lite0``
            or the user's own, ``nets.py:Trunk``.
        pooling: The pooling over the positions of the backbone's last map, *mean* or *max*.
        c_grid: The values of C that are tried: the smaller, the stronger the penalty on the squares of the weights. The
            one with the highest validation accuracy is used.
        input: Changes of the network's input, such as ``{side: 160}``; see `emotune.config.input_spec`.
    """

    TRAIN_OPTIONS: ClassVar[tuple[str, ...]] = ("init", "precision", "test_crops", "views", *VIEW_OPTIONS)

    name: Literal["logistic"] = "logistic"
    backbone: BackboneName
    pooling: Literal["mean", "max"] = "mean"
    c_grid: Grid = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
    input: InputOptions = InputOptions()

    @property
    def network(self) -> BackboneConfig:
        """The network whose head gets the same features."""
        head = MeanHeadConfig() if self.pooling == "mean" else MaxHeadConfig()
        return BackboneConfig(backbone=self.backbone, head=head, tune="head", input=self.input)
