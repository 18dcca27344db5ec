"""Decode, resize and encode images with Pillow: bytes of an image file in, upright RGB out."""

import io
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin, TiffImagePlugin, UnidentifiedImageError

from emotune.config.input_spec import Interpolation
from emotune.data.colour_profile import to_rgb
from emotune.data.file_type import HEAD_BYTES, describe_kind, file_kind

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "DecodedImage",
    "DecompressionBombError",
    "TruncatedImageError",
    "UnreadableImageError",
    "center_crop",
    "decode_frames",
    "decode_image",
    "decode_rgb",
    "decode_square",
    "encode_jpeg",
    "read_file",
    "shrink",
]  # fmt: skip

JPEG_QUALITY = 95

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO")
"""The formats that are decoded. Pillow knows more, some of which start other programs."""

READ_KINDS = frozenset(kind.lower() for kind in FORMATS)
"""The same formats under their names in `emotune.data.file_type`."""

MAX_FILE_BYTES = 2**29
"""Maximum size in bytes of a file that is read; larger ones would fill the memory of the reading processes."""

MAX_PIXELS = 89_000_000
"""Maximum number of pixels of a decoded image; at three bytes each they fill a quarter of a gigabyte."""

MAX_REDUCTION = 16
"""Ratio of the pixels that a JPEG may have to those that may be decoded, if the codec decodes it at a reduced size."""

PILLOW_MODULES = r"PIL\."
"""Pattern of the modules whose warnings are ignored."""

ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that makes an image upright, by its EXIF orientation."""
SIDEWAYS = {Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE,
            Image.Transpose.ROTATE_90}  # fmt: skip


class UnreadableImageError(ValueError):
    """A file that is not an image, or that is damaged; the message gives the reason."""


class TruncatedImageError(UnreadableImageError):
    """An image of which only the first part exists."""


class DecompressionBombError(UnreadableImageError):
    """An image of so many pixels, according to its header, that decoding it could exhaust the memory."""


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image and facts about its file.

    Attributes:
        image: The image as RGB, upright; transparent pixels are white.
        plain: Whether the file is a JPEG of exactly these pixels.
        size: The file's (width, height) in pixels, upright; ``image`` may be reduced by a whole factor.
        animated: Whether the file has more than one frame; ``image`` is the first one.
        pages: Whether the file has more than one page, as TIFF files may; reduced versions of a page do not count.
    """

    image: Image.Image
    plain: bool
    size: tuple[int, int]
    animated: bool
    pages: bool = False


