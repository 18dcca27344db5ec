"""Files of all kinds on their way into shards: what they are is told first, and only their pixels get there."""

import io
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from drawing import RED, file_of, middles, near, png, quarters
from PIL import Image, ImageCms, PngImagePlugin

from emotune.core.storage import Folder
from emotune.data import image_io
from emotune.data.build.executor import LocalExecutor
from emotune.data.build.ingest import ingest
from emotune.data.build.ingest_image import LIMITS, Limits
from emotune.data.build.shards import write_shards
from emotune.data.image_io import (
    DecompressionBombError,
    TruncatedImageError,
    UnreadableImageError,
    decode_image,
    decode_square,
    encode_jpeg,
    read_file,
)
from emotune.data.manifest import Problem
from emotune.data.shard_reader import read_samples
from emotune.data.sources.base import Entry, Listing


def cloudy(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def entry(path: Path) -> Entry:
    return Entry(path.name, "awe", {"awe": 1}, path)


def test_a_video_of_gigabytes_is_recognised_by_its_first_bytes_and_not_read(tmp_path):
    for name, head in (("clip.mp4", b"\0\0\0\x18ftypisom"), ("unknown.bin", b"\0" * 16)):
        with (tmp_path / name).open("wb") as file:
            file.write(head)
            file.truncate(3 * 2**30)
    tracemalloc.start()
    entries, spool = [entry(path) for path in sorted(tmp_path.iterdir())], Folder(str(tmp_path / "spool"))
    taken = ingest(entries, spool, LIMITS, executor=LocalExecutor())
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
    with pytest.raises(UnreadableImageError, match="video"):
        read_file(tmp_path / "clip.mp4")
    assert [t.problems[0][0] for t in taken] == [Problem.UNDECODABLE] * 2


def test_a_image_file_that_would_fill_the_memory_is_not_read(tmp_path):
    with (path := tmp_path / "huge.tif").open("wb") as file:
        file.write(b"II*\0\x08\0\0\0")
        file.truncate(3 * 2**30)
    with pytest.raises(DecompressionBombError, match="3221 MB"):
        read_file(path)


def test_a_format_that_is_not_read_is_named_with_what_to_do():
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400)
    for data, name in ((heic, "HEIC image; convert"), (b"<svg xmlns='x'/>", "SVG"), (b"%PDF-1.7", "PDF")):
        with pytest.raises(UnreadableImageError, match=name):
            decode_image(data)


TRUNCATED = ["PNG", "GIF", "WEBP", "AVIF", "JPEG2000", "JPEG", "BMP", "TIFF"]


