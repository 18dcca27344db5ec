"""Topics of blocks by probabilistic latent semantic analysis (Hofmann 1999)."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotune.models.baselines.baseline import one_thread

__all__ = ["SAMPLE", "Topics", "learn_topics"]

SAMPLE = 20_000
"""The number of training blocks from which topics are learned, at most."""
ITERATIONS = 200
"""The number of steps that find the topics, at most."""
FOLD_IN = 30
"""The number of steps that find a block's topics: always as many, so that they do not depend on other blocks."""
TINY = 1e-9


@dataclass(frozen=True)
class Topics:
    """Topics, each a distribution over words.

    Attributes:
        words: The probability of each word in each topic, float32 (T, W).
    """

    words: np.ndarray

    def shares(self, counts: np.ndarray) -> np.ndarray:
        """The share of each topic in blocks, float32 (..., T), which sum to 1.

        They are those with which a block's words are most likely, by steps of expectation and maximisation from equal
        shares. A block without words keeps these.

        Args:
            counts: The words of blocks, (..., W).
        """
        flat = counts.reshape(-1, counts.shape[-1])
        total = flat.sum(axis=1, keepdims=True)
        shares = np.full((len(flat), len(self.words)), 1 / len(self.words), np.float32)
        with one_thread():
            for _ in range(FOLD_IN):
                step = shares * ((flat / np.maximum(shares @ self.words, TINY)) @ self.words.T)
                shares = np.where(total > 0, step / np.maximum(step.sum(axis=1, keepdims=True), TINY), shares)
        return shares.reshape(*counts.shape[:-1], -1)


def learn_topics(counts: np.ndarray, topics: int, seed: int) -> Topics:
    """The topics of blocks.

    They are found by a factorisation into non-negative matrices with the Kullback-Leibler divergence, whose maximum is
    that of the likelihood of probabilistic latent semantic analysis (Gaussier and Goutte 2005).

    Args:
        counts: The words of training blocks, (M, W).
        topics: The number of topics, T.
        seed: The seed of the starting point.
    """
    from sklearn.decomposition import NMF  # late: it is an extra
    from sklearn.exceptions import ConvergenceWarning

    make: Any = NMF  # its stubs know less than it does
    factors = make(
        topics, init="random", solver="mu", beta_loss="kullback-leibler", max_iter=ITERATIONS, tol=1e-4,
        random_state=seed % 2**32,
    )  # fmt: skip
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what the last of its steps change is little
        factors.fit(counts)
    words = factors.components_.astype(np.float64) + TINY
    return Topics((words / words.sum(axis=1, keepdims=True)).astype(np.float32))
