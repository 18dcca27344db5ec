"""Ending a network's training early, once validation has not improved for some epochs."""

from collections.abc import Mapping

from emotune.config.epoch_selection import Select
from emotune.config.model import ModelConfig
from emotune.config.train import TrainConfig

__all__ = ["patience_of", "patience_problems"]


def patience_of(variants: Mapping[str, tuple[ModelConfig, TrainConfig]]) -> dict[str, int]:
    """The patience of the variants whose training may end early, by name."""
    return {name: train.patience for name, (_, train) in variants.items() if train.patience}


def patience_problems(variants: Mapping[str, tuple[ModelConfig, TrainConfig]], select: Select) -> list[str]:
    """The problems with variants that end early; empty if there are none.

    Args:
        variants: The model and the training of each variant.
        select: The rule that chooses the tested epoch.
    """
    return [
        f"variants.{name}: train.patience ends training {train.patience} epochs after the best one, but the last one "
        "is tested; set metric: {select: best_val}, or leave patience out"
        for name, (_, train) in variants.items() if train.patience and select != "best_val"
    ]  # fmt: skip
