"""Weights in the formats of Caffe, TensorFlow and torchvision give the outputs of those libraries."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from narrow import CAFFES, CLASSES, OWT, Arrays, caffes_arrays, loaded, run_with, save_npy, torchvisions, write_npz
from safetensors.torch import save_file
from torch import nn

from emotune.config.input_spec import InputSpec
from emotune.config.model import AlexNetConfig, AttentionConfig, DualBranchConfig, MldrConfig, MldrV2Config, ModelConfig
from emotune.config.normalisation import CAFFE, IMAGENET, Normalisation
from emotune.core.errors import InputError
from emotune.data.augment import crop_and_normalise, evaluation_crops
from emotune.models.build import build
from emotune.models.weights.initial_weights import check_weights

CROP_SIDE, IMAGE_SIDE = InputSpec.side, InputSpec.resize


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return caffes_arrays()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (3, IMAGE_SIDE, IMAGE_SIDE, 3), np.uint8)


def cropped(images: np.ndarray) -> np.ndarray:
    corner = (IMAGE_SIDE - CROP_SIDE) // 2
    return images[:, corner : corner + CROP_SIDE, corner : corner + CROP_SIDE]


def caffe_map(arrays: Arrays, images: np.ndarray) -> np.ndarray:
    """Caffe's pool5, (B, C, 6, 6): of blue, green, red from 0 to 255, less their means."""
    x = cropped(images)[..., ::-1].astype(np.float32) - np.float32([104, 117, 123])
    x = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    settings = {"conv1": (4, 0, 1), "conv2": (1, 2, 2), "conv3": (1, 1, 1), "conv4": (1, 1, 2), "conv5": (1, 1, 2)}
    for layer, (stride, padding, groups) in settings.items():
        weight, bias = map(torch.from_numpy, arrays[layer])
        x = F.relu(F.conv2d(x, weight, bias, stride=stride, padding=padding, groups=groups))
        if layer in ("conv1", "conv2"):
            x = F.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1.0)  # of its train_val.prototxt, and k's default
        if layer in ("conv1", "conv2", "conv5"):
            x = F.max_pool2d(x, 3, 2)
    return x.numpy()


def fully_connected(x: np.ndarray, *layers: list[np.ndarray]) -> np.ndarray:
    for weight, bias in layers:
        x = np.maximum(x @ weight.T + bias, 0)
    return x


def caffe_fc7(arrays: Arrays, images: np.ndarray) -> np.ndarray:
    return fully_connected(caffe_map(arrays, images).reshape(len(images), -1), arrays["fc6"], arrays["fc7"])


def outputs(network: nn.Module, images: np.ndarray, normalisation: Normalisation) -> np.ndarray:
    views = evaluation_crops(len(images))[0]
    with torch.inference_mode():
        batch = crop_and_normalise(torch.from_numpy(images), views, np.arange(len(images)), normalisation)
        return network(batch).numpy()


def as_tensorflow(arrays: Arrays) -> Arrays:
    """As caffe-tensorflow turns round a caffemodel's arrays; fc6's rows in the order H, W, C."""
    turned = {layer: [weight.T if weight.ndim == 2 else weight.transpose(2, 3, 1, 0), bias]
              for layer, (weight, bias) in arrays.items()}  # fmt: skip
    units, depth = len(arrays["fc6"][0]), len(arrays["conv5"][0])
    turned["fc6"][0] = arrays["fc6"][0].reshape(units, depth, 6, 6).transpose(2, 3, 1, 0).reshape(-1, units)
    return turned


def assert_equal(actual: np.ndarray, expected: np.ndarray) -> None:
    assert expected.std() > 0.1
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * expected.std())


def output(network: nn.Module, fc7: np.ndarray) -> np.ndarray:
    """Its classifier's logits."""
    weight, bias = (parameter.detach().numpy() for parameter in network.output.parameters())
    return fc7 @ weight.T + bias


