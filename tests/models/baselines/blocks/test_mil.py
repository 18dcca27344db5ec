"""Learning from bags: what decides a bag is one of its instances."""

from typing import Literal

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression

from emotune.models.baselines.blocks.mi_svm import fit_mi_svm
from emotune.models.baselines.blocks.pooling import InstancePooling, _forward, fit_pooling

Kind = Literal["mean", "max", "attention"]


def bags_with_a_witness(images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bags of 20 instances of noise, one of which has a direction that tells the class."""
    generator = np.random.default_rng(seed)
    bags, targets = generator.normal(size=(images, 20, 6)), generator.integers(0, 3, images)
    bags[np.arange(images), generator.integers(0, 20, images), targets] += 5
    return bags, targets


def right(scores: np.ndarray, targets: np.ndarray) -> float:
    return float((scores.argmax(axis=1) == targets).mean())


def test_maximum_and_mi_svm_find_the_witness_and_the_mean_does_less() -> None:
    train, test = bags_with_a_witness(300, 0), bags_with_a_witness(500, 1)
    found = {kind: right(fit_pooling(kind, *train, 3, 1.0, 0).scores(test[0]), test[1]) for kind in ("mean", "max")}
    found["mi_svm"] = right(fit_mi_svm(*train, 3, 0.01).scores(test[0]), test[1])
    assert found["max"] > 0.9
    assert found["mi_svm"] > 0.9
    assert found["mean"] < 0.8


def test_attention_looks_at_the_witness() -> None:
    generator = np.random.default_rng(0)
    bags, targets = bags_with_a_witness(400, 0)
    witnesses = generator.integers(0, 20, 400)
    bags = generator.normal(size=bags.shape)
    bags[np.arange(400), witnesses, targets] += 3
    bags[np.arange(400), witnesses, 5] += 6  # what all witnesses have in common
    found = {kind: fit_pooling(kind, bags[:250], targets[:250], 3, 1.0, 0) for kind in ("mean", "attention")}
    accuracies = {kind: right(model.scores(bags[250:]), targets[250:]) for kind, model in found.items()}
    assert accuracies["attention"] > accuracies["mean"] + 0.1


@pytest.mark.parametrize("kind", ["mean", "max", "attention"])
def test_gradients_are_those_of_differences(kind: Kind) -> None:
    generator = np.random.default_rng(0)
    bags, weights = generator.normal(size=(5, 4, 3)), generator.normal(size=(5, 2))
    parts = {"W": generator.normal(size=(3, 2)), "b": generator.normal(size=2)}
    if kind == "attention":
        parts |= {"V": generator.normal(size=(3, 16)), "d": generator.normal(size=16), "c": generator.normal(size=16)}

    def unpacked(flat: np.ndarray) -> dict[str, np.ndarray]:
        pieces = np.split(flat, np.cumsum([part.size for part in parts.values()])[:-1])
        return {name: one.reshape(parts[name].shape) for name, one in zip(parts, pieces, strict=True)}

    def value(flat: np.ndarray) -> float:
        return float((weights * _forward(kind, unpacked(flat), bags)[0]).sum())

    def gradient(flat: np.ndarray) -> np.ndarray:
        gradients = _forward(kind, unpacked(flat), bags)[1](weights)
        return np.concatenate([gradients[name].ravel() for name in parts])

    assert check_grad(value, gradient, np.concatenate([part.ravel() for part in parts.values()])) < 1e-5


@pytest.mark.parametrize("kind", ["mean", "max", "attention"])
def test_a_single_instance_is_logistic_regression(kind: Kind) -> None:
    bags, targets = bags_with_a_witness(120, 0)
    single = bags.mean(axis=1, keepdims=True)
    expected = LogisticRegression(C=0.5, max_iter=1000, tol=1e-8).fit(single[:, 0], targets)
    found = fit_pooling(kind, single, targets, 3, 0.5, 0).scores(single)
    expected_scores = expected.decision_function(single[:, 0])
    centred = [scores - scores.mean(axis=1, keepdims=True) for scores in (found, expected_scores)]
    np.testing.assert_allclose(centred[0], centred[1], atol=5e-3)


def test_scores_are_pooled_as_their_name_says() -> None:
    bags = np.array([[[1.0, 0.0], [3.0, -2.0]]])
    parts = {"W": np.eye(2), "b": np.array([0.5, 0.0])}
    assert InstancePooling("mean", parts).scores(bags).tolist() == [[2.5, -1.0]]
    assert InstancePooling("max", parts).scores(bags).tolist() == [[3.5, 0.0]]
    even = parts | {"V": np.ones((2, 16)), "d": np.zeros(16), "c": np.zeros(16)}
    assert InstancePooling("attention", even).scores(bags).tolist() == [[2.5, -1.0]]
    assert InstancePooling("attention", even).parameters == 4 + 2 + 32 + 16 + 16


@pytest.mark.parametrize("kind", ["mean", "max", "attention", "mi_svm"])
def test_a_class_without_bags_is_never_predicted(kind: str) -> None:
    bags, targets = bags_with_a_witness(200, 0)
    bags, targets = bags[targets != 1], targets[targets != 1]
    fitted = fit_mi_svm(bags, targets, 4, 0.1) if kind == "mi_svm" else fit_pooling(kind, bags, targets, 4, 1.0, 0)  # type: ignore[arg-type]
    scores = fitted.scores(bags)
    assert np.isfinite(scores).all()
    assert set(scores.argmax(axis=1)) <= {0, 2}


def test_mi_svm_stops_when_the_chosen_instances_stay() -> None:
    bags = np.zeros((40, 3, 2))
    targets = np.arange(40) % 2
    bags[:, :, 0] = np.where(targets, 2.0, -2.0)[:, None]
    fitted = fit_mi_svm(bags, targets, 2, 1.0)
    assert fitted.rounds == (1, 1)
    assert right(fitted.scores(bags), targets) == 1
