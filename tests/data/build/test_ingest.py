"""Every image is read once, whatever its file holds, and an interruption does not lose what was read."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.build import ingest as ingesting
from emotune.data.build.executor import LocalExecutor
from emotune.data.build.ingest import ingest
from emotune.data.build.ingest_image import LIMITS, IngestedImage, Limits
from emotune.data.build.perceptual_hash import perceptual_hash
from emotune.data.manifest import Problem
from emotune.data.sources.base import Entry
from emotune.data.sources.scenes import Scenes

NOISE = np.random.default_rng(5).integers(0, 256, (1300, 1300, 3), np.uint8)


def drawn(width: int, height: int) -> Image.Image:
    return Image.fromarray(NOISE[:height, :width].copy())


def file_of(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def animated(kind: str, width: int = 100, height: int = 80) -> bytes:
    return file_of(drawn(width, height), kind, save_all=True, append_images=[Image.new("RGB", (width, height))])


def sideways(width: int, height: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return file_of(drawn(width, height).transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)


TINY, ASPECT, ANIMATED, PAGES = Problem.TINY, Problem.ASPECT, Problem.ANIMATED, Problem.PAGES
BLANK = Problem.BLANK
STRIPES = Image.fromarray(np.tile(np.array([[[255, 90, 0]], [[9, 9, 200]]], np.uint8), (40, 100, 1)))
STORED = {  # by name: the file, the size in the shard, problems with a part of what is said of them
    "small": (file_of(drawn(100, 80), "JPEG", quality=60), (100, 80), {}),
    "grey": (file_of(drawn(100, 80).convert("L"), "JPEG"), (100, 80), {}),
    "printed": (file_of(drawn(100, 80).convert("CMYK"), "JPEG"), (100, 80), {}),
    "png": (file_of(drawn(100, 80), "PNG"), (100, 80), {}),
    "large": (file_of(drawn(1200, 800), "JPEG"), (384, 256), {}),
    "large png": (file_of(drawn(400, 600), "PNG"), (256, 384), {}),
    "sideways": (sideways(300, 1200), (256, 1024), {}),
    "flat": (file_of(Image.new("RGB", (100, 80), "grey"), "PNG"), (100, 80), {BLANK: "colour"}),
    "black": (file_of(Image.new("L", (90, 500)), "JPEG"), (90, 500), {BLANK: "colour", ASPECT: "90×500"}),
    "stripes": (file_of(STRIPES, "PNG"), (100, 80), {}),
    "pages": (file_of(drawn(100, 80), "TIFF", save_all=True, append_images=[drawn(90, 80)]), (100, 80),
              {PAGES: "page"}),
    "just large enough": (file_of(drawn(64, 64), "PNG"), (64, 64), {}),
    "tiny": (file_of(drawn(200, 63), "PNG"), (200, 63), {TINY: "200×63"}),
    "five to one": (file_of(drawn(64, 320), "PNG"), (64, 320), {}),
    "long": (file_of(drawn(64, 321), "PNG"), (64, 321), {ASPECT: "64×321"}),
    "long, large, sideways": (sideways(210, 1200), (210, 1200), {ASPECT: "210×1200"}),
    "tiny and long": (file_of(drawn(300, 20), "JPEG"), (300, 20), {TINY: "300×20", ASPECT: "300×20"}),
    "gif": (animated("GIF"), (100, 80), {ANIMATED: "frame"}),
    "apng": (animated("PNG"), (100, 80), {ANIMATED: "frame"}),
    "webp": (animated("WEBP"), (100, 80), {ANIMATED: "frame"}),
    "tiny gif": (animated("GIF", 30, 30), (30, 30), {ANIMATED: "frame", TINY: "30×30"}),
}  # fmt: skip
REFUSED = {
    "bomb": (b"P6 50000 50000 255\n" + bytes(99), Problem.BOMB, "--max-pixels"),
    "half": (STORED["large"][0][:9000], Problem.TRUNCATED, "truncated"),
    "page": (b"<html>404</html>", Problem.UNDECODABLE, "HTML"),
    "empty": (b"", Problem.UNDECODABLE, "empty"),
    "longer than JPEG can": (file_of(Image.new("RGB", (70_000, 2)), "PNG"), Problem.UNDECODABLE, "70000×2"),
}
ABSENT = {"none.jpg": "No such file", "mem.jpg": "error", "a\0b.jpg": "null"}


def entry(path: Path, **known: str) -> Entry:
    return Entry(path.name, "awe", {"awe": 1}, path, **known)


@pytest.fixture(scope="module")
def read(tmp_path_factory) -> dict[str, tuple[IngestedImage, bytes]]:
    """What reading the files above, and two drawn images, found; and the JPEGs in the spool."""
    folder = tmp_path_factory.mktemp("files")
    for name, (data, *_) in (STORED | REFUSED).items():
        (folder / name).write_bytes(data)
    (folder / "mem.jpg").symlink_to("/proc/self/mem")  # gives an I/O error, to root as well
    entries = [entry(folder / name) for name in [*STORED, *REFUSED, *ABSENT]]
    entries += [entry(folder / "small", key="0123456789abcdef0123"), *Scenes(2, seed=9).listing().entries]
    spool = folder / "spool"
    advanced: list[int] = []
    taken = ingest(entries, Folder(str(spool)), LIMITS, executor=LocalExecutor(), advance=advanced.append)
    assert sum(advanced) == len(taken) == len(entries)
    jpegs = [(spool / t.spool).read_bytes()[t.start : t.start + t.bytes] for t in taken]
    names = [*STORED, *REFUSED, *ABSENT, "named", "scene 0", "scene 1"]
    return dict(zip(names, zip(taken, jpegs, strict=True), strict=True))


@pytest.mark.parametrize("name", STORED)
def test_an_image_is_stored_as_an_upright_rgb_jpeg_of_limited_size_with_its_problems(read, name):
    (data, size, problems), (taken, jpeg) = STORED[name], read[name]
    stored = Image.open(io.BytesIO(jpeg))
    assert (stored.format, stored.mode, stored.size) == ("JPEG", "RGB", size)
    assert taken.key == hashlib.sha256(data).hexdigest()[:20]
    assert taken.sha256 == hashlib.sha256(jpeg).hexdigest()
    assert {problem for problem, _ in taken.problems} == set(problems)
    assert all(problems[problem] in detail for problem, detail in taken.problems)


def test_a_small_upright_jpeg_in_rgb_keeps_its_pixels(read):
    kept = [name for name in STORED if read[name][1] == STORED[name][0]]
    assert kept == ["small", "tiny and long"], "Pillow writes no metadata into these"


def test_the_hash_is_that_of_the_stored_image_and_a_flat_one_has_none(read):
    assert read["flat"][0].phash == b""
    for name in ("small", "large", "sideways"):
        seen, again = read[name][0].phash, perceptual_hash(Image.open(io.BytesIO(read[name][1])))
        assert (int.from_bytes(seen) ^ int.from_bytes(again)).bit_count() < 16


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_without_an_image_has_a_reason_and_stores_nothing(read, name):
    (data, problem, reason), (taken, jpeg) = REFUSED[name], read[name]
    ((found, detail),) = taken.problems
    key = "" if name in ("page", "empty") else hashlib.sha256(data).hexdigest()[:20]  # of these not all is read
    assert (found, taken.key, jpeg) == (problem, key, b"")
    assert reason in detail


@pytest.mark.parametrize("name", ABSENT)
def test_a_file_that_cannot_be_read_has_the_systems_reason(read, name):
    taken, jpeg = read[name]
    ((problem, detail),) = taken.problems
    assert (problem, taken.key, jpeg) == (Problem.UNREADABLE, "", b"")
    assert ABSENT[name] in detail


def test_a_key_that_the_source_gives_stays_and_drawn_images_are_stored_as_drawn(read):
    assert read["named"][0].key == "0123456789abcdef0123"
    for index, entry in enumerate(Scenes(2, seed=9).listing().entries):
        taken, jpeg = read[f"scene {index}"]
        assert (taken.key, taken.problems, taken.phash, jpeg) == (entry.key, (), b"", entry.image())


def test_other_limits_find_other_problems_and_store_other_sizes(tmp_path):
    for name in ("large", "tiny", "long"):
        (tmp_path / name).write_bytes(STORED[name][0])
    entries = [entry(tmp_path / name) for name in ("large", "tiny", "long")]
    limits = Limits(shorter_side=None, min_side=1, max_aspect=1.2)
    spool = Folder(str(tmp_path / "spool"))
    taken = ingest(entries, spool, limits, executor=LocalExecutor())
    assert [[problem for problem, _ in t.problems] for t in taken] == [[ASPECT], [ASPECT], [ASPECT]]
    first = (tmp_path / "spool" / taken[0].spool).read_bytes()[: taken[0].bytes]
    assert first == STORED["large"][0], "its size was to be kept"
    assert ingest(entries, spool, Limits(), executor=LocalExecutor())[1].problems != taken[1].problems


def spooled(spool: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in spool.glob("*")}


def test_only_the_chunk_of_a_file_that_changed_or_got_lost_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(ingesting, "CHUNK", 3)
    files = [tmp_path / f"{number}.png" for number in range(9)]
    for number, path in enumerate(files):
        drawn(70 + number, 70).save(path)
    entries, spool = [entry(path) for path in files], tmp_path / "spool"
    first = ingest(entries, Folder(str(spool)), LIMITS, executor=LocalExecutor(2))
    before = spooled(spool)
    assert ingest(entries, Folder(str(spool)), LIMITS, executor=LocalExecutor()) == first
    assert spooled(spool) == before

    other = bytearray(files[4].read_bytes())
    other[-20] ^= 1
    files[4].write_bytes(other)  # of the same size
    (spool / first[8].spool).unlink()
    second = ingest(entries, Folder(str(spool)), LIMITS, executor=LocalExecutor())
    assert [one == other for one, other in zip(first, second, strict=True)] == [True] * 3 + [False] * 3 + [True] * 3
    assert [one.key == other.key for one, other in zip(first, second, strict=True)].index(False) == 4
    after = spooled(spool)
    same = {name for name in before if after.get(name) == before[name]}
    assert {first[0].spool, first[3].spool} <= same
    assert first[8].spool in set(after) - same


class Elsewhere(LocalExecutor):
    """Another machine's view: one file is gone there."""

    is_distributed = True

    def __init__(self, lost: Path) -> None:
        super().__init__()
        self._lost = lost

    def as_completed(self, function, jobs):
        self._lost.unlink()
        return super().as_completed(function, jobs)


