"""Incomplete images are rejected with a reason, and strange files do no other harm."""

import struct
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from drawing import BLUE, GREEN, ORIENTATION, READERS, RED, WHITE, file_of, middles, near, png, quarters, stored
from PIL import Image

from emotune.data.image_io import (
    DecompressionBombError,
    TruncatedImageError,
    UnreadableImageError,
    decode_image,
    decode_rgb,
    decode_square,
    encode_jpeg,
)


def photo_with_exif(*entries: tuple[int, int, bytes], cut: int | None = None) -> bytes:
    """A JPEG whose EXIF block has the tags (number, type, four bytes of value), whether or not they make sense."""
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    block += b"".join(struct.pack("<HHI", tag, kind, 1) + value for tag, kind, value in entries) + b"\0\0\0\0"
    return file_of(quarters(), "JPEG", quality=95, exif=b"Exif\0\0" + block[:cut])


WHOLE = file_of(Image.effect_noise((64, 64), 80).convert("RGB"), "JPEG")

REFUSED = {
    "empty": (b"", "empty", UnreadableImageError),
    "a web page": (b"<!DOCTYPE html><body>404 Not Found</body>", "HTML", UnreadableImageError),
    "half a JPEG": (WHOLE[: len(WHOLE) // 2], "truncated", TruncatedImageError),
    "half a PNG": (file_of(quarters(), "PNG")[:80], "damaged", TruncatedImageError),
    "only a head": (WHOLE[:20], "", UnreadableImageError),
    "a PNG of 2.5 gigapixels": (png(50_000, 50_000, 8, 2, b"\0"), "--max-pixels", DecompressionBombError),
    "a PNG of 120 megapixels": (png(12_000, 10_000, 8, 2, b"\0"), "--max-pixels", DecompressionBombError),
}


@pytest.mark.parametrize(("data", "reason", "kind"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("read", [decode_rgb, lambda data: decode_image(data, 256),
                                  lambda data: decode_square(data, 32)],
                         ids=["decode_rgb", "decode_image", "decode_square"])  # fmt: skip
def test_an_incomplete_image_is_rejected_with_the_reason(data, reason, kind, read):
    with pytest.raises(UnreadableImageError) as caught:
        read(data)
    assert type(caught.value) is kind
    assert reason in str(caught.value)
    assert str(caught.value)


UPSIDE_DOWN = (ORIENTATION, 3, b"\3\0\0\0")

STRANGE_EXIF = {
    "resolution that is a text": ((0x011A, 2, b"abcd"), None),
    "description that is a fraction": ((0x010E, 5, b"\1\0\0\0"), None),
    "description that is a number": ((0x010E, 12, b"\1\0\0\0"), None),
    "unknown type": ((0x010E, 99, b"abcd"), None),
    "cut in the head": ((0x010E, 2, b"abc\0"), 9),
    "cut in a tag": ((0x010E, 2, b"abc\0"), 17),
    "cut before its end": ((0x010E, 2, b"abc\0"), 33),
}


@pytest.mark.parametrize(("entry", "cut"), STRANGE_EXIF.values(), ids=STRANGE_EXIF)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_strange_exif_block_costs_neither_the_photo_nor_the_program(entry, cut, read):
    image = read(photo_with_exif(UPSIDE_DOWN, entry, cut=cut))
    expected = [RED, GREEN, BLUE, WHITE]
    assert near(middles(image), expected[::-1]) or (cut and near(middles(image), expected))


def test_any_damage_gives_an_image_or_the_reason_why_there_is_none():
    generator = np.random.default_rng(3)
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010E], exif[0x011A] = 6, "by hand", 72.0
    whole = {kind: file_of(quarters(24, 20), kind, exif=exif) for kind in ("JPEG", "PNG", "WEBP", "TIFF")}
    whole |= {kind: file_of(quarters(24, 20), kind) for kind in ("GIF", "BMP", "DDS")}
    crashes = {}
    for kind, data in whole.items():
        for _ in range(150):
            damaged = bytearray(data)
            for _ in range(generator.integers(1, 6)):
                damaged[generator.integers(min(len(damaged), generator.choice([64, 200, 10_000])))] = (
                    generator.integers(256)
                )
            try:
                decode_rgb(bytes(damaged))
            except UnreadableImageError:
                pass
            except Exception as error:
                crashes[kind, repr(error)] = bytes(damaged)
    assert not crashes, "; ".join(f"{kind}: {error}" for kind, error in crashes)


def test_an_image_that_no_jpeg_can_hold_is_rejected():
    with pytest.raises(UnreadableImageError):
        stored(file_of(Image.new("RGB", (70_000, 2)), "PNG"), 256)


def test_threads_reject_large_images_whatever_others_do_to_the_warning_filters():
    files = [
        encode_jpeg(quarters()),
        encode_jpeg(quarters(80, 60)),
        file_of(quarters(), "PNG"),
        file_of(quarters(80, 60), "PNG"),
    ]

    def outcome(data: bytes) -> tuple[int, ...] | str:
        try:
            return decode_image(data, max_pixels=3000).size
        except UnreadableImageError as error:
            return type(error)

    def others() -> None:
        while not done:
            with warnings.catch_warnings():
                warnings.simplefilter("error")

    done: list[bool] = []
    with ThreadPoolExecutor(9) as pool:
        pool.submit(others)
        outcomes = list(pool.map(outcome, files * 100))
        done.append(True)
    assert outcomes == [(64, 32), DecompressionBombError] * 200
