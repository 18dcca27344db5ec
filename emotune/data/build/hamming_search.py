"""Exact search for all pairs of 256-bit hashes within a Hamming distance, without comparing all with all.

This is multi-index hashing (Norouzi, Punjani and Fleet 2012, "Fast search in Hamming space with multi-index hashing").
If two hashes differ in at most d bits, then by the pigeonhole principle one of their four 64-bit words differs in at
most about d/4 bits, and one of the pieces into which this word is cut differs in few bits as well. Hashes are therefore
put into buckets by a piece, and only buckets whose numbers differ in few bits are compared, first by the word and then
as a whole. `benchmarks/near_duplicates.py` measures the speed; faiss was slower (LOG.md).
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import comb

import numpy as np

from emotune.core.host import available_cpus

__all__ = ["WORDS", "PairCallback", "pairs_within"]

WORDS = 4
"""Number of 64-bit words in a hash."""

PairCallback = Callable[[np.ndarray, np.ndarray], None]
"""A function that is given the indices of some pairs; it is called repeatedly, by one thread at a time."""

ORDER = np.random.default_rng(0).permutation(64 * WORDS)
"""Order into which the bits are shuffled: neighbouring bits are correlated, and the values of a piece should vary."""

TILE = 2**18
"""Number of comparisons at a time, few enough for the processor's caches."""

FEW = 2**22
"""Number of pairs up to which comparing all is faster than using buckets."""

BUCKET_S, COMPARISON_S = 4e-5, 1.2e-9
"""Rough costs in seconds, by which the number of pieces is chosen; they only influence how long the search takes."""


@dataclass(frozen=True)
class _Piece:
    """A piece of a word. In every pair within the distance, at least one piece and its word are within their radii.

    Attributes:
        word: The index of the word.
        start: The first bit of the piece within the word.
        bits: The number of bits of the piece.
        radius: The number of bits in which the piece may differ.
        word_radius: The number of bits in which the word may differ.
    """

    word: int
    start: int
    bits: int
    radius: int
    word_radius: int

    def of(self, words: np.ndarray) -> np.ndarray:
        """The value of this piece in each of the words (N, 4), which are hashes or differences of hashes; (N,)."""
        return (words[:, self.word] >> np.uint64(self.start)) & np.uint64(2**self.bits - 1)

    def finds(self, difference: np.ndarray) -> np.ndarray:
        """Which pairs this piece finds, given the bits in which they differ, (N, 4); (N,)."""
        near = np.bitwise_count(difference[:, self.word]) <= self.word_radius
        return near & (np.bitwise_count(self.of(difference)) <= self.radius)


def pairs_within(first: np.ndarray, second: np.ndarray | None, within: int, add: PairCallback) -> None:
    """Finds all pairs of a hash in ``first`` and one in ``second`` within a Hamming distance, each pair once.

    Args:
        first: Hashes, (N, 4) of uint64.
        second: Hashes, (M, 4) of uint64; None to find the pairs i < j within ``first``.
        within: The distance, in bits.
        add: A function that is given the indices of the pairs.
    """
    first = _reordered(first)
    second = first if second is None else _reordered(second)
    if not len(first) or not len(second):
        return
    if len(first) * len(second) <= FEW:
        _compare_all(first, second, within, add)
        return
    pieces, lock = _pieces(_pieces_per_word(len(first), len(second), within), within), threading.Lock()

    def search(number: int, part: int, parts: int) -> None:
        for i, j in _pairs_of_piece(pieces, number, first, second, part, parts):
            with lock:
                add(i, j)

    threads = available_cpus()
    with ThreadPoolExecutor(threads) as pool:
        jobs = [pool.submit(search, n, part, threads) for n in range(len(pieces)) for part in range(threads)]
        for job in jobs:
            job.result()


