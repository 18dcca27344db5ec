import json
import sys
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from emotune.config.target import Dimension
from emotune.core.errors import InputError
from emotune.inference import onnx as exporting
from emotune.inference.onnx import export
from emotune.inference.predictor import load_center_crop, load_predictor


def test_the_file_alone_gives_the_predictions_of_the_run(any_run, test_images, tmp_path):
    predictor = replace(load_predictor(any_run.folder, "cpu"), crops=1)
    assert export(predictor, tmp_path / "n.onnx") < 1e-5
    paths = list(test_images.values())[:3]
    predictions = predictor.predict(paths)
    assert predictions.probabilities.max() < 0.99, "a run whose training diverged would prove nothing about others"
    images = (
        np.stack([load_center_crop(path)[14:241, 14:241] for path in paths]).transpose(0, 3, 1, 2).astype(np.float32)
        / 255
    )
    session = onnxruntime.InferenceSession(tmp_path / "n.onnx", providers=["CPUExecutionProvider"])
    outputs = dict(zip([o.name for o in session.get_outputs()], session.run(None, {"images": images}), strict=True))
    np.testing.assert_allclose(outputs.pop("probabilities"), predictions.probabilities, atol=1e-5)
    assert set(outputs) == {f"attention_{layer}" for layer in predictions.attention}
    for layer, weights in predictions.attention.items():
        np.testing.assert_allclose(outputs[f"attention_{layer}"], weights, atol=1e-5)
    metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / "n.onnx").metadata_props}
    assert json.loads(metadata["classes"]) == list(predictor.classes)
    assert metadata["run"] == predictor.run_id
    assert [path.name for path in tmp_path.iterdir()] == ["n.onnx"]


def test_a_file_with_other_outputs_is_not_kept(attending, tmp_path, monkeypatch):
    original = torch.onnx.export

    def wrong(module, *arguments, **options):
        program = original(module, *arguments, **options)
        bias = module.network.output.bias
        module.network.output.bias = torch.nn.Parameter(bias + torch.arange(len(bias)))
        return program

    monkeypatch.setattr(exporting.torch.onnx, "export", wrong)
    with pytest.raises(ArithmeticError, match=r"n\.onnx"):
        export(load_predictor(attending.folder, "cpu"), tmp_path / "n.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("column", "is_kept"), [(0, True), (1, False), (None, False)])
def test_each_rating_may_differ_by_its_own_scale_and_attention_by_none(
    attending, tmp_path, monkeypatch, column: int | None, is_kept: bool
):
    plain = load_predictor(attending.folder, "cpu")
    ends = [1000, *[1] * (len(plain.classes) - 1)]
    rated = replace(plain, dimensions=tuple(Dimension(f"d{i}", -end, end) for i, end in enumerate(ends)))
    original = torch.onnx.export

    class Wrong(torch.nn.Module):
        def __init__(self, right: torch.nn.Module) -> None:
            super().__init__()
            self.right = right

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            ratings, *attention = self.right(images)
            if column is None:
                return ratings, *(one + 1e-3 for one in attention)
            return ratings + 1e-3 * torch.eye(len(ends))[column], *attention

    monkeypatch.setattr(
        exporting.torch.onnx, "export", lambda module, *rest, **how: original(Wrong(module), *rest, **how)
    )
    if is_kept:
        assert export(rated, tmp_path / "n.onnx") >= 5e-4
    else:
        with pytest.raises(ArithmeticError, match=r"n\.onnx"):
            export(rated, tmp_path / "n.onnx")
    assert [path.name for path in tmp_path.iterdir()] == (["n.onnx"] if is_kept else [])


def test_missing_libraries_and_folders_are_named(attending, tmp_path, monkeypatch):
    predictor = load_predictor(attending.folder, "cpu")
    with pytest.raises(InputError, match=r"nowhere/n\.onnx"):
        export(predictor, tmp_path / "nowhere" / "n.onnx")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"emotune\[onnx\]"):
        export(predictor, tmp_path / "n.onnx")
