"""Runs that had not finished learning when their training ended: training and validation curves still improve."""

import numpy as np
import pandas as pd

from emotune.analysis.max_t import t_quantile
from emotune.analysis.verdict import ALPHA

__all__ = ["LEAST_EPOCHS", "best_in_the_last", "still_improving"]

LEAST_EPOCHS = 6
"""Half of fewer epochs say nothing about a trend."""
LEAST_RISE = 1.0
"""Percentage points; a smaller rise of the validation accuracy is not named."""


def still_improving(curves: pd.DataFrame) -> set[str]:
    """The ids of the runs whose curves still improve.

    Over the last half of the epochs the validation accuracy rises by a point or more on a fitted line, whose slope is
    above zero by a one-sided t-test at 5 %, and the training loss falls.

    Args:
        curves: A row for each run and epoch: ``run, epoch, train_loss, val_accuracy, val_ccc``; of predicted
            dimensions, 100 times the concordance correlation is in the place of the accuracy.
    """
    curves = _scored(curves)
    ordered = curves.sort_values("epoch", kind="stable")
    by_run = ordered.groupby("run", sort=False)[["train_loss", "val_accuracy"]]
    return {str(run) for run, epochs in by_run if _improves(*epochs.to_numpy(float).T)}


def best_in_the_last(curves: pd.DataFrame) -> tuple[int, int]:
    """The number of runs with too few epochs for `still_improving`, and of those of them whose last epoch is the best.

    The best epoch is the one with the highest validation accuracy, the earliest if several are equal; a run of one
    epoch does not count.

    Args:
        curves: A row for each run and epoch: ``run, epoch, val_accuracy, val_ccc``.
    """
    curves = _scored(curves)
    ordered = curves.sort_values("epoch", kind="stable")
    by_run = [epochs.to_numpy(float) for _, epochs in ordered.groupby("run", sort=False)["val_accuracy"]]
    short = [values for values in by_run if len(values) < LEAST_EPOCHS and np.isfinite(values).all()]
    return len(short), sum(0 < int(np.argmax(values)) == len(values) - 1 for values in short)


def _scored(curves: pd.DataFrame) -> pd.DataFrame:
    """The curves with 100 times the validation CCC where there is no accuracy."""
    if "val_ccc" not in curves:
        return curves
    return curves.assign(val_accuracy=curves["val_accuracy"].fillna(100 * curves["val_ccc"]))


def _improves(train_loss: np.ndarray, val_accuracy: np.ndarray) -> bool:
    half = -(-len(val_accuracy) // 2)
    if len(val_accuracy) < LEAST_EPOCHS or not np.isfinite([train_loss, val_accuracy]).all():
        return False
    slope, error = _slope(val_accuracy[-half:])
    loss_slope, _ = _slope(train_loss[-half:])
    rises = slope * (half - 1) >= LEAST_RISE and slope > t_quantile(2 * ALPHA, half - 2) * error
    return rises and loss_slope < 0


def _slope(values: np.ndarray) -> tuple[float, float]:
    """The slope of a fitted line, and its standard error."""
    x = np.arange(len(values)) - (len(values) - 1) / 2
    slope = float(x @ values / (x @ x))
    residuals = values - values.mean() - slope * x
    return slope, float(np.sqrt(residuals @ residuals / (len(values) - 2) / (x @ x)))
