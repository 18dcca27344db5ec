"""Columns 98 to 110: level of detail, depth of field, dynamics of lines, rule of thirds."""

import numpy as np

from emotune.models.handmade.colour_spaces import Ihsl, circular_mean, hue_weights
from emotune.models.handmade.lines import LINE_STATISTICS, edges_of, line_statistics, lines_of
from emotune.models.handmade.machajdik.prepared import Prepared
from emotune.models.handmade.machajdik.wavelets import Details

__all__ = ["COLUMNS", "centre_ninth", "composition", "depth_of_field"]

CHANNELS = ("hue", "saturation", "luminance")
COLUMNS = (
    "detail/segments",
    *(f"depth_of_field/{channel}" for channel in CHANNELS),
    *(f"dynamics/{name}" for name in LINE_STATISTICS),
    *(f"thirds/{channel}" for channel in CHANNELS),
)


def composition(prepared: Prepared) -> np.ndarray:
    """The features 98 to 110, float64 (13,).

    - detail: the number of segments.
    - depth_of_field: see `depth_of_field`.
    - dynamics: of static and of slanted lines, see `emotune.models.handmade.lines`.
    - thirds: see `centre_ninth`.
    """
    edges = edges_of(prepared.colours.luminance)
    return np.concatenate(
        [
            [prepared.segments.count],
            depth_of_field(prepared.details),
            line_statistics(lines_of(edges), edges.shape),
            centre_ninth(prepared.colours),
        ]
    )


def depth_of_field(details: Details) -> np.ndarray:
    """The share of the details of level 3 that lie in the inner 2×2 of 4×4 blocks, for hue, saturation, luminance.

    Own: details count by their absolute values, not by squares; without any it is the share of the area, 0.25.

    Args:
        details: The details of `emotune.models.handmade.machajdik.wavelets.channel_details`.
    """
    shares = []
    for band in details[-1]:
        strength = np.abs(band).sum(axis=0, dtype=np.float64)
        rows, columns = (np.abs((np.arange(side) + 0.5) / side - 0.5) <= 0.25 for side in strength.shape)
        total = strength.sum()
        shares.append(strength[np.ix_(rows, columns)].sum() / total if total > 1e-9 * strength.size else 0.25)
    return np.array(shares)


def centre_ninth(image: Ihsl) -> np.ndarray:
    """The means of hue, saturation and luminance in the middle third of rows and columns (Datta et al. 2006).

    Hue is the mean direction in radians, -π to π; own: weighted by how far pixels have a hue.
    """
    height, width = image.hue.shape
    middle = np.ix_(*(np.arange(side // 3, max(side - side // 3, side // 3 + 1)) for side in (height, width)))
    hue, saturation, luminance = (channel[middle] for channel in image)
    direction, _ = circular_mean(hue, hue_weights(saturation))
    return np.array([direction, saturation.mean(dtype=np.float64), luminance.mean(dtype=np.float64)])
