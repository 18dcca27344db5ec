"""What is found before anything is spent; most of it in the tests' own process, which has imported torch."""

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotune.config.input_spec import InputOptions, InputSpec
from emotune.config.metric import Metric
from emotune.config.model import AlexNetConfig, CodeConfig, DualBranchConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig, Selection
from emotune.config.study import Study
from emotune.config.train import TrainConfig
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.datasets.resolve import resolve_datasets
from emotune.execution.checks.disk import require_room
from emotune.execution.checks.prepare import Preparation
from emotune.execution.checks.prepare_worker import PreparationJob, work
from emotune.execution.plan import concurrency
from emotune.execution.plan.resolved_study import ResolvedStudy
from emotune.models.weights.resolve import resolve_weights
from emotune.runs.registry import Registry
from emotune.runs.store import RunStore


@pytest.fixture
def run(small_shards: Path) -> RunConfig:
    (dataset,) = resolve_datasets([Selection(data=str(small_shards))])
    model = AlexNetConfig(width=0.0625)
    return RunConfig(variant="small", dataset=dataset, seed=0, model=model, train=TrainConfig(batch_size=4))


def study_of(runs: Sequence[RunConfig], resources: Resources = Resources()) -> Study:
    variants = {run.variant: (run.model, run.train) for run in runs}
    return Study("study", "?", "scenes", runs[0].variant, variants, 1, (), Metric(), resources)


def entry(pool: str, *runs: RunConfig) -> Folder:
    """What the pool keeps of the study of these runs."""
    return Folder(pool) / "studies" / Registry(pool).entry(study_of(runs), runs)


def prepared(
    *runs: RunConfig,
    pool: str = "memory://runs",
    resources: Resources = Resources(),
    show: Callable[[str], None] = lambda text: None,
    executor: str = "local",
) -> list[str]:
    """What a study of these runs, none of which was ever made ready, is told; its baseline is the first."""
    study, datasets = study_of(runs, resources), tuple(dict.fromkeys(run.dataset for run in runs))
    sent: list[Any] = []
    inputs = {run.variant: run.input for run in runs}
    work(PreparationJob(study, datasets, runs, inputs, RunStore(pool), executor, known=()), sent.append)
    *said, result = sent
    for line in said:
        show(line)
    if isinstance(result, InputError):
        raise result
    return result[1]


def prepared_apart(*runs: RunConfig, pool: str, show: Callable[[str], None] = lambda text: None) -> list[str]:
    """The same by a process of its own, as commands do it, which keeps in the pool how networks differ."""
    datasets = tuple(dict.fromkeys(run.dataset for run in runs))
    resolved = ResolvedStudy(study_of(runs), datasets, runs, RunStore(pool))
    with Preparation(resolved, runs, "local") as preparation:
        return preparation.wait(show)


def test_networks_are_described_in_the_pool_and_again_only_when_they_change(run: RunConfig, tmp_path: Path):
    pool = str(tmp_path)
    dual = replace(run, variant="dual", model=DualBranchConfig(width=0.0625))
    said: list[str] = []
    first = prepared_apart(run, dual, pool=pool, show=said.append)
    assert any("networks" in line for line in said)
    assert first[0].startswith("small (baseline): ")
    assert first[1].startswith("dual: ") and "model.name" in first[1]
    place = entry(pool, run, dual)
    value = place.read_json("networks.json")
    assert list(value["networks"][0]["variants"]) == ["small", "dual"]
    written = place.files()["networks.json"][1]
    said.clear()
    assert prepared_apart(run, dual, pool=pool, show=said.append) == first
    assert not any("networks" in line for line in said)
    assert place.files()["networks.json"][1] == written
    place.write("networks.json", b"damaged")
    assert prepared_apart(run, dual, pool=pool) == first
    assert place.read_json("networks.json") == value
    assert prepared_apart(run, pool=pool) == first[:1], "another study of that name"
    assert list(entry(pool, run).read_json("networks.json")["networks"][0]["variants"]) == ["small"]
    assert place.read_json("networks.json") == value


