"""The ranks that train a run together: a single process, torchrun's processes, or those that an executor starts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed import Store, TCPStore  # pyright: ignore[reportPrivateImportUsage]  # documented as public

from emotune.core.errors import InputError
from emotune.training.batch_norm import normalise_over_ranks

__all__ = ["World", "connect", "open_rendezvous", "world_from_environment"]

TIMEOUT = timedelta(minutes=30)
"""The longest wait for another rank; decoding a data set may take long."""


@dataclass(frozen=True)
class World:
    """The ranks that train a run together, seen from this process.

    Attributes:
        rank: This process's rank.
        size: The number of ranks.
        device: This process's device.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this is the rank that writes files."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network in a wrapper that averages gradients over ranks, with batch normalisation over all ranks."""
        if self.size == 1:
            return network
        normalise_over_ranks(network)
        return nn.parallel.DistributedDataParallel(
            network, device_ids=[self.device] if self.device.type == "cuda" else None
        )

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, on every rank, in the order of ranks."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum of every rank's tensor, on every rank."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank, so that all ranks stop at the same step."""
        if self.size == 1:  # without a detour over the GPU, which would wait for all its pending work
            return flag
        return self.sum(torch.tensor(int(flag), device=self.device)).item() > 0


@contextmanager
def connect(rank: int, size: int, *, gpu: bool, store: Store | None = None, local_rank: int = 0) -> Iterator[World]:
    """Connects this process with the other ranks while the block lasts.

    Args:
        rank: This process's rank.
        size: The number of ranks.
        gpu: Whether to train on this process's GPU with NCCL; otherwise on the CPU with gloo.
        store: The store where the ranks meet, see `open_rendezvous`; None: the one in torchrun's environment.
        local_rank: The number of this process's GPU among the visible ones.

    Raises:
        InputError: there is no GPU.
    """
    if gpu and not torch.cuda.is_available():
        raise InputError("resources: gpus_per_worker needs a GPU, but torch finds none here; set gpus_per_worker: 0")
    device = torch.device("cuda", local_rank) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    if size == 1:
        yield World(0, 1, device)
        return
    dist.init_process_group(
        "nccl" if gpu else "gloo",
        store=store,
        rank=rank,
        world_size=size,
        timeout=TIMEOUT,
    )
    try:
        yield World(rank, size, device)
        dist.barrier()  # all ranks stay while another needs the group or rank 0 writes
    finally:
        dist.destroy_process_group()


def open_rendezvous(host: str, port: int = 0) -> TCPStore:
    """The store where ranks meet: rank 0 opens it on a free port (``port`` 0), the others join it."""
    return TCPStore(host, port, is_master=port == 0, wait_for_workers=False, timeout=TIMEOUT)


@contextmanager
def world_from_environment(*, gpu: bool) -> Iterator[World]:
    """The world that torchrun's environment variables describe, or else of this process alone."""
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    with connect(rank, size, gpu=gpu, local_rank=int(os.environ.get("LOCAL_RANK", "0"))) as world:
        yield world
