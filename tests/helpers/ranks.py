"""Ranks as processes of their own, which need not import torch one by one."""

import multiprocessing
import os
from collections.abc import Callable, Mapping

import torch.multiprocessing as mp

PRELOADED = ["torch._dynamo", "emotune.training.loop"]
"""What every rank imports, torch's part when it wraps a network for several ranks: seven seconds of CPU."""


def start_ranks(function: Callable[..., None], arguments: tuple, count: int) -> None:
    """Calls ``function(rank, *arguments)`` in ``count`` new processes, and waits for them.

    They are forked from a process that has imported all that they need, and has done nothing else: it has no threads.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    mp.start_processes(_call, (dict(os.environ), function, arguments), count, start_method="forkserver")


def _call(rank: int, environment: Mapping[str, str], function: Callable[..., None], arguments: tuple) -> None:
    os.environ.clear()  # it is that of the first test which started ranks
    os.environ.update(environment)
    function(rank, *arguments)
