"""The parts of an image that several groups of features need, computed once."""

from dataclasses import dataclass

import numpy as np

from emotune.models.handmade.colour_spaces import Ihsl, ihsl
from emotune.models.handmade.machajdik.wavelets import Details, channel_details
from emotune.models.handmade.resizing import REGION_AREA, fixed_area
from emotune.models.handmade.segments import Segments, segments_of

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """An image of a fixed area, and what is derived from it.

    Attributes:
        image: The image with about 200,000 pixels, uint8 (H, W, 3).
        colours: Its hue, saturation and luminance.
        small: The image with about 50,000 pixels, uint8 (h, w, 3).
        small_colours: Its hue, saturation and luminance.
        segments: Its segments.
        details: The wavelets' details of the colours.
    """

    image: np.ndarray
    colours: Ihsl
    small: np.ndarray
    small_colours: Ihsl
    segments: Segments
    details: Details


def prepare(image: np.ndarray) -> Prepared:
    """An image as the groups of features need it: uint8 (H, W, 3) → the same at two fixed areas."""
    large, small = fixed_area(image), fixed_area(image, REGION_AREA)
    colours, small_colours = ihsl(large), ihsl(small)
    segments = segments_of(small_colours.luminance)
    return Prepared(large, colours, small, small_colours, segments, channel_details(colours))
