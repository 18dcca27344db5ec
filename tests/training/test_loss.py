"""The loss against formulas written out, and against torch's own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from running import changed, gradient, start

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.config.train import LossCode, TrainConfig
from emotune.core.errors import InputError
from emotune.data.augment import crop_and_normalise
from emotune.data.mixing import Mixture
from emotune.data.read.batches import Split, open_split
from emotune.training.loss import Objective, check_loss, class_weights, cross_entropy, smooth_labels
from emotune.training.step import backward


def surprise(run: RunConfig, split: Split | None = None) -> tuple[np.ndarray, np.ndarray, float]:
    """-log p (B, K) of the first batch, its labels, and the loss that training finds; dropout is off."""
    begun = start(run, split=split)
    batch = next(begun.batches)
    loss, _ = backward(begun.state, batch, begun.randomness).tolist()
    with torch.no_grad():
        logits = begun.state.network(crop_and_normalise(batch.images, begun.randomness.crops, batch.indices))
    return -logits.double().log_softmax(1).numpy(), begun.images.targets[batch.indices], loss


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_label_smoothing_spreads_a_part_of_the_target_over_all_classes(run: RunConfig, smoothing: float):
    neg_log_probs, targets, loss = surprise(changed(run, dropout=0.0, label_smoothing=smoothing))
    target_loss = neg_log_probs[np.arange(len(targets)), targets]
    assert loss == pytest.approx(((1 - smoothing) * target_loss + smoothing * neg_log_probs.mean(1)).mean(), rel=1e-5)


def test_smoothing_is_torchs_for_labels_and_keeps_sums_of_all_targets():
    logits, targets = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    target_probs = torch.from_numpy(smooth_labels(np.eye(4, dtype=np.float32)[targets.numpy()], 0.3))
    torch.testing.assert_close(
        F.cross_entropy(logits, target_probs), F.cross_entropy(logits, targets, label_smoothing=0.3)
    )
    votes = np.array([[0.5, 0.5, 0, 0], [0, 0.7, 0, 0]])  # of two annotators; of one label, weighted with agreement
    np.testing.assert_allclose(smooth_labels(votes, 0.2).sum(1), votes.sum(1))
    np.testing.assert_allclose(smooth_labels(votes, 0.2)[0], [0.45, 0.45, 0.05, 0.05])


def test_the_loss_of_bfloat16_logits_is_calculated_in_float32():
    logits, target_probs = torch.randn(6, 8).bfloat16(), torch.eye(8)[:6]
    expected = -(logits.double().log_softmax(1) * target_probs).sum(1)
    losses = cross_entropy(logits.float(), target_probs, torch.ones(6))
    torch.testing.assert_close(losses.double(), expected, rtol=1e-6, atol=1e-6)


FOCAL = """import torch
def focal(logits, target_probs, weights, gamma=2.0):
    log_probs = logits.log_softmax(1)
    return -(target_probs * (1 - log_probs.exp()) ** gamma * log_probs).sum(1)
"""


def of_own(body: str, **options) -> LossCode:
    return LossCode(code="losses.py:focal", source=body, options=options)


def test_the_users_own_loss_is_trained_with(run: RunConfig):
    loss = of_own(FOCAL, gamma=1.0)
    neg_log_probs, targets, found = surprise(changed(run, dropout=0.0, loss=loss))
    of_target = neg_log_probs[np.arange(len(targets)), targets]
    assert found == pytest.approx(((1 - np.exp(-of_target)) * of_target).mean(), rel=1e-5)
    check_loss(TrainConfig(loss=loss), 8)


@pytest.mark.parametrize(
    ("result", "parts"),
    [
        ("losses.mean()", ["()", "(3,)"]),
        ("losses - losses.mean()", ["alone"]),
        ("losses.detach()", ["gradient"]),
        ("losses / 0", ["finite"]),
        ("(target_probs * (target_probs.log() - log_probs)).sum(1)", ["finite", "labels"]),
        ("losses.squeeze()", ["()", "(1,)"]),
        ("torch.stack(list(losses))", ["RuntimeError"]),
        ("3", ["int"]),
        ("losses[5]", ["line 5", "IndexError"]),
    ],
)
def test_a_loss_that_cannot_be_trained_with_is_refused(result: str, parts: list[str]):
    body = FOCAL.replace("return -", "losses = -") + f"    return {result}\n"
    with pytest.raises(InputError) as caught:
        check_loss(TrainConfig(loss=of_own(body)), 8)
    assert all(part in str(caught.value) for part in ["losses.py:focal", *parts]), caught.value


RATINGS = """
def distance(outputs, ratings, weights):
    losses = {}.mean(1)
    return {}
