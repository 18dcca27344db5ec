"""What a network must do so that training it can be repeated and divided among ranks; to be asked before training."""

import random
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

__all__ = ["other_generators", "parameters_without_gradient"]


def parameters_without_gradient(network: nn.Module, loss: torch.Tensor) -> list[str]:
    """The parameters that require a gradient and get none from a loss, as those of a part that is not used.

    Several ranks wait for each other's gradients of all parameters, so torch's DistributedDataParallel fails in the
    second step if one is missing. Gradients that are zero do not count; no parameter's ``grad`` is changed.

    Args:
        network: The network.
        loss: A loss of its outputs; its graph is freed.
    """
    named = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    if not named or not loss.requires_grad:
        return list(named)
    gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return [name for name, gradient in zip(named, gradients, strict=True) if gradient is None]


def other_generators(train_pass: Callable[[], object]) -> list[str]:
    """The global generators that a training pass draws from and that no step seeds: ``random`` and ``numpy.random``.

    What is drawn from them cannot be repeated after an interruption.

    Args:
        train_pass: A function that computes a pass.
    """
    before = _states()
    train_pass()
    return [name for name, state in _states().items() if state != before[name]]


def _states() -> dict[str, str]:
    return {"random": repr(random.getstate()), "numpy.random": repr(np.random.get_state(legacy=False))}
