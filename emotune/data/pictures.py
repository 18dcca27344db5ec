"""Pillow, behind a few functions: bytes of a picture file in, right-side-up RGB out."""

import io
import re
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["DecompressionBombError", "Loaded", "TruncatedPictureError", "UnreadablePictureError", "decode",
           "decode_square", "encode", "load", "shrink"]  # fmt: skip

JPEG_QUALITY = 95

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
"""What photographs come in; Pillow knows others, some of which start programs."""

MAX_PIXELS = 89_000_000
"""Of a picture that is decoded: with three bytes each they fill a quarter of a gigabyte."""

QUIET = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
"""An entry of Python's list of warning filters."""

ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by its EXIF orientation."""
SIDEWAYS = {Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE,
            Image.Transpose.ROTATE_90}  # fmt: skip


class UnreadablePictureError(ValueError):
    """A file that is no picture, or a damaged one; the message is the reason."""


class TruncatedPictureError(UnreadablePictureError):
    """Only the first part of a picture."""


class DecompressionBombError(UnreadablePictureError):
    """So many pixels that decoding could exhaust the memory; known from the header."""


@dataclass(frozen=True)
class Loaded:
    """A decoded picture and what its file was.

    Attributes:
        picture: RGB, upright; what was transparent is white.
        plain: Whether the file is a JPEG of just these pixels.
        size: (width, height) of the file in pixels, upright; ``picture`` may be a whole fraction of it.
        animated: Whether the file has more frames than this first one.
    """

    picture: Image.Image
    plain: bool
    size: tuple[int, int]
    animated: bool


def decode(data: bytes) -> Image.Image:
    """The picture in ``data`` as RGB, turned as its EXIF orientation says; what is transparent is white.

    Raises:
        UnreadablePictureError: as `load`.
    """
    return load(data).picture


def encode(picture: Image.Image, quality: int = JPEG_QUALITY) -> bytes:
    """The picture as JPEG.

    Raises:
        UnreadablePictureError: longer than JPEG allows.
    """
    buffer = io.BytesIO()
    try:
        picture.save(buffer, "JPEG", quality=quality)
    except OSError as error:
        raise UnreadablePictureError(f"cannot be stored as JPEG: {picture.width}×{picture.height}: {error}") from None
    return buffer.getvalue()


def shrink(loaded: Loaded, shorter_side: int | None) -> Image.Image:
    """The picture with its shorter side at most ``shorter_side`` pixels; None leaves it as it is."""
    factor = shorter_side / min(loaded.picture.size) if shorter_side else 1.0
    if factor >= 1:
        return loaded.picture
    size = [max(shorter_side, round(s * factor)) for s in loaded.picture.size]
    return loaded.picture.resize(size, Image.Resampling.LANCZOS)


def decode_square(data: bytes, side: int) -> np.ndarray:
    """The centre square of the picture, its shorter side resized to ``side``: uint8 (side, side, 3).

    A picture whose shorter side has that many pixels already is cut, half a pixel off the centre if need be.

    Raises:
        UnreadablePictureError: as `decode`.
    """
    picture = decode(data)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    if min(picture.size) == side:
        return np.asarray(picture.crop((left, top, left + side, top + side)))
    return np.asarray(ImageOps.fit(picture, (side, side), Image.Resampling.BICUBIC))


def load(data: bytes, shorter_side: int | None = None) -> Loaded:
    """The picture in ``data``.

    Args:
        data: The file.
        shorter_side: If the picture is to be shrunk to it, a large JPEG is decoded at a half, quarter or eighth of its
            size, but never below twice what is asked for, so that nothing is lost and much time is saved.

    Raises:
        UnreadablePictureError: not a picture, or damaged; its subclasses: truncated, or too large.
    """
    try:
        _quiet_pillow()
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise DecompressionBombError(f"too large to decode safely: {width}×{height} pixels")
        animated = picture.format in ("GIF", "PNG", "WEBP") and getattr(picture, "is_animated", False)
        if shorter_side:
            picture.draft(None, (2 * shorter_side, 2 * shorter_side))
        picture.load()
        turn = TURNS.get(picture.getexif().get(ORIENTATION, 1))
        whole = picture.size == (width, height)
        plain = picture.format == "JPEG" and picture.mode == "RGB" and turn is None and whole
        picture = _to_rgb(picture)
        if turn is not None:
            picture = picture.transpose(turn)
            width, height = (height, width) if turn in SIDEWAYS else (width, height)
        return Loaded(picture, plain, (width, height), animated)
    except UnidentifiedImageError:
        raise UnreadablePictureError("not a picture, or of an unknown format" if data else "empty file") from None
    except DecompressionBombError:
        raise
    except Image.DecompressionBombError:
        raise DecompressionBombError(f"too large to decode safely: more than {MAX_PIXELS} pixels") from None
    except Exception as error:  # decoders meet damage with any of a dozen kinds of errors
        text = str(error) or type(error).__name__
        kind = TruncatedPictureError if "truncated" in text.lower() else UnreadablePictureError
        raise kind(f"damaged: {text}") from None


def _quiet_pillow() -> None:
    """Pillow says nothing of broken EXIF blocks and the like: the pixels count.

    The filter stays: filters belong to the process, and one thread that puts them back would do so for all others.
    """
    if QUIET not in warnings.filters:
        warnings.filterwarnings(QUIET[0], module=QUIET[3].pattern)


def _to_rgb(picture: Image.Image) -> Image.Image:
    """Any mode as RGB. Pillow itself clips 16 bits to 8, and shows the colours behind what is transparent."""
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture, dtype=np.float64)
        whole = 1.0 if picture.mode == "F" and values.max() <= 1 else 65535.0 if values.max() > 255 else 255.0
        whole = 65535.0 if picture.mode.startswith("I;16") else whole
        return Image.fromarray(np.clip(values * 255 / whole, 0, 255).round().astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")
