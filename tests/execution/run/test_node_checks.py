"""Checks of real clusters, two raylets on this machine, with various faults."""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emotune.config.resources import Resources
from emotune.core.errors import InputError
from emotune.data.datasets.resolve import resolve_datasets
from emotune.runs.store import RunStore

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]

Join = Callable[..., Any]


@pytest.fixture
def join(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Join]:
    """A function that adds a node with its own environment to a cluster that has only a head without CPUs."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # on 127.0.0.1
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.chdir(tmp_path_factory.mktemp("driver"))  # Ray has all nodes import from this folder, too
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")

    def join(environment: dict[str, str] | None = None, **resources: float) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (environment or {}).items():
                patch.setenv(name, value)
            return cluster.add_node(**resources)

    try:
        yield join
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_a_run_may_span_nodes_and_a_cluster_too_small_for_one_run_is_refused_with_a_list_of_nodes(join: Join):
    from ray.experimental.internal_kv import _internal_kv_get

    from emotune.execution.run.node_checks import require_cluster

    join(num_cpus=3)
    join(num_cpus=1, num_gpus=2)
    statuses: list[str] = []
    require_cluster(Resources(workers=4), 0, statuses.append)
    require_cluster(Resources(workers=1, gpus_per_worker=0.5), 0, statuses.append)
    assert statuses == []
    with pytest.raises(InputError) as caught:
        require_cluster(Resources(workers=3, cpus_per_worker=2), 1, statuses.append)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("resources: ") and " 1 s " in lines[0]
    assert re.search(r" 1 of .*\b3 × \(2 CPU\)", lines[0])
    assert sorted(line.rpartition(": ")[2] for line in lines[1:4]) == ["0 CPU, 0 GPU", "1 CPU, 2 GPU", "3 CPU, 0 GPU"]
    assert "--wait" in lines[4]
    assert "ray status" in lines[4]
    assert " 1 s " in statuses[0]
    assert _internal_kv_get(_channel()) == b"[]", "the request is withdrawn"
    with pytest.raises(InputError, match=r" 1 of .*\b2 × "):  # its one CPU, whatever its GPUs
        require_cluster(Resources(workers=2, gpus_per_worker=1), 0, statuses.append)


def _channel() -> bytes:
    from ray._private.ray_constants import AUTOSCALER_RESOURCE_REQUEST_CHANNEL

    return AUTOSCALER_RESOURCE_REQUEST_CHANNEL


def test_an_equal_node_that_joins_while_it_is_waited_for_passes_and_nothing_is_left_in_the_pool(
    join: Join, tmp_path: Path, small_shards: Path
):
    from emotune.execution.run.node_checks import check_nodes, require_cluster

    require_cluster(Resources(), 60, lambda text: join(num_cpus=1))
    check_nodes(RunStore(tmp_path), [*resolve_datasets([str(small_shards)]), *resolve_datasets(["scenes"])])
    assert list(tmp_path.iterdir()) == []


def test_a_node_with_another_version_or_other_source_files_is_named(join: Join, tmp_path: Path):
    from emotune.execution.run.node_checks import check_nodes

    metadata = tmp_path / "shadow" / "torch-1.2.3.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.2.3\n")
    package = tmp_path / "shadow" / "emotune" / "__init__.py"
    package.parent.mkdir()
    package.write_text("changed = True\n")
    paths = os.pathsep.join([str(tmp_path / "shadow"), os.environ.get("PYTHONPATH", "")])
    join({"PYTHONPATH": paths}, num_cpus=1)
    with pytest.raises(InputError) as caught:
        check_nodes(RunStore(tmp_path), [])
    torch, sources = str(caught.value).splitlines()
    assert "torch 1.2.3" in torch
    assert "emotune" in sources and "torch" not in sources


def test_a_pool_that_is_another_folder_on_a_node_and_data_that_differ_there_are_found(
    join: Join, tmp_path: Path, small_shards: Path, monkeypatch: pytest.MonkeyPatch
):
    from emotune.execution.run.node_checks import check_nodes

    join(num_cpus=1)
    (dataset,) = resolve_datasets([str(small_shards)])
    gone = replace(dataset, name="gone", location=str(tmp_path / "nothing"))
    other = replace(dataset, name="other", content_hash="0" * 64)
    copy = Path(shutil.copytree(small_shards, tmp_path / "copy"))
    first, second = sorted(copy.glob("train-*.tar"))[:2]
    first.unlink()
    second.write_bytes(b"incomplete")
    part = replace(dataset, name="part", location=str(copy))
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    with pytest.raises(InputError) as caught:
        check_nodes(
            RunStore("/proc/self/cwd"), [dataset, gone, other, part]
        )  # a folder of the same name that each process has
    lines = str(caught.value).splitlines()
    assert sum("/proc/self/cwd: " in line for line in lines) == 2
    assert sum(": gone " in line for line in lines) == 1, "a head without CPUs trains nothing"
    assert sum(": other " in line for line in lines) == 1
    assert sum("2 of 7 shards" in line and first.name in line for line in lines) == 1
    assert len(lines) == 5


def test_a_node_that_does_not_answer_is_named_and_a_dead_one_is_not_asked(
    join: Join, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import ray

    from emotune.execution.run import node_checks

    monkeypatch.setattr(node_checks, "ANSWER_S", 5.0)
    node = join(num_cpus=1)
    raylet = node.all_processes["raylet"][0].process
    raylet.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(InputError, match=rf"node .*{node.node_id[:8]}.*\b5 s\b"):
            node_checks.check_nodes(RunStore(tmp_path), [])
    finally:
        raylet.send_signal(signal.SIGCONT)
    raylet.kill()
    deadline = time.monotonic() + 60
    while any(there["Alive"] and there["NodeID"] == node.node_id for there in ray.nodes()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    node_checks.check_nodes(RunStore(tmp_path), [])
