"""Three scales of feeling on which observers placed single colours: activity, weight and heat.

Ou, Luo, Woodcock and Wright (2004), "A study of colour emotion and colour preference. Part I: Colour emotions for
single colours", fitted a formula in CIELAB to each. Zero is neutral.
"""

import numpy as np
from skimage.color import rgb2lab

__all__ = ["SCALES", "emotions_of_image", "emotions_of_lab"]

SCALES = ("activity", "weight", "heat")
HUE_FROM = 5.0
"""The chroma from which a colour's hue has its full effect on weight. This ramp is our own: greys have no hue, and the
formula would give them one from rounding errors, which moves weight by up to 0.45."""


def emotions_of_lab(lab: np.ndarray) -> np.ndarray:
    """Activity (passive < 0 < active), weight (light < 0 < heavy) and heat (cool < 0 < warm) of colours.

    With chroma C = √(a² + b²) and hue angle h:

    - activity = −2.1 + 0.06·√((L − 50)² + (a − 3)² + ((b − 17) / 1.4)²)
    - weight = −1.8 + 0.04·(100 − L) + 0.45·cos(h − 100°)
    - heat = −0.5 + 0.02·C^1.07·cos(h − 50°)

    Args:
        lab: CIELAB coordinates for D65, (…, 3).

    Returns:
        The values on the three scales, (…, 3).
    """
    light, a, b = np.moveaxis(lab, -1, 0)
    chroma, hue = np.hypot(a, b), np.arctan2(b, a)
    activity = -2.1 + 0.06 * np.sqrt((light - 50) ** 2 + (a - 3) ** 2 + ((b - 17) / 1.4) ** 2)
    has_hue = np.minimum(chroma / HUE_FROM, 1)
    weight = -1.8 + 0.04 * (100 - light) + 0.45 * has_hue * np.cos(hue - np.deg2rad(100))
    heat = -0.5 + 0.02 * chroma**1.07 * np.cos(hue - np.deg2rad(50))
    return np.stack([activity, weight, heat], axis=-1)


def emotions_of_image(image: np.ndarray) -> np.ndarray:
    """Activity, weight and heat of each pixel: uint8 sRGB (H, W, 3) → float32 (H, W, 3)."""
    return emotions_of_lab(rgb2lab(image.astype(np.float32) / np.float32(255)))
