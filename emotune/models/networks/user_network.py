"""A network of the user's own, built by the class or function that a study names."""

import copy

from torch import nn

from emotune.config.model import CodeConfig
from emotune.core.errors import InputError
from emotune.core.user_module import load_object, user_line
from emotune.models.adapt import adapt_network

__all__ = ["user_network"]


def user_network(classes: int, config: CodeConfig) -> nn.Module:
    """The network that the user's code builds: (B, 3, 227, 227) → logits (B, classes); its dropout layers are seeded.

    Args:
        classes: The number of classes.
        config: The code and the options with which it is called.

    Raises:
        InputError: the code cannot be run, raises an error, or does not give a `torch.nn.Module`.
    """
    construct = load_object(config.source, config.file, config.entry)
    try:
        network = construct(classes, **copy.deepcopy(config.options))
    except InputError:
        raise
    except Exception as error:
        place = user_line(error.__traceback__, config.file)
        raise InputError(f"{config.code} cannot be built: {place}: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise InputError(f"{config.code} gives a {type(network).__name__}; it must give a torch.nn.Module")
    adapt_network(network)
    return network
