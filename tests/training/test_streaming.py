"""Runs whose pictures are streamed: beyond the cache, on one rank and on two."""

import itertools
import json
import threading
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.multiprocessing as mp
from running import trained, without_times

from emotune.data.batches import open_split
from emotune.errors import InputError
from emotune.resources import Resources
from emotune.run import RunConfig
from emotune.run_directory import CHECKPOINTS, PREDICTIONS, RunDirectory
from emotune.training.distributed import World, connect, open_store
from emotune.training.loop import InterruptedRunError, train


def test_a_run_beyond_the_cache_is_streamed_and_goes_on_after_a_stop_as_if_there_had_been_none(
    run: RunConfig, tmp_path: Path
):
    cached, _ = trained(run, tmp_path / "cached")
    assert cached["reading"] == "cached"
    undisturbed, expected = trained(run, tmp_path / "a", resources=Resources(cache_gb=0.0))
    assert undisturbed["reading"] == "streamed"
    assert expected["sample_id"].tolist() == list(open_split(run.dataset, "test").keys)
    assert undisturbed["train_pictures"] == 72
    before = set(threading.enumerate())
    asked = iter([False] * 6 + [True])
    with pytest.raises(InterruptedRunError):
        trained(run, tmp_path / "b", resources=Resources(cache_gb=0.0), stop=lambda: next(asked))
    assert set(threading.enumerate()) <= before
    record, predictions = trained(run, tmp_path / "b", resources=Resources(cache_gb=0.0))
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
    assert without_times(record) == without_times(undisturbed)


def test_a_checkpoint_from_before_streaming_goes_on_and_a_change_of_reading_is_recorded(run: RunConfig, tmp_path: Path):
    asked = iter([False] * 3 + [True])
    with pytest.raises(InterruptedRunError):
        trained(run, tmp_path, stop=lambda: next(asked))
    checkpoints = tmp_path / run.id / CHECKPOINTS
    (file,) = checkpoints.glob("*.pt")
    state = torch.load(file, weights_only=True)
    assert state["progress"].pop("reading") == ["cached"]
    torch.save(state, checkpoints / "last.pt")  # as it was written then
    file.unlink()
    (checkpoints / "index.json").unlink()
    asked = iter([False] * 2 + [True])
    with pytest.raises(InterruptedRunError):
        trained(run, tmp_path, stop=lambda: next(asked))
    record, _ = trained(run, tmp_path, resources=Resources(cache_gb=0.0))
    assert record["reading"] == ["cached", "streamed"]


def _streaming_rank(rank: int, ports: list[int], run_json: dict, pool: str) -> None:
    torch.set_num_threads(2)
    run = RunConfig.from_json(run_json)
    cache_gb = (0.0, None)[rank]  # the machine of one rank has no room: both stream
    for port, attempt, steps in zip(ports, ("whole", "parted", "parted"), (0, 4, 0), strict=True):
        with connect(rank, 2, gpu=False, store=open_store("127.0.0.1", port)) as world:
            asked = iter([False] * (steps - 1) + [True]) if steps and rank else itertools.repeat(False)
            with pytest.raises(InterruptedRunError) if steps else nullcontext():
                train(
                    run,
                    RunDirectory(f"{pool}/{attempt}", run),
                    world,
                    resources=Resources(cache_gb=cache_gb),
                    stop=partial(next, asked),
                )


@pytest.mark.slow
def test_two_ranks_that_stream_agree_and_go_on_after_a_stop_to_the_same_bits(run: RunConfig, tmp_path: Path):
    stores = [open_store("127.0.0.1") for _ in range(3)]  # addresses in a used one would mislead
    mp.spawn(_streaming_rank, ([store.port for store in stores], run.to_json(), str(tmp_path)), nprocs=2)
    whole, parted = (pd.read_parquet(tmp_path / name / run.id / PREDICTIONS) for name in ("whole", "parted"))
    pd.testing.assert_frame_equal(parted, whole, check_exact=True)
    assert whole["sample_id"].tolist() == list(open_split(run.dataset, "test").keys)
    records = [json.loads((tmp_path / name / run.id / "record.json").read_text()) for name in ("whole", "parted")]
    assert [(record["reading"], record["interruptions"]) for record in records] == [("streamed", 0), ("streamed", 1)]


def test_more_ranks_than_shards_cannot_stream(run: RunConfig, tmp_path: Path, monkeypatch):
    crowd = World(0, 4, torch.device("cpu"))
    monkeypatch.setattr(World, "gather", lambda self, value: [value] * self.size)
    with pytest.raises(InputError, match=r"3 train shards.*4 workers.*--cache-gb"):
        train(run, RunDirectory(str(tmp_path), run), crowd, resources=Resources(cache_gb=0.0))
