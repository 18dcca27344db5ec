"""What is asked of a network before it is trained."""

import random

import numpy as np
import torch
from torch import nn

from emotune.training.network_checks import other_generators, parameters_without_gradient


def test_parameters_of_unused_parts_are_named_and_frozen_ones_are_not():
    network = nn.ModuleDict({"used": nn.Linear(2, 2), "unused": nn.Linear(2, 2), "frozen": nn.Linear(2, 2)})
    network["frozen"].requires_grad_(False)
    loss = network["used"](torch.ones(1, 2)).sum()
    assert parameters_without_gradient(network, loss) == ["unused.weight", "unused.bias"]
    assert network["used"].weight.grad is None
    assert len(parameters_without_gradient(network, torch.ones(()))) == 4
    assert parameters_without_gradient(nn.Flatten(), torch.ones(())) == []


def test_a_parameter_whose_gradient_is_zero_is_used():
    network = nn.Linear(2, 2)
    assert parameters_without_gradient(network, (network(torch.zeros(1, 2)) * 0).sum()) == []


def test_generators_that_no_step_seeds_are_named():
    assert other_generators(lambda: torch.rand(3)) == []
    assert other_generators(random.random) == ["random"]
    assert other_generators(lambda: (random.random(), np.random.rand())) == ["random", "numpy.random"]
