"""The words of the blocks of an image."""

from collections.abc import Sequence

import numpy as np

__all__ = ["block_counts", "number_of_blocks"]


def number_of_blocks(levels: Sequence[int]) -> int:
    """The number of an image's blocks: n² at a level with n along a side."""
    return sum(level**2 for level in levels)


def block_counts(words: np.ndarray, places: np.ndarray, levels: Sequence[int], size: int) -> np.ndarray:
    """How often each word occurs in each block, float32 (N, B, W): at each level blocks are row by row.

    A patch belongs, at each level, to the block with its centre.

    Args:
        words: The words of the images' patches, row by row, (N, g²).
        places: The places of the patches along a side, as shares of it, (g,).
        levels: The number of blocks along a side, for each level.
        size: The number of words, W.
    """
    images, counts = len(words), []
    for level in levels:
        along = (places * level).astype(np.intp)
        blocks = (along[:, None] * level + along).ravel()
        cells = (np.arange(images)[:, None] * level**2 + blocks) * size + words
        found = np.bincount(cells.ravel(), minlength=images * level**2 * size)
        counts.append(found.reshape(images, level**2, size))
    return np.concatenate(counts, axis=1).astype(np.float32)
