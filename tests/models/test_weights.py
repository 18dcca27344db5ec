"""Other people's files give the numbers that those people's conventions give; narrow networks, generated files."""

import json
import pickle
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from emotune.data.augment import CROP, apply_views, evaluation_views
from emotune.data.cache import SIDE
from emotune.errors import InputError
from emotune.model_config import AlexNetConfig, AttentionConfig, DualBranchConfig, MldrConfig, ModelConfig
from emotune.models import build
from emotune.models.alexnet import Trunk
from emotune.models.weights import Initialisation, check_weights, load_weights, save_weights
from emotune.normalisation import CAFFE, IMAGENET, Normalisation
from emotune.pretrained import resolve_weights
from emotune.run import DatasetRef, RunConfig
from emotune.storage import Folder
from emotune.train_config import TrainConfig

CLASSES = ("anger", "awe", "fear")
NARROW = AlexNetConfig(width=0.0625, weight_init="he")
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


def run_with(file: Path, model: ModelConfig = NARROW, **train) -> RunConfig:
    settings = TrainConfig(init=str(file), **train)
    dataset = DatasetRef(name="photos", location="/photos", content_hash="0123")
    weights = resolve_weights({"variant": (model, settings)})["variant"]
    return RunConfig(variant="variant", dataset=dataset, seed=0, model=model, train=settings, weights=weights)


def loaded(run: RunConfig) -> tuple[nn.Module, Initialisation]:
    torch.manual_seed(0)
    network = build(run.model, len(CLASSES)).eval()
    return network, load_weights(network, run, CLASSES)


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


def test_tensorflows_layout_gives_what_tensorflow_computes_from_its_own_map(
    arrays: Arrays, pictures: np.ndarray, tmp_path: Path
):
    turned = as_tensorflow(arrays)
    network, initialisation = loaded(run_with(save_npy(tmp_path / "bvlc_alexnet.npy", turned)))
    assert initialisation.layout == "tensorflow"
    as_tensorflow_flattens = caffe_map(arrays, pictures).transpose(0, 2, 3, 1).reshape(len(pictures), -1)
    weight, bias = turned["fc6"]
    expected = fully_connected(as_tensorflow_flattens, [weight.T, bias], arrays["fc7"])
    assert_equal_fc7(seen(network.trunk, pictures, CAFFE), expected)


def _py2(value: object) -> bytes:  # noqa: PLR0911
    """Pickle's opcodes of protocol 2 as Python 2 writes them: its strings are bytes."""
    if isinstance(value, str | bytes):
        raw = value.encode() if isinstance(value, str) else value
        return b"T" + len(raw).to_bytes(4, "little") + raw
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if value is None:
        return b"N"
    if isinstance(value, int):
        return b"J" + value.to_bytes(4, "little", signed=True)
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_py2, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(_py2, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(_py2(k) + _py2(v) for k, v in value.items()) + b"u"
    assert isinstance(value, np.ndarray)
    code, order = ("O8", "|") if value.dtype.hasobject else ("f4", "<")
    flags = 63 if value.dtype.hasobject else 0
    kind = b"cnumpy\ndtype\n" + _py2((code, 0, 1)) + b"R" + _py2((3, order, None, None, None, -1, -1, flags)) + b"b"
    data = value.ravel().tolist() if value.dtype.hasobject else value.tobytes()
    head = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _py2((0,)) + _py2("b") + b"tR"
    return head + b"(" + _py2(1) + _py2(value.shape) + kind + _py2(False) + _py2(data) + b"tb"


@pytest.mark.parametrize("form", ["lists", "weights and biases"])
def test_a_file_that_python_2_pickled_is_read(arrays: Arrays, form: str, tmp_path: Path):
    turned = as_tensorflow(arrays)
    value = turned if form == "lists" else {n: {"weights": w, "biases": b} for n, (w, b) in turned.items()}
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    header += b" " * (-(len(header) + 11) % 16) + b"\n"
    path = tmp_path / "bvlc_alexnet.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
                     + b"\x80\x02" + _py2(np.array(value, dtype=object)) + b".")  # fmt: skip
    np.load(path, allow_pickle=True, encoding="latin1")  # numpy reads it so, too
    network, _ = loaded(run_with(path))
    first = network.trunk.convolutions[0].weight.detach().numpy()
    np.testing.assert_array_equal(first, arrays["conv1"][0][:, ::-1])


