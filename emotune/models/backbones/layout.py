"""The maps of a backbone and the stage of each parameter, told from a forward pass and the graph of its gradients."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.autograd.graph import Node

__all__ = ["Layout", "find_layout", "remove_unused"]


@dataclass(frozen=True)
class Layout:
    """The maps that a backbone computes, and the layers that it computes them with.

    Attributes:
        channels: The channels of each map, from the finest to the last.
        sizes: The height and width of each map.
        stage_of: The stage of each trainable parameter that a map depends on, by name: the number of the first such
            map.
        unused: The names of the trainable parameters that no map depends on, such as those of a classifier.
    """

    channels: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    stage_of: Mapping[str, int]
    unused: frozenset[str]

    def stages(self, network: nn.Module) -> list[list[nn.Module]]:
        """The network's modules in each stage; see `emotune.models.backbones.backbone.Backbone.stages`."""
        stages: list[list[nn.Module]] = [[] for _ in self.channels]
        stage_at: dict[str, int] = {}
        for path, module in network.named_modules():
            prefix = f"{path}." if path else ""
            own = [self.stage_of[prefix + name] for name in module._parameters if prefix + name in self.stage_of]
            below = [stage for name, stage in self.stage_of.items() if name.startswith(prefix)]
            around = stage_at.get(path.rpartition(".")[0], 0)
            stage_at[path] = min(own or below or [around])
            stages[stage_at[path]].append(module)
        return stages


def find_layout(
    network: nn.Module, maps: Callable[[nn.Module, torch.Tensor], Sequence[torch.Tensor]], images: torch.Tensor
) -> Layout:
    """The layout of a network, which is left as it was.

    Args:
        network: The network.
        maps: The function that computes all of its maps.
        images: Images (B, 3, H, W) on the network's device.
    """
    training = [(module, module.training) for module in network.modules()]
    try:
        with torch.enable_grad():
            found = maps(network.eval(), images)
    finally:
        for module, mode in training:
            module.training = mode
    names = {id(parameter): name for name, parameter in network.named_parameters() if parameter.requires_grad}
    stage_of: dict[str, int] = {}
    seen: set[Node] = set()
    for stage, one in enumerate(found):
        for leaf in _new_leaves(one, seen):
            if id(leaf) in names:
                stage_of.setdefault(names[id(leaf)], stage)
    return Layout(
        tuple(one.shape[1] for one in found),
        tuple((one.shape[2], one.shape[3]) for one in found),
        stage_of,
        frozenset(names.values()) - stage_of.keys(),
    )


def remove_unused(network: nn.Module, unused: frozenset[str]) -> None:
    """Replaces the modules all of whose parameters are unused, such as a classifier, by ones that do nothing."""
    for path, module in list(network.named_modules()):
        names = [f"{path}.{name}" for name, _ in module.named_parameters()]
        if path and names and unused.issuperset(names):
            network.set_submodule(path, nn.Identity())


def _new_leaves(tensor: torch.Tensor, seen: set[Node]) -> list[torch.Tensor]:
    """The parameters that a tensor was computed from, apart from those whose nodes were seen before."""
    leaves = []
    stack = [] if tensor.grad_fn is None else [tensor.grad_fn]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if (leaf := getattr(node, "variable", None)) is not None:
            leaves.append(leaf)
        stack += [child for child, _ in node.next_functions if child is not None]
    return leaves
