"""The first bytes of a file tell what it is."""

import gzip
import io
import json
import tarfile
import zipfile

import pytest
from PIL import Image

from emotune.data.file_type import HEAD_BYTES, IMAGE_KINDS, describe_kind, file_kind, file_kind_of


def saved(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((32, 32), 60).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpg", b"x")
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    return buffer.getvalue()


def in_boxes(brand: bytes, *compatible: bytes) -> bytes:
    names = brand + bytes(4) + b"".join(compatible)
    return (8 + len(names)).to_bytes(4, "big") + b"ftyp" + names + b"\0\0\0\x08free"


FILES = {
    **{kind: (saved(name), kind) for kind, name in (("jpeg", "JPEG"), ("png", "PNG"), ("gif", "GIF"), ("bmp", "BMP"),
                                                    ("webp", "WEBP"), ("tiff", "TIFF"), ("ppm", "PPM"))},
    "heic": (in_boxes(b"heic", b"mif1", b"heic"), "heic"),
    "heif": (in_boxes(b"mif1", b"mif1", b"heic"), "heic"),
    "avif": (in_boxes(b"avif", b"avif", b"mif1"), "avif"),
    "avif in mif1": (in_boxes(b"mif1", b"avif"), "avif"),
    "mp4": (in_boxes(b"isom", b"isom", b"mp42"), "video"),
    "mov": (in_boxes(b"qt  ", b"qt  "), "video"),
    "mkv": (b"\x1a\x45\xdf\xa3" + bytes(30), "video"),
    "avi": (b"RIFF\0\0\0\0AVI LIST", "video"),
    "wave": (b"RIFF\0\0\0\0WAVEfmt ", "unknown"),
    "jpeg2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20), "jpeg2000"),
    "zip": (zipped(), "zip"),
    "gzip": (gzip.compress(b"x"), "gzip"),
    "tar": (tarred(), "tar"),
    "rar": (b"Rar!\x1a\x07\x01\0", "rar"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4", "7z"),
    "pdf": (b"%PDF-1.7\n%", "pdf"),
    "parquet": (b"PAR1\x15\4", "parquet"),
    "Thumbs.db": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(30), "database"),
    "html": (b"\xef\xbb\xbf\r\n <!DOCTYPE HTML><html>404", "html"),
    "html after a comment": (b"<!-- saved from -->\n<html lang='en'>", "html"),
    "xhtml": (b'<?xml version="1.0"?>\n<html xmlns="x">', "html"),
    "svg": (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "svg"),
    "svg without content": (b"<svg/>", "svg"),
    "json": (json.dumps([{"a": 1}], indent=1).encode(), "json"),
    "text": ("a caption; naïve\n".encode(), "text"),
    "text in UTF-16": ("a caption".encode("utf-16"), "text"),
    "long text, a character cut": (("a" * (HEAD_BYTES - 1) + "é").encode(), "text"),
    "zeros": (bytes(600), "unknown"),
    "noise": (bytes(range(128, 256)) * 8, "unknown"),
    "empty": (b"", "empty"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "kind"), FILES.values(), ids=FILES)
def test_a_file_is_recognised_by_its_first_bytes(tmp_path, data, kind):
    assert file_kind(data[:HEAD_BYTES]) == kind
    (tmp_path / "misleading.jpg").write_bytes(data)
    assert file_kind_of(tmp_path / "misleading.jpg") == kind


def test_only_the_first_bytes_are_read(tmp_path):
    with (tmp_path / "clip.mp4").open("wb") as file:
        file.write(in_boxes(b"isom"))
        file.truncate(2**40)  # sparse
    assert file_kind_of(tmp_path / "clip.mp4") == "video"


def test_a_kind_is_described_with_what_to_do():
    assert "convert it" in describe_kind("heic")
    assert "unpack it" in describe_kind("7z")
    assert "frames" in describe_kind("video")
    assert all(describe_kind(kind) for _, kind in FILES.values())
    assert {"jpeg", "heic", "svg"} <= IMAGE_KINDS
