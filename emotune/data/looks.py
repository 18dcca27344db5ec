"""What a picture looks like in 255 bits, and which pictures look alike.

A perceptual hash: the signs of the lowest 16×16 frequencies of the grey picture, but the mean, relative to their median
(Zauner 2010, "Implementation and benchmarking of perceptual image hash functions", section 3.2, with four times its
bits). `benchmarks/looks.py` measures, on any folder of pictures, how far altered copies and different pictures are.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

__all__ = ["ALIKE", "BITS", "SAME", "alike_pairs", "look"]

SIDE = 64
FREQUENCIES = 16
BITS = FREQUENCIES**2 - 1
SAME = 32
"""Bits: nearer ones are one picture, stored or toned differently."""
ALIKE = 56
"""Bits: nearer ones show one scene, such as two pictures of a burst."""
FLAT = 2.0
"""Standard deviation, in grey levels: below it the bits are those of noise, or all equal."""
FAINT = 0.05
"""Grey levels: what rounding leaves of a frequency that is not there, as in stripes or what mirrors itself."""
BLOCK = 4096

BASIS = np.cos(np.pi / SIDE * np.outer(np.arange(FREQUENCIES), np.arange(SIDE) + 0.5)).astype(np.float32)
BASIS *= np.sqrt(np.where(np.arange(FREQUENCIES) == 0, 1, 2) / SIDE)[:, None].astype(np.float32)
"""The lowest frequencies of the orthonormal cosine transform (DCT-II)."""


def look(picture: Image.Image) -> bytes:
    """The picture's perceptual hash, 32 bytes; empty where there is next to nothing to be seen."""
    grey = np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)
    if grey.std() < FLAT:
        return b""
    lowest = (BASIS @ grey @ BASIS.T).ravel()[1:]
    if np.median(np.abs(lowest)) < FAINT:  # else all such pictures would be alike in these bits
        return b""
    return np.packbits(lowest > np.median(lowest)).tobytes()


def alike_pairs(looks: Sequence[bytes], within: int = ALIKE) -> Iterator[tuple[int, int, int]]:
    """Pairs ``(i, j, bits)``, i < j, of pictures whose hashes differ in at most ``within`` bits.

    All pairs are looked at, in blocks: bits as ±1, so that a matrix product counts those that agree.
    """
    packed = np.frombuffer(b"".join(looks), np.uint8).reshape(-1, 32)
    for start in range(0, len(packed), BLOCK):
        rows = _signs(packed[start : start + BLOCK])
        for other in range(start, len(packed), BLOCK):
            agreement = rows @ _signs(packed[other : other + BLOCK]).T
            for i, j in np.argwhere(agreement >= BITS - 2 * within):
                if start + i < other + j:
                    yield int(start + i), int(other + j), int(BITS - agreement[i, j]) // 2


def _signs(packed: np.ndarray) -> np.ndarray:
    return np.unpackbits(packed, axis=1, count=BITS).astype(np.float32) * 2 - 1
