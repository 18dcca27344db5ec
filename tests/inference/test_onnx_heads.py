"""Networks of a backbone and a head are exported with the maps of their attention."""

from pathlib import Path

import onnxruntime
import pytest
import torch
import trunks

from emotune.config.normalisation import IMAGENET
from emotune.inference.onnx import IMAGES, PROBABILITIES, export
from emotune.inference.predictor import Predictor


def test_a_head_is_exported_with_its_attention_for_any_number_of_images(tmp_path: Path):
    network, classes = trunks.network("han").requires_grad_(False), tuple("abcde")
    predictor = Predictor("trunk-s0-00000000", classes, network, IMAGENET, 1, torch.device("cpu"), trunks.SMALL)
    assert export(predictor, tmp_path / "network.onnx") < 1e-5
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx", providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == [PROBABILITIES, "attention_head.map"]
    _, weights = session.run(None, {IMAGES: trunks.images(4).numpy()})
    assert weights.shape == (4, 16)
    assert weights.sum(1) == pytest.approx(1, abs=1e-5)