"""


@pytest.mark.parametrize("dimensions", [1, 3])
def test_a_loss_of_ratings_is_tried_on_ratings(dimensions: int):
    def check(losses: str, result: str = "losses") -> str:
        code = LossCode(code="losses.py:distance", source=RATINGS.format(losses, result), options={})
        try:
            check_loss(TrainConfig(loss=code), dimensions, "dimensions")
        except InputError as error:
            return str(error)
        return ""

    assert check("(outputs - ratings).abs()") == ""
    assert "finite for ratings" in check("(outputs - ratings.log()).abs()"), "some ratings are below zero"
    assert "distributions" not in check("(outputs - ratings.log()).abs()")
    assert check("(outputs - ratings / (ratings.sum(1, keepdim=True) != 1).float()).abs()") == "", "they have no sum"
    for result in ("losses.detach()", "losses.mean()"):
        message = check("(outputs - ratings).abs()", result)
        assert "outputs" in message and "logits" not in message
    seen = check("(outputs + 0 / (ratings.abs() <= 1).float()).abs()")
    assert seen == "", "all are from -1 to 1"


def test_balanced_images_count_as_if_all_classes_had_the_same_number(run: RunConfig):
    balanced = changed(run, dropout=0.0, class_weights="balanced")
    neg_log_probs, targets, loss = surprise(balanced)
    everything = open_split(run.dataset, "train").targets
    weights = [len(everything) / (8 * sum(other == target for other in everything)) for target in targets]
    assert loss == pytest.approx(np.average(neg_log_probs[np.arange(len(targets)), targets], weights=weights), rel=1e-5)
    assert loss != pytest.approx(surprise(changed(run, dropout=0.0))[2], rel=1e-5)


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_mixtures_loss_is_the_mean_of_both_targets_losses_with_the_weights_of_their_images(share: float):
    probs = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]] * 0.7 + 0.1
    weights = np.array([1, 2, 3, 2], np.float32)
    objective = Objective(*map(torch.from_numpy, (np.array([0, 1, 2, 1]), probs, weights)))
    own, partners = np.array([3, 0, 2]), np.array([0, 2, 3])
    mixed = objective.of(own, Mixture(partners, share))
    log_probs = torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).log_softmax(1).numpy()
    one, other = (-(log_probs * probs[rows]).sum(1) * weights[rows] for rows in (own, partners))
    losses = cross_entropy(torch.from_numpy(log_probs), mixed.target_probs, mixed.weights)
    found = (losses * mixed.weights).numpy()
    np.testing.assert_allclose(found, share * one + (1 - share) * other, rtol=1e-5)
    assert mixed.weights.sum() == pytest.approx(weights[own].sum())
    assert mixed.targets.tolist() == objective.targets[own if share > 0.5 else partners].tolist()
    assert (mixed.target_probs.dtype, mixed.weights.dtype) == (torch.float32, torch.float32)


def test_class_weights_make_the_classes_equal_and_an_absent_class_does_no_harm():
    targets = np.array([0] * 6 + [1] * 3 + [3])
    weights = class_weights(targets, 4)
    sums = np.bincount(targets, weights[targets], minlength=4)
    np.testing.assert_allclose(sums[[0, 1, 3]], len(targets) / 4)
    assert np.isfinite(weights).all()


@pytest.mark.parametrize("targets", ["soft", "weighted"])
def test_smoothing_and_class_weights_go_with_votes(run: RunConfig, targets: str):
    whole = open_split(run.dataset, "train")
    votes = tuple({whole.classes[target]: 3.0, whole.classes[0]: 1.0 + target % 3} for target in whole.targets)
    settings = {"label_smoothing": 0.2, "class_weights": "balanced"}
    voted = replace(whole, votes=votes)
    neg_log_probs, labels, loss = surprise(changed(run, dropout=0.0, targets=targets, **settings), voted)
    target_probs = []
    for label in labels:
        image_votes = votes[int(np.flatnonzero(whole.targets == label)[0])]
        share = image_votes[whole.classes[label]] / sum(image_votes.values())
        if targets == "soft":
            aim = np.array([image_votes.get(name, 0.0) / sum(image_votes.values()) for name in whole.classes])
        else:
            shares = [v[whole.classes[t]] / sum(v.values()) for v, t in zip(votes, whole.targets, strict=True)]
            aim = share / np.mean(shares) * np.eye(8)[label]
        target_probs.append(0.8 * aim + 0.2 * aim.sum() / 8)
    weights = [1 / np.sum(whole.targets == label) for label in labels]
    assert loss == pytest.approx(np.average((np.array(target_probs) * neg_log_probs).sum(1), weights=weights), rel=1e-5)


@pytest.mark.parametrize("settings", [{}, {"class_weights": "balanced", "label_smoothing": 0.1}])
def test_a_batch_in_pieces_gives_the_loss_and_gradient_of_a_whole_one_with_dropout_on(run: RunConfig, settings: dict):
    results = []
    for accumulate in (1, 4, 100):  # more pieces than images: one each
        begun = start(changed(run, dropout=0.5, **settings), resources=Resources(accumulate=accumulate))
        sizes: list[int] = []
        begun.state.network.register_forward_pre_hook(lambda module, inputs, to=sizes: to.append(len(inputs[0])))
        loss, correct = backward(begun.state, next(begun.batches), begun.randomness).tolist()
        results.append((loss, correct, gradient(begun.state), sizes))
    for loss, correct, vector, _ in results[1:]:
        assert (loss, correct) == (pytest.approx(results[0][0], rel=1e-6), results[0][1])
        torch.testing.assert_close(vector, results[0][2], rtol=0, atol=1e-5 * results[0][2].abs().max().item())
    assert [sorted(sizes) for *_, sizes in results] == [[15], [3, 4, 4, 4], [1] * 15]


def test_dropout_changes_the_gradient(run: RunConfig):
    off, on = (start(changed(run, dropout=p)) for p in (0.0, 0.5))
    for begun in (off, on):
        backward(begun.state, next(begun.batches), begun.randomness)
    assert not torch.allclose(gradient(off.state), gradient(on.state))
