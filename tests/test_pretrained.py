"""What a plan knows of weights: where they are, and the digest of their content; or what to do about them."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest

from emotune.errors import InputError
from emotune.model_config import AlexNetConfig, MldrConfig, ModelConfig
from emotune.pretrained import BVLC, resolve_weights, weights_folder
from emotune.run import WeightsRef
from emotune.train_config import TrainConfig


def resolved(init: str, model: ModelConfig | None = None) -> WeightsRef:
    return resolve_weights({"tuned": (model or AlexNetConfig(), TrainConfig(init=init))})["tuned"]


def refused(init: str, model: ModelConfig | None = None) -> str:
    with pytest.raises(InputError) as caught:
        resolved(init, model)
    assert str(caught.value).startswith(f'variants.tuned: train.init: "{init}": ')
    return str(caught.value)


def finished_run(folder: Path, content: bytes = b"weights") -> str:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "weights.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    (folder / "record.json").write_text(json.dumps({"weights": {"sha256": digest}}))
    return digest


def test_a_variant_from_scratch_has_no_weights():
    assert resolve_weights({"plain": (AlexNetConfig(), TrainConfig())}) == {}


def test_a_file_is_known_by_its_content_on_a_disk_and_behind_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.npz").write_bytes(b"weights")
    (tmp_path / "b.npz").write_bytes(b"weights")
    with fsspec.open("memory://bucket/c.npz", "wb") as file:
        file.write(b"weights")
    monkeypatch.chdir(tmp_path)
    found = [resolved(name) for name in ("a.npz", str(tmp_path / "b.npz"), "memory://bucket/c.npz")]
    assert {ref.digest for ref in found} == {hashlib.sha256(b"weights").hexdigest()}
    assert [ref.location for ref in found] == [
        str(tmp_path / "a.npz"), str(tmp_path / "b.npz"), "memory://bucket/c.npz",
    ]  # fmt: skip


def test_a_finished_run_is_known_by_its_weights(tmp_path: Path):
    digest = finished_run(tmp_path / "run")
    assert resolved(str(tmp_path / "run")) == WeightsRef(
        location=str(tmp_path / "run" / "weights.safetensors"), digest=digest
    )
    assert resolved(str(tmp_path / "run" / "weights.safetensors")) == resolved(str(tmp_path / "run"))


def test_a_run_that_is_missing_unfinished_or_without_weights_is_refused_with_the_remedy(tmp_path: Path):
    assert "neither the directory of a run nor a file of weights (.npy" in refused(str(tmp_path / "none"))
    run = tmp_path / "run"
    finished_run(run)
    (run / "weights.safetensors").unlink()
    assert "has left no weights.safetensors; delete its directory and train it again" in refused(str(run))
    (run / "record.json").write_text("{}")
    assert "has left no weights.safetensors" in refused(str(run))
    (run / "record.json").unlink()
    assert "this run is not finished; let its study go on first" in refused(str(run))
    (run / "config.json").write_text("{")
    assert "config.json: not readable as JSON" in refused(str(run))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    assert "x.npy: cannot be read (No such file or directory)" in refused(str(tmp_path / "x.npy"))
    assert "x.npy: cannot be read (not there)" in refused("memory://nowhere/x.npy")
    (tmp_path / "folder.npy").mkdir()
    assert "folder.npy: cannot be read (Is a directory)" in refused(str(tmp_path / "folder.npy"))


def test_imagenet_for_ksh12s_network_is_a_file_in_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path))
    told = refused("imagenet")
    assert str(weights_folder() / BVLC) in told
    assert "Caffe's model zoo" in told
    assert ".npz" in told
    weights_folder().mkdir()
    (weights_folder() / BVLC).write_bytes(b"weights")
    assert resolved("imagenet").digest == hashlib.sha256(b"weights").hexdigest()


def test_imagenet_for_mldr_is_refused():
    assert "they lack the two shallower networks of mldr" in refused("imagenet", MldrConfig())


def test_all_variants_whose_weights_are_not_there_are_named_at_once(tmp_path: Path):
    settings = TrainConfig(init=str(tmp_path / "x.npy"))
    with pytest.raises(InputError) as caught:
        resolve_weights({"one": (AlexNetConfig(), settings), "two": (AlexNetConfig(), replace(settings, init="y.npy"))})
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["variants.one", "variants.two"]


STUDY = """
question: Does pretraining help?
datasets: [scenes]
baseline: plain
variants:
  plain: {{}}
  tuned: {{train.init: {init}, train.head_lr_multiplier: 10}}
contrasts: [tuned - plain]
"""

PLAN = """
import sys
from emotune.ablate import main
code = main([sys.argv[1], "--plan", "--runs", sys.argv[2]])
assert "torch" not in sys.modules
sys.exit(code)
"""


@pytest.mark.parametrize(("name", "code"), [("w.npz", 0), ("none.npz", 2)])
def test_a_plan_looks_for_weights_without_torch(name: str, code: int, tmp_path: Path):
    np.savez(tmp_path / "w.npz", x=np.zeros(3))
    (tmp_path / "study.yaml").write_text(STUDY.format(init=tmp_path / name))
    command = [sys.executable, "-c", PLAN, str(tmp_path / "study.yaml"), str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert ("none.npz: cannot be read" in done.stderr) == bool(code)
