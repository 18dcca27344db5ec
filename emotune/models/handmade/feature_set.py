"""A set of hand-made features: named numbers that are computed from the pixels of one image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["FeatureSet"]


@dataclass(frozen=True)
class FeatureSet:
    """Named numbers that describe an image, each finite for any image: blank, grey, or of a single pixel.

    They depend on the image alone, not on other images, a seed, or the number of threads, so that they are computed
    once per data set.

    Attributes:
        name: The name in a study, such as ``machajdik``.
        columns: The names of the F numbers, as ``group/number``, such as ``tamura/coarseness``. The numbers of a group
            stand side by side; importance is told for each group.
        compute: A function that gives the numbers of an image: uint8 sRGB (H, W, 3) → float32 (F,).
        version: A number that is raised when the function would give other numbers than before.
        kept_as: The type of number in which they are kept; float16 for sets of many numbers.
    """

    name: str
    columns: tuple[str, ...]
    compute: Callable[[np.ndarray], np.ndarray]
    version: int = 1
    kept_as: Literal["float32", "float16"] = "float32"
