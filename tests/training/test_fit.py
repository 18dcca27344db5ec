"""Runs of models that are fitted at once."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from clips import write_clip
from pydantic import TypeAdapter
from running import ALONE, history, trained, without_times

from emotune.analysis.prior import prior_predictor
from emotune.config.model import ConstantConfig, SvmConfig, ZeroShotConfig
from emotune.config.resources import Resources
from emotune.config.train import TrainConfig
from emotune.data.augment import crop_and_normalise, evaluation_crops
from emotune.data.read.batches import open_split
from emotune.models.backbones.catalogue import resolve_inputs
from emotune.models.baselines.zero_shot import zero_shot
from emotune.models.weights.resolve import resolve_weights
from emotune.runs.directory import FITTED, RECORD, WEIGHTS, RunDirectory
from emotune.training.loop import InterruptedRunError, train


@pytest.fixture
def svm(run):
    return replace(run, variant="colours", model=SvmConfig(c_grid=(1.0,)), train=TrainConfig())


def test_a_fitted_run_leaves_the_files_of_a_network_without_weights(run, svm, tmp_path):
    record, predictions = trained(svm, tmp_path)
    network, of_network = trained(run, tmp_path)
    files, of_network_run = ({p.name for p in (tmp_path / one.id).iterdir()} for one in (svm, run))
    assert files == of_network_run - {WEIGHTS} | {FITTED}
    assert set(network) - set(record) == {"weights"}
    assert list(predictions.columns) == list(of_network.columns)
    pd.testing.assert_frame_equal(
        predictions[["sample_id", "target", "group"]], of_network[["sample_id", "target", "group"]]
    )
    logits = predictions.filter(like="logit_").to_numpy()
    np.testing.assert_allclose(np.exp(logits.astype(float)).sum(1), 1, atol=1e-5)
    labels = [name.removeprefix("logit_") for name in predictions.filter(like="logit_")]
    right = np.array(labels)[logits.argmax(1)] == predictions["target"]
    assert record["accuracy"] == pytest.approx(100 * right.mean())
    assert record["fitted"]["c"] == 1.0
    (entry,) = history(tmp_path, svm)
    assert entry["train_accuracy"] > 50


def test_a_fitted_result_does_not_depend_on_the_seed(svm, undisturbed, tmp_path):
    _, predictions = trained(replace(svm, seed=1), tmp_path)
    pd.testing.assert_frame_equal(predictions, undisturbed(svm)[1])


def test_indexed_images_give_what_decoded_ones_give(svm, undisturbed, tmp_path):
    decoded, expected = undisturbed(svm)
    indexed, predictions = trained(svm, tmp_path / "indexed", resources=Resources(cache_gb=0))
    assert (decoded["reading"], indexed["reading"]) == ("features", "features")
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)


def test_the_class_prior_predicts_the_training_frequencies(run, tmp_path):
    constant = replace(run, variant="constant", model=ConstantConfig(), train=TrainConfig())
    record, predictions = trained(constant, tmp_path)
    targets = open_split(run.dataset, "train").targets
    logits = predictions.filter(like="logit_").to_numpy()
    counts = np.bincount(targets, minlength=logits.shape[1]) + 1
    np.testing.assert_allclose(np.exp(logits), np.tile(counts / counts.sum(), (len(logits), 1)), rtol=1e-5)
    assert list(record["train_by_class"].values()) == (counts - 1).tolist()
    assert record["parameters"] == len(counts) - 1
    prior = prior_predictor(predictions, record["train_by_class"]).predictions
    pd.testing.assert_frame_equal(prior, predictions, check_exact=True)
    assert record["forward_flops"] is None


def test_a_stopped_run_leaves_no_result_and_starts_again_to_the_same(svm, undisturbed, tmp_path):
    asked = iter([False, True])
    with pytest.raises(InterruptedRunError):
        train(svm, RunDirectory(str(tmp_path), svm), ALONE, stop=lambda: next(asked))
    assert not (tmp_path / svm.id / RECORD).exists()
    again, predictions = trained(svm, tmp_path)
    whole, expected = undisturbed(svm)
    pd.testing.assert_frame_equal(predictions, expected)
    assert without_times(again) == without_times(whole)


def test_a_fit_reports_its_progress(svm, tmp_path):
    reported = []
    trained(svm, tmp_path, on_progress=reported.append)
    fractions = [progress.fraction for progress in reported if progress.phase != "reading"]  # only if it takes long
    assert fractions == sorted(fractions)
    assert {progress.phase for progress in reported} >= {"training", "testing"}


def test_prompts_are_answered_without_training(run, tmp_path):
    write_clip(tmp_path)
    value = {"architecture": "clip.json", "prompts": ["a photo of {}", "{}"]}
    model = TypeAdapter(ZeroShotConfig).validate_python(value, context={"folder": tmp_path})
    pair = model, TrainConfig(init=str(tmp_path / "clip.safetensors"))
    prompts = replace(
        run, variant="prompts", model=model, train=pair[1], weights=resolve_weights({"": pair})[""],
        input=resolve_inputs({"": pair})[""],
    )  # fmt: skip
    (tmp_path / "clip.json").unlink()  # its content travels with the run
    record, predictions = trained(prompts, tmp_path)
    split = open_split(run.dataset, "test", prompts.input)
    images = [torch.from_numpy(image) for image in split.images.take(np.arange(len(split)))]
    crop = evaluation_crops(len(split), 1, prompts.input)[0]
    pixels = crop_and_normalise(images, crop, np.arange(len(split)), prompts.input.normalisation)
    expected = zero_shot(prompts, split.classes)(pixels).numpy()
    np.testing.assert_allclose(predictions.filter(like="logit_").to_numpy(), expected, rtol=1e-5, atol=1e-5)
    assert list(record["fitted"]["texts"]) == list(split.classes)
    assert record["initialisation"]["digest"] == prompts.weights.digest
    _, again = trained(replace(prompts, seed=1), tmp_path)
    pd.testing.assert_frame_equal(again, predictions, check_exact=True)
