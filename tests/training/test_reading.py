"""Where images are kept does not change a run: decoded, in the files of shards, or behind a URL, on any rank."""

import itertools
import json
import shutil
import threading
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from ranks import start_ranks
from running import changed, history, trained, without_times

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.sources.scenes import Scenes
from emotune.runs.directory import PREDICTIONS, RunDirectory
from emotune.training.distributed import connect, open_rendezvous
from emotune.training.loop import InterruptedRunError, train

NO_ROOM = Resources(cache_gb=0.0)
VAL_AND_TEST = Resources(cache_gb=0.02)


def untimed(pool: Path, run: RunConfig) -> list[dict]:
    return [{key: value for key, value in entry.items() if "_s" not in key} for entry in history(pool, run)]


def without_reading(record: dict) -> dict:
    return {key: value for key, value in without_times(record).items() if key not in ("reading", "weights", "origins")}


@pytest.fixture
def behind_url(run: RunConfig, tmp_path: Path, monkeypatch) -> RunConfig:
    """The run on the same shards behind a URL, and a cache that has not seen them."""
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    for path in Path(run.dataset.location).iterdir():
        if path.is_file():
            Folder("memory://reading/shards").write(path.name, path.read_bytes())
    return replace(run, dataset=resolve_datasets(["memory://reading/shards"])[0])


def test_a_run_has_one_result_whatever_the_cache_holds(run: RunConfig, behind_url: RunConfig, tmp_path: Path):
    decoded, expected = trained(run, tmp_path / "decoded")
    assert decoded["reading"] == "decoded"
    for name, config, resources in (
        ("none", run, NO_ROOM), ("some", run, VAL_AND_TEST), ("url", behind_url, VAL_AND_TEST),
    ):  # fmt: skip
        shutil.rmtree(tmp_path / "cache")
        assert config.id == run.id
        record, predictions = trained(config, tmp_path / name, resources=resources)
        assert record["reading"] == "indexed"
        pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
        assert untimed(tmp_path / name, run) == untimed(tmp_path / "decoded", run)
        assert without_reading(record) == without_reading(decoded)
        assert record["weights"] == decoded["weights"]
        left = {path.name.partition("-")[2] for path in (tmp_path / "cache" / "decoded").iterdir()}
        assert left - {""} == {"none": set(), "some": {"256.npy"}, "url": {"256.npy", "copy.tar"}}[name]


def test_a_run_that_goes_on_with_less_room_goes_on_to_the_same_bits(run: RunConfig, tmp_path: Path):
    _, expected = trained(run, tmp_path / "undisturbed")
    before, asked = set(threading.enumerate()), iter([False] * 3 + [True])
    with pytest.raises(InterruptedRunError):
        trained(run, tmp_path / "parted", stop=lambda: next(asked))
    asked = iter([False] * 2 + [True])
    with pytest.raises(InterruptedRunError):
        trained(run, tmp_path / "parted", resources=NO_ROOM, stop=lambda: next(asked))
    assert set(threading.enumerate()) <= before
    record, predictions = trained(run, tmp_path / "parted", resources=NO_ROOM)
    assert record["reading"] == ["decoded", "indexed"]
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)


@pytest.fixture
def by_shards(run: RunConfig, tmp_path: Path) -> RunConfig:
    """The run in the order of shards, of which there are many."""
    out = tmp_path / "many"
    write_shards(Scenes(80, seed=1).listing(), Folder(str(out)), shares=(0.5, 0.25, 0.25), samples_per_shard=4)
    return changed(replace(run, dataset=resolve_datasets([str(out)])[0]), order="shards", batch_size=6)


def test_the_order_of_shards_is_another_run_that_has_one_result_too(by_shards: RunConfig, tmp_path: Path):
    by_image = changed(by_shards, order="images")
    assert by_shards.id != by_image.id
    other_cut = replace(by_shards, dataset=replace(by_shards.dataset, cut="another"))
    assert other_cut.id != by_shards.id
    assert replace(by_image, dataset=other_cut.dataset).id == by_image.id, "an even order does not depend on it"
    decoded, expected = trained(by_shards, tmp_path / "decoded")
    asked = iter([False] * 9 + [True])
    with pytest.raises(InterruptedRunError):
        trained(by_shards, tmp_path / "indexed", resources=NO_ROOM, stop=lambda: next(asked))
    indexed, predictions = trained(by_shards, tmp_path / "indexed", resources=NO_ROOM)
    assert decoded["reading"] == indexed["reading"] == "shards"
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
    _, otherwise = trained(by_image, tmp_path / "by_image")
    assert not predictions.equals(otherwise)


def _rank(rank: int, ports: list[int], run_json: dict, pool: str, order: str) -> None:
    torch.set_num_threads(1)
    run = changed(RunConfig.from_json(run_json), order=order)
    little = Resources(cache_gb=(0.0, 0.02)[rank])  # each rank's machine has other room
    attempts = (("decoded", 0, Resources()), ("indexed", 4, little), ("indexed", 0, little))
    for port, (name, steps, resources) in zip(ports, attempts, strict=True):
        with connect(rank, 2, gpu=False, store=open_rendezvous("127.0.0.1", port)) as world:
            asked = iter([False] * (steps - 1) + [True]) if steps and rank else itertools.repeat(False)
            with pytest.raises(InterruptedRunError) if steps else nullcontext():
                directory = RunDirectory(f"{pool}/{name}", run)
                train(run, directory, world, resources=resources, stop=partial(next, asked))


@pytest.mark.slow
@pytest.mark.parametrize("order", ["images", "shards"])
def test_two_ranks_of_unlike_machines_go_on_after_a_stop_to_the_bits_of_decoded_ones(
    run: RunConfig, order, tmp_path: Path
):
    stores = [open_rendezvous("127.0.0.1") for _ in range(3)]  # addresses in a used one would mislead
    start_ranks(_rank, ([store.port for store in stores], run.to_json(), str(tmp_path), order), 2)
    run = changed(run, order=order)
    decoded, indexed = (pd.read_parquet(tmp_path / name / run.id / PREDICTIONS) for name in ("decoded", "indexed"))
    pd.testing.assert_frame_equal(indexed, decoded, check_exact=True)
    record = json.loads((tmp_path / "indexed" / run.id / "record.json").read_text())
    assert (record["reading"], record["interruptions"]) == ("shards" if order == "shards" else "indexed", 1)