@pytest.mark.parametrize("kind", TRUNCATED)
def test_half_a_file_is_called_truncated(kind):
    data = file_of(cloudy(1, (320, 240)), kind)
    with pytest.raises(UnreadableImageError) as caught:
        decode_image(data[: len(data) // 2])
    assert isinstance(caught.value, TruncatedImageError) or kind == "TIFF"  # whose directory is at its end


def test_a_photo_of_a_hundred_megapixels_is_taken_by_the_codecs_reduced_decoding(tmp_path):
    whole = Image.new("L", (12_000, 9_000))
    whole.paste(200, (6_000, 0, 12_000, 9_000))
    data = file_of(whole, "JPEG", quality=50)
    loaded = decode_image(data, 256)
    assert loaded.size == (12_000, 9_000)
    assert loaded.image.size == (1500, 1125)
    assert near(middles(loaded.image), [(level,) * 3 for level in (0, 200, 0, 200)])
    assert decode_square(data, 64).shape == (64, 64, 3)
    with pytest.raises(DecompressionBombError, match="--max-pixels"):
        decode_image(data)  # all of its pixels


@pytest.mark.parametrize(
    "data",
    [png(12_000, 10_000, 8, 2, b"\0"), file_of(quarters(64, 32), "JPEG", progressive=True)],
    ids=["PNG", "progressive"],
)
def test_what_would_lie_in_memory_is_bounded_by_the_limit_that_is_set(monkeypatch, data):
    limit = 64 * 32 - 1 if data[:2] == b"\xff\xd8" else image_io.MAX_PIXELS
    with pytest.raises(DecompressionBombError, match="--max-pixels"):
        decode_image(data, 4, limit)
    if data[:2] == b"\xff\xd8":
        assert decode_image(data, 4, limit + 1).size == (64, 32)


def no_rgb_profile() -> bytes:
    """An ICC profile that describes no RGB image."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def test_an_srgb_profile_or_a_broken_one_changes_no_pixel():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = np.asarray(decode_image(file_of(cloudy(1), "PNG")).image)
    for profile in (srgb, b"garbage", srgb[:100], no_rgb_profile()):
        for kind in ("PNG", "WEBP"):
            how = {"lossless": True} if kind == "WEBP" else {}
            data = file_of(cloudy(1), kind, icc_profile=profile, **how)
            assert np.array_equal(np.asarray(decode_image(data).image), plain)
    assert decode_image(file_of(cloudy(1), "JPEG", icc_profile=srgb)).plain


def swapped_profile() -> bytes:
    """A profile in which red and blue are exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(profile[132 + 12 * n : 136 + 12 * n]): 136 + 12 * n for n in range(profile[131])}
    red, blue = (bytes(profile[tags[name] : tags[name] + 4]) for name in (b"rXYZ", b"bXYZ"))
    profile[tags[b"rXYZ"] : tags[b"rXYZ"] + 4], profile[tags[b"bXYZ"] : tags[b"bXYZ"] + 4] = blue, red
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be")).replace(b"sRGB", b"swap")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_colours_are_converted_to_srgb(kind):
    data = file_of(Image.new("RGB", (64, 64), RED), kind, icc_profile=swapped_profile())
    loaded = decode_image(data, 32)
    assert near(loaded.image.getpixel((9, 9)), RED[::-1], tolerance=3)
    assert not loaded.plain


SECRET = "taken at 48.137 N by Ann"


def with_metadata(image: Image.Image, kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = SECRET
    how = {"exif": exif}
    if kind == "PNG":
        how["pnginfo"] = PngImagePlugin.PngInfo()
        how["pnginfo"].add_text("Comment", SECRET)
    if kind in ("JPEG", "GIF"):
        how |= {"comment": SECRET.encode()}
    return file_of(image, kind, **how, xmp=SECRET.encode()) + SECRET.encode() * (kind != "AVIF")


@pytest.mark.parametrize("size", [256, None], ids=["shrunk", "original"])
def test_nothing_but_pixels_goes_into_a_shard(tmp_path, size):
    kinds = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "AVIF")
    entries = []
    for number in range(12):
        data = with_metadata(cloudy(number, (160, 120) if number < 6 else (500, 400)), kinds[number % 6])
        assert SECRET.encode() in data
        (path := tmp_path / f"{number}.file").write_bytes(data)
        split = ("train", "val", "test")[number % 3]
        entries.append(Entry(path.name, "awe", {"awe": 1}, path, split=split))
    out = Folder(str(tmp_path / "out"))
    manifest = write_shards(Listing("secrets", ("awe",), entries, "drawn", "none"), out, limits=Limits(size))
    assert sum(shard.samples for shard in manifest.shards) == 12
    for shard in manifest.shards:
        data = out.read(shard.file)
        assert SECRET.encode() not in data
        assert b"Exif" not in data
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            jpegs = [tar.extractfile(member).read() for member in tar if member.name.endswith(".jpg")]
        assert all(jpeg[:4] == b"\xff\xd8\xff\xe0" and jpeg[-2:] == b"\xff\xd9" for jpeg in jpegs)
    if size is None:
        first = read_jpeg(out, manifest, "0.file")
        original = Image.open(io.BytesIO(with_metadata(cloudy(0), "JPEG")))
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(first))), np.asarray(original))


def read_jpeg(out: Folder, manifest, source: str) -> bytes:
    samples = (sample for shard in manifest.shards for sample in read_samples(out.read(shard.file), shard.file))
    return next(sample.jpg for sample in samples if sample.source == source)


def test_encoding_writes_no_comment():
    image = cloudy(1)
    image.info["comment"] = SECRET.encode()
    assert SECRET.encode() not in encode_jpeg(decode_image(file_of(image, "JPEG", comment=SECRET.encode())).image)
