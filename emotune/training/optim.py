"""The optimizer, the learning rate schedule, and the exponential moving average of the weights."""

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from emotune.config.input_spec import InputSpec
from emotune.config.model import ModelConfig
from emotune.config.optimizers import OPTIMIZERS
from emotune.config.train import TrainConfig
from emotune.config.types import as_in_study
from emotune.core.errors import InputError
from emotune.models.build import build_for_inspection
from emotune.models.layer_depth import layers_above

__all__ = ["check_optimizer", "learning_rate", "make_average", "make_optimizer"]


def learning_rate(train: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step; steps are counted from 0 over the whole run.

    >>> train = TrainConfig(epochs=10, lr=0.1, schedule="step", step_epochs=5)
    >>> [learning_rate(train, step, steps_per_epoch=2) for step in (0, 9, 10)]
    [0.1, 0.1, 0.010000000000000002]
    """
    warmup_steps = train.warmup_epochs * steps_per_epoch
    if step < warmup_steps:
        return train.lr * (step + 1) / (warmup_steps + 1)
    if train.schedule == "step":
        return train.lr * train.step_factor ** (step // (train.step_epochs * steps_per_epoch))
    progress = (step - warmup_steps) / (train.epochs * steps_per_epoch - warmup_steps)
    if train.schedule == "cosine":
        return train.lr * 0.5 * (1 + math.cos(math.pi * progress))
    if train.schedule == "linear":
        return train.lr * (1 - progress)
    return train.lr


def make_optimizer(
    network: nn.Module, train: TrainConfig, new: Collection[str] = (), side: int = InputSpec.side
) -> torch.optim.Optimizer:
    """The optimizer of a network's parameters, in groups with a ``multiplier`` of the learning rate.

    Parameters that require no gradient, such as those of a frozen backbone, are left out.

    Args:
        network: The network with the parameters to train.
        train: The optimizer, its options, and the learning rates.
        new: The names of the parameters whose learning rate is multiplied by ``head_lr_multiplier``.
        side: The side of the network's images, in pixels.

    Raises:
        InputError: torch refuses the value of an option, or the network's layers cannot be counted.
    """
    above = layers_above(network, side) if train.layer_decay != 1 else {}
    parameters: dict[tuple[bool, int], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        is_new = train.head_lr_multiplier != 1 and name in new
        parameters.setdefault((is_new, above.get(name, 0)), []).append(parameter)
    groups = [
        {"params": group, "multiplier": (train.head_lr_multiplier if is_new else 1.0) * train.layer_decay**count}
        for (is_new, count), group in sorted(parameters.items())  # checkpoints have them in this order
    ]
    return _construct(groups, train)


def check_optimizer(model: ModelConfig, train: TrainConfig, input_spec: InputSpec = InputSpec()) -> None:
    """Constructs the optimizer of a network without the memory that the network takes.

    Args:
        model: The options of the network.
        train: The optimizer and its options.
        input_spec: The network's input.

    Raises:
        InputError: torch refuses the value of an option, or the network's layers cannot be counted.
    """
    if train.layer_decay != 1:
        layers_above(build_for_inspection(model, classes=2, input_spec=input_spec), input_spec.side)
    _construct([{"params": [nn.Parameter(torch.zeros(1))]}], train)


def _construct(groups: list[dict[str, Any]], train: TrainConfig) -> torch.optim.Optimizer:
    kind = OPTIMIZERS[train.optimizer]
    options = {**kind.options, **train.optimizer_options, "lr": train.lr, "weight_decay": train.weight_decay}
    if kind.momentum:
        options["momentum"] = train.momentum
    options["fused" if kind.fused else "foreach"] = True  # otherwise torch would choose by the device
    try:
        return getattr(torch.optim, kind.torch_name)(groups, **options)
    except ValueError as error:
        given = as_in_study(train.optimizer_options)
        raise InputError(f"train.optimizer_options: {train.optimizer} with {given}: {error}; change it") from None


def make_average(network: nn.Module, train: TrainConfig) -> AveragedModel | None:
    """The exponential moving average of the network's weights; None if ``ema_decay`` is 0.

    It begins with the weights after the first update.
    """
    if train.ema_decay == 0:
        return None
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(train.ema_decay), use_buffers=True)
    return average.requires_grad_(False)
