"""Selecting the epoch whose network is tested: the last one, or the best on the validation images.

That is the one with the highest accuracy, of predicted dimensions the one with the highest CCC; or the best one by the
run's ``select_by``, see `emotune.config.epoch_selection`.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import nn

from emotune.config.metric_scales import ALL_SCALES
from emotune.config.run import RunConfig
from emotune.runs.record import EpochMetrics

__all__ = ["BestWeights", "is_over", "selected_epoch"]


def selected_epoch(run: RunConfig, history: Sequence[EpochMetrics]) -> int:
    """The number, from 1, of the epoch whose network is tested if none follows; the first of equally good ones."""
    if run.select == "last":
        return history[-1]["epoch"]
    return max(history, key=partial(_score, run))["epoch"]


def is_over(run: RunConfig, history: Sequence[EpochMetrics]) -> bool:
    """Whether training ends after these epochs: all are trained, or none was better for as long as it is patient."""
    if len(history) >= run.train.epochs:
        return True
    patience = run.train.patience
    return bool(patience and history) and len(history) - selected_epoch(run, history) >= (patience or 0)


def _score(run: RunConfig, entry: EpochMetrics) -> float:
    """The score of an epoch, the higher the better; an epoch whose score is undefined is worse than all others."""
    if run.select_by:
        score = entry.get("val_score", math.nan)
        return -math.inf if math.isnan(score) else score if ALL_SCALES[run.select_by].higher_is_better else -score
    return entry["val_ccc"] if "val_ccc" in entry else entry.get("val_accuracy", -math.inf)


class BestWeights:
    """A copy of the weights of the best epoch so far, which is part of every checkpoint.

    It is kept in the CPU's memory on every rank, so that the GPU memory that a run needs does not depend on the
    selection.
    """

    def __init__(self) -> None:
        self._weights: dict[str, torch.Tensor] = {}

    def snapshot(self, network: nn.Module) -> None:
        """Copies the network's weights."""
        self._weights = {name: tensor.detach().to("cpu", copy=True) for name, tensor in network.state_dict().items()}

    def restore(self, network: nn.Module) -> None:
        """Loads the copy into the network."""
        network.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The copy of the weights; empty before the end of the first epoch."""
        return self._weights

    def load_state_dict(self, state_dict: Mapping[str, torch.Tensor]) -> None:
        """Takes the copy from a checkpoint."""
        self._weights = {name: tensor.cpu() for name, tensor in state_dict.items()}
