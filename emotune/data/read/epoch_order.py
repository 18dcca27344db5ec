"""Order of the images in an epoch, its division into batches, and the part of each rank."""

import numpy as np

__all__ = ["SHARDS_MIXED", "epoch_batches", "rank_slice", "shard_order", "steps_per_epoch"]

SHARDS_MIXED = 4
"""Number of shards whose images are mixed in the order of shards; changing it changes that order."""


def steps_per_epoch(images: int, batch_size: int) -> int:
    """The number of steps that visit every image once.

    >>> steps_per_epoch(101, 50)
    3
    """
    return -(-images // batch_size)


def epoch_batches(
    images: int, batch_size: int, seed: int, epoch: int, shards: np.ndarray | None = None
) -> list[np.ndarray]:
    """The global batches of an epoch as arrays of indices: a permutation that only depends on seed and epoch.

    The sizes of the batches differ by one at most: a small last batch would make a noisy step.

    Args:
        images: The number of images in the split.
        batch_size: The size of the largest batch.
        seed: The seed of the order.
        epoch: The number of the epoch, counted from 0.
        shards: The number of each image's shard, (N,), for `shard_order`; None for a random order of all images.

    >>> [len(batch) for batch in epoch_batches(101, 50, seed=0, epoch=0)]
    [34, 34, 33]
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(images) if shards is None else shard_order(shards, generator)
    return np.array_split(order, steps_per_epoch(images, batch_size))


def shard_order(shards: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """An order of images that needs few shards at a time, as indices (N,).

    The shards are in a random order, and the images of each `SHARDS_MIXED` shards are in a random order.

    Args:
        shards: The number of each image's shard, (N,).
        generator: The source of randomness.
    """
    position = generator.permutation(int(shards.max(initial=-1)) + 1)
    mixed_with = position[shards] // SHARDS_MIXED
    return np.lexsort((generator.permutation(len(shards)), mixed_with))


def rank_slice(indices: np.ndarray, rank: int, world_size: int) -> np.ndarray:
    """The part of a global batch that a rank computes; the parts of all ranks are disjoint and complete."""
    return indices[rank::world_size]
