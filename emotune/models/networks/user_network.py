"""A network of the user's own, built by the class or function that a study names."""

from torch import nn

from emotune.config.model import CodeConfig
from emotune.core.errors import InputError
from emotune.core.user_module import load_function, user_errors
from emotune.models.adapt import adapt_network

__all__ = ["user_network"]


def user_network(classes: int, config: CodeConfig) -> nn.Module:
    """The network that the user's code builds: (B, 3, side, side) → logits (B, classes); its dropout layers are seeded.

    Args:
        classes: The number of classes.
        config: The code and the options with which it is called.

    Raises:
        InputError: the code cannot be run, raises an error, or does not give a `torch.nn.Module`.
    """
    construct = load_function(config.source, config.file, config.entry, config.options)
    with user_errors(f"{config.code} cannot be built", config.file):
        network = construct(classes)
    if not isinstance(network, nn.Module):
        raise InputError(f"{config.code} gives a {type(network).__name__}; it must give a torch.nn.Module")
    adapt_network(network)
    return network
