"""Eleven basic colour names (Berlin and Kay 1969) of pixels, by the nearest of some colours that bear each name."""

from functools import cache

import numpy as np

__all__ = ["COLOUR_NAMES", "colour_name_shares", "named_pixels"]

PROTOTYPES: dict[str, tuple[str, ...]] = {
    "black": ("000000", "1c1c1c"),
    "blue": ("0000ff", "000080", "1e64c8", "64a0dc", "87ceeb", "466e96", "00dcff"),
    "brown": ("78461e", "5a3214", "a06432", "46301e", "8c5a3c"),
    "grey": ("808080", "505050", "b4b4b4"),
    "green": ("008000", "00ff00", "005014", "78aa50", "5a6e32", "96e696", "008060"),
    "orange": ("ff8c00", "ffa500", "e66e1e", "ffb45a"),
    "pink": ("ff69b4", "ffc0cb", "e67896", "ff1493"),
    "purple": ("800080", "4b0082", "9650b4", "c8a0dc", "ff00ff"),
    "red": ("ff0000", "c8141e", "8b0000", "dc3c3c"),
    "white": ("ffffff", "f0f0eb"),
    "yellow": ("ffff00", "ffd700", "f0e68c", "c8b41e"),
}
"""Colours that bear each name, in sRGB. Own reading: the table of van de Weijer et al. (2009) is not used."""
COLOUR_NAMES = tuple(PROTOTYPES)
LEVELS = 32
"""The levels of red, green and blue that are told apart."""


def named_pixels(image: np.ndarray) -> np.ndarray:
    """The number of each pixel's colour name in `COLOUR_NAMES`: uint8 (H, W, 3) → uint8 (H, W)."""
    cells = (image // (256 // LEVELS)).astype(np.int32)
    return _name_of_cells()[(cells[..., 0] * LEVELS + cells[..., 1]) * LEVELS + cells[..., 2]]


def colour_name_shares(image: np.ndarray) -> np.ndarray:
    """The share of pixels with each colour name: uint8 (H, W, 3) → float64 (11,), which sum to 1."""
    return np.bincount(named_pixels(image).ravel(), minlength=len(COLOUR_NAMES)) / (image.size // 3)


@cache
def _name_of_cells() -> np.ndarray:
    """The number of the name whose colours have the one nearest in CIELAB, for each of 32³ cells of RGB: uint8."""
    from skimage.color import rgb2lab  # late: it is an extra

    step = 256 // LEVELS
    cells = np.stack(np.meshgrid(*3 * [np.arange(LEVELS) * step + step // 2], indexing="ij"), axis=-1)
    lab = rgb2lab(cells.reshape(-1, 1, 3).astype(np.uint8)).reshape(-1, 3)
    nearest = []
    for colours in PROTOTYPES.values():
        rgb = np.array([list(bytes.fromhex(colour)) for colour in colours], np.uint8)
        prototypes = rgb2lab(rgb[:, None]).reshape(1, -1, 3)
        nearest.append(np.square(lab[:, None] - prototypes).sum(axis=2).min(axis=1))
    return np.argmin(nearest, axis=0).astype(np.uint8)
