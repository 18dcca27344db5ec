"""First weights that belong to a seed and a parameter, whatever else the network holds.

Each parameter (and each buffer that is drawn) has a generator of its own, seeded with a hash of the seed, its dotted
path and its shape. So what two networks have in common begins equal, bit for bit, and no parameter depends on how many
others were drawn before it. The distribution is whatever the network's constructor says: the constructor is run twice,
the first time to see which of its random draws end in which parameter, the second time with the generator seeded anew
before each of them. This works for any module that draws with torch's default generator, torchvision's and timm's too;
what it draws otherwise (numpy, generators of its own) is as it was.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

__all__ = ["initialise_by_path"]


def initialise_by_path(construct: Callable[[], nn.Module], seed: int) -> nn.Module:
    """What ``construct`` gives, each parameter drawn from the seed, its dotted path and its shape.

    torch's default generator of the CPU is seeded; those of GPUs are left alone.

    Args:
        construct: Builds the network on the CPU, each time in the same way.
        seed: Of the run's initial weights.

    Raises:
        RuntimeError: the network is not built in the same way twice.
    """
    torch.default_generator.manual_seed(seed)
    with _Noticed() as noticed:
        sketch = construct()
    seeds = noticed.seeds(sketch, seed)
    del sketch, noticed.alive[:]
    torch.default_generator.manual_seed(seed)
    with _Seeded(seeds) as seeded:
        network = construct()
    torch.default_generator.manual_seed(seed)
    if seeded.calls != noticed.calls:
        raise RuntimeError("the network is not built in the same way twice: its first weights cannot be repeated")
    return network


class _Noticed(TorchFunctionMode):
    """Notices which calls draw random numbers, and which tensors are made from them.

    Attributes:
        calls: How many functions of torch were called.
        alive: The tensors that came of a draw; kept, so that no other takes over their memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.alive: list[torch.Tensor] = []
        self._draws: dict[int, list[int]] = {}  # by a tensor's memory, the numbers of the calls that went into it

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        before = torch.default_generator.get_state()
        result = function(*args, **(kwargs or {}))
        own = [] if torch.equal(before, torch.default_generator.get_state()) else [self.calls]
        draws = {*own, *(n for tensor in _tensors((args, kwargs)) for n in self._draws.get(_memory(tensor), ()))}
        for tensor in _tensors(result) if draws else ():
            self.alive.append(tensor)
            self._draws[_memory(tensor)] = sorted({*self._draws.get(_memory(tensor), ()), *draws})
        self.calls += 1
        return result

    def seeds(self, network: nn.Module, seed: int) -> dict[int, int]:
        """By the number of each call that draws for a parameter or buffer of the network, the seed for it.

        A parameter's draws are counted from the last: what an earlier one of other modules drew is overwritten.
        """
        found: dict[int, int] = {}
        for path, tensor in (*network.named_parameters(), *network.named_buffers()):
            draws = [number for number in self._draws.get(_memory(tensor), ()) if number not in found]
            for place, number in enumerate(reversed(draws)):
                found[number] = _hash(f"{seed}/{path}/{tuple(tensor.shape)}/{place}")
        return found


class _Seeded(TorchFunctionMode):
    """Seeds torch's default generator before the calls of these numbers; ``calls`` counts all."""

    def __init__(self, seeds: Mapping[int, int]) -> None:
        super().__init__()
        self.calls = 0
        self._seeds = seeds

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if self.calls in self._seeds:
            torch.default_generator.manual_seed(self._seeds[self.calls])
        self.calls += 1
        return function(*args, **(kwargs or {}))


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """The dense tensors in arguments or a result."""
    if isinstance(value, torch.Tensor):
        if value.layout == torch.strided and value.numel():
            yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _memory(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
