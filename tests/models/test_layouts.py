"""Other people's files give the numbers that those people's conventions give; narrow networks, generated files."""

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from narrow import CLASSES, NARROW, loaded, run_with
from torch import nn

from emotune.data.augment import CROP, apply_views, evaluation_views
from emotune.data.cache import SIDE
from emotune.errors import InputError
from emotune.model_config import AttentionConfig, DualBranchConfig, MldrConfig
from emotune.models import build
from emotune.models.alexnet import Trunk
from emotune.models.weights import check_weights, load_weights, save_weights
from emotune.normalisation import CAFFE, IMAGENET, Normalisation
from emotune.storage import Folder

SHAPES = {  # of that width, as a caffemodel has them
    "conv1": (6, 3, 11, 11), "conv2": (16, 3, 5, 5), "conv3": (24, 16, 3, 3), "conv4": (24, 12, 3, 3),
    "conv5": (16, 12, 3, 3), "fc6": (256, 576), "fc7": (256, 256), "fc8": (1000, 256),
}  # fmt: skip
Arrays = dict[str, list[np.ndarray]]


def drawn(shapes: dict[str, tuple[int, ...]]) -> Arrays:
    generator, arrays = np.random.default_rng(0), {}
    for layer, shape in shapes.items():
        weight = generator.normal(0, (2 / np.prod(shape[1:])) ** 0.5 / (64 if layer == "conv1" else 1), shape)
        arrays[layer] = [weight.astype(np.float32), generator.normal(0, 0.1, shape[0]).astype(np.float32)]
    return arrays


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    """Weight and bias by layer, in Caffe's layout."""
    return drawn(SHAPES)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)


def cropped(pictures: np.ndarray) -> np.ndarray:
    corner = (SIDE - CROP) // 2
    return pictures[:, corner : corner + CROP, corner : corner + CROP]


def caffe_map(arrays: Arrays, pictures: np.ndarray) -> np.ndarray:
    """Caffe's pool5, (B, C, 6, 6): of blue, green, red from 0 to 255, less their means."""
    x = cropped(pictures)[..., ::-1].astype(np.float32) - np.float32([104, 117, 123])
    x = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    settings = {"conv1": (4, 0, 1), "conv2": (1, 2, 2), "conv3": (1, 1, 1), "conv4": (1, 1, 2), "conv5": (1, 1, 2)}
    for layer, (stride, padding, groups) in settings.items():
        weight, bias = map(torch.from_numpy, arrays[layer])
        x = F.relu(F.conv2d(x, weight, bias, stride=stride, padding=padding, groups=groups))
        if layer in ("conv1", "conv2"):
            x = F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)  # KSH12's, the default of our networks
        if layer in ("conv1", "conv2", "conv5"):
            x = F.max_pool2d(x, 3, 2)
    return x.numpy()


def fully_connected(x: np.ndarray, *layers: list[np.ndarray]) -> np.ndarray:
    for weight, bias in layers:
        x = np.maximum(x @ weight.T + bias, 0)
    return x


def caffe_fc7(arrays: Arrays, pictures: np.ndarray) -> np.ndarray:
    return fully_connected(caffe_map(arrays, pictures).reshape(len(pictures), -1), arrays["fc6"], arrays["fc7"])


def seen(network: nn.Module, pictures: np.ndarray, normalisation: Normalisation) -> np.ndarray:
    views = evaluation_views(len(pictures))[0]
    with torch.inference_mode():
        batch = apply_views(torch.from_numpy(pictures), views, np.arange(len(pictures)), normalisation)
        return network(batch).numpy()


def write_npz(path: Path, arrays: Arrays, name: str = "{layer}.{number}") -> Path:
    parts = {name.format(layer=layer, number=n): a for layer, pair in arrays.items() for n, a in enumerate(pair)}
    np.savez(path, **parts)
    return path


def save_npy(path: Path, value: object) -> Path:
    np.save(path, np.array(value, dtype=object), allow_pickle=True)
    return path


