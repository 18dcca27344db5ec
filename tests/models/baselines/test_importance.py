"""Which features a fitted model needs, against shuffling features and predicting anew."""

import numpy as np
import pytest
from sklearn.inspection import permutation_importance as of_scikit_learn

from emotune.config.model import LogisticConfig, RidgeConfig, SvmConfig, SvrConfig
from emotune.models.baselines import importance as under_test
from emotune.models.baselines.importance import REPEATS, STREAM, permutation_importance
from emotune.models.baselines.logistic import Logistic
from emotune.models.baselines.regression import Regression
from emotune.models.baselines.svm import Svm
from emotune.runs.predictions import mean_concordance

COLUMNS = ("set/told/a", "set/told/b", "set/told/c", "set/copied/a", "set/noise/a", "set/noise/b", "other/constant/a")
"""``told`` has what tells classes apart; ``copied`` is a copy of its first column."""


def data(count, seed, classes=3, spread=0.8):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, count)
    told = 2 * np.eye(3)[targets] + spread * rng.standard_normal((count, 3))
    noise, constant = rng.standard_normal((count, 2)), np.full((count, 1), 7.0)
    return np.hstack([told, told[:, :1], noise, constant]).astype(np.float32), targets


def fitted(kind, classes=3, known=3):
    config = {Svm: SvmConfig(c_grid=(1.0,)), Logistic: LogisticConfig(features="colours", c_grid=(0.1,))}[kind]
    model = kind(config, classes)
    model.fit(*data(300, 0, known), *data(100, 1, known))
    return model


@pytest.mark.parametrize(("classes", "known"), [(3, 3), (2, 2), (4, 3), (3, 2)])
@pytest.mark.parametrize("kind", [Svm, Logistic])
def test_sums_over_all_columns_give_the_predictions(kind, classes, known):
    model, (features, _) = fitted(kind, classes, known), data(500, 2, known)
    half, rest = np.array([0, 3, 5]), np.array([1, 2, 4, 6])
    sums = model.sums(features, half) + model.sums(features, rest)
    np.testing.assert_array_equal(model.classes_of_sums(sums), model.log_probabilities(features).argmax(1))


@pytest.mark.parametrize("kind", [Svm, Logistic])
def test_losses_are_those_of_shuffling_the_features_and_predicting(kind):
    model, (features, targets) = fitted(kind), data(400, 2)
    found = permutation_importance(model, features, targets, COLUMNS)

    def accuracy(images):
        return 100 * np.mean(model.log_probabilities(images).argmax(1) == targets)

    def losses(columns):
        for repeat in range(REPEATS):
            shuffled = features.copy()
            order = np.random.default_rng([STREAM, repeat]).permutation(len(targets))
            shuffled[:, columns] = features[order][:, columns]
            yield accuracy(features) - accuracy(shuffled)

    assert found["accuracy"] == pytest.approx(accuracy(features), abs=1e-3)
    groups = {"set/told": [0, 1, 2], "set/copied": [3], "set/noise": [4, 5], "other/constant": [6]}
    assert {name: group["columns"] for name, group in found["groups"].items()} == {
        name: len(columns) for name, columns in groups.items()
    }
    for name, columns in groups.items():
        expected = list(losses(columns))
        assert found["groups"][name]["loss"] == pytest.approx(np.mean(expected), abs=1e-3)
        assert found["groups"][name]["sd"] == pytest.approx(np.std(expected, ddof=1), abs=1e-3)
    assert list(found["columns"]) == [*COLUMNS[:3], *COLUMNS[4:6]], "a group of one column is told as a group"
    assert found["columns"]["set/told/b"]["loss"] == pytest.approx(np.mean(list(losses([1]))), abs=1e-3)
    assert permutation_importance(model, features, targets, COLUMNS) == found


def test_single_columns_agree_with_scikit_learn():
    model, (features, targets) = fitted(Svm), data(800, 2)
    found = permutation_importance(model, features, targets, COLUMNS)
    expected = of_scikit_learn(model._pipeline, features, targets, n_repeats=REPEATS, random_state=0)
    for number in (0, 1, 2, 4, 5):
        assert found["columns"][COLUMNS[number]]["loss"] == pytest.approx(
            100 * expected.importances_mean[number], abs=1.5
        )


