"""How many layers lie above each parameter of a network, told from the graph of its gradients."""

import torch
from torch import nn
from torch.autograd.graph import Node

from emotune.config.input_spec import InputSpec
from emotune.core.errors import InputError

__all__ = ["layers_above"]

NO_LAYERS = frozenset({"AddBackward0", "SubBackward0", "CatBackward0", "StackBackward0"})
"""Operations that add or append parameters, such as a position's embedding or a class token, to a map."""


def layers_above(network: nn.Module, side: int = InputSpec.side) -> dict[str, int]:
    """The number of layers between each parameter and the logits, on the longest way; those of the output layer have 0.

    A layer is an operation that combines what comes from the image with weights in two or more dimensions, such as a
    convolution or a matrix product. Biases, the parameters of normalisations, and embeddings that are added or appended
    are no layers: they have as many layers above them as the convolution before them. So branches, the levels of a
    pyramid, and blocks with shortcuts count as they are computed, in whichever order a network registers its modules.

    The network computes one image in evaluation mode, and is left as it was.

    Args:
        network: The network, (B, 3, side, side) → logits (B, K).
        side: The side of its images, in pixels.

    Returns:
        The number by the parameter's name; 0 for parameters that the logits do not depend on.

    Raises:
        InputError: no gradient flows from the logits back to the image.
    """
    parameters = {id(parameter): name for name, parameter in network.named_parameters()}
    device = next(network.parameters()).device
    image = torch.zeros(1, 3, side, side, device=device, requires_grad=True)
    training = [(module, module.training) for module in network.modules()]
    try:
        with torch.enable_grad():
            output = network.eval()(image.clone())  # a copy, which the network may change in place
    finally:
        for module, mode in training:
            module.training = mode
    nodes = [] if output.grad_fn is None else _from_output_to_leaves(output.grad_fn)
    from_image, from_weights_alone = _sources(nodes, image)
    if not from_image:
        raise InputError(
            "train.layer_decay: no gradient flows from the network's logits to the image, so that its layers cannot be "
            "counted; leave it out"
        )
    above: dict[Node, int] = {nodes[0]: 0}
    found = dict.fromkeys(parameters.values(), 0)
    for node in nodes:
        is_layer = node.name() not in NO_LAYERS and any(child in from_weights_alone for child in _children(node))
        for child in _children(node):
            above[child] = max(above.get(child, 0), above[node] + (is_layer and child in from_image))
        if (name := parameters.get(id(_leaf(node)))) is not None:
            found[name] = above[node]
    return found


def _sources(nodes: list[Node], image: torch.Tensor) -> tuple[set[Node], set[Node]]:
    """The nodes that depend on the image, and those that only depend on weights in two or more dimensions."""
    from_image: set[Node] = set()
    from_weights: set[Node] = set()
    for node in reversed(nodes):
        leaf, children = _leaf(node), _children(node)
        if leaf is image or any(child in from_image for child in children):
            from_image.add(node)
        elif (leaf is not None and leaf.ndim > 1) or any(child in from_weights for child in children):
            from_weights.add(node)
    return from_image, from_weights


def _from_output_to_leaves(output: Node) -> list[Node]:
    """All nodes of a graph, each before those that it was computed from."""
    finished: list[Node] = []
    seen: set[Node] = set()
    stack = [(output, False)]
    while stack:
        node, is_finished = stack.pop()
        if is_finished:
            finished.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(child, False) for child in _children(node)]
    return finished[::-1]


def _children(node: Node) -> list[Node]:
    """The nodes that a node was computed from."""
    return [child for child, _ in node.next_functions if child is not None]


def _leaf(node: Node) -> torch.Tensor | None:
    """The parameter or image whose gradient a node collects; None for all other nodes."""
    return getattr(node, "variable", None)
