"""Features are computed once per machine, by any number of processes."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from emotune.data.manifest import Shard
from emotune.data.read.feature_cache import FeatureCache, FeatureFile, row_type

SHAPES = [(8, 1, 1), (3, 2, 2)]
ROW = row_type(SHAPES)
SHARDS = [Shard(file=f"{n}.tar", sha256=f"{n}" * 64, split="train", samples=samples, bytes=1)
          for n, samples in enumerate((7, 5, 4))]  # fmt: skip
FILES = [FeatureFile(shard, view, "digest", ROW) for shard in SHARDS for view in ("v0", "v1")]


def values_of(file: FeatureFile) -> np.ndarray:
    """Rows that tell shard, view and image apart."""
    rows = np.zeros(file.shard.samples, ROW)
    first = 1000 * SHARDS.index(file.shard) + 100 * int(file.view[1:]) + np.arange(file.shard.samples)
    rows["0"] = first.reshape(-1, 1, 1, 1)
    rows["1"] = np.arange(12).reshape(2, 2, 3) + 0.5
    return rows


def parts_of(file: FeatureFile) -> Iterator[np.ndarray]:
    rows = values_of(file)
    yield rows[:3]
    yield rows[3:]


def cache(folder: Path, gigabytes: float | None = None, used: tuple[FeatureFile, ...] = ()) -> FeatureCache:
    return FeatureCache(folder, gigabytes, used=frozenset(used))


def test_features_are_computed_once(tmp_path):
    store, computed = cache(tmp_path), []
    assert store.open(FILES[0]) is None
    assert store.missing(FILES) == FILES

    def compute(file: FeatureFile) -> Iterator[np.ndarray]:
        computed.append(file)
        return parts_of(file)

    for _ in range(2):
        store.make(FILES, compute)
    assert computed == FILES
    assert store.missing(FILES) == []
    for file in FILES:
        rows = store.open(file)
        assert isinstance(rows, np.memmap)
        assert rows.dtype == ROW
        assert np.array_equal(rows, values_of(file))
        assert rows.filename is not None
        assert Path(rows.filename).stat().st_size == store.bytes_of(file)


def test_another_key_has_other_files(tmp_path):
    store, others = cache(tmp_path), [file._replace(key="other") for file in FILES]
    store.make(FILES, parts_of)
    assert store.missing(others) == others


def test_some_images_of_a_shard_have_a_file_of_their_own(tmp_path):
    store, whole = cache(tmp_path), FILES[0]
    parts = [whole._replace(images=range(first, min(first + 3, 7))) for first in (0, 3, 6)]
    store.make(parts, lambda file: [values_of(file)[file.images.start : file.images.stop]])
    assert store.missing([whole, *parts]) == [whole]
    opened = [store.open(part) for part in parts]
    assert [len(rows) for rows in opened if rows is not None] == [3, 3, 1]
    assert np.array_equal(np.concatenate([rows for rows in opened if rows is not None]), values_of(whole))


def test_what_fails_leaves_no_file(tmp_path):
    def broken(file: FeatureFile) -> Iterator[np.ndarray]:
        yield values_of(file)[:3]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        cache(tmp_path).make(FILES, broken)
    with pytest.raises(ValueError, match="3 rows of 7"):
        cache(tmp_path).make(FILES, lambda file: [values_of(file)[:3]])
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]


def test_features_share_the_room_of_the_cache(tmp_path):
    """The least recently used files are removed, whatever they hold, but none that this run uses."""
    store = cache(tmp_path)
    sizes = {file: store.bytes_of(file) for file in FILES}
    image = tmp_path / f"{'a' * 64}-256.npy"
    image.write_bytes(b"x" * 100)
    os.utime(image, (1, 1))
    kept, others = FILES[:2], FILES[2:4]
    store.make(others, parts_of)
    store.make(kept, parts_of)
    room = (sum(sizes[file] for file in (*kept, FILES[4])) + 50) / 1e9
    tight = cache(tmp_path, room, tuple(kept))
    tight.make([FILES[4]], parts_of)
    assert not image.exists()
    assert tight.missing(FILES) == [*others, FILES[5]]
    assert tight.fits([*kept, FILES[4]])
    assert not tight.fits(FILES)


def make_all(folder: Path, first: int, log: str) -> None:
    """A process that makes all files, beginning at one of them, and writes down which ones it computed."""

    def compute(file: FeatureFile) -> Iterator[np.ndarray]:
        with Path(log).open("a") as out:
            out.write(f"{file.shard.file} {file.view}\n")
        return parts_of(file)

    cache(folder).make(FILES[first:] + FILES[:first], compute)
    assert not cache(folder).missing(FILES)


def test_processes_share_the_work(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=make_all, args=(tmp_path, n, str(tmp_path / "log"))) for n in (0, 2, 4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sorted((tmp_path / "log").read_text().split("\n")[:-1]) == sorted(f"{f.shard.file} {f.view}" for f in FILES)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_feature_cache import FILES, cache, values_of
def compute(file):
    yield values_of(file)[:2]
    if file == FILES[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    yield values_of(file)[2:]
cache(Path(sys.argv[1])).make(FILES, compute)
"""


def test_a_killed_process_leaves_what_it_has_completed(tmp_path):
    paths = [*sys.path, str(Path(__file__).parent)]
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), *paths], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.glob("*.part"))
    store = cache(tmp_path)
    assert store.missing(FILES) == FILES[2:]
    store.make(FILES, parts_of)
    assert not list(tmp_path.glob("*.part"))
    for file in FILES:
        rows = store.open(file)
        assert rows is not None
        assert np.array_equal(rows, values_of(file))
