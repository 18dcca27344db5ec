"""A finished run leaves weights behind that another run can begin with."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from narrow import CLASSES, NARROW, loaded, run_with
from torch import nn

from emotune.config.model import AttentionConfig, DualBranchConfig, MldrConfig, MldrV2Config, ModelConfig
from emotune.config.normalisation import Normalisation
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.models.build import build
from emotune.models.weights.initial_weights import check_weights
from emotune.models.weights.run_weights import save_weights
from emotune.training.optim import make_optimizer

SEPARATE = DualBranchConfig(width=0.0625)
SHARED = DualBranchConfig(width=0.0625, convolutions="shared")


def finished(tmp_path: Path, model: ModelConfig = NARROW, classes: tuple[str, ...] = CLASSES) -> tuple[nn.Module, Path]:
    """A network and the file that its run leaves behind."""
    torch.manual_seed(7)
    network = build(model, len(classes)).to(memory_format=torch.channels_last)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    dataset = DatasetRef(name="photos", location="/photos", content_hash="0123")
    run = RunConfig(variant="a", dataset=dataset, seed=0, model=model, train=TrainConfig())
    save_weights(Folder(str(tmp_path)), run, network, classes, Normalisation((0.1, 0.2, 0.3), (0.4, 0.5, 0.6)))
    return network, tmp_path / "weights.safetensors"


@pytest.mark.parametrize(
    "model",
    [
        NARROW, AttentionConfig(width=0.0625, backbone="alexnet_owt"), SEPARATE, SHARED,
        MldrConfig(width=0.0625, fusion="concat"), MldrV2Config(width=0.0625),
    ],
    ids=lambda model: f"{model.name} {getattr(model, 'convolutions', '')}".strip(),
)  # fmt: skip
def test_a_runs_own_weights_come_back_to_the_bit_with_their_normalisation(model: ModelConfig, tmp_path: Path):
    first, file = finished(tmp_path, model)
    again, initialisation = loaded(run_with(file, model))
    assert (initialisation.new, initialisation.note) == ((), "")
    assert initialisation.normalisation == Normalisation((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    for name, tensor in first.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_a_runs_file_has_all_that_is_needed_to_use_it_and_the_same_bytes_every_time(tmp_path: Path):
    _, file = finished(tmp_path / "a")
    _, again = finished(tmp_path / "b")
    assert file.read_bytes() == again.read_bytes()
    data = file.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    about = json.loads(header["__metadata__"]["emotune"])
    assert about["model"]["width"] == 0.0625
    assert about["classes"] == list(CLASSES)
    assert about["run"].startswith("alexnet-photos-s0-")
    assert header["output.weight"]["dtype"] == "F32"


@pytest.mark.parametrize("classes", [("anger", "awe", "joy"), ("anger", "awe")], ids=["renamed", "fewer"])
def test_a_classifier_of_other_classes_is_drawn_anew(classes: tuple[str, ...], tmp_path: Path):
    _, file = finished(tmp_path, classes=classes)
    network, initialisation = loaded(run_with(file))
    assert initialisation.new == ("output.weight", "output.bias")
    torch.manual_seed(0)
    assert torch.equal(network.output.weight, build(NARROW, len(CLASSES)).output.weight)


def test_the_backbone_of_a_run_is_loaded_into_other_networks_too(tmp_path: Path):
    source, file = finished(tmp_path)
    attention, _ = loaded(run_with(file, AttentionConfig(width=0.0625)))
    dual, initialisation = loaded(run_with(file, DualBranchConfig(width=0.0625)))
    for trunk in (attention.trunk, dual.trunk, dual.second):
        assert torch.equal(trunk.fc[1].weight, source.trunk.fc[1].weight)
    assert set(initialisation.new) == {
        "trunk.attention.score.weight", "trunk.attention.score.bias", "output.weight", "output.bias",
    }, "a layer of another shape is drawn whole, though its bias would fit"  # fmt: skip


def test_a_run_with_other_convolutions_is_refused_with_its_model(tmp_path: Path):
    _, file = finished(tmp_path)
    parts = r'trunk.convolutions.0 .*\(12, 3, 11, 11\).*\(6, 3, 11, 11\).*"width": 0.0625'
    for other in (replace(NARROW, width=0.125), DualBranchConfig(width=0.125)):
        with pytest.raises(InputError, match=parts):
            check_weights(run_with(file, other), CLASSES)
    for model, layer in ((MldrConfig(width=0.0625), "towers.1.0"), (MldrV2Config(width=0.0625), "blocks.0.0")):
        with pytest.raises(InputError, match=f"weights.safetensors: {layer} "):
            check_weights(run_with(file, model), CLASSES)


def layer(network: nn.Module, name: str) -> torch.Tensor:
    return network.get_submodule(name).weight


@pytest.mark.parametrize(
    ("source", "target", "origins", "note"),
    [
        (SHARED, SEPARATE, {"trunk": "trunk", "second": "second"}, r"\bconvolutions shared\b.*\bseparate$"),
        (SEPARATE, SHARED, {"trunk": "trunk"}, r"\bconvolutions separate\b.*\bshared$"),
        (NARROW, SHARED, {"trunk": "trunk", "second": "trunk"}, "^$"),
    ],
    ids=["shared to separate", "separate to shared", "alexnet to shared"],
)
def test_branches_with_shared_and_with_own_convolutions_begin_with_each_others_weights(
    source: ModelConfig, target: ModelConfig, origins: dict[str, str], note: str, tmp_path: Path
):
    former, file = finished(tmp_path, source)
    network, initialisation = loaded(run_with(file, target))
    for branch, origin in origins.items():
        for part in ("convolutions.0", "convolutions.12", "fc.1"):
            assert torch.equal(layer(network, f"{branch}.{part}"), layer(former, f"{origin}.{part}"))
    assert torch.equal(layer(network, "second.fc.4"), layer(former, f"{origins.get('second', 'second')}.fc.4"))
    assert (network.second.convolutions is network.trunk.convolutions) == (target is SHARED)
    assert re.search(note, initialisation.note)
    names = [name for name, _ in network.named_parameters()]
    assert sorted(initialisation.loaded + initialisation.new) == sorted(names)
    train = TrainConfig(init=str(file), head_lr_multiplier=10)
    groups = [group["params"] for group in make_optimizer(network, train, initialisation.new).param_groups]
    assert [len(group) for group in groups] == list(filter(None, map(len, (initialisation.loaded, initialisation.new))))
    assert {id(p) for group in groups for p in group} == {id(p) for p in network.parameters()}


def test_options_with_which_the_weights_were_not_trained_are_noted(tmp_path: Path):
    _, file = finished(tmp_path, AttentionConfig(width=0.0625))
    other = AttentionConfig(width=0.0625, temperature=0.5, dropout=0.1)
    note = check_weights(run_with(file, other), CLASSES).note
    assert re.search(r"\btemperature 1\.0\b.*\b0\.5\b", note) and "dropout" not in note, "it changes no output"


@pytest.mark.parametrize(
    ("source", "target", "left_over"),
    [
        (AttentionConfig(width=0.0625), NARROW, "trunk.attention.score"),
        (AttentionConfig(width=0.0625, score="tanh"), DualBranchConfig(width=0.0625, attention="none"),
         "trunk.attention.hidden.0, trunk.attention.score"),
        (NARROW, AttentionConfig(width=0.0625), ""),
        (NARROW, DualBranchConfig(width=0.0625, convolutions="shared"), ""),
        (MldrConfig(width=0.0625, fusion="concat"), MldrConfig(width=0.0625), "output"),
    ],
    ids=["attention to alexnet", "attention to none", "alexnet to attention", "alexnet to two branches", "fusion"],
)  # fmt: skip
def test_layers_of_a_run_that_the_network_does_not_have_are_noted(
    source: ModelConfig, target: ModelConfig, left_over: str, tmp_path: Path
):
    _, file = finished(tmp_path, source, classes=("anger", "awe"))
    note = check_weights(run_with(file, target), CLASSES).note
    layers = [part for part in note.split("; ") if "layers" in part]
    assert len(layers) == bool(left_over)
    assert all(part.endswith(f" {left_over}") for part in layers)


def test_a_multiplier_for_a_head_that_is_not_new_is_refused(tmp_path: Path):
    _, file = finished(tmp_path)
    assert check_weights(run_with(file), CLASSES).note == ""
    with pytest.raises(InputError, match="head_lr_multiplier"):
        check_weights(run_with(file, head_lr_multiplier=10), CLASSES)
