"""A network with an input of its own sees what its `InputSpec` says, in training, in tests and in predictions."""

import io
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from PIL import Image
from running import AUGMENTED, changed, start, trained
from scipy.special import softmax

from emotune.config.input_spec import InputOptions, InputSpec
from emotune.config.model import CodeConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.core.errors import InputError
from emotune.data.read.batches import open_split
from emotune.data.shard_reader import read_samples
from emotune.inference.onnx import export
from emotune.inference.predictor import load_predictor
from emotune.models.cost import cost
from emotune.models.weights.initial_weights import check_weights
from emotune.models.weights.resolve import resolve_weights
from emotune.runs.directory import WEIGHTS
from emotune.training.contract import try_user_code
from emotune.training.loop import InterruptedRunError
from emotune.training.step import network_inputs

SMALL = """
from torch import nn

class Small(nn.Sequential):
    def __init__(self, classes):
        maps = [nn.Conv2d(3, 4, 8, stride=8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5)]
        super().__init__(*maps, nn.Linear(4 * 8 * 8, classes))  # 64 pixels, no others
"""
SEEN = InputSpec(side=64, resize=72, interpolation="bilinear", mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
MEAN, STD = np.array(SEEN.mean), np.array(SEEN.std)


@pytest.fixture
def small(run: RunConfig) -> RunConfig:
    model = CodeConfig(
        code="own.py:Small",
        source=SMALL,
        input=InputOptions(**{name: value for name, value in asdict(SEEN).items() if name != "frames"}),
    )
    return replace(changed(run, **AUGMENTED, dropout=None), model=model, input=SEEN)


@pytest.fixture(scope="module")
def jpegs(small_shards: Path) -> dict[str, bytes]:
    """The bytes of all images, by sample id."""
    shards = [read_samples(shard.read_bytes(), shard.name) for shard in small_shards.glob("*.tar")]
    return {sample.key: sample.jpg for samples in shards for sample in samples}


def seen_by_hand(jpeg: bytes, top: int = 4, left: int = 4) -> np.ndarray:
    """What the network should see of an image, float64 (3, 64, 64)."""
    pixels = np.asarray(Image.open(io.BytesIO(jpeg)).resize((72, 72), Image.Resampling.BILINEAR))
    return ((pixels[top : top + 64, left : left + 64] / 255 - MEAN) / STD).transpose(2, 0, 1)


def test_a_run_is_tested_and_predicts_with_images_as_they_are_cropped_by_hand(small, jpegs, tmp_path):
    _, predictions = trained(small, tmp_path)
    predictor = load_predictor(str(tmp_path / small.id), "cpu", trust_code=True)
    logits = predictions.set_index("sample_id").filter(like="logit_")
    images = np.stack([seen_by_hand(jpegs[key]) for key in logits.index]).astype(np.float32)
    with torch.inference_mode():
        np.testing.assert_allclose(predictor.network(torch.from_numpy(images)), logits, atol=1e-4)
    later = predictor.predict([jpegs[key] for key in logits.index])
    np.testing.assert_allclose(later.probabilities, softmax(logits.to_numpy(), axis=1), atol=1e-5)
    assert export(predictor, tmp_path / "n.onnx") < 1e-5
    metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / "n.onnx").metadata_props}
    assert [metadata[name] for name in ("side", "resize", "interpolation")] == ["64", "72", "bilinear"]


def test_its_training_images_are_random_crops_of_that_side(small: RunConfig, jpegs: dict[str, bytes]):
    begun = start(changed(small, crop="random", augment="none", random_erasing=0.0, mixup=0.0, cutmix=0.0))
    batch = next(begun.batches)
    inputs = network_inputs(begun.state, batch.images, batch.indices, begun.randomness)
    corners = begun.randomness.crops.boxes[batch.indices][:, :2]
    assert len(np.unique(corners, axis=0)) > 8 and corners.min() == 0 and corners.max() == 8
    for image, index, (top, left) in zip(inputs, batch.indices, corners, strict=True):
        expected = seen_by_hand(jpegs[begun.images.keys[index]], top, left)
        mirrored = begun.randomness.crops.flipped[index]
        np.testing.assert_allclose(image, expected[..., ::-1] if mirrored else expected, atol=1e-5)


def test_what_augments_mixes_and_resumes_images_of_227_does_so_with_others(small: RunConfig, tmp_path: Path):
    _, expected = trained(small, tmp_path / "a")
    asked = iter([False] * 6 + [True])
    with pytest.raises(InterruptedRunError):
        trained(small, tmp_path / "b", stop=lambda: next(asked))
    record, predictions = trained(small, tmp_path / "b")
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
    assert record["interruptions"] == 1
    assert record["initialisation"]["normalisation"] == asdict(SEEN.normalisation)
    assert record["forward_flops"] == cost(small.model, 8, SEEN).forward_flops == 2 * (64 * 192 * 4 + 256 * 8)


def test_the_contract_is_tried_on_images_of_that_side(small: RunConfig):
    assert try_user_code(small, 8, Resources())
    with pytest.raises(InputError, match=r"\(2, 3, 227, 227\)"):
        try_user_code(replace(small, input=InputSpec()), 8, Resources())


def test_weights_of_a_run_come_with_their_normalisation_unless_the_study_sets_another(small, tmp_path):
    short = changed(small, epochs=1)
    trained(short, tmp_path)
    settings = replace(short.train, init=str(tmp_path / short.id / WEIGHTS))
    classes = open_split(small.dataset, "val").classes
    for options, expected in (
        (InputOptions(side=64), SEEN.normalisation),
        (InputOptions(side=64, mean=(0.1, 0.1, 0.1)), InputSpec(mean=(0.1, 0.1, 0.1)).normalisation),
    ):
        model = replace(small.model, input=options)
        weights = resolve_weights({"later": (model, settings)})["later"]
        later = replace(short, model=model, train=settings, weights=weights, input=options.applied_to(InputSpec()))
        assert check_weights(later, classes).normalisation == expected
