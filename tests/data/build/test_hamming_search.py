"""Exactly the pairs within the distance are found, for any number and kind of hashes."""

import numpy as np
import pytest

from emotune.data.build import hamming_search
from emotune.data.build.hamming_search import pairs_within


def hashes(count: int, seed: int = 0, distances: int = 120) -> np.ndarray:
    """Random ones, of which every tenth has a relative further on, at up to so many bits."""
    generator = np.random.default_rng(seed)
    bits = generator.integers(0, 2, (count, 256), np.uint8)
    for index in range(count // 10, count, 10):
        bits[index] = bits[index // 10]
        bits[index, generator.choice(255, generator.integers(0, distances), replace=False)] ^= 1
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint64)


def found(first: np.ndarray, second: np.ndarray | None, within: int) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    pairs_within(first, second, within, lambda i, j: pairs.extend(zip(i.tolist(), j.tolist(), strict=True)))
    return pairs


def by_brute_force(first: np.ndarray, second: np.ndarray | None, within: int) -> set[tuple[int, int]]:
    other = first if second is None else second
    near = np.bitwise_count(first[:, None] ^ other).sum(axis=2) <= within
    return {(int(i), int(j)) for i, j in np.argwhere(near) if second is not None or i < j}


def structured(count: int) -> np.ndarray:
    """Hashes of which most bits are the same, as those of frames of one film."""
    generator = np.random.default_rng(1)
    bits = generator.random((count, 256)) < 0.06
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint64)


@pytest.mark.parametrize("few", [0, 2**22], ids=["in buckets", "all with all"])
@pytest.mark.parametrize("within", [0, 1, 32, 56, 120])
@pytest.mark.parametrize("draw", [hashes, structured], ids=["random", "structured"])
def test_exactly_the_pairs_within_the_distance_are_found_once(monkeypatch, few, within, draw):
    monkeypatch.setattr(hamming_search, "FEW", few)
    monkeypatch.setattr(hamming_search, "TILE", 500)
    table = draw(150)
    for first, second in ((table, None), (table[:60], table[40:])):
        pairs = found(first, second, within)
        assert len(pairs) == len(set(pairs))
        assert set(pairs) == by_brute_force(first, second, within)


@pytest.mark.parametrize("per_word", [3, 4, 5, 7])
@pytest.mark.parametrize("within", [32, 56])
def test_the_number_of_pieces_changes_nothing(monkeypatch, per_word, within):
    monkeypatch.setattr(hamming_search, "FEW", 0)
    monkeypatch.setattr(hamming_search, "_pieces_per_word", lambda *_: per_word)
    table = hashes(400)
    assert set(found(table, None, within)) == by_brute_force(table, None, within)


@pytest.mark.parametrize("within", [0, 31, 32, 56, 57])
def test_no_pair_within_the_distance_can_differ_too_much_in_every_piece(within):
    for per_word in range(3, 33):
        pieces = hamming_search._pieces(per_word, within)
        assert sum(piece.radius + 1 for piece in pieces) >= within + 1 or any(p.radius == p.bits for p in pieces)
        assert sum(radius + 1 for radius in {p.word: p.word_radius for p in pieces}.values()) == within + 1


def test_no_hashes_have_no_pairs():
    none = np.empty((0, 4), np.uint64)
    assert found(none, None, 9) == found(none, hashes(3), 9) == found(hashes(3), none, 9) == []


@pytest.mark.slow
def test_all_planted_copies_are_found_among_a_hundred_thousand():
    generator = np.random.default_rng(7)
    table = generator.integers(0, 2**64, (100_000, 4), np.uint64)
    distances = np.repeat(np.arange(80), 10)
    bits = np.unpackbits(table[: len(distances)].view(np.uint8), axis=1)
    for row, distance in zip(bits, distances, strict=True):
        row[generator.choice(256, distance, replace=False)] ^= 1
    table[-len(distances) :] = np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint64)
    for within in (32, 56):
        planted = {(n, 100_000 - len(distances) + n) for n in np.flatnonzero(distances <= within).tolist()}
        assert set(found(table, None, within)) == planted