def _compare_all(first: np.ndarray, second: np.ndarray, within: int, add: PairCallback) -> None:
    step = max(1, TILE // len(second))
    for top in range(0, len(first), step):
        differing = first[top : top + step, None] ^ second
        i, j = np.nonzero(np.bitwise_count(differing).sum(axis=2) <= within)
        i += top
        if first is second:
            i, j = i[j > i], j[j > i]
        if len(i):
            add(i, j)


def _reordered(words: np.ndarray) -> np.ndarray:
    """The hashes (N, 4) with their bits in `ORDER`."""
    out = np.empty((len(words), WORDS), np.uint64)
    for start in range(0, len(words), 2**16):
        block = np.ascontiguousarray(words[start : start + 2**16])
        bits = np.unpackbits(block.view(np.uint8), axis=1)
        out[start : start + 2**16] = np.ascontiguousarray(np.packbits(bits[:, ORDER], axis=1)).view(np.uint64)
    return out


def _divide(total: int, parts: int) -> list[int]:
    """``total`` as a sum of nearly equal whole numbers."""
    return [total // parts + (part < total % parts) for part in range(parts)]


def _pieces(per_word: int, within: int) -> list[_Piece]:
    """The pieces of all words.

    The radii, each plus one, add up to the distance plus one: if all were exceeded, so would be the distance.
    """
    pieces = []
    for word, word_share in enumerate(_divide(within + 1, WORDS)):
        start = 0
        for bits, share in zip(_divide(64, per_word), _divide(word_share, per_word), strict=True):
            if share:
                pieces.append(_Piece(word, start, bits, min(share - 1, bits), word_share - 1))
            start += bits
    return pieces


def _pieces_per_word(rows: int, columns: int, within: int) -> int:
    """The number of pieces per word that would cost least if the bits were random."""

    def cost_s(per_word: int) -> float:
        total = 0.0
        for piece in _pieces(per_word, within):
            near = sum(comb(piece.bits, bits) for bits in range(piece.radius + 1)) / 2**piece.bits
            total += min(rows, 2**piece.bits) * BUCKET_S + near * rows * columns * COMPARISON_S
        return total

    return min(range(3, 33), key=cost_s)


@cache
def _masks(bits: int, radius: int) -> np.ndarray:
    """All numbers of ``bits`` bits of which at most ``radius`` are set."""
    masks = [sum(1 << bit for bit in chosen) for n in range(radius + 1) for chosen in combinations(range(bits), n)]
    return np.array(masks, np.int64)


def _pairs_of_piece(
    pieces: Sequence[_Piece], number: int, first: np.ndarray, second: np.ndarray, part: int, parts: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The pairs that this piece finds and no earlier one, from every ``parts``-th bucket."""
    piece, within_one = pieces[number], first is second
    rows = _Buckets(first, piece)
    columns = rows if within_one else _Buckets(second, piece)
    masks = _masks(piece.bits, piece.radius)
    for key in np.flatnonzero(np.diff(rows.starts))[part::parts]:
        keys = key ^ masks
        candidates = columns.members(keys[keys >= key] if within_one else keys)
        start, end = rows.starts[key], rows.starts[key + 1]
        step = max(1, TILE // max(1, len(candidates)))
        for top in range(start, end, step):
            differing = rows.word[top : min(top + step, end), None] ^ columns.word[candidates]
            hits = np.flatnonzero(np.bitwise_count(differing).ravel() <= piece.word_radius)
            if not len(hits):
                continue
            row, column = np.divmod(hits, len(candidates))
            row, column = row + top, candidates[column]
            if within_one:
                row, column = row[column > row], column[column > row]
            i, j = rows.order[row], columns.order[column]
            i, j = _not_found_earlier(pieces, number, first, second, i, j)
            if len(i):
                yield (np.minimum(i, j), np.maximum(i, j)) if within_one else (i, j)


def _not_found_earlier(
    pieces: Sequence[_Piece], number: int, first: np.ndarray, second: np.ndarray, i: np.ndarray, j: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Those of the pairs that are within the distance as a whole and that no earlier piece finds."""
    within = sum(p.word_radius + 1 for p in {p.word: p for p in pieces}.values()) - 1
    difference = first[i] ^ second[j]
    new = np.bitwise_count(difference).sum(axis=1) <= within
    i, j, difference = i[new], j[new], difference[new]
    for piece in pieces[:number]:
        if not len(i):
            break
        new = ~piece.finds(difference)
        i, j, difference = i[new], j[new], difference[new]
    return i, j


class _Buckets:
    """Hashes sorted by the value of a piece.

    Attributes:
        order: The indices of the hashes, sorted by the value of the piece, (N,).
        starts: The position in ``order`` at which each bucket begins, and the end of the last bucket.
        word: The word that holds the piece, for each hash in ``order``, (N,).
    """

    def __init__(self, words: np.ndarray, piece: _Piece) -> None:
        keys = piece.of(words).astype(np.int64)
        self.order = np.argsort(keys, kind="stable")
        self.starts = np.zeros(2**piece.bits + 1, np.int64)
        np.cumsum(np.bincount(keys, minlength=2**piece.bits), out=self.starts[1:])
        self.word = words[self.order, piece.word]

    def members(self, keys: np.ndarray) -> np.ndarray:
        """The positions in ``order`` of all hashes in the buckets with these numbers."""
        low = self.starts[keys]
        sizes = self.starts[keys + 1] - low
        ends = np.cumsum(sizes)
        return np.arange(ends[-1]) + np.repeat(low - (ends - sizes), sizes)
