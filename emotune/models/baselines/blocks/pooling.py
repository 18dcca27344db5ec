"""Multiple-instance learning with linear scores of instances: their mean, their maximum, or attention."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from emotune.models.baselines.baseline import one_thread

__all__ = ["InstancePooling", "Mil", "fit_pooling"]

MAX_ITERATIONS = 300
HIDDEN = 16
"""The hidden units of attention."""


class Mil(Protocol):
    """A fitted model of bags of instances."""

    def scores(self, bags: np.ndarray) -> np.ndarray:
        """The score of each class for each bag: (N, I, F) → float64 (N, K)."""
        ...

    @property
    def parameters(self) -> int:
        """The number of fitted values."""
        ...


Parts = dict[str, np.ndarray]
Kind = Literal["mean", "max", "attention"]


@dataclass(frozen=True)
class InstancePooling:
    """Linear scores of instances that are pooled to scores of their bag.

    *mean* and *max* are taken over the scores of a bag's instances, for each class. *attention* gives the instances
    weights, the same for all classes: the softmax of c · tanh(V x + d) (Ilse, Tomczak, Welling 2018, equation 8).

    Attributes:
        kind: The pooling.
        parts: The weights W (F, K) and b (K,), and with attention V (F, H), d (H,) and c (H,).
    """

    kind: Kind
    parts: Parts

    def scores(self, bags: np.ndarray) -> np.ndarray:
        """The score of each class for each bag: (N, I, F) → float64 (N, K)."""
        with one_thread():
            return _forward(self.kind, self.parts, bags.astype(np.float64))[0]

    @property
    def parameters(self) -> int:
        """The number of fitted values."""
        return sum(part.size for part in self.parts.values())


def fit_pooling(
    kind: Kind, bags: np.ndarray, targets: np.ndarray, classes: int, c: float, seed: int
) -> InstancePooling:
    """The pooling with the least cross-entropy of bags, C times, and half the sum of its squared weights.

    L-BFGS starts from no weights: *max* then with those of *mean*, which tell instances apart; *attention* from random
    V, with equal weights of instances.

    Args:
        kind: The pooling.
        bags: The features of the training bags' instances, (N, I, F).
        targets: The classes of the bags, (N,).
        classes: The number of classes, K.
        c: The inverse of the penalty, C.
        seed: The seed of V.
    """
    bags = bags.astype(np.float64)
    features = bags.shape[2]
    start: Parts = {"W": np.zeros((features, classes)), "b": np.zeros(classes)}
    if kind == "attention":
        drawn = np.random.default_rng(seed).normal(size=(features, HIDDEN)) / features**0.5
        start |= {"V": drawn, "d": np.zeros(HIDDEN), "c": np.zeros(HIDDEN)}
    with one_thread():
        if kind == "max":
            start = _minimise("mean", start, bags, targets, c)
        return InstancePooling(kind, _minimise(kind, start, bags, targets, c))


def _minimise(kind: Kind, start: Parts, bags: np.ndarray, targets: np.ndarray, c: float) -> Parts:
    from scipy.optimize import minimize  # late: few need it

    def unpacked(flat: np.ndarray) -> Parts:
        sizes = np.cumsum([part.size for part in start.values()])[:-1]
        return {name: one.reshape(start[name].shape) for name, one in zip(start, np.split(flat, sizes), strict=True)}

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        parts = unpacked(flat)
        scores, backward = _forward(kind, parts, bags)
        scores = scores - scores.max(axis=1, keepdims=True)
        exponentials = np.exp(scores)
        totals = exponentials.sum(axis=1, keepdims=True)
        rows = np.arange(len(targets))
        loss = c * (np.log(totals[:, 0]) - scores[rows, targets]).sum()
        gradient = exponentials / totals
        gradient[rows, targets] -= 1
        gradients = backward(c * gradient)
        penalised = [name for name in parts if name not in ("b", "d")]
        for name in penalised:
            gradients[name] = gradients[name] + parts[name]
        loss += sum(np.square(parts[name]).sum() for name in penalised) / 2
        return float(loss), np.concatenate([gradients[name].ravel() for name in parts])

    flat = np.concatenate([part.ravel() for part in start.values()])
    return unpacked(minimize(objective, flat, jac=True, method="L-BFGS-B", options={"maxiter": MAX_ITERATIONS}).x)


def _forward(kind: Kind, parts: Parts, bags: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], Parts]]:
    """The scores of bags (N, K), and a function that gives the gradients of all parts from that of the scores."""
    if kind == "max":
        return _maximum(parts, bags)
    if kind == "mean":
        pooled = bags.mean(axis=1)
        return pooled @ parts["W"] + parts["b"], lambda gradient: {"W": pooled.T @ gradient, "b": gradient.sum(axis=0)}
    return _attention(parts, bags)


def _maximum(parts: Parts, bags: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], Parts]]:
    scores = bags @ parts["W"]
    witnesses = scores.argmax(axis=1)

    def backward(gradient: np.ndarray) -> Parts:
        seen = (bags[np.arange(len(bags)), of_class] for of_class in witnesses.T)
        columns = [one.T @ part for one, part in zip(seen, gradient.T, strict=True)]
        return {"W": np.stack(columns, axis=1), "b": gradient.sum(axis=0)}

    return scores.max(axis=1) + parts["b"], backward


def _attention(parts: Parts, bags: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], Parts]]:
    hidden = np.tanh(bags @ parts["V"] + parts["d"])
    energies = hidden @ parts["c"]
    weights = np.exp(energies - energies.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    pooled = (weights[..., None] * bags).sum(axis=1)

    def backward(gradient: np.ndarray) -> Parts:
        of_pooled = gradient @ parts["W"].T
        of_weights = (bags @ of_pooled[..., None])[..., 0]
        of_energies = weights * (of_weights - (weights * of_weights).sum(axis=1, keepdims=True))
        of_hidden = of_energies[..., None] * parts["c"] * (1 - hidden**2)
        instances, of_instances = bags.reshape(-1, bags.shape[2]), of_hidden.reshape(-1, of_hidden.shape[2])
        return {
            "W": pooled.T @ gradient, "b": gradient.sum(axis=0), "V": instances.T @ of_instances,
            "d": of_instances.sum(axis=0), "c": hidden.reshape(-1, hidden.shape[2]).T @ of_energies.ravel(),
        }  # fmt: skip

    return pooled @ parts["W"] + parts["b"], backward