@pytest.mark.parametrize("call", ["os.system", "builtins.eval", "numpy.load", "numpy.core.multiarray.scalar"])
def test_a_pickle_that_asks_for_anything_but_arrays_is_refused_and_does_nothing(call: str, tmp_path: Path):
    module, _, name = call.rpartition(".")
    trace = tmp_path / "trace"
    payload = f"c{module}\n{name}\n(V{trace}\ntR.".encode()
    path = save_npy(tmp_path / "bad.npy", {})
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"\x80")] + payload)
    with pytest.raises(InputError, match=rf"bad.npy: not readable as weights \(asks for {call}"):
        check_weights(run_with(path), CLASSES)
    assert not trace.exists()


def test_a_pickled_type_that_is_no_number_is_refused(tmp_path: Path):
    path = save_npy(tmp_path / "bad.npy", {"conv1": [np.zeros(3, "V8"), np.zeros(3)]})
    with pytest.raises(InputError, match="holds arrays of 'V8', not of numbers"):
        check_weights(run_with(path), CLASSES)


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


def test_weights_in_a_network_that_computes_otherwise_are_noted(arrays: Arrays, tmp_path: Path):
    note = check_weights(run_with(write_npz(tmp_path / "x.npz", arrays)), CLASSES).note
    assert note.startswith("the weights were trained with lrn caffe, not ")
    _, file = finished(tmp_path, AttentionConfig(width=0.0625))
    other = AttentionConfig(width=0.0625, temperature=0.5, dropout=0.1)
    assert (
        check_weights(run_with(file, other), CLASSES).note == "the weights were trained with temperature 1.0, not 0.5"
    )


# Weights of our own runs


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
    [NARROW, AttentionConfig(width=0.0625), DualBranchConfig(width=0.0625), MldrConfig(width=0.0625)],
    ids=lambda model: model.name,
)
def test_a_runs_own_weights_come_back_to_the_bit_with_their_normalisation(model: ModelConfig, tmp_path: Path):
    first, file = finished(tmp_path, model)
    again, initialisation = loaded(run_with(file, model))
    assert initialisation.new == ()
    assert initialisation.normalisation == Normalisation((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    for name, tensor in first.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_a_runs_file_says_what_it_takes_to_use_it_and_is_the_same_every_time(tmp_path: Path):
    _, file = finished(tmp_path / "a")
    _, again = finished(tmp_path / "b")
    assert file.read_bytes() == again.read_bytes()
    data = file.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    about = json.loads(header["__metadata__"]["emotune"])
    assert about["model"]["width"] == 0.0625
    assert about["classes"] == list(CLASSES)
    assert about["run"].startswith("a-photos-s0-")
    assert header["output.weight"]["dtype"] == "F32"


@pytest.mark.parametrize("classes", [("anger", "awe", "joy"), ("anger", "awe")], ids=["renamed", "fewer"])
def test_a_classifier_of_other_classes_is_drawn_anew(classes: tuple[str, ...], tmp_path: Path):
    _, file = finished(tmp_path, classes=classes)
    network, initialisation = loaded(run_with(file))
    assert initialisation.new == ("output.weight", "output.bias")
    torch.manual_seed(0)
    assert torch.equal(network.output.weight, build(NARROW, len(CLASSES)).output.weight)


def test_the_trunk_of_a_run_is_that_of_other_networks_too(tmp_path: Path):
    source, file = finished(tmp_path)
    attention, _ = loaded(run_with(file, AttentionConfig(width=0.0625)))
    dual, initialisation = loaded(run_with(file, DualBranchConfig(width=0.0625)))
    for trunk in (attention.trunk, dual.first, dual.second):
        assert torch.equal(trunk.fc[1].weight, source.trunk.fc[1].weight)
    assert set(initialisation.new) == {
        "first.attention.score.weight", "first.attention.score.bias", "output.weight", "output.bias",
    }, "a layer of another shape is drawn whole, though its bias would fit"  # fmt: skip


def test_a_run_whose_convolutions_are_others_is_refused_with_its_model(tmp_path: Path):
    _, file = finished(tmp_path)
    with pytest.raises(InputError, match=r"trunk.convolutions.0 has the shape \(6, 3, 11, 11\), \(12, 3.*\"width\""):
        check_weights(run_with(file, replace(NARROW, width=0.125)), CLASSES)
    with pytest.raises(InputError, match=r"first.convolutions.0 has the shape \(6, 3, 11, 11\), \(12, 3"):
        check_weights(run_with(file, DualBranchConfig(width=0.125)), CLASSES)
    with pytest.raises(InputError, match=r"aesthetics.0 has none"):
        check_weights(run_with(file, MldrConfig(width=0.0625)), CLASSES)


def test_a_multiplier_for_a_head_that_is_not_new_is_refused(tmp_path: Path):
    _, file = finished(tmp_path)
    assert check_weights(run_with(file), CLASSES).note == ""
    with pytest.raises(InputError, match="head_lr_multiplier would change nothing"):
        check_weights(run_with(file, head_lr_multiplier=10), CLASSES)
