"""Logistic regression: its choice of C, its probabilities, and what it does not depend on."""

from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from emotune.config.model import LogisticConfig
from emotune.core.errors import InputError
from emotune.models.baselines import build, logistic
from emotune.models.baselines.build import make_baseline
from emotune.models.baselines.logistic import Logistic

CLASSES = 3


def config(**options: Any) -> LogisticConfig:
    return LogisticConfig(backbone="torchvision:resnet18", **options)


def blobs(count: int, seed: int, spread: float = 1.0, features: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Features of very different scales, of which the first few tell the classes apart."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, CLASSES, count)
    rows = spread * rng.standard_normal((count, features))
    rows[:, :CLASSES] += 2 * np.eye(CLASSES)[targets]
    return (rows * np.logspace(-3, 3, features)).astype(np.float32), targets


def test_blobs_are_separated_with_probabilities_that_are_calibrated():
    model = Logistic(config(), CLASSES)
    outcome = model.fit(*blobs(600, 0), *blobs(300, 1))
    features, targets = blobs(2000, 2)
    probabilities = np.exp(model.log_probabilities(features).astype(float))
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    correct = probabilities.argmax(1) == targets
    assert correct.mean() > 0.75
    assert probabilities.max(1).mean() == pytest.approx(correct.mean(), abs=0.04)
    assert model.parameters == 41 * CLASSES
    assert outcome["iterations"] > 0


def test_the_c_with_the_best_validation_accuracy_is_taken_and_of_equal_ones_the_smallest():
    train, val = blobs(60, 0, spread=2.0), blobs(1000, 1, spread=2.0)
    outcome = Logistic(config(c_grid=(1000.0, 0.01)), CLASSES).fit(*train, *val)
    accuracies = outcome["val_accuracy_by_c"]
    assert (outcome["c"], list(accuracies)) == (0.01, ["0.01", "1000"])
    assert accuracies["0.01"] > accuracies["1000"]
    assert len(outcome["notes"]) == 1, "the best is an end of the grid"
    easy = blobs(300, 0, spread=0.1)
    outcome = Logistic(config(c_grid=(1.0, 0.1, 10.0)), CLASSES).fit(*easy, *easy)
    assert outcome["c"] == 0.1


def test_the_number_of_threads_changes_no_bit():
    results = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            model = Logistic(config(c_grid=(0.1,)), CLASSES)
            model.fit(*blobs(700, 0, features=300), *blobs(50, 1, features=300))
            results.append(model.log_probabilities(blobs(300, 2, features=300)[0]))
    assert np.array_equal(*results)


def test_a_solver_that_is_stopped_early_is_noted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logistic, "MAX_ITERATIONS", 1)
    outcome = Logistic(config(c_grid=(0.1,)), CLASSES).fit(*blobs(60, 0), *blobs(60, 1))
    assert len(outcome["notes"]) == 1
    assert "0.1" in outcome["notes"][0]


@pytest.mark.parametrize("known", [1, 2], ids=["two classes", "three"])
def test_a_class_without_training_images_has_next_to_no_probability(known: int):
    features, targets = blobs(300, 0)
    some = targets <= known
    model = Logistic(config(c_grid=(1.0,)), 4)
    model.fit(features[some], targets[some], features[some], targets[some])
    log_probabilities = model.log_probabilities(features)
    assert np.isfinite(log_probabilities).all()
    assert (log_probabilities[:, known + 1 :] == -30).all()
    assert (log_probabilities[some].argmax(1) == targets[some]).mean() > 0.8
    np.testing.assert_allclose(np.exp(log_probabilities.astype(float)).sum(1), 1, atol=1e-5)


def test_only_scikit_learn_is_needed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(build, "find_spec", lambda name: None if name == "skimage" else object())
    assert isinstance(make_baseline(config(), CLASSES), Logistic)
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"emotune\[classical\]"):
        make_baseline(config(), CLASSES)
