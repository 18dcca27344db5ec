import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from emotune.analysis.metrics import (
    confusion_counts,
    expected_calibration_error,
    f1_of,
    metric_from_stats,
    polarity_accuracy,
    recall_of,
    scalar_metrics,
    sufficient_stats,
)
from emotune.config.labels import EKMAN, MIKELS, POSITIVE
from emotune.config.metric import SCALES

PREDICTIONS = pd.DataFrame(
    {
        "sample_id": ["p", "q", "r", "s"],
        "target": ["fear", "awe", "awe", "fear"],
        "logit_awe": [0.1, 2.0, -1.0, 0.0],
        "logit_fear": [0.3, 1.0, 5.0, -0.1],
        "logit_anger": [0.2, 0.0, 0.0, -9.0],
    }
)
RNG = np.random.default_rng(3)


def frame(targets: list[str] | np.ndarray, logits: np.ndarray, classes: tuple[str, ...] = MIKELS) -> pd.DataFrame:
    columns = {f"logit_{label}": logits[:, k] for k, label in enumerate(classes)}
    return pd.DataFrame({"sample_id": np.arange(len(targets)).astype(str), "target": targets} | columns)


def drawn(n: int, classes: tuple[str, ...] = MIKELS, scale: float = 1.0) -> pd.DataFrame:
    logits = RNG.normal(0, scale, (n, len(classes))).astype(np.float32)
    aims = RNG.integers(0, len(classes), n)
    logits[np.arange(n), aims] += scale
    return frame(np.array(classes)[aims], logits, classes)


def mean_of_crops(n: int) -> pd.DataFrame:
    views = RNG.normal(0, 30, (10, n, 8))
    views -= np.log(np.exp(views).sum(2, keepdims=True))
    return frame(RNG.choice(MIKELS, n), np.log(np.exp(views).mean(0)).astype(np.float32))


def never(label: str, n: int = 60) -> pd.DataFrame:
    predictions = drawn(n)
    predictions[f"logit_{label}"] = np.float32(-50)
    return predictions


