"""Precision and determinism: torch's global settings, which are set for a run and restored after it."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import backends

from emotune.config.optimizers import OPTIMIZERS
from emotune.config.resources import Resources
from emotune.config.train import TrainConfig
from emotune.runs.record import Numerics

__all__ = ["autocast", "numerics", "numerics_record"]

CUBLAS, REPEATABLE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
"""The environment variable, and a value, with which cuBLAS repeats its results: workspaces of a fixed size."""


@contextmanager
def numerics(precision: str, *, deterministic: bool) -> Iterator[None]:
    """Sets the precision of float32 products and the determinism of operations while the block lasts.

    Args:
        precision: The ``precision`` of `TrainConfig`. Only *tf32* rounds factors, to 10 bits, and only on GPUs.
        deterministic: Whether to refuse operations on GPUs whose results depend on the order of threads.
    """
    gpu = "tf32" if precision == "tf32" else "ieee"
    with ExitStack() as undo:

        def put(owner: Any, name: str, value: Any) -> None:
            undo.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)

        cudnn: Any = backends.cudnn  # its parts, as mkldnn's, are unknown to type checkers
        mkldnn: Any = backends.mkldnn
        for operation in (backends.cuda.matmul, cudnn.conv, cudnn.rnn):
            put(operation, "fp32_precision", gpu)
        for operation in (mkldnn.matmul, mkldnn.conv):
            put(operation, "fp32_precision", "ieee")
        put(backends.cudnn, "benchmark", False)  # it would choose among algorithms by measured times
        before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
        if before != (deterministic, False):  # only then: it imports torch's compiler, a second and 55 MiB
            undo.callback(torch.use_deterministic_algorithms, before[0], warn_only=before[1])
            torch.use_deterministic_algorithms(deterministic)
        if deterministic and CUBLAS not in os.environ:
            os.environ[CUBLAS] = REPEATABLE
            undo.callback(os.environ.pop, CUBLAS, None)
        yield


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """A context for forward passes; with *bf16*, products are computed in bfloat16, weights and sums in float32."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def numerics_record(train: TrainConfig, resources: Resources, device: torch.device) -> Numerics:
    """How a run is computed, for its record."""
    return {
        "precision": train.precision,
        "tf32": train.precision == "tf32" and device.type == "cuda",
        "autocast": "bfloat16" if train.precision == "bf16" else None,
        "deterministic": resources.deterministic,
        "compiled": resources.compile,
        "accumulate": resources.accumulate,
        "channels_last": True,
        "fused": OPTIMIZERS[train.optimizer].fused,
    }
