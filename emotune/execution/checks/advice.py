"""What a study may be told before it runs, though it can run: a precision that is slow here, machines left idle."""

import os
import socket
import time
from collections.abc import Sequence

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.core.host import has_native_bfloat16
from emotune.execution.plan.concurrency import uses_cluster

__all__ = ["bf16_factor", "bf16_without_instructions", "idle_nodes", "slow_bf16", "trained_in_bf16"]

SIDE, PRODUCTS = 384, 3
"""Of the matrices whose products are timed: milliseconds in float32, a fraction of a second where bfloat16 is slow."""


def idle_nodes(executor: str) -> list[str]:
    """A line about a Slurm job of several nodes in which nothing but this one is going to train."""
    environment = os.environ
    asked = environment.get("SLURM_JOB_NUM_NODES") or environment.get("SLURM_NNODES") or ""
    everywhere = environment.get("SLURM_STEP_NUM_NODES", "1") != "1"  # srun has started the command on each
    if not asked.isdecimal() or int(asked) < 2 or everywhere or "WORLD_SIZE" in environment:
        return []
    if uses_cluster(executor):
        return []
    return [
        f"This Slurm job has {asked} nodes, but only {socket.gethostname()} trains: RAY_ADDRESS names no cluster. "
        "Start Ray on all nodes and name it there (srun ray symmetric-run), or ask Slurm for one node."
    ]


def bf16_without_instructions(runs: Sequence[RunConfig], resources: Resources, executor: str) -> list[str]:
    """A line about variants in bfloat16 on CPUs whose flags have nothing for it; what a plan can know without torch."""
    variants = trained_in_bf16(runs, resources, executor)
    if not variants or has_native_bfloat16() is not False:
        return []
    return [
        f"{_named(variants)}: train.precision bf16 on a CPU without instructions for bfloat16 (its flags have no "
        "avx512_bf16, amx_bf16 or bf16): steps take many times as long as in float32; how many is measured before "
        "the first run. Set precision: float32, or train on GPUs or other CPUs."
    ]


def trained_in_bf16(runs: Sequence[RunConfig], resources: Resources, executor: str) -> list[str]:
    """The variants that this machine's CPUs train in bfloat16; what a cluster's CPUs are like is not known here."""
    if resources.gpus_per_worker or uses_cluster(executor):
        return []
    return list(dict.fromkeys(run.variant for run in runs if run.train.precision == "bf16"))


def slow_bf16(runs: Sequence[RunConfig], resources: Resources, executor: str) -> list[str]:
    """A line with the measured factor where bfloat16 is slower than float32; imports torch."""
    variants = trained_in_bf16(runs, resources, executor)
    if not variants or (factor := bf16_factor(resources.cpus_per_worker)) <= 1:
        return []
    return [
        f"{_named(variants)}: train.precision bf16 is slow on this machine's CPUs: a matrix product in bfloat16 takes "
        f"{factor:.1f} times as long as in float32. Set precision: float32, or train on GPUs or other CPUs."
    ]


def bf16_factor(threads: int) -> float:
    """How many times as long as in float32 a matrix product takes in bfloat16 on this machine's CPUs."""
    import torch  # late: it takes seconds

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        float32, bfloat16 = (_product_s(torch, dtype) for dtype in (torch.float32, torch.bfloat16))
    finally:
        torch.set_num_threads(before)
    return bfloat16 / float32


def _product_s(torch: object, dtype: object) -> float:
    """The least of some, since others use the machine as well."""
    a = torch.ones(SIDE, SIDE, dtype=dtype)
    a @ a  # what is only done once
    taken = []
    for _ in range(PRODUCTS):
        began = time.perf_counter()
        a @ a
        taken.append(time.perf_counter() - began)
    return min(taken)


def _named(variants: Sequence[str]) -> str:
    return f"variants {', '.join(variants)}" if len(variants) > 1 else f"variant {variants[0]}"
