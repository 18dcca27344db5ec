"""Selecting the epoch whose network is tested: the last one, or the one with the highest validation accuracy."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from emotune.config.run import RunConfig
from emotune.runs.record import EpochMetrics

__all__ = ["BestWeights", "selected_epoch"]


def selected_epoch(run: RunConfig, history: Sequence[EpochMetrics]) -> int:
    """The number, from 1, of the epoch whose network is tested if none follows; the first of equally accurate ones."""
    if run.select == "last":
        return history[-1]["epoch"]
    return max(history, key=lambda entry: entry["val_accuracy"])["epoch"]


class BestWeights:
    """A copy of the weights with the highest validation accuracy so far, which is part of every checkpoint.

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
