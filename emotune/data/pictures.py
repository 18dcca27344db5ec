"""Pillow, behind a few functions: bytes of a picture file in, right-side-up RGB out."""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["UnreadablePictureError", "decode", "decode_square", "encode", "shrink"]

JPEG_QUALITY = 95


class UnreadablePictureError(ValueError):
    """A file that is no picture, or only a part of one; the message is the reason."""


def decode(data: bytes) -> Image.Image:
    """The picture in ``data`` as RGB, turned as its EXIF orientation says.

    Raises:
        UnreadablePictureError: not a picture, truncated, or so large that decoding it could exhaust the memory.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # broken EXIF blocks and the like: the pixels count
            picture = Image.open(io.BytesIO(data))
            picture.load()
            return ImageOps.exif_transpose(picture).convert("RGB")
    except UnidentifiedImageError:
        raise UnreadablePictureError("not a picture, or of an unknown format" if data else "empty file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadablePictureError(f"too large to decode safely: {error}") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow's decoders raise on damaged files
        raise UnreadablePictureError(f"damaged: {error}") from None


def encode(picture: Image.Image) -> bytes:
    """The picture as JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def shrink(data: bytes, shorter_side: int) -> bytes:
    """The picture as JPEG with its shorter side at most ``shorter_side`` pixels.

    A JPEG that is small enough, upright and RGB already stays as it is, to the byte: nothing is lost to encoding twice.

    Raises:
        UnreadablePictureError: as `decode`.
    """
    picture = decode(data)
    with Image.open(io.BytesIO(data)) as original:
        upright = original.getexif().get(0x0112, 1) == 1
        as_it_is = original.format == "JPEG" and original.mode == "RGB" and upright
    factor = shorter_side / min(picture.size)
    if as_it_is and factor >= 1:
        return data
    if factor < 1:
        picture = picture.resize([max(shorter_side, round(s * factor)) for s in picture.size], Image.Resampling.LANCZOS)
    return encode(picture)


def decode_square(data: bytes, side: int) -> np.ndarray:
    """The centre square of the picture, its shorter side resized to ``side``: uint8 (side, side, 3).

    Raises:
        UnreadablePictureError: as `decode`.
    """
    return np.asarray(ImageOps.fit(decode(data), (side, side), Image.Resampling.BICUBIC))
