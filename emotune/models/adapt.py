"""Adapting a network that was written for one process to training that can be repeated and divided among ranks.

Its dropout layers become those of `emotune.models.dropout`. Other random numbers that a network draws from torch's
generators are seeded in every step (`emotune.training.step`), and batch normalisation is computed over all ranks
(`emotune.training.batch_norm`); for these the network stays as it is.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from emotune.core.errors import InputError
from emotune.models.dropout import SampleAlphaDropout, SampleDropout

__all__ = ["adapt_network"]

SEEDED: Mapping[Any, Callable[..., SampleDropout]] = {
    nn.Dropout: SampleDropout,
    nn.Dropout1d: partial(SampleDropout, whole_channels=True),
    nn.Dropout2d: partial(SampleDropout, whole_channels=True),
    nn.Dropout3d: partial(SampleDropout, whole_channels=True),
    nn.AlphaDropout: SampleAlphaDropout,
    nn.FeatureAlphaDropout: partial(SampleAlphaDropout, whole_channels=True),
}
"""What takes the place of each of torch's dropout layers."""


def adapt_network(network: nn.Module) -> list[str]:
    """Replaces, in place, torch's dropout layers by those whose masks follow from a seed per image.

    A subclass with a ``forward`` of its own stays: what it computes is not known.

    Args:
        network: A network as its constructor made it.

    Returns:
        The dotted paths of the layers that were replaced.

    Raises:
        InputError: a layer learns its shape only from its first input, so that it has no weights yet.
    """
    _require_weights(network)
    replacements: dict[nn.Module, SampleDropout] = {}  # a layer in two places stays one layer
    for parent in list(network.modules()):
        for name, child in list(parent._modules.items()):
            kind = next((kind for kind in SEEDED if child and type(child).forward is kind.forward), None)
            if child is None or kind is None:
                continue
            if child not in replacements:
                dropout: Any = child  # torch's base class of these layers, which has p and inplace, is private
                replacements[child] = SEEDED[kind](dropout.p, inplace=dropout.inplace)
                replacements[child].train(child.training)
            parent.add_module(name, replacements[child])
    replaced = set(replacements.values())
    return [path for path, layer in network.named_modules() if layer in replaced]


def _require_weights(network: nn.Module) -> None:
    """Weights that do not exist could be neither drawn from the run's seed nor given to the optimizer."""
    lazy = [
        path
        for path, layer in network.named_modules()
        if any(is_lazy(tensor) for tensor in (*layer.parameters(recurse=False), *layer.buffers(recurse=False)))
    ]
    if lazy:
        raise InputError(
            f"the layers {', '.join(lazy)} learn their shapes only from their first input (nn.Lazy…); give them their "
            "number of inputs"
        )
