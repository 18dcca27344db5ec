"""Recognise the type of a file by its first bytes, since names can be wrong.

The signatures are those of the formats' specifications, see https://en.wikipedia.org/wiki/List_of_file_signatures.
"""

import codecs
import re
from pathlib import Path
from types import MappingProxyType

__all__ = ["ARCHIVE_KINDS", "HEAD_BYTES", "IMAGE_KINDS", "UNREAD_KINDS", "describe_kind", "file_kind", "file_kind_of"]

HEAD_BYTES = 1024
"""Number of first bytes by which a file's type is recognised."""

SIGNATURES = tuple((re.compile(pattern, re.DOTALL), kind) for pattern, kind in (
    (rb"\xff\xd8\xff", "jpeg"),
    (rb"\x89PNG\r\n\x1a\n", "png"),
    (rb"GIF8[79]a", "gif"),
    (rb"BM.{4}\0{4}", "bmp"),
    (rb"RIFF.{4}WEBP", "webp"),
    (rb"P[1-7][\s#]", "ppm"),
    (rb"II\*\0\x10\0\0\0CR|FUJIFILMCCD-RAW|IIRO|IIU\0", "raw"),
    (rb"II[*+]\0|MM\0[*+]", "tiff"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "jpeg2000"),
    (rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a", "jpegxl"),
    (rb"8BPS", "psd"),
    (rb"\0\0\x01\0", "ico"),
    (rb"RIFF.{4}AVI |\x1a\x45\xdf\xa3|FLV\x01|\0\0\x01[\xba\xb3]|\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video"),
    (rb".{4}(moov|mdat|wide)", "video"),  # QuickTime files from before brands existed
    (rb"PK(\x03\x04|\x05\x06)", "zip"),
    (rb"\x1f\x8b", "gzip"),
    (rb"BZh", "bzip2"),
    (rb"\xfd7zXZ\0", "xz"),
    (rb"\x28\xb5\x2f\xfd", "zstd"),
    (rb"Rar!\x1a\x07", "rar"),
    (rb"7z\xbc\xaf\x27\x1c", "7z"),
    (rb".{257}ustar", "tar"),
    (rb"%PDF", "pdf"),
    (rb"PAR1", "parquet"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1|SQLite format 3\0", "database"),
))  # fmt: skip
"""Patterns of the first bytes of files, each with the kind of file."""

BRANDS = MappingProxyType(
    {b"avif": "avif", b"avis": "avif", b"crx ": "raw"}
    | dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "heic")
)
"""Kinds of files by their brand (ISO 14496-12); files of other brands are videos."""

IMAGE_KINDS = frozenset({"jpeg", "png", "gif", "bmp", "webp", "tiff", "ppm", "heic", "avif", "jpeg2000", "jpegxl",
                         "psd", "ico", "raw", "svg"})  # fmt: skip
"""Kinds of files that hold an image, whether or not emotune can decode it."""

ARCHIVE_KINDS = frozenset({"zip", "gzip", "bzip2", "xz", "zstd", "tar", "rar", "7z"})

UNREAD_KINDS = MappingProxyType({
    "heic": "a HEIC image", "avif": "an AVIF image", "jpeg2000": "a JPEG 2000 image", "jpegxl": "a JPEG XL image",
    "psd": "a Photoshop file", "ico": "an icon", "raw": "a camera's raw image", "svg": "an SVG drawing",
})  # fmt: skip
"""Descriptions of the kinds of images that may not be decodable."""

OTHER_KINDS = MappingProxyType({
    "html": "an HTML page, as servers send it instead of an image; download the image again",
    "pdf": "a PDF document; extract its images as JPEG or PNG",
    "video": "a video; extract frames as JPEG or PNG",
    "text": "text", "json": "JSON text", "parquet": "a Parquet table", "database": "a database",
    "empty": "empty file",
})  # fmt: skip

HTML = re.compile(rb"<(!doctype html|html|head|body|title|meta|script|h1|div|p>)", re.IGNORECASE)


def file_kind_of(path: Path) -> str:
    """The kind of a file, see `file_kind`; only its first bytes are read.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return file_kind(file.read(HEAD_BYTES))


def file_kind(head: bytes) -> str:
    """The kind of a file: the format's name in lower case, or ``video``, ``text``, ``empty`` or ``unknown``.

    Args:
        head: The file's first `HEAD_BYTES`.

    >>> file_kind(b"GIF89a..."), file_kind(b"<!DOCTYPE html>"), file_kind(b"a caption"), file_kind(b"")
    ('gif', 'html', 'text', 'empty')
    """
    if not head:
        return "empty"
    if head[4:8] == b"ftyp":
        return _brand(head)
    return next((kind for pattern, kind in SIGNATURES if pattern.match(head)), None) or _text(head)


def describe_kind(kind: str) -> str:
    """The kind in words, with the way to make the file readable.

    >>> describe_kind("heic")
    'a HEIC image; convert it to JPEG or PNG'
    """
    if kind in UNREAD_KINDS:
        return f"{UNREAD_KINDS[kind]}; convert it to JPEG or PNG"
    if kind in ARCHIVE_KINDS:
        return f"an archive ({kind}); unpack it"
    return OTHER_KINDS.get(kind, "not an image, or of an unknown format")


def _brand(head: bytes) -> str:
    """The kind of a file of boxes by its major brand, else by its first compatible brand that is known."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[start : start + 4] for start in range(16, size, 4))]
    kinds = [BRANDS[brand] for brand in brands if brand in BRANDS]
    return "avif" if "avif" in kinds else kinds[0] if kinds else "video"


def _text(head: bytes) -> str:
    """The kind of text: ``html``, ``svg``, ``json`` or ``text``; ``unknown`` if the bytes are not text."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return "unknown"
    if re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", text):
        return "unknown"
    start = text.lstrip().encode()
    if re.search(rb"<svg[\s>/]", head, re.IGNORECASE) and start.startswith(b"<"):
        return "svg"
    if HTML.match(start) or (start.startswith(b"<") and HTML.search(start[:512])):
        return "html"
    return "json" if start[:1] in (b"{", b"[") else "text"
