"""What a cluster must be before runs are spent on it: large enough, and the same on all its nodes.

To be called while this process is connected to it (`emotune.execution.run.ray_session.ray_connection`).
"""

import builtins
import contextlib
import secrets
import time
import types
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import ray
from ray.autoscaler.sdk import request_resources
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from emotune.config.resources import Resources
from emotune.config.run import DatasetRef
from emotune.core.errors import InputError, raise_if_any
from emotune.core.storage import Folder
from emotune.data.datasets.location import manifest_of
from emotune.execution.checks.versions import versions
from emotune.runs.store import RunStore

__all__ = ["check_nodes", "require_cluster"]

LOOK_EVERY_S = 5.0
ANSWER_S = 60.0
"""Seconds that every node gets for an answer; the first starts a process there."""
SEEN_AFTER_S = 3.0
"""Seconds after which a file written elsewhere must be seen."""


def require_cluster(resources: Resources, wait_s: float, on_status: Callable[[str], None]) -> None:
    """Waits until the cluster can hold one run at least; its autoscaler, if there is one, is asked for the nodes.

    Args:
        resources: What a run gets.
        wait_s: Seconds to wait.
        on_status: Called with a line on what is missing and how long that is waited for.

    Raises:
        InputError: the nodes that are there are too small or too few; which they are, and how to see why.
    """
    deadline, asked = time.monotonic() + wait_s, False
    try:
        while (held := sum(map(lambda node: _held(node, resources), nodes := _nodes()))) < resources.workers:
            if not asked:
                request_resources(bundles=[_bundle(resources)] * resources.workers)
                asked = True
            left_s = deadline - time.monotonic()
            there = f"the cluster has room for {held} of a run's {_workers(resources)}"
            if left_s <= 0:
                raise InputError(_too_small(there, nodes, wait_s))
            on_status(f"{there}; waiting for more nodes, {_minutes(left_s)} left")
            time.sleep(min(LOOK_EVERY_S, left_s))
    finally:
        if asked:
            request_resources(bundles=[])  # else the cluster would keep these nodes for ever


def check_nodes(pool: str, datasets: Sequence[DatasetRef], resources: Resources = Resources()) -> None:
    """Has every node of the cluster compare itself with this process.

    Versions and emotune's source files must be the same, the pool of runs must be the same place, where each can write,
    and nodes that can hold workers must read the same data sets, with all their shards.

    Args:
        pool: Where run directories go.
        datasets: What the runs read.
        resources: What a run gets.

    Raises:
        InputError: what is wrong, node by node, and what to do.
    """
    nodes = {node["NodeID"]: node for node in _nodes()}
    portable = types.FunctionType(versions.__code__, {"__builtins__": builtins}, "versions")
    portable.__module__ = "__main__"  # Ray sends its code: a node may have no emotune, or another one
    own = versions()
    found = _on_all(nodes, portable, dict.fromkeys(nodes, ()))
    raise_if_any([
        f"{_name(nodes[node])}: has {what} {theirs[what]}, this process {own[what]}; install the same on all nodes, or "
        "start from there"
        for node, theirs in found.items() for what in own if theirs[what] != own[what]
    ])  # fmt: skip
    shared, sign = Folder(pool), f".check-{secrets.token_hex(8)}"
    embedded = [dataset for dataset in datasets if dataset.location != "scenes"]  # which every node draws for itself
    inputs = {node: (pool, sign, node, embedded if _held(there, resources) else []) for node, there in nodes.items()}
    try:
        shared.write(sign, sign.encode())
        answers = _on_all(nodes, _look, inputs)
        problems = [f"{_name(nodes[node])}: {problem}" for node, said in answers.items() for problem in said]
        wrote = [node for node, said in answers.items() if not said]
        seen = RunStore(pool).map(lambda node: _seen(shared, f"{sign}-{node}"), wrote)
        unseen = [node for node, there in zip(wrote, seen, strict=True) if not there]
        problems += [f"{_name(nodes[node])}: {_elsewhere(pool)}" for node in unseen]
    finally:
        RunStore(pool).map(partial(_remove, shared), [sign, *(f"{sign}-{node}" for node in nodes)])
    raise_if_any(problems)


