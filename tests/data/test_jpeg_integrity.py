"""Damage that decoders hide is found, sound files pass, and of a file's bytes only those of its pixels are kept."""

import contextlib
import io
import struct

import numpy as np
import pytest
from drawing import file_of
from PIL import Image

from emotune.data.jpeg_integrity import missing_scans, pixels_only, scan_damage


def cloudy(seed: int = 0, size: tuple[int, int] = (160, 120)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


GREY_BELOW = Image.new("RGB", (160, 120), (128, 128, 128))
GREY_BELOW.paste(cloudy(1, (160, 50)))
SOUND = {
    "baseline": file_of(cloudy(), "JPEG"),
    "progressive": file_of(cloudy(), "JPEG", progressive=True),
    "optimised": file_of(cloudy(), "JPEG", optimize=True, quality=30),
    "all colours in full": file_of(cloudy(), "JPEG", subsampling=0, quality=100),
    "restart markers": file_of(cloudy(), "JPEG", restart_marker_rows=1),
    "grey": file_of(cloudy().convert("L"), "JPEG"),
    "grey, progressive": file_of(cloudy().convert("L"), "JPEG", progressive=True),
    "printed": file_of(cloudy().convert("CMYK"), "JPEG"),
    "its lower half is grey": file_of(GREY_BELOW, "JPEG"),
    "black": file_of(Image.new("RGB", (160, 120)), "JPEG"),
    "no end": file_of(cloudy(), "JPEG")[:-2],
    "bytes behind the end": file_of(cloudy(), "JPEG") + b"garbage" * 999,
    "one pixel": file_of(Image.new("RGB", (1, 1)), "JPEG"),
    "a second image": file_of(cloudy(), "MPO", save_all=True, append_images=[cloudy(2)]),
}


@pytest.mark.parametrize("data", SOUND.values(), ids=SOUND)
def test_a_sound_file_passes(data):
    assert scan_damage(data) == ""
    assert not missing_scans(data)


def damaged(data: bytes, share: float, filling: bytes) -> bytes:
    """The file without the rest of its image data, or with other bytes instead of 2000 of them; its end is whole."""
    start = int(len(data) * share)
    return data[:start] + filling + (data[start + len(filling) : -2] if filling else b"") + b"\xff\xd9"


NOISE = np.random.default_rng(3).integers(0, 255, 2000, np.uint8).tobytes()


@pytest.mark.parametrize("filling", [b"", bytes(2000), NOISE], ids=["cut", "zeros", "noise"])
@pytest.mark.parametrize("share", [0.5, 0.8])
@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str)
def test_a_file_of_which_a_part_is_lost_is_damaged_though_it_ends_as_it_should(how, share, filling):
    data = damaged(file_of(cloudy(5, (640, 480)), "JPEG", quality=95, **how), share, filling)
    Image.open(io.BytesIO(data)).load()  # Pillow finds nothing wrong
    assert scan_damage(data)


def test_a_progressive_file_that_ends_after_a_scan_lacks_the_others():
    data = SOUND["progressive"]
    starts = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    tables = [data.rfind(b"\xff\xc4", 0, at) for at in starts]
    for number in range(2, len(starts)):
        cut = data[: min(tables[number], starts[number])] + b"\xff\xd9"
        assert scan_damage(cut) == ""
        assert missing_scans(cut)


SECRETS = (b"GPS: 48.137 N", b"a comment", b"behind the end", b"a thumbnail", b"http://ns.adobe.com/xap/1.0/")


def with_secrets(data: bytes) -> bytes:
    """The file with metadata of every kind in front of the image data, and bytes behind them."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0e\x01\x02\0\x0e\0\0\0\x1a\0\0\0\0\0\0\0" + SECRETS[0] + b"\0"
    segments = [(0xE1, exif), (0xFE, SECRETS[1]), (0xE0, b"JFXX\0\x10" + SECRETS[3]), (0xE1, SECRETS[4] + b"\0<x/>")]
    extra = b"".join(struct.pack(">BBH", 0xFF, marker, len(text) + 2) + text for marker, text in segments)
    return data[:20] + extra + data[20:] + SECRETS[2]


@pytest.mark.parametrize("kind", [name for name in SOUND if name not in ("no end", "printed")])
def test_without_metadata_the_pixels_are_the_same_and_nothing_else_is_there(kind):
    data = with_secrets(SOUND[kind])
    assert all(secret in data for secret in SECRETS)
    kept = pixels_only(data)
    assert not [secret for secret in SECRETS if secret in kept]
    before, after = (Image.open(io.BytesIO(one)) for one in (data, kept))
    assert np.array_equal(np.asarray(before), np.asarray(after))
    assert not set(after.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density", "progressive", "progression"}


def test_how_colours_are_stored_stays_known():
    for how in ({"keep_rgb": True}, {}):
        data = file_of(cloudy(), "JPEG", quality=95, **how)
        before, after = (np.asarray(Image.open(io.BytesIO(one))) for one in (data, pixels_only(data)))
        assert np.array_equal(before, after)
    printed = file_of(cloudy().convert("CMYK"), "JPEG")
    before, after = (np.asarray(Image.open(io.BytesIO(one))) for one in (printed, pixels_only(printed)))
    assert np.array_equal(before, after)


@pytest.mark.parametrize("data", [b"", b"\x89PNG", SOUND["baseline"][:30], b"\xff\xd8garbage"], ids=repr)
def test_what_is_not_built_as_a_jpeg_file_is_refused_or_empty(data):
    assert not missing_scans(data)
    with contextlib.suppress(ValueError):
        assert len(pixels_only(data)) < 40
