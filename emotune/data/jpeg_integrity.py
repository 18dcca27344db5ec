"""Detect truncated and damaged JPEG data, and strip metadata from JPEG files without re-encoding them (ITU-T T.81)."""

import re
from collections import defaultdict
from collections.abc import Iterator

import simplejpeg

__all__ = ["missing_scans", "pixels_only", "scan_damage"]

START, END, SCAN, PROGRESSIVE, JFIF, ADOBE = 0xD8, 0xD9, 0xDA, 0xC2, 0xE0, 0xEE
NO_JPEG_FRAME = (0xC8,)
STRUCTURE = {*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD} - set(NO_JPEG_FRAME)
"""Markers of the segments that decoding needs: frames, tables, scans, numbers of lines, restart intervals."""
PLAIN_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
"""A JFIF segment that states how colours are stored, without thumbnail and resolution."""

AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""The next marker after a scan's data; within the data, the byte FF is followed by zero or a restart marker."""

DAMAGE_WARNINGS = re.compile(r"Corrupt JPEG data|Premature end|Bogus Huffman", re.IGNORECASE)
HARMLESS_WARNINGS = re.compile(r"extraneous bytes before marker 0xd9", re.IGNORECASE)
"""The warning of bytes between the last scan and the end of the image, which some editors leave there."""


def scan_damage(data: bytes) -> str:
    """libjpeg's warning of damaged image data, which Pillow hides; empty if the data are sound.

    The data are decoded at an eighth of their size, in grey. A missing marker of the image's end is not damage.
    """
    try:
        simplejpeg.decode_jpeg(data + b"\xff\xd9", "GRAY", min_height=1, min_width=1, min_factor=1, strict=True)
    except ValueError as error:
        warning = str(error)
        return warning if DAMAGE_WARNINGS.search(warning) and not HARMLESS_WARNINGS.search(warning) else ""
    return ""


def missing_scans(data: bytes) -> bool:
    """Whether a progressive JPEG lacks scans, so that some coefficients do not reach their full precision."""
    bits_left: dict[int, dict[int, int]] = defaultdict(dict)  # bits still to come, by component and coefficient
    progressive = False
    components: list[int] = []
    try:
        for marker, start, _ in _segments(data):
            if 0xC0 <= marker <= 0xC2:
                progressive = marker == PROGRESSIVE
                components = [data[start + 10 + 3 * n] for n in range(data[start + 9])]
            elif marker == SCAN and progressive:
                count = data[start + 4]
                first, last, bits = data[start + 5 + 2 * count : start + 8 + 2 * count]
                for n in range(count):
                    bits_left[data[start + 5 + 2 * n]].update(dict.fromkeys(range(first, last + 1), bits & 15))
    except (IndexError, ValueError):
        return False
    return progressive and any(bits_left[component].get(k, 1) for component in components for k in range(64))


def pixels_only(data: bytes) -> bytes:
    """The JPEG file without metadata, comments, thumbnails and bytes after its end; no pixel changes.

    Raises:
        ValueError: the file does not have the structure of the standard.
    """
    parts = [data[:2]]
    for marker, start, end in _segments(data):
        if marker == JFIF and data[start + 4 : start + 9] == b"JFIF\0" and len(parts) == 1:
            parts.append(PLAIN_JFIF)
        elif marker == ADOBE and data[start + 4 : start + 9] == b"Adobe" and end - start >= 16:
            parts.append(b"\xff\xee\0\x0e" + data[start + 4 : start + 16])
        elif marker in STRUCTURE:
            parts.append(data[start:end])
    return b"".join([*parts, b"\xff\xd9"])


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Each segment's marker, start and end, up to the end of the image; a scan's segment includes its data."""
    if data[:2] != bytes((0xFF, START)):
        raise ValueError("not a JPEG file")
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise ValueError(f"no marker at byte {position}")
        marker = data[position + 1]
        if marker == END:
            return
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == SCAN:
            after = AFTER_SCAN.search(data, end)
            end = after.start() if after else len(data)
        if end > len(data):
            raise ValueError(f"the segment at byte {position} is cut off")
        yield marker, position, end
        position = end