def as_tensorflow(arrays: Arrays) -> Arrays:
    """As caffe-tensorflow turns round a caffemodel's arrays; fc6's rows in the order H, W, C."""
    turned = {layer: [weight.T if weight.ndim == 2 else weight.transpose(2, 3, 1, 0), bias]
              for layer, (weight, bias) in arrays.items()}  # fmt: skip
    units, depth = len(arrays["fc6"][0]), len(arrays["conv5"][0])
    turned["fc6"][0] = arrays["fc6"][0].reshape(units, depth, 6, 6).transpose(2, 3, 1, 0).reshape(-1, units)
    return turned


def assert_equal_fc7(found: np.ndarray, expected: np.ndarray) -> None:
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("old", [False, True], ids=["blobs", "blobs of four dimensions"])
def test_a_caffemodels_arrays_give_what_caffe_computes(arrays: Arrays, pictures: np.ndarray, old: bool, tmp_path: Path):
    blobs = arrays
    if old:
        blobs = {n: [w if w.ndim == 4 else w[None, None], b[None, None, None]] for n, (w, b) in arrays.items()}
    network, initialisation = loaded(run_with(write_npz(tmp_path / "bvlc.npz", blobs)))
    assert initialisation.normalisation == CAFFE
    assert initialisation.layout == "caffe"
    assert_equal_fc7(seen(network.trunk, pictures, CAFFE), caffe_fc7(arrays, pictures))


@pytest.mark.parametrize("form", ["lists", "weights and biases"])
def test_tensorflows_layout_gives_what_tensorflow_computes_from_its_own_map(
    arrays: Arrays, pictures: np.ndarray, form: str, tmp_path: Path
):
    turned = as_tensorflow(arrays)
    value = turned if form == "lists" else {n: {"weights": w, "biases": b} for n, (w, b) in turned.items()}
    network, initialisation = loaded(run_with(save_npy(tmp_path / "bvlc_alexnet.npy", value)))
    assert initialisation.layout == "tensorflow"
    as_tensorflow_flattens = caffe_map(arrays, pictures).transpose(0, 2, 3, 1).reshape(len(pictures), -1)
    weight, bias = turned["fc6"]
    expected = fully_connected(as_tensorflow_flattens, [weight.T, bias], arrays["fc7"])
    assert_equal_fc7(seen(network.trunk, pictures, CAFFE), expected)


@pytest.mark.parametrize("name", ["{layer}/{number}", "{layer}_{number}", "{layer}.{word}"])
def test_the_usual_names_of_arrays_in_an_npz_are_known(arrays: Arrays, name: str, tmp_path: Path):
    words = ("weights", "biases")
    parts = {name.format(layer=n, number=i, word=words[i]): a for n, pair in arrays.items() for i, a in enumerate(pair)}
    np.savez(tmp_path / "x.npz", **parts)
    assert len(check_weights(run_with(tmp_path / "x.npz"), CLASSES).loaded) == 14


