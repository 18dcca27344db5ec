"""Predicted ratings beside the true ones, as tidy tables: the worst images.

``predictions`` are those of `emotune.analysis.rating_arrays` of one variant, by seed. All of them have the same images.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from emotune.analysis.rating_arrays import predicted_of, true_of
from emotune.config.target import Dimension

__all__ = ["worst_rated"]


def worst_rated(by_seed: Mapping[int, pd.DataFrame], dimensions: Sequence[Dimension], count: int) -> pd.DataFrame:
    """The images that a variant predicts worst, worst first: ``sample_id, value, true, predicted``.

    ``value`` is the root mean square of the errors over the dimensions, on scales from -1 to 1, mean over seeds;
    ``true`` and ``predicted`` are ratings on the dimensions' own scales as text, the latter means over seeds.

    Args:
        by_seed: The predictions of a variant.
        dimensions: The dimensions.
        count: The number of images.
    """
    first = next(iter(by_seed.values()))
    true, predicted = true_of(first), np.stack([predicted_of(frame) for frame in by_seed.values()])
    values = np.sqrt(np.square(predicted - true).mean(-1)).mean(0)
    order = np.argsort(-values, kind="stable")[:count]

    def texts(ratings: np.ndarray) -> list[str]:
        own = [(one, one.from_unit(ratings[order, column])) for column, one in enumerate(dimensions)]
        return [
            ", ".join(f"{one.name} {_rating(values[row], one)}" for one, values in own) for row in range(len(order))
        ]

    return pd.DataFrame(
        {
            "sample_id": first["sample_id"].to_numpy()[order],
            "value": values[order],
            "true": texts(true),
            "predicted": texts(predicted.mean(0)),
        }
    )


def _rating(rating: float, dimension: Dimension) -> str:
    """A rating with a digit more than a hundredth of its scale has: 1 to 7 has two decimals, 0 to 100 none."""
    decimals = max(0, 2 - int(np.floor(np.log10(dimension.high - dimension.low))))
    return f"{rating:.{decimals}f}".replace("-", "−")
