"""Runs on distributions: what they store of the truth, what they are trained with, and the mean distribution."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from running import changed, trained

from emotune.config.losses import KlLoss
from emotune.config.model import ConstantConfig
from emotune.config.run import RunConfig
from emotune.config.train import TrainConfig
from emotune.data.annotations import OTHER, target_weights, training_targets, vote_shares
from emotune.data.read.batches import Split, open_split
from emotune.training.loss import make_objective


@pytest.fixture
def voted(run: RunConfig) -> RunConfig:
    return replace(run, dataset=replace(run.dataset, task="distributions"))


def shares_of(split: Split) -> np.ndarray:
    return np.array([[votes.get(name, 0) for name in split.classes] for votes in split.votes])


def test_predictions_have_the_true_shares_only_where_distributions_are_predicted(
    run: RunConfig, voted: RunConfig, tmp_path: Path
):
    assert run.id != voted.id
    record, predictions = trained(changed(voted, targets="soft", loss=KlLoss(), epochs=1), tmp_path)
    split = open_split(run.dataset, "test")
    counts = shares_of(split)
    expected = counts / counts.sum(axis=1, keepdims=True)
    found = predictions[[f"share_{name}" for name in split.classes]].to_numpy()
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert predictions["sample_id"].tolist() == list(split.keys) and (expected < 1).any()
    of_training = shares_of(open_split(run.dataset, "train"))
    mean = (of_training / of_training.sum(axis=1, keepdims=True)).mean(axis=0)
    assert list(record["train_shares"].values()) == pytest.approx(mean.tolist(), abs=1e-6)
    plain, without = trained(changed(run, epochs=1), tmp_path)
    assert "train_shares" not in plain and not without.filter(like="share_").shape[1]


def test_the_constant_model_predicts_the_mean_distribution_of_training(voted: RunConfig, tmp_path: Path):
    constant = replace(voted, model=ConstantConfig(), train=TrainConfig())
    record, predictions = trained(constant, tmp_path)
    logits = predictions.filter(like="logit_").to_numpy(np.float64)
    assert np.ptp(logits, axis=0).max() == 0
    np.testing.assert_allclose(np.exp(logits[0]), list(record["train_shares"].values()), atol=1e-6)
    classes = replace(constant, dataset=replace(constant.dataset, task="classes"))
    assert not np.allclose(trained(classes, tmp_path)[1].filter(like="logit_").to_numpy()[0], logits[0], atol=1e-3)


def test_votes_for_none_of_the_classes_are_left_out_of_distributions():
    votes = [{"awe": 3, "fear": 1, OTHER: 6}, {OTHER: 4}, {}]
    shares = vote_shares(["awe", "fear", "awe"], votes, ("awe", "fear"))
    assert shares.tolist() == [[0.75, 0.25], [0, 1], [1, 0]]
    labels, classes = ["awe", "fear", "awe"], ("awe", "fear")
    assert (training_targets(labels, votes, classes, "soft", "distributions") == shares).all()
    spread = training_targets(labels, votes, classes, "soft")
    assert (spread == target_weights(labels, votes, classes, "soft")).all() and spread[0, 1] > 0.25


def test_soft_targets_of_both_tasks_are_the_same_where_all_votes_are_for_classes(run: RunConfig):
    split = open_split(run.dataset, "train")
    assert all(set(votes) <= set(split.classes) for votes in split.votes) and any(len(v) > 1 for v in split.votes)
    train, device = TrainConfig(targets="soft"), torch.device("cpu")
    of_classes, of_votes = (make_objective(split, train, device, task) for task in ("classes", "distributions"))
    torch.testing.assert_close(of_classes.target_probs, of_votes.target_probs)
