"""Which of many images look alike: copies of others, stored, toned or mirrored differently; and those of one scene.

All is computed from hashes (`emotune.data.build.perceptual_hash`), in memory that grows with the images and not with
their pairs.
"""

from collections.abc import Sequence

import numpy as np

from emotune.data.build.hamming_search import WORDS, PairCallback, pairs_within
from emotune.data.build.perceptual_hash import COPY_DISTANCE, SCENE_DISTANCE

__all__ = ["copies_in_other_classes", "copies_of_earlier", "hash_table", "scene_numbers"]

FEW = 256
"""Images of which each is compared with each."""

AT_A_TIME = 2**20
"""Pairs that are held until they are made use of."""


def hash_table(looks: Sequence[bytes], mirrored: Sequence[bytes]) -> np.ndarray:
    """The images' hashes and those of their mirror images, (N, 8) uint64."""
    joined = b"".join(look + mirror for look, mirror in zip(looks, mirrored, strict=True))
    return np.frombuffer(joined, np.uint64).reshape(-1, 2 * WORDS)


def copies_in_other_classes(hashes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each image the first copy of it that has another label, else -1, (N,); and whether it has any copy, (N,).

    Args:
        hashes: From `hash_table`.
        labels: Each image's class as a number, (N,).
    """
    unique, inverse = _unique(np.column_stack([hashes, labels.astype(np.uint64)]))
    first, label = _first_of_each(inverse, len(unique)), unique[:, -1]
    other = np.full(len(unique), len(hashes))
    copied = np.bincount(inverse, minlength=len(unique)) > 1

    def found(i: np.ndarray, j: np.ndarray) -> None:
        copied[i] = copied[j] = True
        differ = label[i] != label[j]
        i, j = i[differ], j[differ]
        np.minimum.at(other, i, first[j])
        np.minimum.at(other, j, first[i])

    _pairs(unique, COPY_DISTANCE, found)
    return np.where(other < len(hashes), other, -1)[inverse], copied[inverse]


def copies_of_earlier(hashes: np.ndarray) -> np.ndarray:
    """For each image the first earlier one that it is a copy of and that is no copy itself, (N,); else -1.

    So an image is only called a copy of one that stays, however long a chain of images is of which neighbours are
    nearly the same.

    Args:
        hashes: From `hash_table`, in the order of the images' right to stay. Those without any copy may be left out.
    """
    unique, inverse = _unique(hashes)
    first = _first_of_each(inverse, len(unique))
    original = np.full(len(unique), -1)
    _keep_first(unique, np.argsort(first, kind="stable"), original)
    stays = np.where(original < 0, first, first[original])[inverse]
    return np.where(stays == np.arange(len(hashes)), -1, stays)


def _keep_first(unique: np.ndarray, order: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Notes for every copy in ``order`` its ``original``; gives what is no copy, in that order.

    The first half is decided by itself; of the second one, what is near those that stay goes before it is.
    """
    if len(order) <= FEW:
        return _keep_first_of_few(unique, order, original)
    half = len(order) // 2
    stay, rest = _keep_first(unique, order[:half], original), order[half:]
    earliest = np.full(len(rest), len(stay))

    def found(i: np.ndarray, j: np.ndarray) -> None:
        np.minimum.at(earliest, i, j)

    there = unique[stay, :WORDS]
    pairs_within(unique[rest, :WORDS], there, COPY_DISTANCE, found)
    pairs_within(unique[rest, WORDS:], there, COPY_DISTANCE, found)
    copies = earliest < len(stay)
    original[rest[copies]] = stay[earliest[copies]]
    return np.concatenate([stay, _keep_first(unique, rest[~copies], original)])


def _keep_first_of_few(unique: np.ndarray, order: np.ndarray, original: np.ndarray) -> np.ndarray:
    there = unique[order, :WORDS]
    near = np.zeros((len(order), len(order)), bool)
    for hashes in (there, unique[order, WORDS:]):
        near |= np.bitwise_count(hashes[:, None] ^ there).sum(axis=2) <= COPY_DISTANCE
    stays = np.zeros(len(order), bool)
    for index in range(len(order)):
        earlier = np.flatnonzero(near[index, :index] & stays[:index])
        stays[index] = not len(earlier)
        if len(earlier):
            original[order[index]] = order[earlier[0]]
    return order[stays]


def scene_numbers(hashes: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """A number for each image, (N,): equal where images show one scene, directly or through others.

    Args:
        hashes: From `hash_table`.
        splits: A positive number for each split that is prescribed, 0 where none is, (N,): images of two prescribed
            splits are not brought together by what they look like.
    """
    unique, inverse = _unique(np.column_stack([hashes, splits.astype(np.uint64)]))
    split = unique[:, -1]
    number = np.arange(len(unique))
    waiting: list[tuple[np.ndarray, np.ndarray]] = []

    def connect() -> None:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        i, j = (np.concatenate(part) for part in zip(*waiting, strict=True))
        links = coo_array((np.ones(len(i), bool), (number[i], number[j])), shape=(len(unique),) * 2)
        number[:] = connected_components(links, directed=False)[1][number]
        waiting.clear()

    def found(i: np.ndarray, j: np.ndarray) -> None:
        new = (number[i] != number[j]) & ((split[i] == split[j]) | (split[i] == 0) | (split[j] == 0))
        if new.any():
            waiting.append((i[new], j[new]))
            if sum(len(part) for part, _ in waiting) > AT_A_TIME:
                connect()

    _pairs(unique, SCENE_DISTANCE, found)
    if waiting:
        connect()
    return number[inverse]


def _unique(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows, and which of them each row is."""
    unique, inverse = np.unique(rows, axis=0, return_inverse=True)
    return unique, inverse.reshape(-1)


def _first_of_each(inverse: np.ndarray, count: int) -> np.ndarray:
    first = np.full(count, len(inverse))
    np.minimum.at(first, inverse, np.arange(len(inverse)))
    return first


def _pairs(hashes: np.ndarray, within: int, found: PairCallback) -> None:
    """The pairs of images that are within so many bits, one of them mirrored or not."""
    straight, mirrored = hashes[:, :WORDS], hashes[:, WORDS : 2 * WORDS]

    def other(i: np.ndarray, j: np.ndarray) -> None:
        found(i[i != j], j[i != j])  # an image may be its own mirror image

    pairs_within(straight, None, within, found)
    pairs_within(mirrored, straight, within, other)
