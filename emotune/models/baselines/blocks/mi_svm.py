"""Multiple-instance learning by support vector machines that choose the instances of a class (mi-SVM)."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotune.models.baselines.baseline import one_thread

__all__ = ["MiSvm", "fit_mi_svm"]

ROUNDS = 5
"""The number of times that instances are labelled anew, at most."""


@dataclass(frozen=True)
class MiSvm:
    """A linear machine on instances for each class against all others; a bag has the maximum over its instances.

    Attributes:
        weights: The weights W, (F, K).
        offsets: The offsets b, (K,).
        rounds: The number of machines that were fitted, for each class.
    """

    weights: np.ndarray
    offsets: np.ndarray
    rounds: tuple[int, ...]

    def scores(self, bags: np.ndarray) -> np.ndarray:
        """The score of each class for each bag: (N, I, F) → float64 (N, K)."""
        with one_thread():
            return (bags @ self.weights).max(axis=1) + self.offsets

    @property
    def parameters(self) -> int:
        """The number of fitted values."""
        return self.weights.size + self.offsets.size


def fit_mi_svm(bags: np.ndarray, targets: np.ndarray, classes: int, c: float) -> MiSvm:
    """mi-SVM (Andrews, Tsochantaridis, Hofmann 2003, figure 2), one class against all others.

    All instances of a class's bags begin as its own. A machine is fitted; then those of its bags' instances are the
    class's that have a positive score, and the best one of each bag, until none changes, or 5 times. Both sides of a
    machine weigh the same. The loss is the squared hinge.

    Args:
        bags: The features of the training bags' instances, (N, I, F).
        targets: The classes of the bags, (N,), at least two.
        classes: The number of classes, K. A class without bags has the lowest score.
        c: The inverse of the penalty, C; a bag weighs as one, whatever its number of instances.
    """
    instances = bags.reshape(-1, bags.shape[2]).astype(np.float64)
    weights, offsets, rounds = np.zeros((bags.shape[2], classes)), np.full(classes, -1e3), [0] * classes
    for number in np.unique(targets):
        own = np.repeat(targets == number, bags.shape[1])
        weights[:, number], offsets[number], rounds[number] = _one_class(instances, own, bags.shape[1], c)
    return MiSvm(weights, offsets, tuple(rounds))


def _one_class(instances: np.ndarray, own: np.ndarray, size: int, c: float) -> tuple[np.ndarray, float, int]:
    """The weights (F,), the offset and the number of fitted machines for one class.

    Args:
        instances: The instances of all bags, (N·I, F).
        own: Whether each comes from a bag of the class, (N·I,).
        size: The number of instances in a bag, I.
        c: The inverse of the penalty.
    """
    from sklearn.svm import LinearSVC  # late: it is an extra

    make: Any = LinearSVC  # its stubs know less than it does
    labels, rounds = own.copy(), 0
    while True:
        machine: Any = make(C=c / size, class_weight="balanced", dual=False, tol=1e-3)
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a machine that has not converged is followed by another one
            machine.fit(instances, labels)
            scores = machine.decision_function(instances)
        rounds += 1
        by_bag = scores.reshape(-1, size)
        chosen = (scores > 0) | (by_bag == by_bag.max(axis=1, keepdims=True)).ravel()
        chosen &= own
        if rounds == ROUNDS or (chosen == labels).all():
            return machine.coef_[0], float(machine.intercept_[0]), rounds
        labels = chosen
