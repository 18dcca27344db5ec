"""The histogram of an image's colours in a space of three emotions, after Solli and Lenz (2009).

64 numbers. Solli and Lenz, "Color based bags-of-emotions", describe an image's colours by Ou's activity, weight and
heat. The rest is our own reading: four bins on each scale, cut at −1, 0 and 1 instead of where some set of images would
have its quartiles, so that a colour is clearly passive, rather passive, rather active or clearly active, and so on; and
the root of each bin's share of the pixels, so that a Gaussian kernel compares histograms by Hellinger's distance.
"""

from itertools import product

import numpy as np

from emotune.models.handmade.colour_emotions import emotions_of_image
from emotune.models.handmade.feature_set import FeatureSet
from emotune.models.handmade.resizing import SQUARE_AREA, fixed_area

__all__ = ["CUTS", "FEATURES", "emotion_histogram"]

CUTS = (-1.0, 0.0, 1.0)
BINS = len(CUTS) + 1


def emotion_histogram(image: np.ndarray) -> np.ndarray:
    """The roots of the shares of pixels in 4×4×4 bins of activity, weight and heat: uint8 (H, W, 3) → float32 (64,)."""
    emotions = emotions_of_image(fixed_area(image, SQUARE_AREA)).reshape(-1, 3)
    activity, weight, heat = np.searchsorted(CUTS, emotions, side="right").T
    counts = np.bincount((activity * BINS + weight) * BINS + heat, minlength=BINS**3)
    return np.sqrt(counts / len(emotions)).astype(np.float32)


FEATURES = FeatureSet(
    name="emotion_histogram",
    columns=tuple(f"emotions/activity{a}-weight{w}-heat{h}" for a, w, h in product(range(BINS), repeat=3)),
    compute=emotion_histogram,
)
