"""Near-duplicate search among perceptual hashes: altered or mirrored copies of an image, and images of one scene.

Everything is computed from the hashes (`emotune.data.build.perceptual_hash`). Memory grows with the number of images,
not with the number of pairs.
"""

from collections.abc import Sequence

import numpy as np

from emotune.data.build.hamming_search import WORDS, PairCallback, pairs_within
from emotune.data.build.perceptual_hash import COPY_DISTANCE, SCENE_DISTANCE

__all__ = ["connected_components", "copies_in_other_classes", "copies_of_earlier", "hash_table", "scene_numbers"]

FEW = 256
"""Number of images up to which all are compared with all."""

MAX_WAITING_PAIRS = 2**20
"""Pairs that are collected before they are merged into scenes."""


def hash_table(hashes: Sequence[bytes], mirrored: Sequence[bytes]) -> np.ndarray:
    """The images' hashes, then those of their mirror images, as one array (N, 8) of uint64."""
    joined = b"".join(straight + mirror for straight, mirror in zip(hashes, mirrored, strict=True))
    return np.frombuffer(joined, np.uint64).reshape(-1, 2 * WORDS)


def copies_in_other_classes(hashes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first copy of each image that is in another class, and whether the image has any copy at all.

    Args:
        hashes: A table from `hash_table`, (N, 8).
        labels: The class of each image as a number, (N,).

    Returns:
        The index of the first copy in another class, -1 where there is none, (N,); whether there is any copy, (N,).
    """
    unique, inverse = _unique_rows(np.column_stack([hashes, labels.astype(np.uint64)]))
    first, label = _first_of_each(inverse, len(unique)), unique[:, -1]
    other = np.full(len(unique), len(hashes))
    copied = np.bincount(inverse, minlength=len(unique)) > 1

    def add(i: np.ndarray, j: np.ndarray) -> None:
        copied[i] = copied[j] = True
        differ = label[i] != label[j]
        i, j = i[differ], j[differ]
        np.minimum.at(other, i, first[j])
        np.minimum.at(other, j, first[i])

    _find_pairs(unique, COPY_DISTANCE, add)
    return np.where(other < len(hashes), other, -1)[inverse], copied[inverse]


def copies_of_earlier(hashes: np.ndarray) -> np.ndarray:
    """The index of the first earlier image that each image is a copy of and that stays itself, (N,); -1 if none.

    An image is thus only called a copy of one that stays, however long a chain of images is in which each is nearly
    the same as the next.

    Args:
        hashes: A table from `hash_table`, (N, 8), ordered by which image should rather stay. Images without any copy
            may be missing from it.
    """
    unique, inverse = _unique_rows(hashes)
    first = _first_of_each(inverse, len(unique))
    original = np.full(len(unique), -1)
    _keep_first(unique, np.argsort(first, kind="stable"), original)
    stays = np.where(original < 0, first, first[original])[inverse]
    return np.where(stays == np.arange(len(hashes)), -1, stays)


def _keep_first(unique: np.ndarray, order: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Writes the original of every copy in ``order`` into ``original``, and returns the images that stay, in order.

    The first half is decided by itself. Images of the second half that are near those that stay are then removed
    before the rest is decided.
    """
    if len(order) <= FEW:
        return _keep_first_of_few(unique, order, original)
    half = len(order) // 2
    stay, rest = _keep_first(unique, order[:half], original), order[half:]
    earliest = np.full(len(rest), len(stay))

    def add(i: np.ndarray, j: np.ndarray) -> None:
        np.minimum.at(earliest, i, j)

    straight = unique[stay, :WORDS]
    pairs_within(unique[rest, :WORDS], straight, COPY_DISTANCE, add)
    pairs_within(unique[rest, WORDS:], straight, COPY_DISTANCE, add)
    copies = earliest < len(stay)
    original[rest[copies]] = stay[earliest[copies]]
    return np.concatenate([stay, _keep_first(unique, rest[~copies], original)])


def _keep_first_of_few(unique: np.ndarray, order: np.ndarray, original: np.ndarray) -> np.ndarray:
    straight = unique[order, :WORDS]
    near = np.zeros((len(order), len(order)), bool)
    for hashes in (straight, unique[order, WORDS:]):
        near |= np.bitwise_count(hashes[:, None] ^ straight).sum(axis=2) <= COPY_DISTANCE
    stays = np.zeros(len(order), bool)
    for index in range(len(order)):
        earlier = np.flatnonzero(near[index, :index] & stays[:index])
        stays[index] = not len(earlier)
        if len(earlier):
            original[order[index]] = order[earlier[0]]
    return order[stays]


def scene_numbers(hashes: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """A number for each image, (N,): equal where images show the same scene, directly or through other images.

    Args:
        hashes: A table from `hash_table`, (N, 8).
        splits: A positive number for each prescribed split and 0 where none is prescribed, (N,). Similarity does not
            join images of two prescribed splits.
    """
    unique, inverse = _unique_rows(np.column_stack([hashes, splits.astype(np.uint64)]))
    split = unique[:, -1]
    number = np.arange(len(unique))
    waiting: list[tuple[np.ndarray, np.ndarray]] = []

    def merge() -> None:
        i, j = (np.concatenate(part) for part in zip(*waiting, strict=True))
        number[:] = connected_components(number[i], number[j], len(unique))[number]
        waiting.clear()

    def add(i: np.ndarray, j: np.ndarray) -> None:
        new = (number[i] != number[j]) & ((split[i] == split[j]) | (split[i] == 0) | (split[j] == 0))
        if new.any():
            waiting.append((i[new], j[new]))
            if sum(len(part) for part, _ in waiting) > MAX_WAITING_PAIRS:
                merge()

    _find_pairs(unique, SCENE_DISTANCE, add)
    if waiting:
        merge()
    return number[inverse]


def connected_components(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    """The number of the connected component of each of ``count`` nodes, (count,).

    Args:
        first: One end of each link, (L,).
        second: The other end of each link, (L,).
        count: The number of nodes.
    """
    from scipy.sparse import coo_array, csgraph  # only where it is needed: the import is slow

    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    return csgraph.connected_components(links, directed=False)[1]


def _unique_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows, and the index of each row among them."""
    unique, inverse = np.unique(rows, axis=0, return_inverse=True)
    return unique, inverse.reshape(-1)


def _first_of_each(inverse: np.ndarray, count: int) -> np.ndarray:
    """The first position at which each of ``count`` numbers occurs, (count,)."""
    first = np.full(count, len(inverse))
    np.minimum.at(first, inverse, np.arange(len(inverse)))
    return first


def _find_pairs(hashes: np.ndarray, within: int, add: PairCallback) -> None:
    """Finds the pairs of images that differ in at most ``within`` bits when neither or one of them is mirrored."""
    straight, mirrored = hashes[:, :WORDS], hashes[:, WORDS : 2 * WORDS]

    def add_others(i: np.ndarray, j: np.ndarray) -> None:
        add(i[i != j], j[i != j])  # an image may be its own mirror image

    pairs_within(straight, None, within, add)
    pairs_within(mirrored, straight, within, add_others)
