"""Whether runs on distributions have learned: against the mean distribution of training, and without one answer."""

import numpy as np
import pandas as pd
import pytest

from emotune.analysis.metrics import metric_from_stats, scalar_metrics, sufficient_stats
from emotune.analysis.prior import mean_distribution_predictor
from emotune.analysis.run_learning import run_learning
from emotune.config.distribution_scales import DISTRIBUTION_SCALES
from emotune.config.labels import MIKELS

LOT = np.random.default_rng(0)
TRUTH = LOT.multinomial(11, LOT.dirichlet(np.full(8, 0.7), size=200)) / 11
MEAN = dict(zip(MIKELS, TRUTH.mean(axis=0), strict=True))


def frame(predicted: np.ndarray) -> pd.DataFrame:
    names = np.array(MIKELS)
    table = {"sample_id": [f"{i:03}" for i in range(200)], "target": names[TRUTH.argmax(axis=1)]}
    with np.errstate(divide="ignore"):
        table |= {f"logit_{name}": np.log(predicted[:, i]) for i, name in enumerate(MIKELS)}
    return pd.DataFrame(table | {f"share_{name}": TRUTH[:, i] for i, name in enumerate(MIKELS)})


def judged(predicted: np.ndarray, metric: str):
    prior = mean_distribution_predictor(frame(predicted), MEAN)
    row = {"run": "r", "variant": "v", "dataset": "d", "seed": 0, "state": "done"}
    (found,) = run_learning([row], "d", {"r": frame(predicted)}, prior, (metric, "accuracy"))
    return found


def towards_the_truth(share: float) -> np.ndarray:
    return share * TRUTH + (1 - share) * TRUTH.mean(axis=0)


@pytest.mark.parametrize("metric", DISTRIBUTION_SCALES)
def test_predictions_that_are_nearer_to_the_truth_have_learned_by_every_metric(metric: str):
    assert judged(towards_the_truth(0.3), metric).learned


def test_the_training_mean_itself_and_one_other_answer_have_not_learned():
    for one in (TRUTH.mean(axis=0), np.full(8, 1 / 8), np.eye(8)[2] * 0.9 + 0.0125):
        found = judged(np.tile(one, (200, 1)), "kl")
        assert not found.learned and found.answer is not None
    assert "awe" in judged(np.tile(np.eye(8)[2] * 0.9 + 0.0125, (200, 1)), "kl").answer


def test_a_run_with_one_leading_class_but_different_shares_can_have_learned():
    boosted = towards_the_truth(0.4)
    boosted[:, 0] = 0
    boosted = np.concatenate(
        [np.full((200, 1), 0.5), boosted[:, 1:] / boosted[:, 1:].sum(axis=1, keepdims=True) / 2], 1
    )
    truth_like = judged(boosted, "emd_polarity")
    assert truth_like.answer is None


def test_the_mean_is_that_of_training_or_else_of_a_constant_run_or_else_of_the_test_images():
    given = dict.fromkeys(MIKELS, 0.0) | {"awe": 0.75, "fear": 0.25}
    prior = mean_distribution_predictor(frame(TRUTH), given)
    shares = np.exp(prior.predictions[[f"logit_{name}" for name in MIKELS]].to_numpy(float))
    np.testing.assert_allclose(shares, np.tile(list(given.values()), (200, 1)), atol=1e-7)
    assert (prior.answer, prior.from_training, prior.task) == ("awe", True, "distributions")
    same = mean_distribution_predictor(frame(TRUTH), None, prior.predictions)
    assert same.from_training and same.metrics == pytest.approx(prior.metrics)
    unknown = mean_distribution_predictor(frame(TRUTH), None)
    assert not unknown.from_training
    np.testing.assert_allclose(
        np.exp(unknown.predictions["logit_awe"].iloc[0]), TRUTH[:, MIKELS.index("awe")].mean(), rtol=1e-6
    )


@pytest.mark.parametrize("metric", DISTRIBUTION_SCALES)
def test_metrics_are_means_over_images_from_which_the_bootstrap_resamples(metric: str):
    predictions, weights = frame(towards_the_truth(0.5)), np.random.default_rng(1).integers(0, 4, 200)
    parts = sufficient_stats(predictions, metric)
    found = metric_from_stats(metric, np.array([(parts.value * weights).sum()]), weights.sum())
    repeated = predictions.loc[np.repeat(predictions.index, weights)].reset_index(drop=True)
    assert float(found) == pytest.approx(scalar_metrics(repeated)[metric])
