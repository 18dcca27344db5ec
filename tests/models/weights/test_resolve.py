"""A plan locates initial weights and digests their content, or refuses them with the remedy."""

import errno
import hashlib
import json
import os
import re
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from emotune.config.load import load_study
from emotune.config.model import AlexNetConfig, AttentionConfig, MldrConfig, MldrV2Config, ModelConfig
from emotune.config.run import WeightsRef
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.models.weights.resolve import BVLC, TORCHVISION, resolve_weights, weights_folder


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


def test_a_file_is_identified_by_its_content_on_disk_and_behind_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.npz").write_bytes(b"weights")
    (tmp_path / "b.npz").write_bytes(b"weights")
    urls = ["memory://bucket/c.npz", f"memory://{uuid.uuid4().hex}.npz", (tmp_path / "a.npz").as_uri()]
    for url in urls[:2]:
        with fsspec.open(url, "wb") as file:
            file.write(b"weights")
    monkeypatch.chdir(tmp_path)
    refs = [resolved(name) for name in ("a.npz", str(tmp_path / "b.npz"), *urls)]
    assert {ref.digest for ref in refs} == {hashlib.sha256(b"weights").hexdigest()}
    assert [ref.location for ref in refs] == [str(tmp_path / "a.npz"), str(tmp_path / "b.npz"), *urls]


def test_a_finished_run_is_identified_by_its_weights(tmp_path: Path):
    digest = finished_run(tmp_path / "run")
    assert resolved(str(tmp_path / "run")) == WeightsRef(
        location=str(tmp_path / "run" / "weights.safetensors"), digest=digest
    )
    assert resolved(str(tmp_path / "run" / "weights.safetensors")) == resolved(str(tmp_path / "run"))


def test_a_run_that_is_missing_unfinished_or_without_weights_is_refused_with_the_remedy(tmp_path: Path):
    assert ".npy, .npz" in refused(str(tmp_path / "none"))
    run = tmp_path / "run"
    finished_run(run)
    (run / "weights.safetensors").unlink()
    assert re.search(rf"{run}: .*weights\.safetensors", refused(str(run)))
    (run / "record.json").write_text("{}")
    assert re.search(rf"{run}: .*weights\.safetensors", refused(str(run)))
    (run / "record.json").unlink()
    unfinished = refused(str(run))
    assert f"{run}: " in unfinished and "weights.safetensors" not in unfinished
    (run / "config.json").write_text("{")
    assert "config.json: " in refused(str(run))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    assert re.search(rf"/x\.npy: .*{os.strerror(errno.ENOENT)}", refused(str(tmp_path / "x.npy")))
    assert "memory://nowhere/x.npy: " in refused("memory://nowhere/x.npy").removeprefix("variants.tuned")
    (tmp_path / "folder.npy").mkdir()
    assert re.search(rf"/folder\.npy: .*{os.strerror(errno.EISDIR)}", refused(str(tmp_path / "folder.npy")))


def test_imagenet_for_ksh12s_network_is_a_file_in_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path))
    message = refused("imagenet")
    assert str(weights_folder() / BVLC) in message
    assert ".npz" in message
    weights_folder().mkdir()
    (weights_folder() / BVLC).write_bytes(b"weights")
    assert resolved("imagenet").digest == hashlib.sha256(b"weights").hexdigest()


@pytest.mark.parametrize(
    ("model", "key"),
    [
        (MldrConfig(), r"\bmldr$"),
        (MldrV2Config(), r"\bmldr_v2$"),
        (AlexNetConfig(width=0.5), r"model\.width .*\b0\.5\b.*\balexnet$"),
        (AttentionConfig(width=0.5, backbone="alexnet_owt"), r"model\.width .*\b0\.5\b.*\battention$"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_imagenet_for_a_network_that_has_no_such_weights_is_refused(model: ModelConfig, key: str):
    assert re.search(key, refused("imagenet", model))


NETWORKS = """
question: Does pretraining help?
datasets: [scenes]
baseline: alexnet
train: {train}
model: {model}
variants:
  alexnet:
  attention: {{model.name: attention}}
  dual: {{model.name: dual_branch}}
  both: {{model.name: dual_branch, model.attention: both}}
  none: {{model.name: dual_branch, model.attention: none}}
  shared: {{model.name: dual_branch, model.convolutions: shared}}
  none-shared: {{model.name: dual_branch, model.convolutions: shared, model.attention: none}}
"""


def test_a_study_that_says_imagenet_gets_the_weights_of_its_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path))
    weights_folder().mkdir()
    (weights_folder() / BVLC).write_bytes(b"weights")
    bvlc = WeightsRef(location=str(weights_folder() / BVLC), digest=hashlib.sha256(b"weights").hexdigest())
    file = tmp_path / "study.yaml"
    for model, expected in (("{lrn: caffe}", bvlc), ("{backbone: alexnet_owt}", TORCHVISION)):
        file.write_text(NETWORKS.format(train="{init: imagenet}", model=model))
        study = load_study(file)
        assert resolve_weights(study.variants) == dict.fromkeys(study.variants, expected)
    assert len(study.variants) == 7


def test_an_mldr_of_whole_alexnets_has_imagenets_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path))
    assert BVLC in refused("imagenet", MldrConfig(depths=(5, 5, 5)))


def test_all_variants_with_missing_weights_are_named_at_once(tmp_path: Path):
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
  tuned: {{train.init: {init}, train.head_lr_multiplier: 10, model.backbone: {backbone}}}
contrasts: [tuned - plain]
"""

PLAN = """
import sys
from emotune.ablate import main
code = main([sys.argv[1], "--plan", "--runs", sys.argv[2]])
assert not {"torch", "torchvision", "safetensors"} & set(sys.modules)
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("init", "backbone", "missing"),
    [("{}/none.npz", "alexnet", "none.npz: "), ("imagenet", "alexnet_owt", ""), ("imagenet", "alexnet", f"{BVLC}: ")],
)
def test_a_plan_locates_weights_without_torch(init: str, backbone: str, missing: str, tmp_path: Path):
    """It needs torch only to compare a file that is there with the network."""
    (tmp_path / "study.yaml").write_text(STUDY.format(init=init.format(tmp_path), backbone=backbone))
    command = [sys.executable, "-c", PLAN, str(tmp_path / "study.yaml"), str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == (2 if missing else 0), done.stderr
    assert missing in done.stderr
