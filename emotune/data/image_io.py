"""Pillow, behind a few functions: bytes of an image file in, right-side-up RGB out."""

import io
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin, UnidentifiedImageError

from emotune.data.colour_profile import to_srgb
from emotune.data.file_type import HEAD_BYTES, describe_kind, file_kind

__all__ = [
    "CROP_SIDE",
    "IMAGE_SIDE",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "DecodedImage",
    "DecompressionBombError",
    "TruncatedImageError",
    "UnreadableImageError",
    "decode_image",
    "decode_rgb",
    "decode_square",
    "encode_jpeg",
    "read_file",
    "shrink",
]  # fmt: skip

CROP_SIDE = 227
"""Side of the square that networks see, in pixels. With it, and only with it, AlexNet's last pooling gives 6×6
positions (the thesis, section 3)."""

IMAGE_SIDE = 256
"""Side of the square that images are decoded to, in pixels: a little larger than the crop, so that crops differ."""

JPEG_QUALITY = 95

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO")
"""What photographs come in; Pillow knows others, some of which start programs."""

READ_KINDS = frozenset(kind.lower() for kind in FORMATS)
"""The same, as `emotune.data.file_type` calls them."""

MAX_FILE_BYTES = 2**29
"""Of a file that is read: a larger one fills the memory of the processes that read."""

MAX_PIXELS = 89_000_000
"""Of an image that is decoded: with three bytes each they fill a quarter of a gigabyte."""

REDUCED = 16
"""So many times the pixels that may be decoded a JPEG may have of which the codec gives an eighth of its size."""

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
"""What makes an image upright, by its EXIF orientation."""
SIDEWAYS = {Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE,
            Image.Transpose.ROTATE_90}  # fmt: skip


class UnreadableImageError(ValueError):
    """A file that is no image, or a damaged one; the message is the reason."""


class TruncatedImageError(UnreadableImageError):
    """Only the first part of an image."""


class DecompressionBombError(UnreadableImageError):
    """So many pixels that decoding could exhaust the memory; known from the header."""


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image and what its file was.

    Attributes:
        image: RGB, upright; what was transparent is white.
        plain: Whether the file is a JPEG of just these pixels.
        size: (width, height) of the file in pixels, upright; ``image`` may be a whole fraction of it.
        animated: Whether the file has more frames than this first one.
        pages: Whether it has more pages, as a TIFF file may; smaller versions of the first one do not count.
    """

    image: Image.Image
    plain: bool
    size: tuple[int, int]
    animated: bool
    pages: bool = False


def read_file(path: Path) -> bytes:
    """The bytes of an image's file; of a file that is none, only the first ones are read.

    Raises:
        UnreadableImageError: the first bytes are those of no image, or of one in a format that is not read.
        DecompressionBombError: the file is larger than `MAX_FILE_BYTES`.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if (kind := file_kind(head)) not in READ_KINDS:
            raise UnreadableImageError(describe_kind(kind))
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            raise DecompressionBombError(
                f"too large to be read: {size / 1e6:.0f} MB, at most {MAX_FILE_BYTES / 1e6:.0f}; store it smaller"
            )
        return head + file.read()


def decode_rgb(data: bytes) -> Image.Image:
    """The image in ``data`` as RGB, turned as its EXIF orientation says; what is transparent is white.

    Raises:
        UnreadableImageError: as `decode_image`.
    """
    return decode_image(data).image


def encode_jpeg(image: Image.Image, quality: int = JPEG_QUALITY) -> bytes:
    """The image as JPEG.

    Raises:
        UnreadableImageError: longer than JPEG allows.
    """
    buffer = io.BytesIO()
    try:
        image.save(buffer, "JPEG", quality=quality)
    except OSError as error:
        raise UnreadableImageError(f"cannot be stored as JPEG: {image.width}×{image.height}: {error}") from None
    return buffer.getvalue()


def shrink(loaded: DecodedImage, shorter_side: int | None) -> Image.Image:
    """The image with its shorter side at most ``shorter_side`` pixels; None leaves it as it is."""
    factor = shorter_side / min(loaded.image.size) if shorter_side else 1.0
    if factor >= 1:
        return loaded.image
    size = [max(shorter_side, round(s * factor)) for s in loaded.image.size]
    return loaded.image.resize(size, Image.Resampling.LANCZOS)


def decode_square(data: bytes, side: int) -> np.ndarray:
    """The centre square of the image, its shorter side resized to ``side``: uint8 (side, side, 3).

    An image whose shorter side has that many pixels already is cut, half a pixel off the centre if need be. Only a
    JPEG that is too large to be decoded whole is decoded at a fraction of its size.

    Raises:
        UnreadableImageError: as `decode_rgb`.
    """
    try:
        image = decode_rgb(data)
    except DecompressionBombError:
        image = decode_image(data, side).image
    left, top = (image.width - side) // 2, (image.height - side) // 2
    if min(image.size) == side:
        return np.asarray(image.crop((left, top, left + side, top + side)))
    return np.asarray(ImageOps.fit(image, (side, side), Image.Resampling.BICUBIC))


