import numpy as np
import pytest

from emotune.config.model import ConstantConfig, LogisticConfig, SvmConfig
from emotune.core.errors import InputError
from emotune.models.baselines import build
from emotune.models.baselines.build import make_baseline, require_libraries
from emotune.models.baselines.class_prior import ClassPrior
from emotune.models.baselines.svm import Svm

CLASSES = 3


def blobs(count, seed, spread=0.6):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, CLASSES, count)
    centres = 2 * np.eye(CLASSES)
    return (centres[targets] + spread * rng.standard_normal((count, CLASSES))).astype(np.float32), targets


def test_the_class_prior_predicts_the_frequencies_in_training():
    model = make_baseline(ConstantConfig(), CLASSES)
    targets = np.repeat([0, 1], [60, 37])
    model.fit(np.empty((97, 0)), targets, np.empty((5, 0)), np.full(5, 2))
    log_probabilities = model.log_probabilities(np.empty((4, 0)))
    np.testing.assert_allclose(np.exp(log_probabilities), np.tile([0.61, 0.38, 0.01], (4, 1)), rtol=1e-6)
    assert model.parameters == 2


def test_a_machine_separates_blobs_with_calibrated_probabilities():
    model = Svm(SvmConfig(), CLASSES)
    outcome = model.fit(*blobs(600, 0, 1.0), *blobs(300, 1, 1.0))
    features, targets = blobs(2000, 2, 1.0)
    probabilities = np.exp(model.log_probabilities(features).astype(float))
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    correct = probabilities.argmax(1) == targets
    assert correct.mean() > 0.75
    assert probabilities.max(1).mean() == pytest.approx(correct.mean(), abs=0.03)
    sure = probabilities.max(1) > np.quantile(probabilities.max(1), 0.8)
    assert correct[sure].mean() > correct[~sure].mean() + 0.05, "who is sure is more often right"
    assert outcome["support_vectors"] * CLASSES < model.parameters


def test_two_classes_are_separated_like_more():
    features, targets = blobs(600, 0)
    two = targets < 2
    model = Svm(SvmConfig(c_grid=(1.0,)), 2)
    model.fit(features[two], targets[two], features[two], targets[two])
    probabilities = np.exp(model.log_probabilities(features[two]).astype(float))
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert (probabilities.argmax(1) == targets[two]).mean() > 0.9


def test_the_penalty_with_the_best_validation_accuracy_is_taken():
    # With hardly a penalty a machine learns the noise of training images by heart.
    features, targets = blobs(300, 0, spread=1.5)
    outcome = Svm(SvmConfig(c_grid=(1000.0, 0.1)), CLASSES).fit(features, targets, *blobs(1000, 1, spread=1.5))
    accuracies = outcome["val_accuracy_by_c"]
    assert set(accuracies) == {"1000", "0.1"}
    assert outcome["c"] == 0.1
    assert accuracies["0.1"] > accuracies["1000"]


def test_a_class_without_training_images_has_next_to_no_probability():
    features, targets = blobs(300, 0)
    known = targets < 2
    model = Svm(SvmConfig(c_grid=(1.0,)), CLASSES)
    model.fit(features[known], targets[known], features[known], targets[known])
    probabilities = model.log_probabilities(features)
    assert np.isfinite(probabilities).all()
    assert (probabilities[:, 2] < -20).all()


def test_missing_libraries_are_named_with_the_command_that_installs_them(monkeypatch):
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"emotune\[classical\]"):
        make_baseline(SvmConfig(), CLASSES)
    with pytest.raises(InputError, match="scikit-learn and scikit-image"):
        require_libraries([LogisticConfig(features="colours")])
    require_libraries([ConstantConfig()])
    assert isinstance(make_baseline(ConstantConfig(), CLASSES), ClassPrior)
    monkeypatch.setattr(build, "find_spec", lambda name: name == "sklearn" or None)
    require_libraries([LogisticConfig(backbone="torchvision:resnet18")])


def test_a_class_without_validation_images_is_predicted_too():
    features, targets = blobs(300, 0)
    some = targets > 0
    model = Svm(SvmConfig(c_grid=(1.0,)), CLASSES)
    model.fit(features, targets, features[some], targets[some])
    assert (model.log_probabilities(features).argmax(1) == targets).mean() > 0.9
