"""Predictions of a run's own classes become those of classes that it has in common with other data."""

import numpy as np
import pytest

from emotune.config.label_map import map_labels
from emotune.config.labels import POLARITY
from emotune.runs.predictions import common_log_probabilities


def test_shares_of_zero_can_be_joined():
    with np.errstate(divide="ignore"):
        logits = np.log(np.array([[0, 0, 1.0], [0, 0.25, 0.75], [0.5, 0, 0.5]]))
    labels = map_labels(("awe", "fear", "x"), POLARITY)
    found = dict(
        zip(labels.classes, np.exp(common_log_probabilities(logits, ("awe", "fear", "x"), labels)).T, strict=True)
    )
    np.testing.assert_allclose(found["negative"], [0.5, 1, 0], atol=1e-6)
    np.testing.assert_allclose(found["positive"], [0.5, 0, 1], atol=1e-6)


def test_probabilities_of_classes_that_become_one_are_summed_and_the_rest_renormalised():
    logits = np.log(np.array([[0.1, 0.2, 0.3, 0.4]]))
    both = map_labels(("awe", "fear", "joy", "x"), POLARITY)
    found = np.exp(common_log_probabilities(logits, ("awe", "fear", "joy", "x"), both))
    np.testing.assert_allclose(found, [[0.4 / 0.6, 0.2 / 0.6]], atol=1e-6)
    far = common_log_probabilities(np.array([[0.0, 2000.0, 0.0, 0.0]]), ("awe", "fear", "joy", "x"), both)
    assert np.isfinite(far).all() and far[0, 0] == pytest.approx(-2000 + np.log(2), abs=1e-3)
