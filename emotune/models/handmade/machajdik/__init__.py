"""The 114 features of Machajdik and Hanbury (2010), "Affective image classification using features inspired by
psychology and art theory".

Their layout and formulas are those of the paper's public reading in MATLAB (yoonsejong/mh_huevent2014), whose errors
are mended; the paper was not at hand. What else had to be decided is marked "own" in the modules: `pixel_colour`
(columns 1 to 21), `emotune.models.handmade.itten` (22 to 41), `fuzzy_areas` (42 to 70), `texture` (71 to 97),
`composition` (98 to 110), `content` (111 to 114). Nothing is fitted on images.
"""

import numpy as np

from emotune.models.handmade.feature_set import FeatureSet
from emotune.models.handmade.itten import CONTRASTS, itten_contrasts
from emotune.models.handmade.machajdik import composition, content, fuzzy_areas, pixel_colour, texture
from emotune.models.handmade.machajdik.prepared import prepare

__all__ = ["FEATURES", "machajdik"]


def machajdik(image: np.ndarray) -> np.ndarray:
    """The features of an image: uint8 (H, W, 3) → float32 (114,)."""
    prepared = prepare(image)
    groups = (
        pixel_colour.pixel_colour(prepared),
        itten_contrasts(prepared.small_colours, prepared.segments),
        fuzzy_areas.fuzzy_areas(prepared),
        texture.texture(prepared),
        composition.composition(prepared),
        content.content(prepared.small),
    )
    return np.concatenate(groups).astype(np.float32)


FEATURES = FeatureSet(
    "machajdik",
    (
        *pixel_colour.COLUMNS,
        *(f"itten/{statistic}_{name}" for statistic in ("mean", "max") for name in CONTRASTS),
        *fuzzy_areas.COLUMNS,
        *texture.COLUMNS,
        *composition.COLUMNS,
        *content.COLUMNS,
    ),
    machajdik,
)
