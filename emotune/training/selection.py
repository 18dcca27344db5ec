"""Which epoch's network is tested: the last one's, or that of the highest validation accuracy."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from emotune.config.run import RunConfig
from emotune.runs.record import EpochMetrics

__all__ = ["BestWeights", "selected_epoch"]


def selected_epoch(run: RunConfig, history: Sequence[EpochMetrics]) -> int:
    """The epoch, counted from 1, whose network is tested if no other follows; of equally accurate ones the earliest."""
    if run.select == "last":
        return history[-1]["epoch"]
    return max(history, key=lambda entry: entry["val_accuracy"])["epoch"]


class BestWeights:
    """A copy of the weights that validated best so far: a part of every checkpoint, on every rank.

    It is in the CPU's memory, so that what fits a GPU does not depend on what is selected.
    """

    def __init__(self) -> None:
        self._weights: dict[str, torch.Tensor] = {}

    def snapshot(self, network: nn.Module) -> None:
        """Copies the network's weights."""
        self._weights = {name: tensor.detach().to("cpu", copy=True) for name, tensor in network.state_dict().items()}

    def restore(self, network: nn.Module) -> None:
        """Gives the network the weights that were kept."""
        network.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The weights; nothing before the first epoch's end."""
        return self._weights

    def load_state_dict(self, state_dict: Mapping[str, torch.Tensor]) -> None:
        """Takes the weights of a checkpoint."""
        self._weights = {name: tensor.cpu() for name, tensor in state_dict.items()}
