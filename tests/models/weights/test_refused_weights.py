"""Files of weights that are damaged, or belong to another network, are refused with file, layer and shapes."""

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
from emotune.models.weights.initial_weights import check_weights
from emotune.models.weights.run_weights import save_weights


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return caffes_arrays()


def change(arrays: Arrays, layer: str, weight: np.ndarray) -> Arrays:
    return arrays | {layer: [weight, arrays[layer][1]]}


@pytest.mark.parametrize(
    ("layer", "shape", "key"),
    [
        ("conv1", (6, 4, 11, 11), r"conv1: .*\(6, 4, 11, 11\)"),
        ("conv1", (3, 3, 3, 3), r"conv1: .*\(3, 3, 3, 3\)"),
        ("conv1", (8, 3, 11, 11), r"conv1: .*\(8, 3, 11, 11\).*\(6, 3, 11, 11\)"),
        ("conv4", (24, 24, 3, 3), r"conv4: .*\(24, 24, 3, 3\).*\(24, 12, 3, 3\)"),
        ("conv3", (24, 16), r"conv3: .*\(24, 16\)"),
        ("fc6", (576, 256), r"fc6: .*\(576, 256\).*\(256, 576\)"),
        ("fc6", (256, 575), r"fc6: .*\(256, 575\).*\(out, 16 · H · H\)"),
    ],
)
def test_a_wrong_shape_is_refused_with_file_layer_and_both_shapes(
    arrays: Arrays, layer: str, shape: tuple[int, ...], key: str, tmp_path: Path
):
    path = write_npz(tmp_path / "x.npz", change(arrays, layer, np.zeros(shape, np.float32)))
    with pytest.raises(InputError, match=f"x.npz: {key}"):
        check_weights(run_with(path), CLASSES)


def test_a_bias_of_another_size_and_a_missing_layer_are_refused(arrays: Arrays, tmp_path: Path):
    short = arrays | {"fc7": [arrays["fc7"][0], arrays["fc7"][1][:9]]}
    with pytest.raises(InputError, match=r"fc7: .*bias.*\(9,\).*\(256,\)"):
        check_weights(run_with(write_npz(tmp_path / "x.npz", short)), CLASSES)
    less = {layer: pair for layer, pair in arrays.items() if layer != "conv4"}
    with pytest.raises(InputError, match=r"y.npz: conv4: "):
        check_weights(run_with(write_npz(tmp_path / "y.npz", less)), CLASSES)
    state = torchvisions(OWT.width).state_dict()
    del state["features.10.bias"]
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"x.pth: .*: no conv5"):
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
    with pytest.raises(InputError, match=rf"{suffix}: "):
        check_weights(run_with(path), CLASSES)


def test_pickled_code_in_a_pth_file_is_not_run(tmp_path: Path):
    class Bad:
        def __reduce__(self):
            return Path.touch, (tmp_path / "trace",)

    torch.save({"features.0.weight": Bad()}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"x.pth: .*state_dict\(\)"):
        check_weights(run_with(tmp_path / "x.pth"), CLASSES)
    (tmp_path / "y.pth").write_bytes(pickle.dumps(Bad()))
    with pytest.raises(InputError, match=r"y.pth: "):
        check_weights(run_with(tmp_path / "y.pth"), CLASSES)
    assert not (tmp_path / "trace").exists()


def test_a_file_that_changed_since_the_plan_is_refused(arrays: Arrays, tmp_path: Path):
    run = run_with(write_npz(tmp_path / "x.npz", arrays))
    write_npz(tmp_path / "x.npz", change(arrays, "fc7", arrays["fc7"][0] + 1))
    with pytest.raises(InputError, match=f"x.npz: .*{run.weights.digest}"):
        check_weights(run, CLASSES)
    (tmp_path / "x.npz").unlink()
    with pytest.raises(InputError, match=r"x.npz: "):
        check_weights(run, CLASSES)


def test_numbers_that_are_not_finite_are_refused(arrays: Arrays, tmp_path: Path):
    weight = arrays["conv2"][0].copy()
    weight[0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"x.npz: trunk.convolutions.4.weight: "):
        loaded(run_with(write_npz(tmp_path / "x.npz", change(arrays, "conv2", weight))))


def test_weights_of_another_backbone_are_refused_with_its_name(arrays: Arrays, tmp_path: Path):
    with pytest.raises(InputError, match=r"conv1: .*\balexnet\b.*\b0\.0625"):
        check_weights(run_with(write_npz(tmp_path / "x.npz", arrays), OWT), CLASSES)
    torch.save(torchvisions().state_dict(), tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"conv1: .*\(64, 3, 11, 11\).*\(96, .*\balexnet_owt\b.*\b1$"):
        check_weights(run_with(tmp_path / "x.pth", AlexNetConfig()), CLASSES)
