"""Measures of predicted ratings equal independent computations; guards hold; sums over images suffice."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from emotune.analysis.learning import variant_learning, yardsticks
from emotune.analysis.metrics import metric_from_stats, predicted_classes_digest, scalar_metrics, sufficient_stats
from emotune.analysis.prior import mean_predictor
from emotune.analysis.rating_arrays import with_own_ratings, with_unit_ratings
from emotune.analysis.rating_metrics import ratings_by_dimension
from emotune.analysis.run_learning import run_learning
from emotune.config.metric import Metric
from emotune.config.metric_scales import DIMENSION_METRICS
from emotune.config.target import Dimension
from emotune.runs.directory import State
from emotune.runs.predictions import concordance
from emotune.runs.rating_measures import pearson

DIMENSIONS = (Dimension("valence", 1, 7), Dimension("arousal", 0, 100))
RNG = np.random.default_rng(0)
TRUE = RNG.uniform(-0.9, 0.9, (80, 2))
PREDICTED = 0.5 * TRUE + RNG.normal(0, 0.2, (80, 2)) + [0.1, -0.2]


def frame(predicted: np.ndarray = PREDICTED, true: np.ndarray = TRUE) -> pd.DataFrame:
    """A run's table as it is in a file."""
    table = pd.DataFrame({"sample_id": [f"{n:03}" for n in range(len(true))]})
    table["group"] = table["sample_id"]
    for i, one in enumerate(DIMENSIONS):
        table[f"true_{one.name}"], table[f"predicted_{one.name}"] = (
            one.from_unit(true[:, i]),
            one.from_unit(predicted[:, i]),
        )
        table[f"sd_{one.name}"] = 1.5
    return with_unit_ratings(table, DIMENSIONS)


def lin(x: np.ndarray, y: np.ndarray) -> float:
    """The concordance from Pearson's r and a bias, as Lin (1989) decomposes it."""
    r, scale = stats.pearsonr(x, y).statistic, x.std() / y.std()
    location = (x.mean() - y.mean()) / np.sqrt(x.std() * y.std())
    return r * 2 / (scale + 1 / scale + location**2)


def test_concordance_and_correlation_are_those_of_scipy():
    assert concordance(TRUE, PREDICTED) == pytest.approx([lin(TRUE[:, i], PREDICTED[:, i]) for i in range(2)])
    expected = [stats.pearsonr(TRUE[:, i], PREDICTED[:, i]).statistic for i in range(2)]
    assert pearson(TRUE, PREDICTED) == pytest.approx(expected)
    found = scalar_metrics(frame())
    assert list(found) == list(DIMENSION_METRICS)
    assert found["pearson"] == pytest.approx(np.mean(expected)) and np.isnan(found["ccc_dominance"])
    assert found["ccc"] == pytest.approx((found["ccc_valence"] + found["ccc_arousal"]) / 2)
    assert found["rmse"] == pytest.approx(np.sqrt(((PREDICTED - TRUE) ** 2).mean(0)).mean())
    assert found["sagr"] == pytest.approx(100 * (np.sign(TRUE) == np.sign(PREDICTED)).mean())


def test_a_bias_lowers_the_concordance_but_not_the_correlation():
    biased = pd.concat([ratings_by_dimension(frame(PREDICTED + shift)) for shift in (0, 0.3)])
    (r, biased_r), (ccc, biased_ccc) = (biased[biased["dimension"] == "valence"][name] for name in ("pearson", "ccc"))
    assert r == pytest.approx(biased_r) and biased_ccc < ccc


def test_perfect_predictions_have_the_best_values_and_constant_ones_no_correlation():
    perfect = scalar_metrics(frame(TRUE))
    assert [perfect[name] for name in ("ccc", "pearson", "rmse", "sagr")] == pytest.approx([1, 1, 0, 100])
    constant = scalar_metrics(frame(np.full_like(TRUE, 0.25)))
    assert constant["ccc"] == pytest.approx(0, abs=1e-12) and np.isnan(constant["pearson"])
    assert concordance(np.ones((4, 1)), np.ones((4, 1))).tolist() == [0]


