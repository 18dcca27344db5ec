"""Metrics of predicted distributions: which columns they read, and for which classes they say something."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from emotune.analysis.distribution_metrics import distribution_metrics, image_measures
from emotune.analysis.prediction_arrays import shares_of
from emotune.config.distribution_scales import DISTRIBUTION_SCALES
from emotune.config.labels import EKMAN, MIKELS, POSITIVE, wheel_of

NEUTRAL = (*EKMAN, "neutral")


def frame(classes: tuple[str, ...], count: int = 40, *, right: bool = False) -> pd.DataFrame:
    """Predictions of images with eleven votes each; exactly the votes if they are right."""
    lot = np.random.default_rng(0)
    votes = lot.multinomial(11, lot.dirichlet(np.full(len(classes), 0.5), size=count)) / 11
    with np.errstate(divide="ignore"):
        logits = np.log(votes) if right else lot.normal(size=votes.shape)
    columns = {"sample_id": [str(i) for i in range(count)], "target": np.array(classes)[votes.argmax(1)]}
    columns |= {f"logit_{name}": logits[:, i].astype(np.float32) for i, name in enumerate(classes)}
    columns |= {f"share_{name}": votes[:, i].astype(np.float32) for i, name in enumerate(classes)}
    return pd.DataFrame(columns)


@pytest.mark.parametrize("classes", [MIKELS, EKMAN, NEUTRAL])
def test_right_predictions_have_the_best_value_of_every_metric(classes: tuple[str, ...]):
    for name, value in distribution_metrics(frame(classes, right=True)).items():
        best = 1.0 if DISTRIBUTION_SCALES[name].higher_is_better else 0.0
        assert np.isnan(value) or value == pytest.approx(best, abs=1e-5), name


def test_other_predictions_are_worse_and_within_the_bounds():
    wrong, right = distribution_metrics(frame(MIKELS)), distribution_metrics(frame(MIKELS, right=True))
    assert list(wrong) == list(DISTRIBUTION_SCALES)
    for name, scale in DISTRIBUTION_SCALES.items():
        assert (wrong[name] < right[name]) == scale.higher_is_better
        assert scale.bounds[0] <= wrong[name] <= scale.bounds[1]


def test_metrics_that_need_a_wheel_or_a_polarity_are_missing_without_one():
    missing = {
        classes: {name for name, value in distribution_metrics(frame(classes)).items() if np.isnan(value)}
        for classes in (MIKELS, EKMAN, NEUTRAL)
    }
    assert missing == {MIKELS: set(), EKMAN: {"emd_polarity"}, NEUTRAL: {"emd_wheel", "emd_polarity"}}


def test_the_distance_on_the_wheel_is_transport_along_its_order():
    predictions, wheel = frame(MIKELS, 6), wheel_of(MIKELS)
    truth = shares_of(predictions)
    logits = predictions.filter(like="logit_").to_numpy(float)
    predicted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    steps = np.abs(np.subtract.outer(*[[wheel.index(name) for name in MIKELS]] * 2))
    costs = np.minimum(steps, 8 - steps).ravel()
    flows = np.zeros((16, 64))
    for i in range(8):
        flows[i, i * 8 : i * 8 + 8] = flows[8 + i, i::8] = 1
    assert truth is not None
    expected = [
        linprog(costs, A_eq=flows, b_eq=np.concatenate(pair)).fun for pair in zip(truth, predicted, strict=True)
    ]
    np.testing.assert_allclose(image_measures(predictions, "emd_wheel"), expected, atol=1e-6)


def test_the_distance_between_polarities_is_the_difference_of_their_shares():
    predictions = frame(MIKELS)
    positive = [name for name in MIKELS if name in POSITIVE]
    logits = predictions[[f"logit_{name}" for name in MIKELS]].to_numpy(float)
    predicted = pd.DataFrame(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), columns=list(MIKELS))
    truth = predictions[[f"share_{name}" for name in positive]].sum(axis=1)
    found = image_measures(predictions, "emd_polarity")
    np.testing.assert_allclose(found, (predicted[positive].sum(axis=1) - truth).abs(), atol=1e-6)


def test_predictions_without_true_shares_have_no_such_metrics():
    without = frame(MIKELS).drop(columns=[f"share_{name}" for name in MIKELS])
    assert shares_of(without) is None
    with pytest.raises(ValueError, match="kl"):
        image_measures(without, "kl")