@pytest.mark.parametrize("kind", [Svm, Logistic])
def test_what_tells_classes_apart_matters_and_copies_share_it(kind):
    found = permutation_importance(fitted(kind), *data(1000, 2), COLUMNS)
    told, copied, noise, constant = (group["loss"] for group in found["groups"].values())
    assert told > 30
    assert abs(noise) < 2
    assert constant == 0
    single = {name.rpartition("/")[2]: one["loss"] for name, one in found["columns"].items() if "told" in name}
    assert single["a"] < 0.7 * single["b"], "its copy makes up for it"
    assert copied < 0.7 * single["b"]


def test_few_images_are_chosen_by_a_fixed_stream_and_fewer_for_large_machines(monkeypatch):
    model, (features, targets) = fitted(Svm), data(1500, 2)
    found = permutation_importance(model, features, targets, COLUMNS)
    assert (found["images"], found["validation_images"]) == (1000, 1500)
    monkeypatch.setattr(under_test, "MOST_SUMS", 500 * len(model._pipeline[-1].support_vectors_))
    assert permutation_importance(model, features, targets, COLUMNS)["images"] == 500
    monkeypatch.setattr(under_test, "MOST_SUMS", 1)
    assert permutation_importance(model, features, targets, COLUMNS)["images"] == 200
    assert permutation_importance(model, features[:50], targets[:50], COLUMNS)["images"] == 50


@pytest.mark.parametrize("kind", [Svm, Logistic])
def test_a_column_that_is_constant_in_training_does_no_harm(kind):
    model, (features, targets) = fitted(kind), data(400, 2)
    features[:, 6] += np.arange(400) / 100
    assert np.isfinite(model.log_probabilities(features)).all()
    found = permutation_importance(model, features, targets, COLUMNS)
    assert all(np.isfinite(group["loss"]) for group in found["groups"].values())


def rated(count, seed):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((count, 7)).astype(np.float32)
    features[:, 3], features[:, 6] = features[:, 0], 7.0
    ratings = np.stack([np.tanh(features[:, 0] - 0.5 * features[:, 1]), 0.3 * features[:, 2] + 0.1], axis=1)
    return features, ratings + 0.1 * rng.standard_normal((count, 2))


@pytest.mark.parametrize("config", [SvrConfig(c_grid=(1.0,)), RidgeConfig(features="colours", c_grid=(0.1,))])
def test_regressions_lose_the_concordance_of_shuffled_features(config):
    model = Regression(config)
    model.fit(*rated(300, 0), *rated(100, 1))
    features, ratings = rated(400, 2)
    half, rest = np.array([0, 3, 5]), np.array([1, 2, 4, 6])
    answers = model.ratings_of_sums(model.sums(features, half) + model.sums(features, rest))
    np.testing.assert_allclose(answers, model.log_probabilities(features), atol=1e-5)

    found = permutation_importance(model, features, ratings, COLUMNS)
    whole = mean_concordance(ratings, model.log_probabilities(features))
    assert "accuracy" not in found and found["ccc"] == pytest.approx(whole, abs=1e-4)
    losses = []
    for repeat in range(REPEATS):
        shuffled, order = features.copy(), np.random.default_rng([STREAM, repeat]).permutation(len(ratings))
        shuffled[:, :3] = features[order, :3]
        losses.append(whole - mean_concordance(ratings, model.log_probabilities(shuffled)))
    assert found["groups"]["set/told"]["loss"] == pytest.approx(np.mean(losses), abs=1e-4)
    assert found["groups"]["set/told"]["sd"] == pytest.approx(np.std(losses, ddof=1), abs=1e-4)
    assert found["groups"]["set/told"]["loss"] > 0.3 > abs(found["groups"]["set/noise"]["loss"])
    assert found["groups"]["other/constant"]["loss"] == 0
