"""Hue, saturation and luminance after Hanbury's IHSL, and statistics of hues, which lie on a circle."""

from typing import NamedTuple

import numpy as np

__all__ = ["Ihsl", "circular_mean", "hue_weights", "ihsl"]

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""The weights of red, green and blue (ITU-R BT.709), applied to sRGB values as they are. Own reading."""
COLOURED = 0.1
"""The saturation from which a hue counts in full: below it, saturation is low (Wang et al. 2006)."""


class Ihsl(NamedTuple):
    """The three channels of an image in improved hue, saturation and luminance, each float32 (H, W).

    Attributes:
        hue: The angle in radians, 0 ≤ hue < 2π: red 0, green 2π/3, blue 4π/3; 0 where red, green and blue are equal.
        saturation: The largest of red, green and blue less the smallest, 0 to 1. It is not divided by the largest, as
            in HSV: dark and grey pixels have little of it.
        luminance: The weighted mean of red, green and blue, 0 to 1.
    """

    hue: np.ndarray
    saturation: np.ndarray
    luminance: np.ndarray


def ihsl(image: np.ndarray) -> Ihsl:
    """An image's hue, saturation and luminance, from uint8 (H, W, 3).

    Hue is atan2(√3 (G − B), 2R − G − B), saturation max − min (Hanbury's improved HLS).
    """
    red, green, blue = np.moveaxis(image.astype(np.float32) / 255, -1, 0)
    angle = np.arctan2(np.float32(3**0.5) * (green - blue), 2 * red - green - blue)
    saturation = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    hue = np.where(saturation > 0, angle % np.float32(2 * np.pi), np.float32(0))
    hue[hue >= np.float32(2 * np.pi)] = 0  # the remainder of a tiny negative angle, rounded
    luminance = LUMINANCE[0] * red + LUMINANCE[1] * green + LUMINANCE[2] * blue
    return Ihsl(hue, saturation, np.minimum(luminance, np.float32(1)))


def circular_mean(hue: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """The mean direction of hues in radians, -π < direction ≤ π, and their dispersion, 0 (equal) to 1.

    With C = Σ w cos H and Z = Σ w sin H they are atan2(Z, C) and 1 − √(C² + Z²) / Σ w. Without
    any weight, or where hues cancel out, the direction is 0; without any weight the dispersion is 0, too.

    Args:
        hue: Angles in radians, of any shape.
        weights: What each of them counts, of the same shape; without them all count alike.
    """
    weights = np.ones_like(hue) if weights is None else weights
    total = float(weights.sum(dtype=np.float64))
    if total == 0:
        return 0.0, 0.0
    cosine = float((weights * np.cos(hue)).sum(dtype=np.float64)) / total
    sine = float((weights * np.sin(hue)).sum(dtype=np.float64)) / total
    length = float(np.hypot(cosine, sine))
    return (float(np.arctan2(sine, cosine)) if length > 1e-6 else 0.0), max(0.0, 1 - length)


def hue_weights(saturation: np.ndarray) -> np.ndarray:
    """How far pixels have a hue, 0 to 1: their saturation over 0.1, at most 1. Own reading.

    The hue of a grey pixel is undefined, and that of a nearly grey one is noise.
    """
    return np.minimum(saturation / COLOURED, 1)
