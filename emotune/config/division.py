"""Other divisions of a data set into train, val and test than the one that its shards were made with."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from emotune.config.types import FORBID_UNKNOWN_KEYS

__all__ = ["Division"]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class Division:
    """A random division of a data set's images into train, val and test; `emotune.data.division.divide` computes it.

    Attributes:
        seed: The seed of the division.
        folds: The number of parts of which each is the test part of one division; 0 for test and val parts that have as
            many images of each class as the data set's own.
        fold: The number of the part that is the test part, counted from 1; 0 without folds.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    folds: Annotated[int, Field(ge=0)] = 0
    fold: Annotated[int, Field(ge=0)] = 0

    @property
    def unit(self) -> Literal["fold", "split"]:
        """The word for one such division."""
        return "fold" if self.folds else "split"

    @property
    def name(self) -> str:
        """The division in a word, as the names of data sets and runs end: ``fold1of5``, ``split2``.

        >>> Division(folds=5, fold=2).name, Division(seed=1, folds=5, fold=2).name, Division(seed=3).name
        ('fold2of5', 'fold2of5-split1', 'split3')
        """
        split = f"split{self.seed}"
        if not self.folds:
            return split
        fold = f"fold{self.fold}of{self.folds}"
        return f"{fold}-{split}" if self.seed else fold