class _OneTower(nn.Module):
    """A network with a trunk whose layers are those of torchvision's AlexNet, narrow."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk(0.0625, 0.5, NARROW.lrn)
        self.trunk.convolutions = nn.Sequential(
            nn.Conv2d(3, 4, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(4, 12, 5, 1, 2), nn.ReLU(),
            nn.MaxPool2d(3, 2), nn.Conv2d(12, 24, 3, 1, 1), nn.ReLU(), nn.Conv2d(24, 16, 3, 1, 1), nn.ReLU(),
            nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.output = nn.Linear(256, len(CLASSES))


def torchvision_state() -> OrderedDict[str, torch.Tensor]:
    """A state dict with the names of torchvision's AlexNet, whose numbers are those of its Sequential's modules."""
    shapes = {
        "features.0": (4, 3, 11, 11), "features.3": (12, 4, 5, 5), "features.6": (24, 12, 3, 3),
        "features.8": (16, 24, 3, 3), "features.10": (16, 16, 3, 3),
        "classifier.1": (256, 576), "classifier.4": (256, 256), "classifier.6": (1000, 256),
    }  # fmt: skip
    state = OrderedDict()
    for name, (weight, bias) in drawn(shapes).items():
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.from_numpy(weight), torch.from_numpy(bias)
    return state


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torchvisions_state_dict_gives_what_torchvision_computes(pictures: np.ndarray, suffix: str, tmp_path: Path):
    from safetensors.torch import save_file

    state, file = torchvision_state(), tmp_path / f"alexnet{suffix}"
    save_file(dict(state), file) if suffix == ".safetensors" else torch.save(state, file)
    network = _OneTower().eval()
    initialisation = load_weights(network, run_with(file), CLASSES)
    assert (initialisation.layout, initialisation.normalisation) == ("torchvision", IMAGENET)
    assert initialisation.new == ("output.weight", "output.bias")
    x = cropped(pictures) / np.float32(255)
    x = torch.from_numpy((x - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225]))
    x = x.permute(0, 3, 1, 2)
    settings = {0: (4, 2, True), 3: (1, 2, True), 6: (1, 1, False), 8: (1, 1, False), 10: (1, 1, True)}
    for number, (stride, padding, pooled) in settings.items():
        weight, bias = state[f"features.{number}.weight"], state[f"features.{number}.bias"]
        x = F.relu(F.conv2d(x, weight, bias, stride=stride, padding=padding))
        x = F.max_pool2d(x, 3, 2) if pooled else x
    x = F.adaptive_avg_pool2d(x, 6).flatten(1)
    for number in (1, 4):
        x = F.relu(F.linear(x, state[f"classifier.{number}.weight"], state[f"classifier.{number}.bias"]))
    assert_equal_fc7(seen(network.trunk, pictures, IMAGENET), x.numpy())


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


def test_both_branches_get_the_same_weights(arrays: Arrays, pictures: np.ndarray, tmp_path: Path):
    network, initialisation = loaded(run_with(write_npz(tmp_path / "x.npz", arrays), DualBranchConfig(width=0.0625)))
    expected = caffe_fc7(arrays, pictures)
    for branch in (network.first, network.second):
        assert_equal_fc7(seen(branch, pictures, CAFFE), expected)
    assert len(initialisation.loaded) == 28


def test_a_file_without_mldrs_shallower_networks_is_refused(arrays: Arrays, tmp_path: Path):
    run = run_with(write_npz(tmp_path / "x.npz", arrays), MldrConfig(width=0.0625))
    with pytest.raises(InputError, match=r"x.npz: aesthetics.0 has none, \(6, 3, 11, 11\) is expected"):
        check_weights(run, CLASSES)


def change(arrays: Arrays, layer: str, weight: np.ndarray) -> Arrays:
    return arrays | {layer: [weight, arrays[layer][1]]}


@pytest.mark.parametrize(
    ("layer", "shape", "says"),
    [
        ("conv1", (6, 4, 11, 11), r"conv1: shape \(6, 4, 11, 11\) is neither"),
        ("conv1", (3, 3, 3, 3), r"conv1: shape \(3, 3, 3, 3\) could be both"),
        ("conv1", (8, 3, 11, 11), r"conv1: its weight has the shape \(8, 3, 11, 11\), \(6, 3, 11, 11\) is expected"),
        ("conv4", (24, 24, 3, 3), r"conv4: its weight has the shape \(24, 24, 3, 3\), \(24, 12, 3, 3\) is expected"),
        ("conv3", (24, 16), r"conv3: its weight has the shape \(24, 16\)"),
        ("fc6", (576, 256), r"fc6: its weight has the shape \(576, 256\), \(256, 576\) is expected"),
        ("fc6", (256, 575), r"fc6: shape \(256, 575\); \(out, 16 · H · H\) is expected after conv5"),
    ],
)
def test_a_wrong_shape_is_refused_with_file_layer_and_both_shapes(
    arrays: Arrays, layer: str, shape: tuple[int, ...], says: str, tmp_path: Path
):
    path = write_npz(tmp_path / "x.npz", change(arrays, layer, np.zeros(shape, np.float32)))
    with pytest.raises(InputError, match=f"x.npz: {says}"):
        check_weights(run_with(path), CLASSES)


def test_a_bias_of_another_size_and_a_missing_layer_are_refused(arrays: Arrays, tmp_path: Path):
    short = arrays | {"fc7": [arrays["fc7"][0], arrays["fc7"][1][:9]]}
    with pytest.raises(InputError, match=r"fc7: its bias has the shape \(9,\), \(256,\) is expected"):
        check_weights(run_with(write_npz(tmp_path / "x.npz", short)), CLASSES)
    less = {layer: pair for layer, pair in arrays.items() if layer != "conv4"}
    with pytest.raises(InputError, match="conv4: a weight and a bias are needed"):
        check_weights(run_with(write_npz(tmp_path / "y.npz", less)), CLASSES)
    state = torchvision_state()
    del state["features.10.bias"]
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"x.pth: not a state dict of torchvision's AlexNet: no conv5"):
        check_weights(run_with(tmp_path / "x.pth"), CLASSES)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pth", ".safetensors"])
def test_half_a_file_is_refused(arrays: Arrays, suffix: str, tmp_path: Path):
    path = tmp_path / f"x{suffix}"
    writers = {
        ".npy": lambda: save_npy(path, arrays),
        ".npz": lambda: write_npz(path, arrays),
        ".pth": lambda: torch.save(torchvision_state(), path),
        ".safetensors": lambda: save_weights(Folder(str(tmp_path)), run_with(write_npz(tmp_path / "s.npz", arrays)),
                                             build(NARROW, 3), CLASSES, CAFFE),
    }  # fmt: skip
    writers[suffix]()
    path = next(tmp_path.glob(f"*{suffix}"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"{suffix}: not readable as weights"):
        check_weights(run_with(path), CLASSES)


def test_pickled_code_in_a_pth_file_is_not_run(tmp_path: Path):
    class Bad:
        def __reduce__(self):
            return Path.touch, (tmp_path / "trace",)

    torch.save({"features.0.weight": Bad()}, tmp_path / "x.pth")
    with pytest.raises(InputError, match="not readable as weights"):
        check_weights(run_with(tmp_path / "x.pth"), CLASSES)
    (tmp_path / "y.pth").write_bytes(pickle.dumps(Bad()))
    with pytest.raises(InputError, match="not readable as weights"):
        check_weights(run_with(tmp_path / "y.pth"), CLASSES)
    assert not (tmp_path / "trace").exists()


def test_a_file_that_changed_since_the_plan_is_refused(arrays: Arrays, tmp_path: Path):
    run = run_with(write_npz(tmp_path / "x.npz", arrays))
    write_npz(tmp_path / "x.npz", change(arrays, "fc7", arrays["fc7"][0] + 1))
    with pytest.raises(InputError, match=f"its sha256 does not begin with {run.weights.digest}: changed"):
        check_weights(run, CLASSES)
    (tmp_path / "x.npz").unlink()
    with pytest.raises(InputError, match=r"x.npz: not there; every machine"):
        check_weights(run, CLASSES)


def test_numbers_that_are_not_finite_are_refused(arrays: Arrays, tmp_path: Path):
    weight = arrays["conv2"][0].copy()
    weight[0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"x.npz: trunk.convolutions.4.weight: holds numbers that are not finite"):
        loaded(run_with(write_npz(tmp_path / "x.npz", change(arrays, "conv2", weight))))


def test_weights_of_caffe_in_a_network_with_another_normalisation_of_responses_are_noted(
    arrays: Arrays, tmp_path: Path
):
    note = check_weights(run_with(write_npz(tmp_path / "x.npz", arrays)), CLASSES).note
    assert note.startswith("the weights were trained with lrn caffe, not ")
