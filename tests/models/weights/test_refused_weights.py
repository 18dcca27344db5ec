"""Files of weights that are damaged, or none of the network's, are refused with what is wrong and what to do."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from narrow import CLASSES, NARROW, OWT, Arrays, caffes_arrays, loaded, run_with, save_npy, torchvisions, write_npz

from emotune.config.model import AlexNetConfig
from emotune.config.normalisation import CAFFE
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.models.build import build
from emotune.models.weights.run_weights import check_weights, save_weights


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return caffes_arrays()


def change(arrays: Arrays, layer: str, weight: np.ndarray) -> Arrays:
    return arrays | {layer: [weight, arrays[layer][1]]}


@pytest.mark.parametrize(
    ("layer", "shape", "says"),
    [
        ("conv1", (6, 4, 11, 11), r"conv1: shape \(6, 4, 11, 11\) is neither"),
        ("conv1", (3, 3, 3, 3), r"conv1: shape \(3, 3, 3, 3\) is both"),
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
    state = torchvisions(OWT.width).state_dict()
    del state["features.10.bias"]
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"x.pth: not a state dict of torchvision's AlexNet .*: no conv5"):
        check_weights(run_with(tmp_path / "x.pth"), CLASSES)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pth", ".safetensors"])
def test_half_a_file_is_refused(arrays: Arrays, suffix: str, tmp_path: Path):
    path = tmp_path / f"x{suffix}"
    writers = {
        ".npy": lambda: save_npy(path, arrays),
        ".npz": lambda: write_npz(path, arrays),
        ".pth": lambda: torch.save(torchvisions(OWT.width).state_dict(), path),
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
    with pytest.raises(
        InputError, match=r"not readable as weights, it holds more than tensors; write .*state_dict\(\)"
    ):
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


def test_weights_of_another_backbone_are_refused_with_that_which_is_theirs(arrays: Arrays, tmp_path: Path):
    with pytest.raises(InputError, match=r"conv1: .* for networks with backbone alexnet and width 0.0625"):
        check_weights(run_with(write_npz(tmp_path / "x.npz", arrays), OWT), CLASSES)
    torch.save(torchvisions().state_dict(), tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"conv1: .*\(64, 3, 11, 11\), \(96, .* backbone alexnet_owt and width 1$"):
        check_weights(run_with(tmp_path / "x.pth", AlexNetConfig()), CLASSES)
