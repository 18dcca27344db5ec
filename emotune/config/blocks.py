"""The options of the model that learns from the blocks of an image."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from emotune.config.network import BaselineConfig
from emotune.config.types import FORBID_UNKNOWN_KEYS, Count, Positive, reject_unused

__all__ = ["DESCRIPTORS", "IMAGE_SIDE", "BlocksConfig"]

DESCRIPTORS = "local_descriptors_"
"""The beginning of the name of a set of local descriptors, which ends with its step in pixels."""
IMAGE_SIDE = 256
"""The side in pixels of the images that are described."""

Level = Annotated[Count, Field(le=16)]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class BlocksConfig(BaselineConfig):
    """Visual words and topics of blocks, and multiple-instance learning over them: `emotune.models.baselines.blocks`.

    It is our own reading of Rao, Xu, Liu, Wang, Burnett (2016), "Multi-scale blocks based image emotion classification
    using multiple instance learning": all values are ours. Words, topics and starting points are drawn from the seed.

    Attributes:
        levels: The number of blocks along a side, for each level: 1 + 4 + 16 blocks, as MldrNet v1 has patches.
        step: The distance in pixels between neighbouring descriptors; each describes a patch of twice this side.
        descriptor: The description of a patch: the histograms of its *gradients*, or these and its colours
            (*gradients_colours*).
        words: The number of visual words.
        topics: The number of topics.
        aggregation: How the blocks of an image become its class: the *mean* of their linear scores, the *max* for each
            class, *attention*, or a support vector machine that chooses the blocks of a class (*mi_svm*).
        c_grid: The values of C that are tried: the smaller, the stronger the penalty on the squares of the weights. The
            one with the highest validation accuracy is used.
    """

    name: Literal["blocks"] = "blocks"
    levels: Annotated[tuple[Level, ...], Field(min_length=1)] = (1, 2, 4)
    step: Literal[8, 16, 32] = 8
    descriptor: Literal["gradients", "gradients_colours"] = "gradients_colours"
    words: Annotated[Count, Field(ge=2, le=10_000)] = 300
    topics: Annotated[Count, Field(ge=2, le=1000)] = 24
    aggregation: Literal["mean", "max", "attention", "mi_svm"] = "mean"
    c_grid: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.01, 0.1, 1.0, 10.0)

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if len(set(self.levels)) < len(self.levels):
            raise ValueError(f"levels: {list(self.levels)} has a level twice, whose blocks would be the same; drop one")
        descriptors = IMAGE_SIDE // self.step - 1
        if max(self.levels) > descriptors:
            raise ValueError(
                f"levels: {max(self.levels)} blocks along a side, but with step {self.step} there are {descriptors} "
                "descriptors: some blocks would have none; take a smaller step or level"
            )
        if self.topics > self.words:
            raise ValueError(f"topics: {self.topics} are more than the {self.words} words; take fewer topics")
        if self.levels == (1,):
            reject_unused(self, ["aggregation"], "an image has a single block")
        return self

    @property
    def descriptors(self) -> str:
        """The name of the set of local descriptors."""
        return f"{DESCRIPTORS}{self.step}"
