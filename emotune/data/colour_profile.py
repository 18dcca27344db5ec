"""Colours as screens show them: what an ICC profile describes, in sRGB."""

import io
from functools import lru_cache

from PIL import Image, ImageCms

__all__ = ["to_srgb"]

MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Pillow's mode, by a profile's colour space."""


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """The image in sRGB.

    Args:
        image: RGB, grey or CMYK.
        profile: An ICC profile.

    Returns:
        None where there is nothing to convert: no profile, sRGB's, or one that does not describe such an image.
    """
    convert = _conversion(profile) if profile else None
    if convert is None or convert.input_mode != image.mode:
        return None
    return ImageCms.applyTransform(image, convert)


@lru_cache(maxsize=32)
def _conversion(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    try:
        opened = ImageCms.getOpenProfile(io.BytesIO(profile))
        mode = MODES.get(opened.profile.xcolor_space)
        if mode is None or "sRGB" in ImageCms.getProfileDescription(opened):
            return None
        return ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # damaged: the pixels count
        return None
