"""Details of hue, saturation and luminance by Haar wavelets of three levels."""

import numpy as np

from emotune.models.handmade.colour_spaces import Ihsl, hue_weights

__all__ = ["LEVELS", "Details", "channel_details", "haar_details"]

LEVELS = 3
Details = list[tuple[np.ndarray, np.ndarray, np.ndarray]]
"""For each level the details of hue, saturation and luminance."""


def channel_details(image: Ihsl) -> Details:
    """The details of hue, saturation and luminance at levels 1 to 3, each as of `haar_details`.

    Own: hue enters as a point in the complex plane, with the angle of the hue and with a length of how far the pixel
    has one, so that hues on both sides of red are near, and grey has no details.
    """
    hue = (hue_weights(image.saturation) * np.exp(1j * image.hue)).astype(np.complex64)
    channels = [haar_details(channel) for channel in (hue, image.saturation, image.luminance)]
    return [(h, s, y) for h, s, y in zip(*channels, strict=True)]


def haar_details(channel: np.ndarray) -> list[np.ndarray]:
    """The details of a channel at levels 1 to 3, each (3, h, w): horizontal, vertical and diagonal ones.

    The transform is orthonormal, and each level divides the mean band of the one before. A last odd row or column of a
    level is left out.

    Args:
        channel: Real or complex numbers, (H, W), with sides of 8 or more.
    """
    mean, levels = channel, []
    for _ in range(LEVELS):
        height, width = (side // 2 * 2 for side in mean.shape)
        a, b = mean[0:height:2, 0:width:2], mean[0:height:2, 1:width:2]
        c, d = mean[1:height:2, 0:width:2], mean[1:height:2, 1:width:2]
        levels.append(np.stack([a + b - c - d, a - b + c - d, a - b - c + d]) / 2)
        mean = (a + b + c + d) / 2
    return levels
