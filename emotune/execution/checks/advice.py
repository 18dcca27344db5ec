"""Warnings before a study runs, although it can: a precision that is slow here, a default that is another's."""

import os
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emotune.config.backbone import BackboneConfig
from emotune.config.head_training import feature_network
from emotune.config.model import ModelConfig
from emotune.config.optimizers import OPTIMIZERS
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.config.train import TrainConfig
from emotune.core.host import has_native_bfloat16
from emotune.execution.plan.concurrency import uses_cluster

if TYPE_CHECKING:
    import torch

__all__ = [
    "bf16_factor",
    "bf16_without_instructions",
    "frozen_at_random",
    "idle_nodes",
    "rate_of_sgd",
    "slow_bf16",
    "trained_in_bf16",
]

MATRIX_SIDE, PRODUCTS = 384, 3
"""Side of the matrices whose products are timed, and the number of products.

A product takes milliseconds in float32, and a fraction of a second where bfloat16 is slow.
"""


def idle_nodes(executor: str) -> list[str]:
    """A warning if this command runs in a Slurm job of several nodes, but only this node is going to train.

    Args:
        executor: ``ray`` or ``local``.
    """
    environment = os.environ
    nodes = environment.get("SLURM_JOB_NUM_NODES") or environment.get("SLURM_NNODES") or ""
    on_all_nodes = environment.get("SLURM_STEP_NUM_NODES", "1") != "1"  # srun has started the command on each of them
    if not nodes.isdecimal() or int(nodes) < 2 or on_all_nodes or "WORLD_SIZE" in environment:
        return []
    if uses_cluster(executor):
        return []
    return [
        f"This Slurm job has {nodes} nodes, but only {socket.gethostname()} trains: RAY_ADDRESS names no cluster. "
        "cluster/slurm.sh starts Ray on all nodes and sets it; or ask Slurm for one node."
    ]


def rate_of_sgd(runs: Sequence[RunConfig]) -> list[str]:
    """A warning about variants with an optimizer of Adam's family that have the default learning rate, which is sgd's.

    Args:
        runs: The runs that are going to be trained.
    """
    default = TrainConfig.lr
    adaptive = [
        run.variant for run in runs if run.train.lr == default and "betas" in OPTIMIZERS[run.train.optimizer].options
    ]
    if not adaptive:
        return []
    return [
        f"{_listed(list(dict.fromkeys(adaptive)))}: train.lr is {default:g}, the default, which is for sgd. Adam and "
        "its relatives usually have a tenth of it: set train.lr, unless this is meant."
    ]


def frozen_at_random(runs: Sequence[RunConfig]) -> list[str]:
    """A warning about variants that keep a backbone, or its first stages, as it was drawn at random.

    Args:
        runs: The runs that are going to be trained.
    """
    kept = [run.variant for run in runs if run.train.init == "scratch" and _freezes(run.model)]
    if not kept:
        return []
    return [
        f"{_listed(list(dict.fromkeys(kept)))}: a backbone whose weights are random is frozen, because "
        "train.init is scratch. Give train.init weights, or set model.tune: all, unless this is meant."
    ]


def _freezes(model: ModelConfig) -> bool:
    network = feature_network(model) or model
    return isinstance(network, BackboneConfig) and network.tune != "all"


def bf16_without_instructions(runs: Sequence[RunConfig], resources: Resources, executor: str) -> list[str]:
    """A warning about variants in bfloat16 if this CPU's flags show no instructions for it; does not import torch.

    Args:
        runs: The runs of the study.
        resources: The resources of each run.
        executor: ``ray`` or ``local``.
    """
    variants = trained_in_bf16(runs, resources, executor)
    if not variants or has_native_bfloat16() is not False:
        return []
    return [
        f"{_listed(variants)}: train.precision bf16 on a CPU without instructions for bfloat16 (its flags have no "
        "avx512_bf16, amx_bf16 or bf16): steps take many times as long as in float32; how many is measured before "
        "the first run. Set precision: float32, or train on GPUs or other CPUs."
    ]


def trained_in_bf16(runs: Sequence[RunConfig], resources: Resources, executor: str) -> list[str]:
    """The variants that this machine's CPUs train in bfloat16; the CPUs of a cluster are not known here.

    Args:
        runs: The runs of the study.
        resources: The resources of each run.
        executor: ``ray`` or ``local``.
    """
    if resources.gpus_per_worker or uses_cluster(executor):
        return []
    return list(dict.fromkeys(run.variant for run in runs if run.train.precision == "bf16"))


def slow_bf16(runs: Sequence[RunConfig], resources: Resources, executor: str) -> list[str]:
    """A warning with the measured factor if bfloat16 is slower than float32 here; imports torch.

    Args:
        runs: The runs that are going to be trained.
        resources: The resources of each run.
        executor: ``ray`` or ``local``.
    """
    variants = trained_in_bf16(runs, resources, executor)
    if not variants or (factor := bf16_factor(resources.cpus_per_worker)) <= 1:
        return []
    return [
        f"{_listed(variants)}: train.precision bf16 is slow on this machine's CPUs: a matrix product in bfloat16 takes "
        f"{factor:.1f} times as long as in float32. Set precision: float32, or train on GPUs or other CPUs."
    ]


def bf16_factor(threads: int) -> float:
    """The time of a matrix product in bfloat16 divided by that in float32, on this machine's CPUs.

    Args:
        threads: The number of threads that torch uses.
    """
    import torch  # late: it takes seconds

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        float32, bfloat16 = (_product_s(torch.ones(MATRIX_SIDE, MATRIX_SIDE, dtype=dtype))
                             for dtype in (torch.float32, torch.bfloat16))  # fmt: skip
    finally:
        torch.set_num_threads(before)
    return bfloat16 / float32


def _product_s(matrix: "torch.Tensor") -> float:
    """The shortest of several times, since other processes use the machine as well."""
    matrix.matmul(matrix)  # the first product takes longer
    seconds = []
    for _ in range(PRODUCTS):
        began = time.perf_counter()
        matrix.matmul(matrix)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _listed(variants: Sequence[str]) -> str:
    return f"variants {', '.join(variants)}" if len(variants) > 1 else f"variant {variants[0]}"
