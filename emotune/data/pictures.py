"""Pillow, behind a few functions: bytes of a picture file in, right-side-up RGB out."""

import io
import threading
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["UnreadablePictureError", "decode", "decode_square", "encode", "shrink"]

JPEG_QUALITY = 95

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
"""What photographs come in; Pillow knows others, some of which start programs."""

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


FILTERS = threading.Lock()
"""Warning filters belong to the process: who changes them while decoding holds this, so that threads can decode."""


class UnreadablePictureError(ValueError):
    """A file that is no picture, or only a part of one; the message is the reason."""


def decode(data: bytes) -> Image.Image:
    """The picture in ``data`` as RGB, turned as its EXIF orientation says; what is transparent is white.

    Raises:
        UnreadablePictureError: not a picture, truncated, or so large that decoding it could exhaust the memory.
    """
    return _load(data)[0]


def encode(picture: Image.Image) -> bytes:
    """The picture as JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def shrink(data: bytes, shorter_side: int) -> bytes:
    """The picture as JPEG with its shorter side at most ``shorter_side`` pixels.

    A JPEG that is small enough, upright and RGB already stays as it is, to the byte: nothing is lost to encoding twice.

    Raises:
        UnreadablePictureError: as `decode`, or longer than JPEG allows.
    """
    picture, plain = _load(data)
    factor = shorter_side / min(picture.size)
    if plain and factor >= 1:
        return data
    if factor < 1:
        picture = picture.resize([max(shorter_side, round(s * factor)) for s in picture.size], Image.Resampling.LANCZOS)
    try:
        return encode(picture)
    except OSError as error:
        raise UnreadablePictureError(f"cannot be stored as JPEG: {picture.width}×{picture.height}: {error}") from None


def decode_square(data: bytes, side: int) -> np.ndarray:
    """The centre square of the picture, its shorter side resized to ``side``: uint8 (side, side, 3).

    Raises:
        UnreadablePictureError: as `decode`.
    """
    picture = decode(data)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    if min(picture.size) == side and (picture.width + picture.height) % 2 == 0:  # the square falls on whole pixels
        return np.asarray(picture.crop((left, top, left + side, top + side)))
    return np.asarray(ImageOps.fit(picture, (side, side), Image.Resampling.BICUBIC))


def _load(data: bytes) -> tuple[Image.Image, bool]:
    """The picture as upright RGB, and whether its file is that already: an RGB JPEG that needs no turning."""
    try:
        with FILTERS, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # broken EXIF blocks and the like: the pixels count
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            jpeg = picture.format == "JPEG"
            if not jpeg:  # a JPEG's pixels, read below, give no warnings
                picture.load()
            turn = TURNS.get(picture.getexif().get(ORIENTATION, 1))
            plain = jpeg and picture.mode == "RGB" and turn is None
            if not jpeg:
                picture = _to_rgb(picture)
        if jpeg:
            picture = _to_rgb(picture)
        return (picture.transpose(turn) if turn is not None else picture), plain
    except UnidentifiedImageError:
        raise UnreadablePictureError("not a picture, or of an unknown format" if data else "empty file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadablePictureError(f"too large to decode safely: {error}") from None
    except Exception as error:  # decoders meet damage with any of a dozen kinds of errors
        raise UnreadablePictureError(f"damaged: {error or type(error).__name__}") from None


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
    return picture.convert("RGB")
