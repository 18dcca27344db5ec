"""Which pictures come when: a pure function of seed and epoch, whatever the number of ranks."""

import numpy as np

__all__ = ["epoch_batches", "share", "steps_per_epoch"]


def steps_per_epoch(pictures: int, batch_size: int) -> int:
    """Steps that visit every picture once.

    >>> steps_per_epoch(101, 50)
    3
    """
    return -(-pictures // batch_size)


def epoch_batches(pictures: int, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """The epoch's global batches of indices: a permutation that depends only on seed and epoch, cut evenly.

    Batches differ in size by one at most, and none exceeds ``batch_size``: a small rest would be a noisy step.

    >>> [len(batch) for batch in epoch_batches(101, 50, seed=0, epoch=0)]
    [34, 34, 33]
    """
    order = np.random.default_rng([seed, epoch]).permutation(pictures)
    return np.array_split(order, steps_per_epoch(pictures, batch_size))


def share(indices: np.ndarray, rank: int, world_size: int) -> np.ndarray:
    """The part of a global batch that a rank computes; the ranks' parts are disjoint and complete."""
    return indices[rank::world_size]
