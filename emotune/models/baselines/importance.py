"""The features that a fitted model needs: the accuracy, or the CCC, that it loses if they are shuffled over the images.

This is permutation importance (Breiman 2001, "Random Forests", section 10). The columns of a group are shuffled
together, so that they keep agreeing with each other. Shuffled values are those of other images, not what such images
could have, and of features that tell the same, each makes up for the other: both then have little importance, although
the model needs one of them.

Models here see an image's features only through sums over columns: distances to support vectors, or scores. So what the
shuffled columns add is exchanged, and the rest need not be computed again.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from emotune.models.baselines.baseline import one_thread

__all__ = ["AdditiveClassifier", "AdditiveModel", "Score", "permutation_importance"]

Score = Literal["accuracy", "ccc"]

REPEATS = 10
"""The number of times that each group is shuffled."""
MOST_IMAGES, FEWEST_IMAGES = 1000, 200
"""The most images on which accuracy is measured, and the fewest (if there are as many)."""
MOST_SUMS = 4_000_000
"""The most sums that are kept at a time, for which fewer images are taken."""
MOST_COLUMNS = 20
"""The largest group whose columns are also shuffled one by one; one bin of a large histogram tells little."""
DECIMALS: Mapping[str, int] = MappingProxyType({"accuracy": 3, "ccc": 5})
"""The decimals of a score in records."""
STREAM = 20100101
"""The seed of the choice of images and of the shuffles, the same in all runs."""


class AdditiveModel(Protocol):
    """A fitted model that answers from sums over the columns of images' features.

    Attributes:
        SCORE: The name of its score, *accuracy* in per cent or *ccc*, the mean concordance correlation.
    """

    SCORE: ClassVar[Score]

    def sums(self, features: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The share of some columns in the sums: features (N, F), columns' numbers (C,) → (N, S)."""
        ...

    def score_of_sums(self, sums: np.ndarray, targets: np.ndarray) -> float:
        """The score of the answers to images with these sums over all columns (N, S), for their targets."""
        ...


class AdditiveClassifier(ABC):
    """The part of an `AdditiveModel` that all classifiers have in common: their score is the accuracy."""

    SCORE: ClassVar[Score] = "accuracy"

    @abstractmethod
    def classes_of_sums(self, sums: np.ndarray) -> np.ndarray:
        """The predicted class indices of images with these sums over all columns: (N, S) → (N,)."""

    def score_of_sums(self, sums: np.ndarray, targets: np.ndarray) -> float:
        """The accuracy of the predictions of images with these sums for class indices (N,), per cent."""
        return 100 * float(np.mean(self.classes_of_sums(sums) == targets))


def permutation_importance(
    model: AdditiveModel,
    features: np.ndarray,
    targets: np.ndarray,
    columns: Sequence[str],
    on_progress: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """The losses of the model's score, for each group and for each column of small groups.

    Args:
        model: The model.
        features: The features of the validation images, (N, F).
        targets: Their class indices, (N,), or ratings, (N, D).
        columns: The names of the columns, ``set/group/number``.
        on_progress: A function that is called from time to time and may raise an error to stop.

    Returns:
        ``images`` of the ``validation_images`` on which it was measured, ``repeats``, the unshuffled ``accuracy`` or
        ``ccc``; and ``groups`` and ``columns`` by name, with the mean ``loss`` over the repeats and its standard
        deviation ``sd``: of the accuracy in percentage points.
    """
    groups: dict[str, list[int]] = {}
    for number, column in enumerate(columns):
        groups.setdefault(column.rpartition("/")[0], []).append(number)
    everything = np.arange(len(columns))
    width, available = model.sums(features[:1], everything).shape[1], len(targets)
    wanted = min(MOST_IMAGES, max(FEWEST_IMAGES, MOST_SUMS // width))
    chosen = np.sort(np.random.default_rng(STREAM).permutation(available)[:wanted])
    features, targets = features[chosen], targets[chosen]
    orders = [np.random.default_rng([STREAM, repeat]).permutation(len(chosen)) for repeat in range(REPEATS)]

    decimals = DECIMALS[model.SCORE]

    def loss(shuffled: Sequence[int]) -> dict[str, float]:
        on_progress()
        own = model.sums(features, np.array(shuffled))
        rest = whole - own
        losses = [unshuffled - model.score_of_sums(rest + own[order], targets) for order in orders]
        return {"loss": round(float(np.mean(losses)), decimals), "sd": round(float(np.std(losses, ddof=1)), decimals)}

    with one_thread():
        whole = model.sums(features, everything)
        unshuffled = model.score_of_sums(whole, targets)
        of_groups = {name: {"columns": len(group), **loss(group)} for name, group in groups.items()}
        small = [number for group in groups.values() if 1 < len(group) <= MOST_COLUMNS for number in group]
        of_columns = {columns[number]: loss([number]) for number in small}
    return {
        "images": len(chosen), "validation_images": available, "repeats": REPEATS,
        model.SCORE: round(unshuffled, decimals), "groups": of_groups, "columns": of_columns,
    }  # fmt: skip
