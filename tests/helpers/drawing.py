"""Images with a colour in each quarter, and the files that they are in, for the tests beside."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from emotune.data.image_io import decode_image, decode_rgb, encode_jpeg, shrink

RED, GREEN, BLUE, WHITE = (220, 20, 30), (20, 190, 40), (30, 40, 210), (250, 250, 250)

ORIENTATION = 0x0112

STORED_AS = {  # how a camera stores an upright image, by the orientation that it notes
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def file_of(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def quarters(width: int = 64, height: int = 32) -> Image.Image:
    """Red and green above blue and white."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2], pixels[: height // 2, width // 2 :] = RED, GREEN
    pixels[height // 2 :, : width // 2], pixels[height // 2 :, width // 2 :] = BLUE, WHITE
    return Image.fromarray(pixels)


def middles(image: Image.Image) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters, left to right, then downwards."""
    width, height = image.size
    return [image.getpixel((width * x // 4, height * y // 4)) for y in (1, 3) for x in (1, 3)]


def near(colour: object, expected: object, tolerance: int = 8) -> bool:
    return bool(np.abs(np.asarray(colour, int) - np.asarray(expected, int)).max() <= tolerance)


def png(width: int, height: int, depth: int, kind: int, rows: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def stored(data: bytes, side: int) -> bytes:
    """The image shrunk and encoded again."""
    return encode_jpeg(shrink(decode_image(data, side), side))


READERS = {
    "decode": decode_rgb,
    "shrink, small": lambda data: decode_rgb(stored(data, 256)),
    "shrink, large": lambda data: decode_rgb(stored(data, 16)),
}
