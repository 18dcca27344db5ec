"""The class prior: its frequencies, where they come from, and its metrics."""

import numpy as np
import pandas as pd
import pytest

from emotune.analysis.prior import prior_predictor
from emotune.config.labels import MIKELS

TARGETS = ["awe"] * 6 + ["fear"] * 3 + ["sadness"]


def images() -> pd.DataFrame:
    logits = {f"logit_{label}": np.zeros(len(TARGETS), np.float32) for label in MIKELS}
    return pd.DataFrame({"sample_id": [str(i) for i in range(len(TARGETS))], "target": TARGETS, **logits})


def test_it_answers_the_most_frequent_class_of_training_with_its_frequencies():
    prior = prior_predictor(images(), {"fear": 59, "awe": 29, "sadness": 7})
    shares = np.exp(prior.predictions.filter(like="logit_").to_numpy(float))
    expected = dict(zip(MIKELS, [1 / 103] * 8, strict=True)) | {"fear": 60 / 103, "awe": 30 / 103, "sadness": 8 / 103}
    np.testing.assert_allclose(shares, np.tile(list(expected.values()), (len(TARGETS), 1)), rtol=1e-6)
    assert (prior.answer, prior.from_training) == ("fear", True)
    assert prior.metrics["accuracy"] == 30 and prior.metrics["top2_accuracy"] == 90
    assert prior.metrics["balanced_accuracy"] == pytest.approx(100 / 3)
    nll = -(6 * np.log(30) + 3 * np.log(60) + np.log(8)) / 10 + np.log(103)
    assert prior.metrics["nll"] == pytest.approx(nll, abs=1e-6)


def test_without_numbers_of_training_a_run_of_the_class_prior_tells_them_else_the_test_images_do():
    known = prior_predictor(images(), {"fear": 59, "awe": 29, "sadness": 7})
    same = prior_predictor(images(), None, known.predictions)
    pd.testing.assert_frame_equal(same.predictions, known.predictions, check_exact=True)
    assert (same.answer, same.from_training) == ("fear", True)
    unknown = prior_predictor(images(), None)
    assert (unknown.answer, unknown.from_training, unknown.metrics["accuracy"]) == ("awe", False, 60)