def test_an_image_that_another_machine_does_not_see_is_an_error_and_is_not_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(ingesting, "CHUNK", 2)
    files = [tmp_path / f"{number}.png" for number in range(6)]
    for path in files:
        drawn(70, 70).save(path)
    spool = Folder(str(tmp_path / "spool"))
    with pytest.raises(InputError, match=r"2\.png and .*3\.png"):
        ingest([entry(path) for path in files], spool, LIMITS, executor=Elsewhere(files[3]))
    assert len(spool.files()) == 2, "the chunk before it is kept"


SCRIPT = """
import sys
from emotune.core.storage import Folder
from emotune.data.build import ingest
from emotune.data.build.executor import LocalExecutor
from emotune.data.build.ingest_image import LIMITS
from emotune.data.sources.scenes import Scenes
ingest.CHUNK = 6
ingest.ingest(Scenes(72, seed=2).listing().entries, Folder(sys.argv[1]), LIMITS, executor=LocalExecutor(2))
"""


def test_what_was_read_before_a_kill_is_not_read_again(tmp_path, monkeypatch):
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], start_new_session=True) as process:
        until = time.monotonic() + 60
        while len(list(tmp_path.glob("*.json"))) < 3 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
    finished = {path.stem for path in tmp_path.glob("*.json")}
    assert 3 <= len(finished) < 12, "it was not interrupted in time"
    before = spooled(tmp_path)
    monkeypatch.setattr(ingesting, "CHUNK", 6)
    entries = Scenes(72, seed=2).listing().entries
    advanced: list[int] = []
    taken = ingest(entries, Folder(str(tmp_path)), LIMITS, executor=LocalExecutor(2), advance=advanced.append)
    assert advanced == [6] * 12
    after = spooled(tmp_path)
    assert all(after[name] == before[name] for name in finished)
    assert all(after[f"{name}.json"] == before[f"{name}.json"] for name in finished)
    assert [t.key for t in taken] == [e.key for e in entries]
    for index in (0, 40, 71):
        jpeg = (tmp_path / taken[index].spool).read_bytes()[taken[index].start :][: taken[index].bytes]
        assert jpeg == entries[index].image()
