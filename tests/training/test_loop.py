"""Training on real shards with narrow networks; what is claimed to be equal is compared to the bit."""

import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.multiprocessing as mp

from emotune.data.augment import CROP, Views, apply_views
from emotune.data.batches import Split, open_split
from emotune.data.cache import SIDE
from emotune.data.datasets import resolve
from emotune.errors import InputError
from emotune.model_config import AlexNetConfig, AttentionConfig
from emotune.models import build
from emotune.run import RunConfig, Selection
from emotune.run_directory import CHECKPOINT, PREDICTIONS, RunDirectory, State
from emotune.study import Resources
from emotune.train_config import TrainConfig
from emotune.training.distributed import World, connect, open_store
from emotune.training.evaluation import average_logits, evaluate
from emotune.training.loop import DivergedError, InterruptedRunError, train

ALONE = World(0, 1, torch.device("cpu"))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(small_shards: Path) -> RunConfig:
    (dataset,) = resolve([Selection(data=str(small_shards))])
    model = AlexNetConfig(width=0.0625, weight_init="he", dropout=0.3)
    settings = TrainConfig(epochs=2, batch_size=16, lr=0.005)
    return RunConfig(variant="alexnet", dataset=dataset, seed=0, model=model, train=settings)


def trained(run: RunConfig, pool: Path, **options) -> tuple[dict, pd.DataFrame]:
    directory = RunDirectory(str(pool), run)
    record = train(run, directory, ALONE, **options)
    return record, pd.read_parquet(pool / run.id / PREDICTIONS)


def without_times(record: dict) -> dict:
    kept = {k: v for k, v in record.items() if k not in ("durations_s", "images_per_s", "interruptions", "last_epoch")}
    return kept | {"last_epoch": {k: v for k, v in record["last_epoch"].items() if k != "train_s_so_far"}}