def read_file(path: Path) -> bytes:
    """The bytes of an image file; a file that is not an image is recognised by its first bytes and not read further.

    Raises:
        UnreadableImageError: the file is not an image, or its format is not supported.
        DecompressionBombError: the file is larger than `MAX_FILE_BYTES`.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if (kind := file_kind(head)) not in READ_KINDS:
            raise UnreadableImageError(describe_kind(kind))
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            raise DecompressionBombError(
                f"too large to read: {size / 1e6:.0f} MB, at most {MAX_FILE_BYTES / 1e6:.0f} MB; save it smaller"
            )
        return head + file.read()


def decode_rgb(data: bytes) -> Image.Image:
    """The image in ``data`` as RGB, upright, with transparent pixels white.

    Raises:
        UnreadableImageError: as in `decode_image`.
    """
    return decode_image(data).image


def encode_jpeg(image: Image.Image, quality: int = JPEG_QUALITY) -> bytes:
    """The bytes of the image as a JPEG file.

    Raises:
        UnreadableImageError: the image is longer than JPEG allows.
    """
    buffer = io.BytesIO()
    try:
        image.save(buffer, "JPEG", quality=quality)
    except OSError as error:
        raise UnreadableImageError(f"cannot be stored as JPEG: {image.width}×{image.height} pixels: {error}") from None
    return buffer.getvalue()


def shrink(loaded: DecodedImage, shorter_side: int | None) -> Image.Image:
    """The image with its shorter side reduced to at most ``shorter_side`` pixels; None leaves it as it is."""
    if shorter_side is None or shorter_side >= min(loaded.image.size):
        return loaded.image
    factor = shorter_side / min(loaded.image.size)
    size = [max(shorter_side, round(side * factor)) for side in loaded.image.size]
    return loaded.image.resize(size, Image.Resampling.LANCZOS)


def decode_square(data: bytes, side: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
    """The centre square of the image, resized to ``side`` pixels: uint8 (side, side, 3).

    An image whose shorter side has that many pixels already is cropped without resizing, half a pixel off the centre if
    need be. A JPEG is decoded at a reduced size only if it is too large to be decoded whole.

    Raises:
        UnreadableImageError: as in `decode_image`.
    """
    try:
        image = decode_rgb(data)
    except DecompressionBombError:
        image = decode_image(data, side).image
    left, top = (image.width - side) // 2, (image.height - side) // 2
    if min(image.size) == side:
        return np.asarray(image.crop((left, top, left + side, top + side)))
    return np.asarray(ImageOps.fit(image, (side, side), Image.Resampling[interpolation.upper()]))


def decode_frames(data: bytes, frames: int, side: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
    """The frames of a clip, which are stored as squares below each other: uint8 (frames, side, side, 3).

    Raises:
        UnreadableImageError: as in `decode_image`, or the image does not have so many squares.
    """
    image = decode_rgb(data)
    stored = image.width
    if image.height != frames * stored:
        raise UnreadableImageError(f"not {frames} squares below each other: {image.width}×{image.height} pixels")
    squares = [image.crop((0, top, stored, top + stored)) for top in range(0, image.height, stored)]
    if stored != side:
        squares = [one.resize((side, side), Image.Resampling[interpolation.upper()]) for one in squares]
    return np.stack([np.asarray(one) for one in squares])


def center_crop(image: np.ndarray, side: int) -> np.ndarray:
    """The centre of a square image (…, resize, resize, 3): what a network of that side sees, (…, side, side, 3)."""
    first = (image.shape[-2] - side) // 2
    return image[..., first : first + side, first : first + side, :]


def decode_image(data: bytes, shorter_side: int | None = None, max_pixels: int = MAX_PIXELS) -> DecodedImage:
    """The image in ``data``, with its colours in sRGB, and facts about its file.

    Args:
        data: The bytes of the file.
        shorter_side: The size in pixels to which the caller will shrink the shorter side, or None. A large JPEG is then
            decoded at a half, quarter or eighth of its size, but at no less than twice ``shorter_side``: that saves
            much time and loses nothing.
        max_pixels: The maximum number of pixels to decode; larger images raise an error.

    Raises:
        UnreadableImageError: the data are not an image, or are damaged. Its subclasses: `TruncatedImageError` and
            `DecompressionBombError`.
    """
    try:
        _ignore_pillow_warnings()
        if max_pixels > MAX_PIXELS:
            Image.MAX_IMAGE_PIXELS = max_pixels  # Pillow's own limit, which applies to the whole process
        image = _open(data)
        width, height = image.size
        if shorter_side:
            image.draft(None, (2 * shorter_side, 2 * shorter_side))
        _check_pixels(image, (width, height), max_pixels)
        animated = image.format in ("GIF", "PNG", "WEBP", "AVIF") and getattr(image, "is_animated", False)
        pages = _has_pages(image)
        image.load()
        turn = UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
        whole = image.size == (width, height)
        plain = image.format == "JPEG" and image.mode == "RGB" and turn is None and whole
        image, converted = to_rgb(image, image.info.get("icc_profile"))
        if turn is not None:
            image = image.transpose(turn)
            width, height = (height, width) if turn in SIDEWAYS else (width, height)
        image.info = {}  # Pillow would write comments out again
        return DecodedImage(image, plain and not converted, (width, height), animated, pages)
    except UnidentifiedImageError:
        raise _unidentified(data) from None
    except DecompressionBombError:
        raise
    except Image.DecompressionBombError:
        raise _bomb(f"more than {max_pixels} pixels") from None
    except Exception as error:  # decoders raise any of a dozen errors on damaged data
        text = str(error) or type(error).__name__
        kind = TruncatedImageError if "truncated" in text.lower() or _ends_early(data) else UnreadableImageError
        raise kind(f"damaged: {text}") from None


def _open(data: bytes) -> Image.Image:
    """The image with only its header read.

    A JPEG is opened without Pillow's limit on pixels, which is meant for images that are decoded whole.
    """
    if data[:3] == b"\xff\xd8\xff":
        return JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    return Image.open(io.BytesIO(data), formats=FORMATS)


def _check_pixels(image: Image.Image, size: tuple[int, int], max_pixels: int) -> None:
    """Raises an error if decoding would take too much memory; ``image.size`` is the size that would be decoded."""
    width, height = image.size
    whole = size[0] * size[1]
    if image.info.get("progressive"):  # the codec holds all of it in memory, whatever size it returns
        width, height = size
    if width * height > max_pixels or whole > MAX_REDUCTION * max_pixels:
        raise _bomb("{}×{} pixels".format(*size))


def _bomb(size: str) -> DecompressionBombError:
    return DecompressionBombError(f"too large to decode safely: {size}; --max-pixels raises the limit")


def _has_pages(image: Image.Image) -> bool:
    """Whether a TIFF file has a second page that is not a reduced version of another (bit 0 of NewSubfileType)."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    pages = 0
    for page in range(getattr(image, "n_frames", 1)):
        image.seek(page)
        pages += not image.tag_v2.get(254, 0) & 1
        if pages > 1:
            break
    image.seek(0)
    return pages > 1


def _unidentified(data: bytes) -> UnreadableImageError:
    """The error for a file that Pillow does not recognise as an image."""
    kind = file_kind(data[:HEAD_BYTES])
    if kind not in READ_KINDS:
        return UnreadableImageError(describe_kind(kind))
    error = TruncatedImageError if _ends_early(data) else UnreadableImageError
    return error("damaged: its header cannot be read")


def _ends_early(data: bytes) -> bool:
    """Whether a file is shorter than its format says."""
    kind, early = file_kind(data[:HEAD_BYTES]), False
    if kind == "webp":
        early = len(data) < 8 + int.from_bytes(data[4:8], "little")
    elif kind == "png":
        early = b"IEND" not in data[-64:]
    elif kind == "gif":
        early = not data.endswith(b";")
    elif kind in ("avif", "jpeg2000") and data[:2] == b"\0\0":  # a sequence of boxes that begin with their size
        start = 0
        while start < len(data) and (size := int.from_bytes(data[start : start + 4], "big")) >= 8:
            start += size
        early = start > len(data)
    elif kind == "jpeg2000":
        early = not data.endswith(b"\xff\xd9")
    return early


def _ignore_pillow_warnings() -> None:
    """Silences Pillow's warnings of broken EXIF blocks and the like: only the pixels count.

    The filter stays. Filters belong to the process, so a thread that restored them would do so for all other threads.
    """
    if ("ignore", None, Warning, re.compile(PILLOW_MODULES), 0) not in warnings.filters:
        warnings.filterwarnings("ignore", module=PILLOW_MODULES)
