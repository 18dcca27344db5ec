"""Evaluation of crops, and their average. Its shares among ranks: test_ranks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from running import ALONE, first, trained, without_times

from emotune.config.input_spec import InputSpec
from emotune.config.run import RunConfig
from emotune.data.augment import CropBoxes, crop_and_normalise
from emotune.data.read.batches import Split, open_split
from emotune.models.build import build
from emotune.training.evaluate import average_logits, evaluate

CROP_SIDE, IMAGE_SIDE = InputSpec.side, InputSpec.resize


def averaged_plainly(network: torch.nn.Module, split: Split) -> np.ndarray:
    """The logarithm of the mean of ten softmax outputs, float64 (N, K), with crops cut by hand."""
    spare, centre = IMAGE_SIDE - CROP_SIDE, (IMAGE_SIDE - CROP_SIDE) // 2
    corners = [(0, 0), (0, spare), (spare, 0), (spare, spare), (centre, centre)]
    whole = np.arange(len(split))
    outputs = []
    for top, left in corners:
        boxes = np.tile([top, left, CROP_SIDE, CROP_SIDE], (len(split), 1))
        crops = crop_and_normalise(
            torch.from_numpy(np.stack(split.images.take(whole))), CropBoxes(boxes, whole < 0), whole
        )
        outputs += [network(crops).double().softmax(1), network(crops.flip(3)).double().softmax(1)]
    return torch.stack(outputs).mean(0).log().numpy()


def test_ten_crops_give_the_logarithm_of_the_mean_of_their_softmax_outputs(run: RunConfig):
    split = first(open_split(run.dataset, "test"), 37)
    network = build(run.model, 8).eval()
    with torch.inference_mode():
        expected = averaged_plainly(network, split)
    actual = evaluate(network, split, ALONE, crops=10).logits
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    np.testing.assert_allclose(np.exp(actual).sum(1), 1, atol=1e-5)
    assert np.abs(actual - evaluate(network, split, ALONE).logits).max() > 0.01


@pytest.mark.parametrize(("crops", "passes"), [(1, 1), (5, 5), (10, 10)])
def test_no_forward_pass_sees_more_images_because_of_more_crops(run: RunConfig, crops: int, passes: int):
    split, batch_sizes = first(open_split(run.dataset, "test"), 37), []
    network = build(run.model, 8)
    network.register_forward_pre_hook(lambda module, inputs: batch_sizes.append(len(inputs[0])))
    evaluate(network, split, ALONE, crops)
    assert batch_sizes == [len(split)] * passes


@pytest.mark.parametrize("size", [1.0, 1e4, 1e30])
def test_averaging_loses_neither_large_logits_nor_small_probabilities(size: float):
    logits = size * torch.randn(5, 40, 8, generator=torch.Generator().manual_seed(0))
    actual = average_logits(list(logits))
    expected = torch.logsumexp(logits.double().log_softmax(2), 0) - np.log(5)
    assert torch.isfinite(actual).all()
    torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=1e-5)


def test_averaging_does_not_hide_an_output_that_is_not_finite():
    logits = torch.zeros(5, 3, 8)
    logits[2, 0, 0], logits[3, 1, 1] = float("inf"), float("nan")
    assert (~torch.isfinite(average_logits(list(logits)))).any(1).tolist() == [True, True, False]


def test_test_crops_change_the_test_and_nothing_else(run: RunConfig, tmp_path: Path):
    short = replace(run, train=replace(run.train, epochs=1))
    (one, centre), (five, averaged) = (
        trained(replace(short, train=replace(short.train, test_crops=crops)), tmp_path) for crops in (1, 5)
    )
    assert without_times(one)["last_epoch"] == without_times(five)["last_epoch"], "validation sees the centre"
    columns = [c for c in centre if c.startswith("logit_")]
    assert np.abs(centre[columns] - averaged[columns]).to_numpy().max() > 0.01
    np.testing.assert_allclose(np.exp(averaged[columns].to_numpy()).sum(1), 1, atol=1e-5)
