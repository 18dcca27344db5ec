"""Checks of a cluster before it is used: it is large enough, and all its nodes have the same code and data.

Its functions are called while this process is connected to the cluster
(`emotune.execution.run.ray_session.ray_connection`).
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
from emotune.core.threads import parallel_map
from emotune.data.datasets.location import EMBEDDED, manifest_of
from emotune.execution.checks.versions import versions
from emotune.runs.store import RunStore

__all__ = ["alive_nodes", "capacity", "check_nodes", "require_alike", "require_cluster"]

LOOK_EVERY_S = 5.0
ANSWER_S = 60.0
"""Seconds that every node gets to answer; for the first answer it starts a process."""
VISIBLE_AFTER_S = 3.0
"""Seconds after which a file that another node has written must be visible."""
FILES_AT_ONCE = 16
"""Files of nodes that are looked for at the same time."""


def require_cluster(resources: Resources, wait_s: float, on_status: Callable[[str], None]) -> None:
    """Waits until the cluster can hold at least one run; an autoscaler, if there is one, is asked for the nodes.

    Args:
        resources: The resources of a run.
        wait_s: The seconds to wait.
        on_status: Called with a line that says what is missing and how long it is waited for.

    Raises:
        InputError: The cluster is too small; the message lists its nodes and says where to look for the reason.
    """
    deadline, requested = time.monotonic() + wait_s, False
    try:
        while True:
            nodes = alive_nodes()
            room = sum(capacity(node, resources) for node in nodes)
            if room >= resources.workers:
                return
            if not requested:
                request_resources(bundles=[_bundle(resources)] * resources.workers)
                requested = True
            left_s = deadline - time.monotonic()
            state = f"the cluster has room for {room} of a run's {_workers(resources)}"
            if left_s <= 0:
                raise InputError(_too_small(state, nodes, wait_s))
            on_status(f"{state}; waiting for more nodes, {_minutes(left_s)} left")
            time.sleep(min(LOOK_EVERY_S, left_s))
    finally:
        if requested:
            request_resources(bundles=[])  # otherwise the cluster would keep these nodes for ever


def check_nodes(store: RunStore, datasets: Sequence[DatasetRef], resources: Resources = Resources()) -> None:
    """Checks that every node of the cluster can train the runs.

    Versions and emotune's source files must be the same as here, the folder of runs must be the same place and
    writable, and nodes that can hold workers must have the same data sets with all their shards.

    Args:
        store: The folder of all run directories.
        datasets: The data sets that the runs read.
        resources: The resources of a run.

    Raises:
        InputError: A node differs; the message says for each node what is wrong and what to do.
    """
    nodes = {node["NodeID"]: node for node in alive_nodes()}
    stored = [
        dataset.undivided for dataset in datasets if dataset.location != EMBEDDED
    ]  # every node draws scenes itself
    needed = list(dict.fromkeys(stored))
    inputs = {id_: (needed if capacity(node, resources) else [],) for id_, node in nodes.items()}
    require_alike(nodes, store.folder, "--runs", _dataset_problems, inputs)


def require_alike(
    nodes: Mapping[str, Mapping[str, Any]], folder: Folder, option: str, check: Callable[..., list[str]],
    inputs: Mapping[str, Sequence[Any]],
) -> None:  # fmt: skip
    """Raises an InputError unless nodes have the same software, share the folder, and pass the check.

    Args:
        nodes: The nodes, by id.
        folder: A folder that all nodes must read and write.
        option: The option that names this folder.
        check: A function that is called on each node, and returns what is wrong there.
        inputs: The check's arguments, by node.
    """
    _require_same_versions(nodes)
    name = f".check-{secrets.token_hex(8)}"
    try:
        folder.write(name, name.encode())
        calls = {id_: (folder, name, id_, option, check, given) for id_, given in inputs.items()}
        problems_by_node = _on_all(nodes, _problems_on_node, calls)
        problems = [f"{_name(nodes[id_])}: {problem}" for id_, found in problems_by_node.items() for problem in found]
        writers = [id_ for id_, found in problems_by_node.items() if not found]
        visible = parallel_map(lambda id_: _becomes_visible(folder, f"{name}-{id_}"), writers, FILES_AT_ONCE)
        elsewhere = [id_ for id_, is_visible in zip(writers, visible, strict=True) if not is_visible]
        problems += [f"{_name(nodes[id_])}: {_other_place(folder, option)}" for id_ in elsewhere]
    finally:
        list(parallel_map(partial(_delete, folder), [name, *(f"{name}-{id_}" for id_ in nodes)], FILES_AT_ONCE))
    raise_if_any(problems)


def _require_same_versions(nodes: Mapping[str, Mapping[str, Any]]) -> None:
    portable = types.FunctionType(versions.__code__, {"__builtins__": builtins}, "versions")
    portable.__module__ = "__main__"  # Ray then sends its code: a node may have no emotune, or another version
    here = versions()
    there = _on_all(nodes, portable, dict.fromkeys(nodes, ()))
    raise_if_any([
        f"{_name(nodes[id_])}: has {package} {found[package]}, this process has {here[package]}; install the same on "
        "all nodes, or start the command on a node"
        for id_, found in there.items() for package in here if found[package] != here[package]
    ])  # fmt: skip


def _problems_on_node(
    folder: Folder, name: str, node: str, option: str, check: Callable[..., list[str]], given: Sequence[Any]
) -> list[str]:
    """The problems of a node; runs there, and writes a file into the shared folder.

    Args:
        folder: The folder that all nodes share.
        name: The name of a file that the driver has written into this folder.
        node: The id of the node, which is appended to the name of its own file.
        option: The option that names the folder.
        check: A function that returns what else is wrong on the node.
        given: Its arguments.
    """
    problems = []
    try:
        if _becomes_visible(folder, name):
            folder.write(f"{name}-{node}", name.encode())
        else:
            problems.append(_other_place(folder, option))
    except Exception as error:  # every kind of storage has its own
        problems.append(
            f"{folder}: cannot be written to on this node ({error}); mount it there, or give the node its credentials"
        )
    return problems + check(*given)


def _dataset_problems(datasets: Sequence[DatasetRef]) -> list[str]:
    """The problems on this node with the data sets that it must have."""
    problems = []
    for dataset in datasets:
        try:
            manifest, files = manifest_of(dataset), Folder(dataset.location).files()
            expected = manifest.shards if files else ()  # not everything behind http:// can be listed
            missing = [shard.file for shard in expected if files.get(shard.file, (0,))[0] != shard.bytes]
            if manifest.content_hash != dataset.content_hash:
                problems.append(
                    f"{dataset.location}: {dataset.name} has other content on this node; copy it there again"
                )
            elif missing:
                problems.append(
                    f"{dataset.location}: {len(missing)} of {len(manifest.shards)} shards are missing or incomplete on "
                    f"this node, {missing[0]} is the first; copy them there again"
                )
        except Exception as error:
            problems.append(f"{dataset.location}: {dataset.name} cannot be read on this node ({error})")
    return problems


def _delete(folder: Folder, name: str) -> None:
    with contextlib.suppress(OSError):
        folder.delete(name)


def _becomes_visible(folder: Folder, name: str) -> bool:
    """Whether a file that another node has written is there; a network file system may show it a little later."""
    deadline = time.monotonic() + VISIBLE_AFTER_S
    while folder.read(name) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _other_place(folder: Folder, option: str) -> str:
    return (
        f"{folder}: is a different folder on this node; name one that all nodes reach, a network folder or a URL "
        f"({option})"
    )


def _on_all(
    nodes: Mapping[str, Mapping[str, Any]], function: Callable[..., Any], inputs: Mapping[str, Sequence[Any]]
) -> dict[str, Any]:
    """The results of a function that is called on all nodes at the same time, by node; nodes that left are omitted.

    Raises:
        InputError: A node does not answer, or the function fails there.
    """
    task = ray.remote(num_cpus=0, max_retries=0)(function)
    tasks = {
        id_: task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(id_, soft=False)).remote(*inputs[id_])
        for id_ in nodes
    }
    answered, silent = ray.wait(list(tasks.values()), num_returns=len(tasks), timeout=ANSWER_S)
    for reference in silent:
        ray.cancel(reference, force=True)
    results, problems, alive = {}, [], {node["NodeID"] for node in alive_nodes()}
    for id_, reference in tasks.items():
        if id_ not in alive:
            continue
        try:
            if reference not in answered:
                raise TimeoutError(f"no answer within {ANSWER_S:.0f} s")
            results[id_] = ray.get(reference)
        except Exception as error:
            message = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            problems.append(f"{_name(nodes[id_])}: did not respond ({message}); check or remove this node")
    raise_if_any(problems)
    return results


def alive_nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _name(node: Mapping[str, Any]) -> str:
    return f"node {node['NodeManagerAddress']} ({node['NodeManagerHostname']}, {node['NodeID'][:8]})"


def _bundle(resources: Resources) -> dict[str, float]:
    gpus = {"GPU": resources.gpus_per_worker} if resources.gpus_per_worker else {}
    return {"CPU": resources.cpus_per_worker, **gpus}


def _workers(resources: Resources) -> str:
    gpus = f", {resources.gpus_per_worker:g} GPU" if resources.gpus_per_worker else ""
    return f"{resources.workers} × ({resources.cpus_per_worker} CPU{gpus})"


def capacity(node: Mapping[str, Any], resources: Resources) -> int:
    """The number of workers that a node can hold."""
    return resources.workers_on(node["Resources"].get("CPU", 0), node["Resources"].get("GPU", 0))


def _minutes(seconds: float) -> str:
    """``9 min 50 s``."""
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def _too_small(state: str, nodes: Sequence[Mapping[str, Any]], wait_s: float) -> str:
    listed = "".join(
        f"\n  {_name(node)}: {node['Resources'].get('CPU', 0):g} CPU, {node['Resources'].get('GPU', 0):g} GPU"
        for node in nodes
    )
    return (
        f"resources: after {_minutes(wait_s)} {state}. Nodes:{listed or ' none'}\n"
        "Ask for less, or wait longer (--wait). Why no more nodes are added is shown by `ray status` on the head, and "
        "in /tmp/ray/session_latest/logs/monitor.log there"
    )