def test_a_rating_at_the_centre_agrees_only_with_a_prediction_at_the_centre():
    true = np.array([[0.0, 0.5], [0.0, 0.5], [0.2, 0.5], [0.2, 0.5]])
    predicted = np.array([[0.0, 0.1], [0.1, 0.1], [0.0, 0.1], [0.3, -0.1]])
    assert ratings_by_dimension(frame(predicted, true))["sagr"].tolist() == [50, 75]


@pytest.mark.parametrize("metric", ["ccc", "pearson", "rmse", "sagr", "ccc_valence", "ccc_arousal"])
def test_every_measure_is_a_function_of_its_sums_over_images(metric):
    stats_ = sufficient_stats(frame(), metric)
    assert stats_.image is not None
    weights = np.random.default_rng(1).integers(0, 3, (2, len(TRUE)))
    weights[0] = 1
    sums = np.stack([np.bincount(stats_.cell, stats_.value * w[stats_.image], stats_.cells) for w in weights])
    drawn = np.repeat(np.arange(len(TRUE)), weights[1])
    expected = [scalar_metrics(frame())[metric], scalar_metrics(frame(PREDICTED[drawn], TRUE[drawn]))[metric]]
    assert metric_from_stats(metric, sums, weights.sum(1)) == pytest.approx(expected)


def test_tables_go_back_to_their_own_scales_and_digests_tell_predictions_apart():
    own = with_own_ratings(frame(), DIMENSIONS)
    assert own["true_arousal"].to_numpy() == pytest.approx(DIMENSIONS[1].from_unit(TRUE[:, 1]))
    assert own["sd_arousal"].to_numpy() == pytest.approx(1.5) and frame()["sd_valence"].to_numpy() == pytest.approx(0.5)
    shuffled = frame().sample(frac=1, random_state=0)
    assert predicted_classes_digest(frame()) == predicted_classes_digest(shuffled)
    assert predicted_classes_digest(frame()) != predicted_classes_digest(frame(PREDICTED + 0.01))


def test_runs_are_compared_with_the_training_mean_over_the_test_images():
    prior = mean_predictor(frame(), {"valence": 4.3, "arousal": 40.0}, DIMENSIONS)
    assert prior.answer == "valence 4.3, arousal 40"
    assert prior.metrics["ccc"] == pytest.approx(0, abs=1e-12) and prior.metrics["rmse"] > 0.4
    noise = np.random.default_rng(3).normal(0, 0.3, TRUE.shape)
    runs = {"good": frame(), "noise": frame(noise), "constant": frame(noise * 1e-3)}
    rows = [{"run": run, "variant": run, "dataset": "d", "seed": 0, "state": State.DONE} for run in runs]
    for compared in (("ccc",), ("rmse", "ccc")):
        found = {one.variant: (one.learned, one.answer) for one in run_learning(rows, "d", runs, prior, compared)}
        assert found == {"good": (True, None), "noise": (False, None), "constant": (False, "valence 4, arousal 50")}


@pytest.mark.parametrize("learned", DIMENSIONS)
def test_the_concordance_of_a_dimension_is_judged_by_that_dimension(learned: Dimension):
    names = [one.name for one in DIMENSIONS]
    guessed = np.where([name == learned.name for name in names], PREDICTED, 0.2)
    prior = mean_predictor(frame(), {"valence": 4.0, "arousal": 50.0}, DIMENSIONS)
    row = {"run": "r", "variant": "a", "dataset": "d", "seed": 0, "state": State.DONE}
    for one in DIMENSIONS:
        compared = yardsticks(Metric(name=f"ccc_{one.name}", min_effect=0.05))
        (found,) = run_learning([row], "d", {"r": frame(guessed)}, prior, compared)
        assert (found.learned, found.answer is None) == (one is learned, one is learned)
        assert learned.name not in (found.answer or "")
        table = [row | {"seed": s, "ccc": 0.3, "ccc_valence": 0.0, "ccc_arousal": 0.0} for s in range(3)]
        table = [r | {f"ccc_{learned.name}": 0.6 + 0.01 * r["seed"]} for r in table]
        judged = variant_learning(table, "d", 3, prior.metrics, compared, ["a"], [found])
        assert judged["a"].learned == (one is learned)