@pytest.mark.parametrize("old", [False, True], ids=["blobs", "blobs of four dimensions"])
def test_a_caffemodels_arrays_give_what_caffe_computes(arrays: Arrays, images: np.ndarray, old: bool, tmp_path: Path):
    blobs = arrays
    if old:
        blobs = {n: [w if w.ndim == 4 else w[None, None], b[None, None, None]] for n, (w, b) in arrays.items()}
    network, initialisation = loaded(run_with(write_npz(tmp_path / "bvlc.npz", blobs), CAFFES))
    assert initialisation.normalisation == CAFFE
    assert initialisation.layout == "caffe"
    assert_equal(outputs(network, images, CAFFE), output(network, caffe_fc7(arrays, images)))


@pytest.mark.parametrize("form", ["lists", "weights and biases"])
def test_tensorflows_layout_gives_what_tensorflow_computes_from_its_own_map(
    arrays: Arrays, images: np.ndarray, form: str, tmp_path: Path
):
    turned = as_tensorflow(arrays)
    value = turned if form == "lists" else {n: {"weights": w, "biases": b} for n, (w, b) in turned.items()}
    network, initialisation = loaded(run_with(save_npy(tmp_path / "bvlc_alexnet.npy", value), CAFFES))
    assert initialisation.layout == "tensorflow"
    as_tensorflow_flattens = caffe_map(arrays, images).transpose(0, 2, 3, 1).reshape(len(images), -1)
    weight, bias = turned["fc6"]
    expected = fully_connected(as_tensorflow_flattens, [weight.T, bias], arrays["fc7"])
    assert_equal(outputs(network, images, CAFFE), output(network, expected))


@pytest.mark.parametrize("name", ["{layer}/{number}", "{layer}_{number}", "{layer}.{word}"])
def test_the_usual_names_of_arrays_in_an_npz_are_recognised(arrays: Arrays, name: str, tmp_path: Path):
    words = ("weights", "biases")
    parts = {name.format(layer=n, number=i, word=words[i]): a for n, pair in arrays.items() for i, a in enumerate(pair)}
    np.savez(tmp_path / "x.npz", **parts)
    assert len(check_weights(run_with(tmp_path / "x.npz"), CLASSES).loaded) == 14


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torchvisions_state_dict_gives_what_torchvision_computes(images: np.ndarray, suffix: str, tmp_path: Path):
    theirs, file = torchvisions(OWT.width), tmp_path / f"alexnet{suffix}"
    save_file(theirs.state_dict(), file) if suffix == ".safetensors" else torch.save(theirs.state_dict(), file)
    network, initialisation = loaded(run_with(file, OWT))
    assert (initialisation.layout, initialisation.normalisation) == ("torchvision", IMAGENET)
    assert initialisation.new == ("output.weight", "output.bias")
    theirs.classifier[6] = network.output
    as_they_want_it = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    x = torch.from_numpy(cropped(images)).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        expected = theirs(as_they_want_it(x)).numpy()
    np.testing.assert_allclose(outputs(network, images, IMAGENET), expected, rtol=1e-4, atol=1e-3 * expected.std())


@pytest.mark.parametrize(
    "model",
    [
        AlexNetConfig(backbone="alexnet_owt"),
        AttentionConfig(backbone="alexnet_owt", reach="full"),
        *(
            DualBranchConfig(backbone="alexnet_owt", attention=attention, convolutions=convolutions)
            for attention in ("both", "none")
            for convolutions in ("separate", "shared")
        ),
    ],
    ids=lambda m: f"{m.name} {getattr(m, 'attention', '')} {getattr(m, 'convolutions', '')}".strip(),
)
def test_torchvisions_own_shapes_fit_every_network_with_its_backbone(model: ModelConfig, tmp_path: Path):
    torch.save(torchvisions().state_dict(), tmp_path / "alexnet.pth")  # on meta: shapes without numbers
    initialisation = check_weights(run_with(tmp_path / "alexnet.pth", model), CLASSES)
    with torch.device("meta"):
        names = [name for name, _ in build(model, len(CLASSES)).named_parameters()]
    assert sorted(initialisation.loaded + initialisation.new) == sorted(names)
    assert {"attention" in name or name.startswith("output.") for name in initialisation.new} == {True}
    assert not any("attention" in name or name.startswith("output.") for name in initialisation.loaded)
    assert initialisation.note == ""


