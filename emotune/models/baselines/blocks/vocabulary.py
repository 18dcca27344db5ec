"""Visual words: the nearest of some prototypes, which are learned from descriptors of training images."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotune.core.errors import InputError
from emotune.models.baselines.baseline import one_thread

__all__ = ["SAMPLE", "Vocabulary", "learn_vocabulary"]

SAMPLE = 100_000
"""The number of descriptors from which words are learned, about as many of each training image."""
BATCH = 4096
AT_ONCE = 20_000
"""The number of descriptors that are compared with all words at a time."""


@dataclass(frozen=True)
class Vocabulary:
    """Visual words.

    Attributes:
        prototypes: The prototype of each word, float32 (W, D).
        notes: What the user should know about how they were learned.
    """

    prototypes: np.ndarray
    notes: tuple[str, ...] = ()

    def words(self, descriptors: np.ndarray) -> np.ndarray:
        """The number of the nearest word of each descriptor, the first of equally near ones: (..., D) → uint16 (...).

        Each descriptor's word depends on that descriptor alone.
        """
        flat = descriptors.reshape(-1, descriptors.shape[-1])
        offsets = np.square(self.prototypes).sum(axis=1) / 2
        found = np.empty(len(flat), np.uint16)
        with one_thread():
            for first in range(0, len(flat), AT_ONCE):
                part = flat[first : first + AT_ONCE].astype(np.float32)
                found[first : first + AT_ONCE] = (part @ self.prototypes.T - offsets).argmax(axis=1)
        return found.reshape(descriptors.shape[:-1])


def learn_vocabulary(sample: np.ndarray, words: int, seed: int) -> Vocabulary:
    """The words of a sample of descriptors, by k-means in small batches (Sculley 2010).

    Args:
        sample: The descriptors, (N, D).
        words: The number of words, W.
        seed: The seed of the starting points and batches.

    Raises:
        InputError: there are fewer different descriptors than words.
    """
    from sklearn.cluster import MiniBatchKMeans  # late: it is an extra

    make: Any = MiniBatchKMeans  # its stubs know less than it does
    sample = sample.astype(np.float32)
    distinct = len(np.unique(sample, axis=0))
    if distinct < words:
        raise InputError(
            f"model blocks: words: {words}, but the patches of the training images have {distinct} different "
            "descriptors; take fewer words, a smaller step, or more images"
        )
    with one_thread(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        means = make(words, random_state=seed % 2**32, batch_size=BATCH, n_init=1).fit(sample)
    notes = tuple(f"blocks, words: {str(one.message).partition(chr(10))[0]}" for one in caught)
    return Vocabulary(means.cluster_centers_.astype(np.float32), notes)
