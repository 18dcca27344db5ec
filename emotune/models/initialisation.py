"""Initial weights that follow from a seed and each parameter's path and shape, whatever else the network contains.

Each parameter, and each buffer that is drawn, has its own generator, seeded with a hash of the seed, the parameter's
dotted path and its shape. So the parts that two networks share begin equal, bit for bit, and no parameter depends on
how many others were drawn before it. The distribution is that of the network's constructor. The constructor is run
twice: the first run records which of its random draws end in which parameter, and the second run has the generator
seeded anew before each of them. This works for every module that draws with torch's default generator, including
torchvision's and timm's. Draws from other generators, such as numpy's, are left as they are.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

__all__ = ["initialise_by_path"]


def initialise_by_path(construct: Callable[[], nn.Module], seed: int) -> nn.Module:
    """The network that ``construct`` builds, with each parameter drawn from the seed, its dotted path and its shape.

    This seeds torch's default generator of the CPU; the generators of GPUs are left alone.

    Args:
        construct: A function that builds the network on the CPU, in the same way each time.
        seed: The seed of the run's initial weights.

    Raises:
        RuntimeError: the second call did not build the network as the first one did.
    """
    torch.default_generator.manual_seed(seed)
    with _RecordDraws() as recorded:
        sketch = construct()
    seeds = recorded.seeds(sketch, seed)
    del sketch, recorded.alive[:]
    torch.default_generator.manual_seed(seed)
    with _SeedDraws(seeds) as seeded:
        network = construct()
    torch.default_generator.manual_seed(seed)
    if seeded.calls != recorded.calls:
        raise RuntimeError("the network was not built in the same way twice: its initial weights cannot be repeated")
    return network


class _RecordDraws(TorchFunctionMode):
    """Records which calls draw random numbers, and which tensors are computed from them.

    Attributes:
        calls: The number of calls of torch's functions so far.
        alive: The tensors that depend on a draw, kept so that no other tensor reuses their memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.alive: list[torch.Tensor] = []
        self._draws: dict[int, list[int]] = {}  # by a tensor's memory, the numbers of the calls that it depends on

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        before = torch.default_generator.get_state()
        result = function(*args, **(kwargs or {}))
        this = [] if torch.equal(before, torch.default_generator.get_state()) else [self.calls]
        draws = {*this, *(n for tensor in _tensors((args, kwargs)) for n in self._draws.get(_memory(tensor), ()))}
        for tensor in _tensors(result) if draws else ():
            self.alive.append(tensor)
            self._draws[_memory(tensor)] = sorted({*self._draws.get(_memory(tensor), ()), *draws})
        self.calls += 1
        return result

    def seeds(self, network: nn.Module, seed: int) -> dict[int, int]:
        """The seed for each call that draws for a parameter or buffer of the network, by the call's number.

        A parameter's draws are counted from the last one: later draws overwrite what earlier ones put there.
        """
        seeds: dict[int, int] = {}
        for path, tensor in (*network.named_parameters(), *network.named_buffers()):
            draws = [number for number in self._draws.get(_memory(tensor), ()) if number not in seeds]
            for place, number in enumerate(reversed(draws)):
                seeds[number] = _hash(f"{seed}/{path}/{tuple(tensor.shape)}/{place}")
        return seeds


class _SeedDraws(TorchFunctionMode):
    """Seeds torch's default generator before each call that has an entry in ``seeds``.

    Attributes:
        calls: The number of calls of torch's functions so far.
    """

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
    """The dense tensors among a call's arguments or in its result."""
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
