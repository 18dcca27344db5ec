"""Convert images of any mode to sRGB, with their ICC colour profile applied."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

__all__ = ["to_rgb"]

PILLOW_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Pillow's mode for each colour space of a profile."""


def to_rgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bool]:
    """The image in sRGB, and whether its ICC profile changed the colours.

    Unlike Pillow's own conversion, this scales 16 bits to 8 instead of clipping them, and puts transparent pixels on
    white instead of showing the colours behind them.

    Args:
        image: An image of any mode.
        profile: Its ICC profile, or None.
    """
    if profile and (converted := _apply_profile(image, profile)):
        return converted, True
    grey = image.mode in ("L", "LA", "1") or image.mode[0] in "IF"
    rgb = _without_profile(image)
    converted = _apply_profile(rgb.getchannel(0) if grey else rgb, profile)
    return (converted, True) if converted else (rgb, False)


def _without_profile(image: Image.Image) -> Image.Image:
    """The image as 8-bit RGB, transparent pixels on white."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        whole = 1.0 if image.mode == "F" and values.max() <= 1 else 65535.0 if values.max() > 255 else 255.0
        whole = 65535.0 if image.mode.startswith("I;16") else whole
        return Image.fromarray(np.clip(values * 255 / whole, 0, 255).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _apply_profile(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """The image in sRGB; None if there is nothing to convert.

    That is the case without a profile, if it is that of sRGB, and if it does not describe images of this mode.
    """
    convert = _transform(profile) if profile else None
    if convert is None or convert.input_mode != image.mode:
        return None
    return ImageCms.applyTransform(image, convert)


@lru_cache(maxsize=32)
def _transform(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    try:
        opened = ImageCms.getOpenProfile(io.BytesIO(profile))
        space = opened.profile.xcolor_space  # pyright: ignore[reportAttributeAccessIssue]  # missing in Pillow's stub
        mode = PILLOW_MODES.get(space)
        if mode is None or "sRGB" in ImageCms.getProfileDescription(opened):
            return None
        return ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # a damaged profile: the pixels count
        return None