def test_a_finished_run_leaves_one_prediction_per_test_picture_and_a_record_that_agrees(run: RunConfig, tmp_path: Path):
    record, predictions = trained(run, tmp_path)
    test = open_split(run.dataset, "test")
    assert predictions["sample_id"].tolist() == list(test.keys)
    assert predictions["target"].tolist() == [test.classes[t] for t in test.targets]
    logits = predictions[[f"logit_{label}" for label in test.classes]].to_numpy()
    assert np.isfinite(logits).all()
    assert record["accuracy"] == pytest.approx(100 * (logits.argmax(1) == test.targets).mean())
    lines = [json.loads(line) for line in (tmp_path / run.id / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert record["last_epoch"] == lines[-1]
    assert RunDirectory(str(tmp_path), run).status().state is State.DONE
    assert not (tmp_path / run.id / CHECKPOINT).exists()


def test_the_same_run_twice_gives_the_same_bits(run: RunConfig, tmp_path: Path):
    first, second = trained(run, tmp_path / "a"), trained(run, tmp_path / "b")
    pd.testing.assert_frame_equal(first[1], second[1], check_exact=True)
    assert without_times(first[0]) == without_times(second[0])


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_a_run_that_was_stopped_after_any_step_ends_as_if_it_had_not_been(run: RunConfig, steps: int, tmp_path: Path):
    undisturbed, expected = trained(run, tmp_path / "a")
    asked = iter([False] * (steps - 1) + [True])
    with pytest.raises(InterruptedRunError, match=run.id):
        trained(run, tmp_path / "b", stop=lambda: next(asked))
    assert RunDirectory(str(tmp_path / "b"), run).status().state is State.INTERRUPTED
    record, predictions = trained(run, tmp_path / "b")
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
    assert without_times(record) == without_times(undisturbed)
    assert (undisturbed["interruptions"], record["interruptions"]) == (0, 1)


def test_training_can_learn_its_pictures_by_heart(run: RunConfig, tmp_path: Path):
    settings = replace(run.train, epochs=30, crop="center", flip=False, batch_size=10, lr=0.003)
    record, _ = trained(replace(run, model=replace(run.model, dropout=0.0), train=settings), tmp_path)
    assert record["last_epoch"]["train_accuracy"] == 100.0


def test_variants_of_a_seed_see_the_same_pictures_in_the_same_order_and_views(run: RunConfig):
    other = replace(run, variant="attention", model=AttentionConfig(width=0.0625))
    assert run.stream("order") == other.stream("order")
    assert run.stream("augment") == other.stream("augment")
    assert run.stream("init") != other.stream("init")


def test_every_setting_of_the_views_reaches_the_training(run: RunConfig, tmp_path: Path):
    settings: list[dict] = [
        {}, {"flip": False}, {"crop": "center"}, {"crop": "resized"}, {"crop": "resized", "min_scale": 0.9},
    ]  # fmt: skip
    runs = [replace(run, train=replace(run.train, epochs=1, **changed)) for changed in settings]
    losses = {trained(run, tmp_path)[0]["last_epoch"]["train_loss"] for run in runs}
    assert len(losses) == len(settings)


def test_a_loss_that_is_not_finite_ends_the_run_with_step_and_learning_rate(run: RunConfig, tmp_path: Path):
    wild = replace(run, train=replace(run.train, lr=1e30, schedule="constant"))
    with pytest.raises(DivergedError, match=r"epoch 1, step \d+, lr 1e\+30"):
        trained(wild, tmp_path)
    assert not (tmp_path / wild.id / "record.json").exists()


def awkward(pictures: Split) -> Split:
    """So many that neither two nor three ranks get equal shares."""
    return replace(pictures, keys=pictures.keys[:37], targets=pictures.targets[:37])


def _rank(rank: int, size: int, port: int, run_json: dict, pool: str, out: str) -> None:
    torch.set_num_threads(1)
    run = RunConfig.from_json(run_json)
    store = open_store("127.0.0.1", port)
    with connect(rank, size, gpu=False, store=store) as world:
        directory = RunDirectory(pool, run)
        val = awkward(open_split(run.dataset, "val"))
        torch.manual_seed(0)
        network = build(run.model, 8)
        np.save(f"{out}/logits-{size}-{rank}.npy", [evaluate(network, val, world, crops) for crops in (1, 10)])
        if size == 2:
            train(run, directory, world)


@pytest.mark.parametrize("size", [2, 3])
def test_any_number_of_ranks_evaluates_every_picture_once_and_trains_the_same_network(
    run: RunConfig, size: int, tmp_path: Path
):
    # Few small steps: rounding errors grow with every one, because a ReLU or a maximum may fall the other way.
    settings = replace(run.train, epochs=1, lr=0.001, crop="resized", test_crops=5)
    exact = replace(run, model=replace(run.model, dropout=0.0), train=settings)
    store = open_store("127.0.0.1")
    mp.spawn(_rank, (size, store.port, exact.to_json(), str(tmp_path / "many"), str(tmp_path)), nprocs=size)
    val = awkward(open_split(exact.dataset, "val"))
    torch.manual_seed(0)
    network = build(exact.model, 8)
    alone = [evaluate(network, val, ALONE, crops) for crops in (1, 10)]
    for rank in range(size):
        np.testing.assert_allclose(np.load(tmp_path / f"logits-{size}-{rank}.npy"), alone, rtol=1e-4, atol=1e-5)
    if size == 2:
        record, expected = trained(exact, tmp_path / "one")
        together = pd.read_parquet(tmp_path / "many" / exact.id / PREDICTIONS)
        assert together["sample_id"].tolist() == expected["sample_id"].tolist()
        columns = [c for c in expected if c.startswith("logit_")]
        np.testing.assert_allclose(together[columns], expected[columns], rtol=1e-3, atol=1e-4)
        shared = json.loads((tmp_path / "many" / exact.id / "record.json").read_text())
        assert shared["workers"] == 2
        assert shared["last_epoch"]["train_loss"] == pytest.approx(record["last_epoch"]["train_loss"], rel=1e-4)


def averaged_plainly(network: torch.nn.Module, pictures: Split) -> np.ndarray:
    """The logarithm of the mean of ten softmax outputs, float64 (N, K), with crops cut by hand."""
    spare, centre = SIDE - CROP, (SIDE - CROP) // 2
    corners = [(0, 0), (0, spare), (spare, 0), (spare, spare), (centre, centre)]
    whole = np.arange(len(pictures))
    outputs = []
    for top, left in corners:
        boxes = np.tile([top, left, CROP, CROP], (len(pictures), 1))
        crops = apply_views(torch.from_numpy(np.stack(pictures.pictures.take(whole))), Views(boxes, whole < 0), whole)
        outputs += [network(crops).double().softmax(1), network(crops.flip(3)).double().softmax(1)]
    return torch.stack(outputs).mean(0).log().numpy()


def test_ten_crops_give_the_logarithm_of_the_mean_of_their_softmax_outputs(run: RunConfig):
    pictures = awkward(open_split(run.dataset, "test"))
    network = build(run.model, 8).eval()
    with torch.inference_mode():
        expected = averaged_plainly(network, pictures)
    found = evaluate(network, pictures, ALONE, crops=10)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(np.exp(found).sum(1), 1, atol=1e-5)
    assert np.abs(found - evaluate(network, pictures, ALONE)).max() > 0.01


@pytest.mark.parametrize(("crops", "passes"), [(1, 1), (5, 5), (10, 10)])
def test_no_forward_pass_sees_more_pictures_because_of_more_crops(run: RunConfig, crops: int, passes: int):
    pictures, seen = awkward(open_split(run.dataset, "test")), []
    network = build(run.model, 8)
    network.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    evaluate(network, pictures, ALONE, crops)
    assert seen == [len(pictures)] * passes


@pytest.mark.parametrize("size", [1.0, 1e4, 1e30])
def test_averaging_loses_neither_large_logits_nor_small_probabilities(size: float):
    logits = size * torch.randn(5, 40, 8, generator=torch.Generator().manual_seed(0))
    found = average_logits(list(logits))
    expected = torch.logsumexp(logits.double().log_softmax(2), 0) - np.log(5)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


def test_averaging_does_not_hide_an_output_that_is_not_finite():
    logits = torch.zeros(5, 3, 8)
    logits[2, 0, 0], logits[3, 1, 1] = float("inf"), float("nan")
    assert (~torch.isfinite(average_logits(list(logits)))).any(1).tolist() == [True, True, False]


def test_test_crops_change_the_test_and_nothing_else(run: RunConfig, tmp_path: Path):
    short = replace(run, train=replace(run.train, epochs=1))
    (one, centre), (five, averaged) = (
        trained(replace(short, train=replace(short.train, test_crops=crops)), tmp_path) for crops in (1, 5)
    )
    assert without_times(one)["last_epoch"] == without_times(five)["last_epoch"], "validation sees the centre"
    columns = [c for c in centre if c.startswith("logit_")]
    assert np.abs(centre[columns] - averaged[columns]).to_numpy().max() > 0.01
    np.testing.assert_allclose(np.exp(averaged[columns].to_numpy()).sum(1), 1, atol=1e-5)


SCRIPT = """
    import json, sys, torch
    import emotune.training.loop as loop
    from emotune.run import RunConfig
    from emotune.run_directory import RunDirectory
    loop.CHECKPOINT_EVERY_S = 0.0
    torch.set_num_threads(1)
    run = RunConfig.from_json(json.loads(sys.argv[1]))
    loop.train(run, RunDirectory(sys.argv[2], run), loop.World(0, 1, torch.device("cpu")))
"""


def test_a_run_killed_with_sigkill_goes_on_from_its_checkpoint_to_the_same_bits(run: RunConfig, tmp_path: Path):
    _, expected = trained(run, tmp_path / "a")
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), json.dumps(run.to_json()), str(tmp_path / "b")]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    file = tmp_path / "b" / run.id / CHECKPOINT
    deadline = time.monotonic() + 60
    while not file.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert RunDirectory(str(tmp_path / "b"), run).status().state is State.INTERRUPTED
    record, predictions = trained(run, tmp_path / "b")
    assert record["interruptions"] == 1
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)


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
    file = tmp_path / run.id / CHECKPOINT
    state = torch.load(file, weights_only=True)
    assert state["progress"].pop("reading") == ["cached"]
    torch.save(state, file)
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