def test_what_a_file_lacks_stays_as_it_was_drawn(arrays: Arrays, tmp_path: Path):
    run = run_with(write_npz(tmp_path / "x.npz", arrays), AttentionConfig(width=0.0625, score="tanh"))
    network, initialisation = loaded(run)
    torch.manual_seed(0)
    fresh = build(run.model, len(CLASSES))
    different = {n for n, p in network.named_parameters() if not torch.equal(p, fresh.get_parameter(n))}
    assert different == set(initialisation.loaded)
    assert set(initialisation.new) == {n for n, _ in network.named_parameters()} - different
    assert {name.split(".")[0] for name in initialisation.new} == {"trunk", "output"}
    assert {name.split(".")[1] for name in initialisation.new} == {"attention", "weight", "bias"}


def test_an_attention_that_sums_positions_gets_the_convolutions_and_draws_the_rest(arrays: Arrays, tmp_path: Path):
    run = run_with(write_npz(tmp_path / "x.npz", arrays), AttentionConfig(width=0.0625, output="sum"))
    initialisation = check_weights(run, CLASSES)
    assert len(initialisation.loaded) == 10
    assert all(name.startswith("trunk.convolutions.") for name in initialisation.loaded)


@pytest.mark.parametrize(("convolutions", "count"), [("separate", 28), ("shared", 18)])
@pytest.mark.parametrize("attention", ["spatial", "both", "none"])
def test_both_branches_get_the_same_weights(
    arrays: Arrays, images: np.ndarray, attention: str, convolutions: str, count: int, tmp_path: Path
):
    model = DualBranchConfig(width=0.0625, lrn="caffe", attention=attention, convolutions=convolutions)
    network, initialisation = loaded(run_with(write_npz(tmp_path / "x.npz", arrays), model))
    fc7 = caffe_fc7(arrays, images)
    assert_equal(outputs(network, images, CAFFE), output(network, np.concatenate([fc7, fc7], axis=1)))
    assert len(set(initialisation.loaded)) == len(initialisation.loaded) == count


def test_a_file_without_mldrs_shallower_networks_is_refused(arrays: Arrays, tmp_path: Path):
    file = write_npz(tmp_path / "x.npz", arrays)
    for model, layer in ((MldrConfig(width=0.0625), r"towers.1.0"), (MldrV2Config(width=0.0625), r"blocks.0.0")):
        with pytest.raises(InputError, match=rf"x.npz: {layer} "):
            check_weights(run_with(file, model), CLASSES)


def test_an_mldr_of_alexnets_gets_the_weights_on_every_level(arrays: Arrays, tmp_path: Path):
    model = MldrConfig(width=0.0625, lrn="caffe", levels=(1, 2), depths=(5, 5), patches="resized")
    initialisation = check_weights(run_with(write_npz(tmp_path / "x.npz", arrays), model), CLASSES)
    assert initialisation.new == ("towers.0.1.weight", "towers.0.1.bias", "towers.1.1.weight", "towers.1.1.bias")
    assert initialisation.note == ""


@pytest.mark.parametrize("lrn", ["sum", "mean", "none"])
@pytest.mark.parametrize("kind", [AlexNetConfig, AttentionConfig, DualBranchConfig])
def test_weights_of_caffe_are_noted_unless_the_network_normalises_responses_as_caffe_does(
    arrays: Arrays, kind: type, lrn: str, tmp_path: Path
):
    file, alike = write_npz(tmp_path / "x.npz", arrays), kind(width=0.0625, lrn="caffe")
    other = check_weights(run_with(file, replace(alike, lrn=lrn)), CLASSES)
    assert re.search(rf"\blrn caffe\b.*\b{lrn}$", other.note)
    assert check_weights(run_with(file, alike), CLASSES).note == ""
