"""Ridge and support vector regression equal scikit-learn's, with the penalty that validation images prefer."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from pydantic import ValidationError
from sklearn.linear_model import Ridge
from sklearn.svm import SVR

from emotune.config.model import ConstantConfig, RidgeConfig, SvrConfig
from emotune.config.resources import Resources
from emotune.config.task_options import task_problems
from emotune.config.train import TrainConfig
from emotune.models.baselines.build import make_baseline
from emotune.models.baselines.mean_rating import MeanRating
from emotune.runs.predictions import mean_concordance

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(5, 3, (90, 12)).astype(np.float32)
WEIGHTS = RNG.normal(0, 0.05, (12, 2))
TARGETS = ((FEATURES - 5) @ WEIGHTS + RNG.normal(0, 0.2, (90, 2))).astype(np.float32)
TRAIN, VAL = slice(0, 60), slice(60, 90)


def fitted(config):
    model = make_baseline(config, 2, "dimensions")
    return model, model.fit(FEATURES[TRAIN], TARGETS[TRAIN], FEATURES[VAL], TARGETS[VAL])


def standardised() -> np.ndarray:
    train = FEATURES[TRAIN].astype(float)
    return (FEATURES.astype(float) - train.mean(0)) / train.std(0)


@pytest.mark.parametrize(("config", "regression"), [
    (RidgeConfig(features="colours", c_grid=(0.1,)), lambda: Ridge(alpha=10)),
    (SvrConfig(c_grid=(2.0,), epsilon=0.05), lambda: SVR(C=2, epsilon=0.05)),
])  # fmt: skip
def test_each_dimension_has_a_regression_of_its_own_on_standardised_features(config, regression):
    model, _ = fitted(config)
    rows = standardised()
    expected = [regression().fit(rows[TRAIN], TARGETS[TRAIN, i]).predict(rows[VAL]) for i in range(2)]
    predicted = model.log_probabilities(FEATURES[VAL])
    assert predicted.dtype == np.float32 and predicted == pytest.approx(np.stack(expected, 1), abs=1e-5)
    assert model.parameters == (26 if isinstance(config, RidgeConfig) else model.parameters) > 0


@pytest.mark.parametrize("config", [RidgeConfig(features="colours"), SvrConfig()])
def test_the_penalty_with_the_highest_concordance_on_validation_images_is_used(config):
    model, outcome = fitted(config)
    assert list(map(float, outcome["val_ccc_by_c"])) == list(config.c_grid)
    assert outcome["val_ccc_by_c"][f"{outcome['c']:g}"] == max(outcome["val_ccc_by_c"].values())
    found = mean_concordance(TARGETS[VAL], model.log_probabilities(FEATURES[VAL]))
    assert found == pytest.approx(max(outcome["val_ccc_by_c"].values()), abs=1e-4) and found > 0.5


def test_a_best_penalty_at_the_end_of_the_grid_is_told():
    assert "notes" in fitted(RidgeConfig(features="colours", c_grid=(1e-6, 1e-5)))[1]


def test_the_trivial_baseline_of_dimensions_is_the_training_mean():
    model, _ = fitted(ConstantConfig())
    assert isinstance(model, MeanRating) and model.parameters == 2
    assert model.log_probabilities(np.empty((3, 0))) == pytest.approx(np.tile(TARGETS[TRAIN].mean(0), (3, 1)))


def test_regressions_have_features_of_one_place_and_are_for_dimensions_only():
    for wrong in ({}, {"features": "colours", "backbone": "torchvision:resnet18"}):
        with pytest.raises(ValidationError):
            RidgeConfig(**wrong)
    for model in (RidgeConfig(features="colours"), SvrConfig()):
        (problem,) = task_problems("classes", model, TrainConfig(), Resources())
        assert problem.startswith("model.name: ") and not task_problems("dimensions", model, TrainConfig(), Resources())