def test_what_does_not_fit_the_disk_is_refused_with_numbers_before_anything_is_decoded(
    run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    vast = replace(run, model=AlexNetConfig(width=512))  # 60,000 GB of weights; building it takes no memory
    runs = [vast, replace(vast, seed=1)]
    with pytest.raises(InputError) as caught:
        prepared(*runs, pool=str(tmp_path / "runs"))
    message = str(caught.value)
    free, needed, *parts = (float(size.replace(",", "")) for size in re.findall(r"([\d,.]+) GB\b", message))
    assert free < needed == pytest.approx(sum(parts), abs=0.2)
    assert len(parts) == 3, "results and checkpoints of runs, and decoded images, which are on the same disk"
    assert "2 runs" in message
    assert "--runs" in message and "--cache-gb" in message
    assert not list(tmp_path.glob("cache/decoded/*.npy"))
    assert len(prepared(*runs, pool="memory://runs")) <= 2, "room behind a URL is not checked"


@pytest.mark.parametrize(("gpus_per_worker", "counted"), [(1, 2), (0.5, 3)])
def test_the_checkpoints_of_all_runs_that_gpus_train_at_a_time_must_fit(
    run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus_per_worker: float, counted: int
):
    """Two GPUs, three runs."""
    monkeypatch.setattr(concurrency, "available_cpus", lambda: 8)
    runs = [replace(run, seed=seed, model=AlexNetConfig(width=512)) for seed in range(3)]
    runs_at_a_time = concurrency.concurrent_runs(Resources(gpus_per_worker=gpus_per_worker), "ray", gpus=2)
    size = 10**4 * counted * 3 * 4 * 2  # GB: three checkpoints of each run, 4 bytes, of parameters and their momentum
    with pytest.raises(InputError, match=rf"\b{size:,}\.0 GB"):
        require_room(runs, {"small": 10**13}, RunStore(tmp_path), runs_at_a_time, 0)


def test_gpus_that_are_not_there_are_missed_before_anything_is_decoded(run: RunConfig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(InputError, match=r"\b1 GPU.*\b0\b.*--gpus-per-worker 0"):
        prepared(run, resources=Resources(gpus_per_worker=1))


def test_preparing_finds_a_damaged_shard_of_any_split(run: RunConfig, tmp_path: Path):
    source = Path(run.dataset.location)
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    prepared(replace(run, dataset=replace(run.dataset, location=str(tmp_path))))
    shard = max(tmp_path.glob("test-*.tar"))
    shard.write_bytes(shard.read_bytes().replace(b"votes", b"vetos", 1))
    manifest = (tmp_path / "manifest.json").read_text()
    assert shard.name in manifest
    # What was decoded before is found by the hash that the manifest lists, and is still right: make it another one.
    (tmp_path / "manifest.json").write_text(manifest.replace('"sha256": "', '"sha256": "0'))
    with pytest.raises(InputError, match="damaged"):
        prepared_apart(replace(run, dataset=replace(run.dataset, location=str(tmp_path))), pool="memory://runs")


def test_preparing_says_how_far_it_is_and_what_does_not_fit_the_cache(run: RunConfig, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path))
    said: list[str] = []
    _, line = prepared(run, resources=Resources(workers=3, cache_gb=0.02), show=said.append)
    assert line.startswith("scenes: ") and "160" in line
    assert re.findall(r"\b(?:train|val|test)\b", line) == ["train"], "what is decoded each time"
    assert said[-1].startswith("scenes: ") and re.findall(r"\d+", said[-1])[:2] == ["160", "160"]
    assert len(list(tmp_path.glob("decoded/*.npy"))) == 4
    assert prepared(run)[1:] == []
    assert len(list(tmp_path.glob("decoded/*.npy"))) == 7


def test_a_machine_that_only_commands_a_cluster_decodes_nothing_and_needs_no_room_for_it(
    run: RunConfig, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert prepared(run, executor="ray")[1:] == []
    assert not list(tmp_path.glob("decoded/*.npy"))


def test_preparing_beyond_the_cache_finds_a_damaged_shard(run: RunConfig, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    shards = Path(shutil.copytree(run.dataset.location, tmp_path / "shards"))
    max(shards.glob("train-*.tar")).write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"train-.*tar: damaged"):
        prepared(replace(run, dataset=replace(run.dataset, location=str(shards))), resources=Resources(cache_gb=0))


def test_preparing_finds_weights_that_are_none_of_the_networks_and_notes_those_of_caffe(run: RunConfig, tmp_path: Path):
    shapes = {"conv1": (6, 3, 11, 11), "conv2": (16, 3, 5, 5), "conv3": (24, 16, 3, 3), "conv4": (24, 12, 3, 3),
              "conv5": (16, 12, 3, 3), "fc6": (256, 576), "fc7": (256, 256)}  # fmt: skip
    parts = {f"{layer}.0": np.zeros(shape, np.float32) for layer, shape in shapes.items()}
    parts |= {f"{layer}.1": np.zeros(shape[0], np.float32) for layer, shape in shapes.items()}
    np.savez(tmp_path / "bvlc.npz", **parts)
    train = TrainConfig(init=str(tmp_path / "bvlc.npz"), batch_size=4)
    weights = resolve_weights({"v": (run.model, train)})["v"]
    narrow, wide = (
        replace(run, variant=name, model=AlexNetConfig(width=width), train=train, weights=weights)
        for name, width in (("narrow", 0.0625), ("wide", 1))
    )
    _, line = prepared(narrow)
    assert line.startswith("narrow: ") and "lrn caffe" in line
    with pytest.raises(InputError, match=r"variants.wide: train.init: .*bvlc.npz: conv1: .*trunk.conv"):
        prepared(narrow, wide)


def test_a_value_that_torch_refuses_is_reported_before_anything_is_decoded(run: RunConfig):
    options = {"betas": [0.9, 1.5]}
    wrong = replace(run, variant="wrong", train=replace(run.train, optimizer="adamw", optimizer_options=options))
    said: list[str] = []
    with pytest.raises(InputError, match=r"^variants\.wrong: train\.optimizer_options: .*betas"):
        prepared(run, wrong, show=said.append)
    assert not any("images" in line for line in said)


POOLED = """
from torch import nn

def net(classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, classes))
"""


def test_images_are_prepared_in_every_size_and_enlarged_ones_are_warned_of(
    run: RunConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    variants = {"near": 224, "far": 288}
    own = [
        replace(run, variant=name, model=CodeConfig(code="own.py:net", source=POOLED, input=InputOptions(side=side)),
                input=InputOptions(side=side).applied_to(InputSpec()))
        for name, side in variants.items()
    ]  # fmt: skip
    said: list[str] = []
    lines = prepared(run, *own, show=said.append)
    folder = cache_folder() / "decoded"
    assert {path.name.partition("-")[2] for path in folder.glob("*.npy")} == {"256.npy", "253.npy", "325.npy"}
    (warning,) = [line for line in lines if "--size" in line]
    assert "256" in warning and "325" in warning and "far" in warning and "near" not in warning
    assert sum("model.input.side 288" in line for line in lines) == 1
