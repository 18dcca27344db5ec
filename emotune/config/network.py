"""The bases of all configurations of models."""

from collections.abc import Collection
from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from emotune.config.types import FORBID_UNKNOWN_KEYS

__all__ = ["BaselineConfig", "NetworkConfig"]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class NetworkConfig:
    """A network, which is trained in steps; other models are fitted at once.

    Attributes:
        frames: In a data set of videos, how the logits of a clip follow from those of its frames: their *mean*, their
            *max*, or *attention*, which learns the weights of the frames; see `emotune.models.networks.clips`. A head
            on a frozen backbone (``tune: head``) gets the features of each frame, which are computed once.
    """

    frames: Literal["mean", "max", "attention"] = "mean"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class BaselineConfig:
    """A model that is fitted at once, so that most options of training have no effect on it."""

    TRAIN_OPTIONS: ClassVar[tuple[str, ...]] = ()
    """The options of training that have one."""

    @classmethod
    def train_options(cls, given: Collection[str]) -> tuple[str, ...]:
        """The same for a model of which these options are given."""
        return cls.TRAIN_OPTIONS
