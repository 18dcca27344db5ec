import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotune.data.datasets import resolve
from emotune.errors import InputError
from emotune.execution.preflight import check, prepare
from emotune.model_config import AlexNetConfig
from emotune.pretrained import resolve_weights
from emotune.run import RunConfig, Selection
from emotune.study import Resources
from emotune.train_config import TrainConfig


@pytest.fixture
def run(small_shards: Path) -> RunConfig:
    (dataset,) = resolve([Selection(data=str(small_shards))])
    return RunConfig(variant="small", dataset=dataset, seed=0, model=AlexNetConfig(), train=TrainConfig(batch_size=4))


def test_what_can_be_trained_passes_and_leaves_nothing_behind(run: RunConfig, tmp_path: Path):
    check([run], str(tmp_path / "runs"), Resources(), "ray")
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize(
    ("resources", "executor", "says"),
    [
        (Resources(workers=5), "ray", "variants.small: batch_size 4"),
        (
            Resources(workers=2, accumulate=3),
            "ray",
            "batch_size 4 is too small for 2 workers × accumulate 3",
        ),
        (Resources(accumulate=5), "local", "batch_size 4 is too small for 1 worker × accumulate 5"),
        (Resources(workers=2), "local", "torchrun --standalone --nproc-per-node 2"),
        (Resources(workers=2, cpus_per_worker=4000), "ray", "2 × 4000 CPU"),
    ],
)
def test_resources_that_cannot_work_are_refused_with_the_remedy(
    run: RunConfig, tmp_path: Path, resources: Resources, executor: str, says: str
):
    with pytest.raises(InputError) as caught:
        check([run], str(tmp_path / "runs"), resources, executor)
    assert says in str(caught.value)


def test_compiling_without_a_compiler_is_refused_before_anything_is_spent(
    run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CXX", "no-such-compiler -v")
    with pytest.raises(InputError, match=r'no C\+\+ compiler "no-such-compiler -v" here; .*compile: false'):
        check([run], str(tmp_path), Resources(compile=True), "local")
    check([run], str(tmp_path), Resources(compile=True, gpus_per_worker=1), "local")  # Triton is another compiler
    monkeypatch.setenv("CXX", f"{sys.executable} -v")
    check([run], str(tmp_path), Resources(compile=True), "local")
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")
    check([run], str(tmp_path), Resources(compile=True), "ray")  # its machines may have one


def test_a_pool_that_is_a_file_or_that_ray_cannot_share_is_refused(run: RunConfig, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.*cannot be written to"):
        check([run], str(tmp_path / "file"), Resources(), "local")
    with pytest.raises(InputError, match="memory://runs"):
        check([run], "memory://runs", Resources(), "ray")


def test_preparing_finds_a_damaged_shard_of_any_split(run: RunConfig, tmp_path: Path):
    source = Path(run.dataset.location)
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    prepare([replace(run.dataset, location=str(tmp_path))], Resources())
    shard = max(tmp_path.glob("test-*.tar"))
    shard.write_bytes(shard.read_bytes().replace(b"votes", b"vetos", 1))
    manifest = (tmp_path / "manifest.json").read_text()
    assert shard.name in manifest
    # What was decoded before is found by the hash that the manifest lists, and is still right: make it another one.
    (tmp_path / "manifest.json").write_text(manifest.replace('"sha256": "', '"sha256": "0'))
    with pytest.raises(InputError, match="damaged"):
        prepare([replace(run.dataset, location=str(tmp_path))], Resources())


def test_preparing_says_how_far_it_is_and_what_does_not_fit_the_cache(run: RunConfig, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path))
    said: list[str] = []
    lines = prepare([run.dataset], Resources(workers=3, cache_gb=0.02), said.append)
    assert lines == ["scenes: 160 decoded pictures exceed the cache's budget; train will be streamed."]
    assert said[-1].startswith("scenes: 160 of 160 pictures")
    assert len(list(tmp_path.glob("decoded/*.npy"))) == 4
    assert prepare([run.dataset], Resources()) == []
    assert len(list(tmp_path.glob("decoded/*.npy"))) == 7
    with pytest.raises(InputError, match=r"3 train shards.*4 workers"):
        prepare([run.dataset], Resources(workers=4, cache_gb=0.02))


def test_preparing_beyond_the_cache_finds_a_damaged_shard(run: RunConfig, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    shards = Path(shutil.copytree(run.dataset.location, tmp_path / "shards"))
    max(shards.glob("train-*.tar")).write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"train-.*tar: damaged"):
        prepare([replace(run.dataset, location=str(shards))], Resources(cache_gb=0))


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
    (line,) = prepare([run.dataset], Resources(), runs=[narrow])
    assert line.startswith("narrow: the weights were trained with lrn caffe, not ")
    with pytest.raises(InputError, match=r"variants.wide: train.init: .*bvlc.npz: conv1: its weight .* in trunk.conv"):
        prepare([run.dataset], Resources(), runs=[narrow, wide])
