"""Zero-shot classification: open_clip's own numbers, and what cannot be used."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from clips import ARCHITECTURE, clip, write_clip
from pydantic import TypeAdapter
from study_files import DATA

from emotune.config.input_spec import InputSpec
from emotune.config.model import AlexNetConfig, ZeroShotConfig
from emotune.config.run import RunConfig
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.models.backbones.catalogue import resolve_inputs
from emotune.models.baselines import clip_catalogue
from emotune.models.baselines.clip_catalogue import OPENAI_MEAN
from emotune.models.baselines.zero_shot import zero_shot
from emotune.models.weights.initial_weights import check_weights
from emotune.models.weights.resolve import resolve_weights

CLASSES = ("awe", "fear", "joy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("clip")
    write_clip(place)
    return place


def config(folder: Path, **options: Any) -> ZeroShotConfig:
    value = {"architecture": "clip.json", **options}
    return TypeAdapter(ZeroShotConfig).validate_python(value, context={"folder": folder})


def run_of(model: ZeroShotConfig, weights: Path) -> RunConfig:
    pair = model, TrainConfig(init=str(weights))
    refs, inputs = resolve_weights({"one": pair}), resolve_inputs({"one": pair})
    return RunConfig(dataset=DATA, seed=0, model=model, train=pair[1], weights=refs["one"], input=inputs["one"])


def test_logits_are_those_of_open_clip_whatever_images_are_beside_an_image(folder: Path):
    import open_clip

    model = config(folder, prompts=("a photo of {}", "{} in a photo"), names={"joy": "happiness"})
    network = zero_shot(run_of(model, folder / "clip.safetensors"), CLASSES)
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    direct, tokenizer = clip(), open_clip.SimpleTokenizer(context_length=16)
    with torch.no_grad():
        embeddings = []
        for name in ("awe", "fear", "happiness"):
            texts = tokenizer([f"a photo of {name}", f"{name} in a photo"])
            embeddings.append(F.normalize(F.normalize(direct.encode_text(texts), dim=1).mean(0), dim=0))
        scale = direct.logit_scale.exp()
        expected = scale * F.normalize(direct.encode_image(images), dim=1) @ torch.stack(embeddings, 1)
        torch.testing.assert_close(network(images), expected, rtol=1e-5, atol=1e-5)
        alone = torch.cat([network(image[None]) for image in images])
        assert torch.equal(alone, network(images))
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("suffix", ["pt", "bin", "safetensors"])
def test_weights_are_read_from_each_kind_of_file_and_their_names_may_be_older(
    folder: Path, tmp_path: Path, suffix: str
):
    """A text tower of its own has a prefix before its names, which OpenAI's files lack."""
    from safetensors.torch import save_file

    (tmp_path / "clip.json").write_text(json.dumps(ARCHITECTURE | {"custom_text": True}))
    state = {name: one.contiguous() for name, one in clip().state_dict().items()}
    path = tmp_path / f"w.{suffix}"
    if suffix == "safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": {f"module.{name}": one for name, one in state.items()}, "epoch": 3}, path)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    ours = zero_shot(run_of(config(tmp_path), path), CLASSES)
    plain = zero_shot(run_of(config(folder), folder / "clip.safetensors"), CLASSES)
    assert torch.equal(ours(images), plain(images))


def test_images_are_prepared_as_the_architecture_says(tmp_path: Path, folder: Path):
    pair = config(folder), TrainConfig(init="x")
    named = ZeroShotConfig(architecture="ViT-B-32"), TrainConfig(init="x")
    found = resolve_inputs({"file": pair, "named": named, "network": (AlexNetConfig(), TrainConfig())})
    assert found.keys() == {"file", "named"}
    assert (found["file"].side, found["file"].resize, found["file"].mean) == (32, 32, OPENAI_MEAN)
    assert (found["named"].side, found["named"].interpolation) == (224, "bicubic")
    write_clip(tmp_path, mean=[0, 0, 0], std=[1, 1, 1], interpolation="bilinear", size=[32, 32])
    (spec,) = resolve_inputs({"own": (config(tmp_path), TrainConfig(init="x"))}).values()
    assert spec == InputSpec(side=32, resize=32, interpolation="bilinear", mean=(0, 0, 0), std=(1, 1, 1))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model_cfg": ARCHITECTURE, "preprocess_cfg": {"resize_mode": "squash"}}, "squash"),
        (ARCHITECTURE | {"text_cfg": {"hf_tokenizer_name": "a/b"}}, "tokenizer"),
        (ARCHITECTURE | {"vision_cfg": {"image_size": [32, 64]}}, "side"),
    ],
    ids=["resizing", "tokenizer", "oblong"],
)
def test_an_architecture_that_is_not_supported_is_named(tmp_path: Path, change: dict[str, Any], reason: str):
    (tmp_path / "clip.json").write_text(json.dumps(change))
    with pytest.raises(InputError, match=reason):
        resolve_inputs({"one": (config(tmp_path), TrainConfig(init="x"))})


def test_a_wrong_name_has_the_nearest_and_a_missing_library_its_extra(monkeypatch: pytest.MonkeyPatch):
    pair = ZeroShotConfig(architecture="ViT-B32"), TrainConfig(init="x")
    with pytest.raises(InputError, match=r"variants\.one: model\.architecture: .*ViT-B-32"):
        resolve_inputs({"one": pair})
    monkeypatch.setattr(clip_catalogue, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"emotune\[clip\]"):
        resolve_inputs({"one": pair})


def test_weights_that_do_not_fit_and_texts_that_are_too_long_are_found_before_anything_runs(
    folder: Path, tmp_path: Path
):
    state = clip().state_dict()
    files = {
        "missing": {name: one for name, one in state.items() if "ln_post" not in name},
        "larger": state | {"visual.transformer.resblocks.1.ln_1.weight": torch.ones(32)},
        "shape": state | {"visual.proj": torch.ones(32, 8)},
    }
    needles = {"missing": "visual.ln_post.weight", "larger": "resblocks.1", "shape": r"visual.proj .*\(32, 16\)"}
    for name, content in files.items():
        torch.save(content, tmp_path / f"{name}.pt")
        with pytest.raises(InputError, match=needles[name]):
            check_weights(run_of(config(folder), tmp_path / f"{name}.pt"), CLASSES)
    run = run_of(config(folder), folder / "clip.safetensors")
    check_weights(run, CLASSES)
    long = replace(run, model=config(folder, prompts=(f"{'so ' * 20}{{}}",)))
    with pytest.raises(InputError, match=r"model\.prompts"):
        check_weights(long, CLASSES)
    with pytest.raises(InputError, match=r"train\.init"):
        resolve_weights({"one": (run.model, TrainConfig(init="imagenet"))})


def test_plans_import_neither_torch_nor_open_clip():
    code = (
        "import sys\nfrom emotune.config.model import ZeroShotConfig\nfrom emotune.config.train import TrainConfig\n"
        "from emotune.models.backbones.catalogue import resolve_inputs\n"
        "resolve_inputs({'a': (ZeroShotConfig(architecture='ViT-B-32'), TrainConfig(init='x'))})\n"
        "assert not {'torch', 'open_clip', 'huggingface_hub'} & set(sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
