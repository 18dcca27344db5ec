"""Ingests one image: decodes, checks, hashes, resizes and re-encodes it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import PIL
from PIL import Image

from emotune.data.build.decode_clip import decode_clip
from emotune.data.build.perceptual_hash import is_blank, perceptual_hashes
from emotune.data.image_io import (
    MAX_PIXELS,
    DecodedImage,
    DecompressionBombError,
    TruncatedImageError,
    UnreadableImageError,
    decode_image,
    encode_jpeg,
    read_file,
    shrink,
)
from emotune.data.jpeg_integrity import missing_scans, pixels_only, scan_damage
from emotune.data.manifest import Problem
from emotune.data.sources.base import Clip, Entry

__all__ = ["LIMITS", "VERSION", "IngestedImage", "Limits", "ingest_image"]

VERSION = f"2, Pillow {PIL.__version__}"
"""Version of how images are ingested; raised when the same files would give other samples."""


@dataclass(frozen=True)
class Limits:
    """The size at which images are stored, and the sizes that are accepted.

    Attributes:
        shorter_side: Length in pixels to which the shorter side of a larger image is reduced; None keeps every size.
        min_side: Smallest shorter side in pixels; images below it are "tiny".
        max_aspect: Largest ratio of the longer to the shorter side; beyond it the centre square would show too little.
        max_pixels: Largest number of pixels that are decoded. A large JPEG is decoded at down to an eighth of its size.
    """

    shorter_side: int | None = 256
    min_side: int = 64
    max_aspect: float = 5.0
    max_pixels: int = MAX_PIXELS


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class IngestedImage:
    """What is known of an image after reading it, and where its JPEG is in the spool.

    Attributes:
        key: The name of the image in the shards: 20 hexadecimal digits of the hash of its file; empty if the file
            could not be read.
        problems: The problems of the image, each with a detail.
        phash: The `emotune.data.build.perceptual_hash.perceptual_hash`; empty for images without structure and for
            synthetic images.
        mirrored_phash: The perceptual hash of the mirror image; empty likewise.
        pixels: The hash of the pixels of an image without a perceptual hash; else empty.
        spool: The name of the spool file that holds the JPEG.
        start: The position of the JPEG in that file, in bytes.
        bytes: The length of the JPEG.
        sha256: The hash of the JPEG.
    """

    key: str
    problems: tuple[tuple[Problem, str], ...] = ()
    phash: bytes = b""
    mirrored_phash: bytes = b""
    pixels: str = ""
    spool: str = ""
    start: int = 0
    bytes: int = 0
    sha256: str = ""


def ingest_image(entry: Entry, limits: Limits) -> tuple[IngestedImage, bytes]:
    """What is known of the image, and its JPEG for the shard; the JPEG is empty if there is no usable image."""
    if callable(entry.image):  # a synthetic image, which has no problems
        jpeg = entry.image()
        return IngestedImage(entry.key or _content_key(jpeg)), jpeg
    if isinstance(entry.image, Clip):
        return _ingest_clip(entry, entry.image, limits)
    if not isinstance(entry.image, Path):
        raise TypeError(f"{entry.source}: a link; download the images of the listing first")
    try:
        data = read_file(entry.image)
    except (OSError, ValueError) as error:  # ValueError: the path is impossible
        return _unusable("", error)
    key = entry.key or _content_key(data)
    try:
        loaded = decode_image(data, limits.shorter_side, limits.max_pixels)
        _check_jpeg(data)
        image = shrink(loaded, limits.shorter_side)
        jpeg = _stored(data, loaded, image)
    except UnreadableImageError as error:
        return _unusable(key, error)
    return _described(key, image, _size_problems(loaded, limits)), jpeg


def _ingest_clip(entry: Entry, clip: Clip, limits: Limits) -> tuple[IngestedImage, bytes]:
    """The facts about a clip, and the JPEG of its frames below each other, which is treated as one image."""
    key = entry.key or ""
    try:
        with clip.path.open("rb") as file:
            key = key or hashlib.file_digest(file, "sha256").hexdigest()[:20]
        loaded = decode_clip(clip.path, clip.frames, limits.shorter_side, limits.max_pixels)
        jpeg = encode_jpeg(loaded.strip)
    except (OSError, ValueError) as error:
        return _unusable(key, error)
    problems = _size_problems(DecodedImage(loaded.strip, False, loaded.size, False), limits)
    return _described(key, loaded.strip, problems), jpeg


def _unusable(key: str, error: OSError | ValueError) -> tuple[IngestedImage, bytes]:
    """The facts about a file that cannot be read or decoded."""
    if isinstance(error, UnreadableImageError):
        return IngestedImage(key, ((_problem_of(error), str(error)),)), b""
    return IngestedImage("", ((Problem.UNREADABLE, getattr(error, "strerror", None) or str(error)),)), b""


def _described(key: str, image: Image.Image, problems: tuple[tuple[Problem, str], ...]) -> IngestedImage:
    """An image that was read, with what tells copies of it."""
    phash, mirrored_phash = perceptual_hashes(image)
    if phash:
        return IngestedImage(key, problems, phash, mirrored_phash)
    if is_blank(image):
        problems += ((Problem.BLANK, "one colour, or nearly"),)
    return IngestedImage(key, problems, pixels=_content_key(repr(image.size).encode() + image.tobytes()))


def _check_jpeg(data: bytes) -> None:
    """Checks a JPEG for missing or damaged data that decoders tolerate; a part of such an image would be grey.

    Raises:
        UnreadableImageError: the data are damaged.
    """
    if data[:2] != b"\xff\xd8":
        return
    if damage := scan_damage(data):
        kind = TruncatedImageError if "premature" in damage.lower() else UnreadableImageError
        raise kind(f"damaged: {damage}")
    if missing_scans(data):
        raise TruncatedImageError("damaged: the last scans of a progressive JPEG are missing")


def _stored(data: bytes, loaded: DecodedImage, image: Image.Image) -> bytes:
    """The JPEG that goes into the shard: only pixels, without the metadata of the file."""
    if loaded.plain and image is loaded.image:
        try:
            return pixels_only(data)
        except ValueError:  # an unusual file that can still be decoded
            pass
    return encode_jpeg(image)


def _problem_of(error: UnreadableImageError) -> Problem:
    if isinstance(error, TruncatedImageError):
        return Problem.TRUNCATED
    return Problem.BOMB if isinstance(error, DecompressionBombError) else Problem.UNDECODABLE


def _size_problems(loaded: DecodedImage, limits: Limits) -> tuple[tuple[Problem, str], ...]:
    shorter, longer = sorted(loaded.size)
    size = "{}×{} pixels".format(*loaded.size)
    problems: list[tuple[Problem, str]] = []
    if loaded.animated:
        problems.append((Problem.ANIMATED, "more than one frame"))
    if loaded.pages:
        problems.append((Problem.PAGES, "more than one page"))
    if shorter < limits.min_side:
        problems.append((Problem.TINY, f"{size}, the shorter side under {limits.min_side}"))
    if longer > limits.max_aspect * shorter:
        problems.append((Problem.ASPECT, f"{size}, more than {limits.max_aspect:g} : 1"))
    return tuple(problems)


def _content_key(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:20]
