"""Costs against counts by hand."""

from emotune.config.model import AlexNetConfig, DualBranchConfig
from emotune.models.build import build
from emotune.models.cost import cost

CONVOLUTIONS = (55**2 * 96 * 3 * 11**2, 27**2 * 256 * 48 * 5**2, 13**2 * 384 * 256 * 9, 13**2 * 384 * 192 * 9,
                13**2 * 256 * 192 * 9)  # fmt: skip
"""Multiplications of KSH12's five convolutions, from the table of its figure 2."""


def test_the_cost_of_alexnet_is_that_of_its_convolutions_and_fully_connected_layers():
    alexnet_cost = cost(AlexNetConfig(), classes=8)
    assert alexnet_cost.forward_flops == 2 * (sum(CONVOLUTIONS) + 9216 * 4096 + 4096**2 + 4096 * 8)
    assert alexnet_cost.parameters == 56_901_000


def test_the_control_of_the_dual_branch_costs_two_alexnets():
    alexnet_cost = cost(DualBranchConfig(attention="none"), classes=8)
    assert alexnet_cost.forward_flops == 2 * cost(AlexNetConfig(), classes=8).forward_flops


def test_the_parameters_are_those_of_the_network_that_is_trained():
    config = AlexNetConfig(width=0.0625)
    network = build(config, 5)
    assert cost(config, 5).parameters == sum(parameter.numel() for parameter in network.parameters())


def test_shared_convolutions_cost_one_stack():
    shared, separate = (cost(DualBranchConfig(convolutions=how), classes=8) for how in ("shared", "separate"))
    assert separate.forward_flops - shared.forward_flops == 2 * sum(CONVOLUTIONS)