CASES = {
    "random": drawn(700),
    "unsure": drawn(300, scale=0.01),
    "classes that are no target": drawn(200).query("target not in ('awe', 'fear')"),
    "a class that is never predicted": never("sadness"),
    "a class that is neither": never("disgust").query("target != 'disgust'"),
    "only one class among the targets": drawn(80).query("target == 'anger'"),
    "one class in all": drawn(20, ("awe",)),
    "two classes": drawn(90, ("negative", "positive")),
    "ties": frame(RNG.choice(MIKELS, 200), RNG.integers(0, 3, (200, 8)).astype(np.float32)),
    "all logits equal": frame(RNG.choice(MIKELS, 50), np.zeros((50, 8), np.float32)),
    "one image": drawn(1),
    "huge logits": drawn(100, scale=1e30),
    "probabilities that underflow": drawn(300, scale=400.0),
    "logarithms of probabilities": mean_of_crops(150),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def predictions(request: pytest.FixtureRequest) -> pd.DataFrame:
    return request.param.reset_index(drop=True)


def probabilities(predictions: pd.DataFrame) -> np.ndarray:
    logits = predictions.filter(like="logit_").to_numpy(np.float64)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def labels(predictions: pd.DataFrame) -> list[str]:
    return [column.removeprefix("logit_") for column in predictions.filter(like="logit_")]


def guesses(predictions: pd.DataFrame) -> pd.Series:
    """The class with the largest logit, per image; of equal ones the first."""
    return predictions.filter(like="logit_").idxmax(axis=1).str.removeprefix("logit_")


def test_the_predicted_class_has_the_largest_logit():
    guessed = [labels(PREDICTIONS)[confusion_counts(PREDICTIONS.iloc[[i]]).sum(axis=0).argmax()] for i in range(4)]
    assert guessed == guesses(PREDICTIONS).tolist() == ["fear", "awe", "fear", "awe"]


def test_accuracy_is_the_share_of_images_that_are_right_in_per_cent():
    assert scalar_metrics(PREDICTIONS)["accuracy"] == pytest.approx(50.0)


def test_confusion_counts_every_image_once_and_shows_classes_that_never_occur():
    counts = confusion_counts(PREDICTIONS)
    assert labels(PREDICTIONS) == ["awe", "fear", "anger"]
    assert counts.sum() == 4
    assert counts[0].tolist() == [1, 1, 0]
    assert counts[2].sum() == 0


def test_every_metric_that_a_study_may_name_is_computed():
    assert list(scalar_metrics(PREDICTIONS)) == list(SCALES)


def test_metrics_of_decisions_are_scikit_learns(predictions: pd.DataFrame):
    true, guess, result = predictions["target"], guesses(predictions), scalar_metrics(predictions)
    assert result["accuracy"] == pytest.approx(100 * sk.accuracy_score(true, guess))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that classes are absent, or that there is only one
        assert result["balanced_accuracy"] == pytest.approx(100 * sk.balanced_accuracy_score(true, guess))
        assert result["macro_f1"] == pytest.approx(100 * sk.f1_score(true, guess, average="macro"))
        np.testing.assert_array_equal(
            confusion_counts(predictions), sk.confusion_matrix(true, guess, labels=labels(predictions))
        )


def test_recall_precision_and_f1_of_each_class_are_scikit_learns(predictions: pd.DataFrame):
    expected = sk.precision_recall_fscore_support(
        predictions["target"], guesses(predictions), labels=labels(predictions), zero_division=np.nan
    )
    counts = confusion_counts(predictions)
    for result, values in zip((recall_of(counts.T), recall_of(counts), f1_of(counts)), expected, strict=False):
        np.testing.assert_allclose(result, 100 * values)


def test_top_2_accuracy_is_scikit_learns(predictions: pd.DataFrame):
    result, names = scalar_metrics(predictions)["top2_accuracy"], labels(predictions)
    if len(names) < 3:
        assert result == 100
        return
    reverse = list(range(len(names)))[::-1]  # of equal scores scikit-learn takes the last, argmax the first
    aims = np.array([reverse[names.index(label)] for label in predictions["target"]])
    scores = predictions.filter(like="logit_").to_numpy(np.float64)[:, ::-1]
    assert result == pytest.approx(100 * sk.top_k_accuracy_score(aims, scores, k=2, labels=range(len(names))))


def test_the_brier_score_is_scikit_learns(predictions: pd.DataFrame):
    names, p, result = labels(predictions), probabilities(predictions), scalar_metrics(predictions)["brier"]
    true, order = predictions["target"], np.argsort(names)  # scikit-learn's order of columns is the alphabet's
    if len(names) == 1:
        assert result == 0
    elif len(names) == 2:  # it counts one of the two classes
        assert result == pytest.approx(2 * sk.brier_score_loss(true, p[:, order[1]], pos_label=sorted(names)[1]))
    else:
        expected = sk.brier_score_loss(true, p[:, order], labels=sorted(names), scale_by_half=False)
        assert result == pytest.approx(expected)


def test_the_negative_log_likelihood_is_scikit_learns_where_that_cuts_nothing_off(predictions: pd.DataFrame):
    names, p, result = labels(predictions), probabilities(predictions), scalar_metrics(predictions)["nll"]
    assert np.isfinite(result)
    if len(names) == 1:
        assert result == 0
        return
    order = np.argsort(names)
    own = p[np.arange(len(p)), [names.index(label) for label in predictions["target"]]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = sk.log_loss(predictions["target"], p[:, order], labels=sorted(names))
    if own.min() > 1e-12:
        assert result == pytest.approx(expected)
    else:
        assert result > expected, "it takes probabilities under 2e-16 for 2e-16"


def test_a_probability_that_underflows_costs_what_its_logits_say():
    far = frame(["awe"], np.array([[0.0, 0.0, -5000.0]]), ("fear", "anger", "awe"))
    assert scalar_metrics(far)["nll"] == pytest.approx(5000 + np.log(2))


def test_calibration_error_is_the_sum_over_bins_of_guos_equation_3(predictions: pd.DataFrame):
    p, right = probabilities(predictions), (guesses(predictions) == predictions["target"]).tolist()
    confidence = p.max(1).tolist()
    total = 0.0
    for m in range(15):
        inside = [i for i, c in enumerate(confidence) if np.linspace(0, 1, 16)[m] < c <= np.linspace(0, 1, 16)[m + 1]]
        if inside:
            share_right = sum(right[i] for i in inside) / len(inside)
            mean_confidence = sum(confidence[i] for i in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(share_right - mean_confidence)
    assert scalar_metrics(predictions)["ece"] == pytest.approx(100 * total, abs=1e-9)


def test_calibration_error_by_hand():
    confidence, right = np.array([0.5, 0.25, 0.75, 1.0]), np.array([True, False, False, True])
    # four bins, upper edges inclusive: {.25}: |0 - .25|; {.5}: |1 - .5|; {.75}: |0 - .75|; {1}: 0; each weighs 1/4
    assert expected_calibration_error(confidence, right, bins=4) == pytest.approx(100 * (0.25 + 0.5 + 0.75) / 4)
    # two bins: {.25, .5}: |.5 - .375| weighs 1/2; {.75, 1}: |.5 - .875| weighs 1/2
    assert expected_calibration_error(confidence, right, bins=2) == pytest.approx(100 * (0.125 + 0.375) / 2)


def weighted(predictions: pd.DataFrame, metric: str, weights: np.ndarray) -> float:
    parts = sufficient_stats(predictions, metric)
    sums = np.bincount(parts.cell, weights=parts.value * weights, minlength=parts.cells)
    return float(metric_from_stats(metric, sums, weights.sum()))


@pytest.mark.parametrize("metric", SCALES)
def test_every_metric_is_a_function_of_its_sums_over_images(metric: str, predictions: pd.DataFrame):
    weights = np.random.default_rng(0).integers(0, 4, len(predictions))
    weights[0] = 1
    result = [weighted(predictions, metric, w) for w in (np.ones(len(predictions)), weights)]
    repeated = predictions.loc[np.repeat(predictions.index, weights)]
    expected = [scalar_metrics(p)[metric] for p in (predictions, repeated)]
    assert result == pytest.approx(expected, nan_ok=True)


def test_polarity_accuracy_is_read_off_the_confusion():
    predictions = drawn(400)
    counts = confusion_counts(predictions)
    table = pd.DataFrame(counts, labels(predictions), labels(predictions))
    same = sum(
        table.loc[a, b] for a in MIKELS for b in MIKELS if (a in POSITIVE) == (b in POSITIVE)
    )  # fmt: skip
    result = scalar_metrics(predictions)
    assert result["polarity_accuracy"] == pytest.approx(100 * same / 400)
    assert result["polarity_accuracy"] >= result["accuracy"]


def test_summed_polarity_lets_several_classes_outvote_the_largest():
    classes = ("fear", "awe", "contentment")
    logits = np.log([[0.4, 0.3, 0.3]])
    assert polarity_accuracy(classes, np.array([1]), logits) == 0
    assert polarity_accuracy(classes, np.array([1]), logits, summed=True) == 100


def test_labels_without_polarity_have_no_polarity_accuracy():
    result = scalar_metrics(drawn(30, EKMAN))
    assert np.isnan(result.pop("polarity_accuracy"))
    assert np.isfinite(list(result.values())).all()
    assert np.isnan(scalar_metrics(drawn(30, ("awe", "contentment")))["polarity_accuracy"])


def test_in_two_classes_of_sentiment_polarity_accuracy_is_accuracy():
    result = scalar_metrics(CASES["two classes"])
    assert result["polarity_accuracy"] == result["accuracy"]
