"""Synthetic images with ratings of valence (1 to 7) and arousal (0 to 100), which follow from the scene's class.

The raters' standard deviation is known of valence alone, so only its rating error is.
"""

import numpy as np

from emotune.config.labels import MIKELS, POSITIVE
from emotune.config.target import Dimension
from emotune.data.sources.base import Listing
from emotune.data.sources.rated_images import RatedImage, rated_listing
from emotune.data.sources.scenes import Scenes

VALENCE, AROUSAL = Dimension("valence", 1, 7), Dimension("arousal", 0, 100)
CALM = ("contentment", "sadness", "awe", "disgust")


def rated_scenes(images: int = 96, seed: int = 0) -> Listing:
    rng = np.random.default_rng(seed)
    rated = []
    for entry in Scenes(images, seed).listing().entries:
        valence = (5.5 if entry.label in POSITIVE else 2.5) + 0.1 * MIKELS.index(entry.label) + rng.normal(0, 0.2)
        arousal = (30 if entry.label in CALM else 70) + rng.normal(0, 4)
        ratings = {"valence": (round(valence, 3), 1.25), "arousal": (round(arousal, 2), None)}
        rated.append(RatedImage(entry.source, entry.image, ratings, raters={"valence": 20, "arousal": 20}))
    return rated_listing("rated", (VALENCE, AROUSAL), rated, "rated scenes", "public domain")
