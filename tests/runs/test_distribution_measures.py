"""The measures of distributions: their values at known places, their guards, and transport by linear programs."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import linprog

from emotune.runs import distribution_measures as measures
from emotune.runs.distribution_measures import KL_FLOOR, emd_circle, emd_groups, kl_divergence
from emotune.runs.distribution_values import MEASURES

K = 8
ORDER = (3, 0, 5, 1, 7, 2, 6, 4)
GROUP = np.array([True, False, True, True, False, True, False, False])
ALL: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    **MEASURES,
    "emd_circle": lambda p, q: emd_circle(p, q, ORDER),
    "emd_groups": lambda p, q: emd_groups(p, q, GROUP),
}
SIMILARITIES = ("cosine", "intersection", "bhattacharyya")
HIGHEST = {"kl": math.log((1 + (K - 1) * KL_FLOOR) / KL_FLOOR), "chi_squared": 2, "clark": math.sqrt(K), "canberra": K,
           "emd_circle": K / 2}  # fmt: skip


def distributions(count: int, seed: int) -> np.ndarray:
    """Distributions of all kinds, float64 (N, K): with full support, with zeros, and one-hot."""
    generator = np.random.default_rng(seed)
    shares = generator.dirichlet(np.full(K, 0.5), size=count)
    shares[::3] *= generator.random((len(shares[::3]), K)) < 0.4
    shares[::3, 0] += 1e-3  # at least one class has a share
    shares[1::5] = np.eye(K)[generator.integers(K, size=len(shares[1::5]))]
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", ALL)
def test_a_distribution_and_itself(name: str):
    p = distributions(200, 0)
    expected = 1.0 if name in SIMILARITIES else 0.0
    np.testing.assert_allclose(ALL[name](p, p), expected, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in ALL if name != "kl"])
def test_truth_and_prediction_can_be_exchanged(name: str):
    p, q = distributions(200, 1), distributions(200, 2)
    np.testing.assert_allclose(ALL[name](p, q), ALL[name](q, p), rtol=1e-12, atol=1e-15)


def test_the_divergence_is_not_symmetric():
    p, q = np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]])
    assert kl_divergence(p, q)[0] == pytest.approx(0.9 * math.log(1.8) + 0.1 * math.log(0.2))
    assert kl_divergence(q, p)[0] == pytest.approx(0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1))


@pytest.mark.parametrize("name", ALL)
def test_values_are_finite_and_within_the_bounds_also_where_classes_are_empty(name: str):
    p, q = distributions(2000, 3), distributions(2000, 4)
    p[0], q[0] = np.eye(K)[0], np.eye(K)[1]
    values = ALL[name](p, q)
    assert values.shape == (2000,) and np.isfinite(values).all()
    assert values.min() >= 0 and values.max() <= HIGHEST.get(name, 1) + 1e-9


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kl", -math.log(KL_FLOOR / (1 + (K - 1) * KL_FLOOR))), ("chi_squared", 2), ("chebyshev", 1),
        ("clark", math.sqrt(2)), ("canberra", 2), ("cosine", 0), ("intersection", 0), ("bhattacharyya", 0),
    ],
)  # fmt: skip
def test_one_class_against_another(name: str, expected: float):
    assert ALL[name](np.eye(K)[[2]], np.eye(K)[[5]])[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", [name for name in ALL if name != "emd_circle"])  # there it keeps others apart
def test_a_class_that_is_empty_on_both_sides_changes_nothing(name: str):
    p, q = distributions(100, 5)[:, :4] + 1e-3, distributions(100, 6)[:, :4] + 1e-3
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    wider = [np.concatenate([one, np.zeros((100, 4))], axis=1) for one in (p, q)]
    if name == "emd_groups":
        np.testing.assert_allclose(emd_groups(p, q, GROUP[:4]), emd_groups(*wider, GROUP), atol=1e-12)
        return
    np.testing.assert_allclose(ALL[name](p, q), ALL[name](*wider), atol=1e-7)


def test_an_empty_class_with_any_prediction_counts_fully_for_clark_and_canberra():
    p, q = np.array([[1.0, 0.0, 0.0]]), np.array([[1 - 1e-6, 1e-6, 0.0]])
    assert measures.canberra(p, q)[0] == pytest.approx(1, abs=1e-5)
    assert measures.clark(p, q)[0] == pytest.approx(1, abs=1e-5)
    assert measures.chi_squared(p, q)[0] == pytest.approx(1e-6, rel=1e-3)


def test_the_floor_raises_only_what_is_below_it():
    p = np.array([[0.5, 0.5, 0.0]])
    q = np.array([[0.5, 0.25, 0.25]])
    assert kl_divergence(p, q)[0] == pytest.approx(0.5 * math.log(2))
    assert kl_divergence(p, np.array([[1.0, 0.0, 0.0]]), floor=0.01)[0] == pytest.approx(
        0.5 * math.log(0.5 / (1 / 1.02)) + 0.5 * math.log(0.5 / (0.01 / 1.02))
    )


def transport(p: np.ndarray, q: np.ndarray, costs: np.ndarray) -> float:
    """The cost of the cheapest transport of p to q, by a linear program over K · K flows."""
    k = len(p)
    flows = np.zeros((2 * k, k * k))
    for i in range(k):
        flows[i, i * k : (i + 1) * k] = 1
        flows[k + i, i::k] = 1
    return float(linprog(costs.ravel(), A_eq=flows, b_eq=np.concatenate([p, q])).fun)


@pytest.mark.parametrize("k", [2, 3, 6, 7, 8])
def test_the_distance_on_a_circle_is_the_cheapest_transport(k: int):
    generator = np.random.default_rng(k)
    order = generator.permutation(k).tolist()
    place = np.argsort(order)
    apart = np.abs(place[:, None] - place[None, :])
    costs = np.minimum(apart, k - apart).astype(float)
    p, q = (generator.dirichlet(np.full(k, 0.4), size=25) for _ in range(2))
    p[0], q[0] = np.eye(k)[0], np.eye(k)[1]
    expected = [transport(*pair, costs) for pair in zip(p, q, strict=True)]
    np.testing.assert_allclose(emd_circle(p, q, order), expected, atol=1e-7)


def test_the_other_ground_distances_are_cheapest_transports_too():
    p, q = distributions(20, 8), distributions(20, 9)
    polarity = (GROUP[:, None] != GROUP[None, :]).astype(float)
    for costs, found in ((1 - np.eye(K), 1 - measures.intersection(p, q)), (polarity, emd_groups(p, q, GROUP))):
        expected = [transport(*pair, costs) for pair in zip(p, q, strict=True)]
        np.testing.assert_allclose(found, expected, atol=1e-7)