def _look(pool: str, sign: str, node: str, datasets: Sequence[DatasetRef]) -> list[str]:
    """On a node: what speaks against it."""
    problems, shared = [], Folder(pool)
    try:
        if _seen(shared, sign):
            shared.write(f"{sign}-{node}", sign.encode())
        else:
            problems.append(_elsewhere(pool))
    except Exception as error:  # every kind of storage has its own
        problems.append(
            f"{pool}: cannot be written to from there ({error}); mount it, or give the node its credentials"
        )
    for dataset in datasets:
        try:
            manifest, found = manifest_of(dataset), Folder(dataset.location).files()
            expected = manifest.shards if found else ()  # not everything behind http:// can be listed
            lacking = [shard.file for shard in expected if found.get(shard.file, (0,))[0] != shard.bytes]
            if manifest.content_hash != dataset.content_hash:
                problems.append(f"{dataset.location}: {dataset.name} has other content there; copy it there again")
            elif lacking:
                which = f"{len(lacking)} of {len(manifest.shards)} shards, {lacking[0]} the first,"
                problems.append(f"{dataset.location}: {which} are missing or cut off there; copy them there again")
        except Exception as error:
            problems.append(f"{dataset.location}: {dataset.name} cannot be read from there ({error})")
    return problems


def _remove(folder: Folder, name: str) -> None:
    with contextlib.suppress(OSError):
        folder.delete(name)


def _seen(folder: Folder, name: str) -> bool:
    """Whether a file that was written elsewhere is there; a network's file system may show it a little later."""
    deadline = time.monotonic() + SEEN_AFTER_S
    while folder.read(name) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _elsewhere(pool: str) -> str:
    return f"{pool}: is another place there than here; name one that all nodes reach, a network folder or a URL"


def _on_all(
    nodes: Mapping[str, Mapping[str, Any]], function: Callable[..., Any], inputs: Mapping[str, Sequence[Any]]
) -> dict[str, Any]:
    """What the function returns on each of the nodes, all at the same time; nodes that have left say nothing."""
    task = ray.remote(num_cpus=0, max_retries=0)(function)
    asked = {
        node: task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(*inputs[node])
        for node in nodes
    }
    answered, silent = ray.wait(list(asked.values()), num_returns=len(asked), timeout=ANSWER_S)
    for reference in silent:
        ray.cancel(reference, force=True)
    answers, problems, alive = {}, [], {node["NodeID"] for node in _nodes()}
    for node, reference in asked.items():
        if node not in alive:
            continue
        try:
            if reference not in answered:
                raise TimeoutError(f"no answer within {ANSWER_S:.0f} s")
            answers[node] = ray.get(reference)
        except Exception as error:
            says = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            problems.append(f"{_name(nodes[node])}: cannot be asked how it is ({says[0]}); look there, or take it out")
    raise_if_any(problems)
    return answers


def _nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _name(node: Mapping[str, Any]) -> str:
    return f"node {node['NodeManagerAddress']} ({node['NodeManagerHostname']}, {node['NodeID'][:8]})"


def _bundle(resources: Resources) -> dict[str, float]:
    gpus = {"GPU": resources.gpus_per_worker} if resources.gpus_per_worker else {}
    return {"CPU": resources.cpus_per_worker, **gpus}


def _workers(resources: Resources) -> str:
    gpus = f", {resources.gpus_per_worker:g} GPU" if resources.gpus_per_worker else ""
    return f"{resources.workers} × ({resources.cpus_per_worker} CPU{gpus})"


def _held(node: Mapping[str, Any], resources: Resources) -> int:
    return resources.workers_on(node["Resources"].get("CPU", 0), node["Resources"].get("GPU", 0))


def _minutes(seconds: float) -> str:
    """``9 min 50 s``."""
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def _too_small(there: str, nodes: Sequence[Mapping[str, Any]], wait_s: float) -> str:
    listed = "".join(
        f"\n  {_name(node)}: {node['Resources'].get('CPU', 0):g} CPU, {node['Resources'].get('GPU', 0):g} GPU"
        for node in nodes
    )
    return (
        f"resources: after {_minutes(wait_s)} {there}. Nodes:{listed or ' none'}\n"
        "Ask for less, or wait longer (--wait); why no more nodes come: `ray status` on the head, and there "
        "/tmp/ray/session_latest/logs/monitor.log"
    )
