import json
import sys
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from emotune.core.errors import InputError
from emotune.inference import onnx as exporting
from emotune.inference.onnx import export
from emotune.inference.predictor import load_center_crop, load_predictor


def test_the_file_alone_says_of_images_what_the_run_says(any_run, test_images, tmp_path):
    predictor = replace(load_predictor(any_run.folder, "cpu"), crops=1)
    assert export(predictor, tmp_path / "n.onnx") < 1e-5
    paths = list(test_images.values())[:3]
    answers = predictor.predict(paths)
    assert answers.probabilities.max() < 0.99, "its training diverged, so it tells nothing about other networks"
    seen = (
        np.stack([load_center_crop(path)[14:241, 14:241] for path in paths]).transpose(0, 3, 1, 2).astype(np.float32)
        / 255
    )
    session = onnxruntime.InferenceSession(tmp_path / "n.onnx", providers=["CPUExecutionProvider"])
    said = dict(zip([o.name for o in session.get_outputs()], session.run(None, {"images": seen}), strict=True))
    np.testing.assert_allclose(said.pop("probabilities"), answers.probabilities, atol=1e-5)
    assert set(said) == {f"attention_{layer}" for layer in answers.attention}
    for layer, weights in answers.attention.items():
        np.testing.assert_allclose(said[f"attention_{layer}"], weights, atol=1e-5)
    known = {entry.key: entry.value for entry in onnx.load(tmp_path / "n.onnx").metadata_props}
    assert json.loads(known["classes"]) == list(predictor.classes)
    assert known["run"] == predictor.run_id
    assert [path.name for path in tmp_path.iterdir()] == ["n.onnx"]


def test_a_file_that_says_something_else_is_not_kept(attending, tmp_path, monkeypatch):
    original = torch.onnx.export

    def wrong(whole, *arguments, **options):
        program = original(whole, *arguments, **options)
        bias = whole.network.output.bias
        whole.network.output.bias = torch.nn.Parameter(bias + torch.arange(len(bias)))
        return program

    monkeypatch.setattr(exporting.torch.onnx, "export", wrong)
    with pytest.raises(ArithmeticError, match="onnxruntime and torch differ"):
        export(load_predictor(attending.folder, "cpu"), tmp_path / "n.onnx")
    assert list(tmp_path.iterdir()) == []


def test_missing_libraries_and_places_are_named_with_the_remedy(attending, tmp_path, monkeypatch):
    predictor = load_predictor(attending.folder, "cpu")
    with pytest.raises(InputError, match="cannot be written"):
        export(predictor, tmp_path / "nowhere" / "n.onnx")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'emotune\[onnx\]'"):
        export(predictor, tmp_path / "n.onnx")
