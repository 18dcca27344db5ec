"""Building networks on torch's meta device: shapes without numbers, which take no memory and little time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

__all__ = ["on_meta_device"]


@contextmanager
def on_meta_device() -> Iterator[None]:
    """A block in which new tensors are on the meta device, and are not drawn."""
    with torch.device("meta"), _SkipInit():
        yield


class _SkipInit(TorchFunctionMode):
    """Skips drawing: on the meta device a normal distribution would import torch's compiler, which takes a second."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if function in (nn.init.normal_, torch.Tensor.normal_):
            return args[0] if args else named["tensor"]
        return function(*args, **named)