def decode_image(data: bytes, shorter_side: int | None = None, max_pixels: int = MAX_PIXELS) -> DecodedImage:
    """The image in ``data``, its colours in sRGB.

    Args:
        data: The file.
        shorter_side: If the image is to be shrunk to it, a large JPEG is decoded at a half, quarter or eighth of its
            size, but never below twice what is asked for, so that nothing is lost and much time is saved.
        max_pixels: Of what is decoded; a larger image is refused.

    Raises:
        UnreadableImageError: not an image, or damaged; its subclasses: truncated, or too large.
    """
    try:
        _quiet_pillow()
        if max_pixels > MAX_PIXELS:
            Image.MAX_IMAGE_PIXELS = max_pixels  # Pillow's own limit, which holds for the whole process
        image = _opened(data)
        width, height = image.size
        if shorter_side:
            image.draft(None, (2 * shorter_side, 2 * shorter_side))
        _check_pixels(image, (width, height), max_pixels)
        animated = image.format in ("GIF", "PNG", "WEBP", "AVIF") and getattr(image, "is_animated", False)
        pages = image.format == "TIFF" and _has_pages(image)
        image.load()
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
        whole = image.size == (width, height)
        plain = image.format == "JPEG" and image.mode == "RGB" and turn is None and whole
        image, converted = _to_rgb(image, image.info.get("icc_profile"))
        if turn is not None:
            image = image.transpose(turn)
            width, height = (height, width) if turn in SIDEWAYS else (width, height)
        image.info = {}  # comments, which Pillow would write out again
        return DecodedImage(image, plain and not converted, (width, height), animated, pages)
    except UnidentifiedImageError:
        raise _unidentified(data) from None
    except DecompressionBombError:
        raise
    except Image.DecompressionBombError:
        raise _bomb(f"more than {max_pixels} pixels") from None
    except Exception as error:  # decoders meet damage with any of a dozen kinds of errors
        text = str(error) or type(error).__name__
        kind = TruncatedImageError if "truncated" in text.lower() or _ends_early(data) else UnreadableImageError
        raise kind(f"damaged: {text}") from None


def _opened(data: bytes) -> Image.Image:
    """The image with its header read. Pillow's own limit is meant for images that are decoded whole: not JPEGs."""
    if data[:3] == b"\xff\xd8\xff":
        return JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    return Image.open(io.BytesIO(data), formats=FORMATS)


def _check_pixels(image: Image.Image, size: tuple[int, int], max_pixels: int) -> None:
    """Refuses an image of which too much would lie in memory; ``image.size`` is what would be decoded."""
    width, height = image.size
    whole = size[0] * size[1]
    if image.info.get("progressive"):  # the codec holds all of it, whatever it gives
        width, height = size
    if width * height > max_pixels or whole > REDUCED * max_pixels:
        raise _bomb("{}×{} pixels".format(*size))


def _bomb(size: str) -> DecompressionBombError:
    return DecompressionBombError(f"too large to decode safely: {size}; --max-pixels allows more")


def _has_pages(image: Image.Image) -> bool:
    """Whether a TIFF file has a second page that is no smaller version of another (bit 0 of NewSubfileType)."""
    pages = 0
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        pages += not image.tag_v2.get(254, 0) & 1
        if pages > 1:
            break
    image.seek(0)
    return pages > 1


def _unidentified(data: bytes) -> UnreadableImageError:
    """What to say of a file that Pillow does not take for an image."""
    kind = file_kind(data[:HEAD_BYTES])
    if kind not in READ_KINDS:
        return UnreadableImageError(describe_kind(kind))
    error = TruncatedImageError if _ends_early(data) else UnreadableImageError
    return error("damaged: its header cannot be read")


def _ends_early(data: bytes) -> bool:
    """Whether a file is shorter than it says."""
    kind, early = file_kind(data[:HEAD_BYTES]), False
    if kind == "webp":
        early = len(data) < 8 + int.from_bytes(data[4:8], "little")
    elif kind == "png":
        early = b"IEND" not in data[-64:]
    elif kind == "gif":
        early = not data.endswith(b";")
    elif kind in ("avif", "jpeg2000") and data[:2] == b"\0\0":  # boxes, each of which begins with its size
        start = 0
        while start < len(data) and (size := int.from_bytes(data[start : start + 4], "big")) >= 8:
            start += size
        early = start > len(data)
    elif kind == "jpeg2000":
        early = not data.endswith(b"\xff\xd9")
    return early


def _quiet_pillow() -> None:
    """Pillow says nothing of broken EXIF blocks and the like: the pixels count.

    The filter stays: filters belong to the process, and one thread that puts them back would do so for all others.
    """
    if QUIET not in warnings.filters:
        warnings.filterwarnings(QUIET[0], module=QUIET[3].pattern)


def _to_rgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bool]:
    """Any mode as RGB, and whether its ICC profile changed the colours.

    Pillow itself clips 16 bits to 8, and shows the colours behind what is transparent.
    """
    if profile and (converted := to_srgb(image, profile)):
        return converted, True
    grey = image.mode in ("L", "LA", "1") or image.mode[0] in "IF"
    rgb = _without_profile(image)
    converted = to_srgb(rgb.getchannel(0) if grey else rgb, profile)
    return (converted, True) if converted else (rgb, False)


def _without_profile(image: Image.Image) -> Image.Image:
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
