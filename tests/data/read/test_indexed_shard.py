"""Images that are not kept decoded give the same batches as decoded ones, wherever the shards are."""

import hashlib
import http.server
import io
import itertools
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from emotune.config.model import AlexNetConfig, ConstantConfig
from emotune.config.run import DatasetRef, RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.datasets.location import manifest_of
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.manifest import SPLITS, read_manifest, write_manifest
from emotune.data.read import open_dataset
from emotune.data.read.batches import Split, open_split
from emotune.data.read.cache import Cache
from emotune.data.read.indexed_shard import IndexedShard
from emotune.data.read.open_dataset import decoded_shards, open_shards, room_needed
from emotune.data.shard_reader import read_samples, read_shard
from emotune.data.sources.scenes import Scenes


@pytest.fixture(scope="module")
def many_shards(tmp_path_factory) -> Path:
    """80 scenes, half of them to train on, in shards of four."""
    out = tmp_path_factory.mktemp("many") / "shards"
    write_shards(Scenes(80, seed=1).listing(), Folder(str(out)), shares=(0.5, 0.25, 0.25), samples_per_shard=4)
    return out


@pytest.fixture(params=["folder", "memory"])
def location(request, many_shards: Path, tmp_path: Path, monkeypatch) -> str:
    """The location of shards on disk or behind a URL, and an empty cache."""
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    return str(many_shards) if request.param == "folder" else in_memory(many_shards)


def in_memory(folder: Path) -> str:
    url = "memory://indexed/shards"
    for path in folder.iterdir():
        if path.is_file():
            Folder(url).write(path.name, path.read_bytes())
    return url


def kept(tmp_path: Path, pattern: str) -> list[Path]:
    return list(tmp_path.glob(f"cache/decoded/{pattern}"))


def batches_of(split: Split, world_size: int, **options) -> list[tuple[list[int], int, str]]:
    """The batches of all ranks in an epoch and an evaluation: indices, size of the global batch, digest of images."""
    ranks = range(world_size)
    batches = itertools.chain(
        *(split.training_batches(7, 5, 1, rank=rank, world_size=world_size, **options) for rank in ranks),
        *(split.evaluation_batches(9, rank=rank, world_size=world_size) for rank in ranks),
    )
    return [
        (b.indices.tolist(), b.total, hashlib.sha256(b"".join(i.numpy().tobytes() for i in b.images)).hexdigest())
        for b in batches
    ]


@pytest.mark.parametrize("part", ["all", "noisy"])
@pytest.mark.parametrize("order", ["images", "shards"])
def test_batches_are_the_same_decoded_indexed_and_mixed_on_any_number_of_ranks(location, part, order, tmp_path):
    ref = replace(resolve_datasets([location])[0], part=part)
    some = frozenset(shard.sha256 for shard in manifest_of(ref).shards[::2])
    for name in SPLITS:
        indexed = open_split(ref, name, decoded=(), order=order, threads=2)
        expected = {size: batches_of(indexed, size, order=order) for size in (1, 2, 3)}
        assert not kept(tmp_path, "*.npy")
        mixed = open_split(ref, name, decoded=some, order=order, threads=3)
        assert {size: batches_of(mixed, size, order=order) for size in expected} == expected
        decoded = open_split(ref, name)
        assert {size: batches_of(decoded, size, order=order) for size in expected} == expected
        arrays = {"targets": None, "deviations": None, "images": None}
        assert replace(indexed, **arrays) == replace(decoded, **arrays)
        assert np.array_equal(indexed.targets, decoded.targets)
        assert np.array_equal(indexed.deviations, decoded.deviations)
        shutil.rmtree(tmp_path / "cache" / "decoded")
    assert not list(tmp_path.glob("cache/**/*.part"))


def test_copies_are_made_of_shards_behind_a_url_alone(location, tmp_path):
    (ref,) = resolve_datasets([location])
    list(open_split(ref, "train", decoded=()).evaluation_batches(8))
    copies = {hashlib.sha256(path.read_bytes()).hexdigest() for path in kept(tmp_path, "*.tar")}
    assert copies == ({shard.sha256 for shard in manifest_of(ref).shards_of("train")} if "://" in location else set())


def test_votes_are_those_of_the_samples(small_shards):
    (ref,) = resolve_datasets([str(small_shards)])
    samples = [
        sample
        for shard in manifest_of(ref).shards_of("val")
        for sample in read_samples(read_shard(Folder(str(small_shards)), shard), shard.file)
    ]
    for decoded in (None, ()):
        assert open_split(ref, "val", decoded=decoded).votes == tuple(sample.votes for sample in samples)


def test_an_image_that_cannot_be_decoded_is_named_with_its_shard(small_shards, tmp_path):
    folder = Path(shutil.copytree(small_shards, tmp_path / "shards"))
    path, buffer = min(folder.glob("val-*.tar")), io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=buffer, mode="w") as new:
        for entry in old:
            data = b"no image" if entry.name.endswith("jpg") else old.extractfile(entry).read()
            entry.size = len(data)
            new.addfile(entry, io.BytesIO(data))
    path.write_bytes(buffer.getvalue())
    manifest, sha256 = read_manifest(Folder(str(folder))), hashlib.sha256(buffer.getvalue()).hexdigest()
    shards = [
        replace(shard, sha256=sha256, bytes=len(buffer.getvalue())) if shard.file == path.name else shard
        for shard in manifest.shards
    ]
    write_manifest(Folder(str(folder)), replace(manifest, shards=tuple(shards)))
    val = open_split(resolve_datasets([str(folder)])[0], "val", decoded=(), threads=2)
    with pytest.raises(InputError) as caught:
        list(val.evaluation_batches(8))
    assert str(path) in str(caught.value)
    assert any(key in str(caught.value) for key in val.keys)


def test_a_file_of_another_size_than_in_the_manifest_is_noticed_when_it_is_opened_again(shards):
    (ref,) = resolve_datasets([str(shards)])
    open_split(ref, "val", decoded=())
    path = min(shards.glob("val-*.tar"))
    path.write_bytes(path.read_bytes()[:-512])
    with pytest.raises(InputError, match=rf"{path.name}: damaged"):
        open_split(ref, "val", decoded=())
    path.unlink()
    with pytest.raises(InputError, match=rf"{path.name}: missing"):
        open_split(ref, "val", decoded=())


def test_a_shard_behind_a_url_that_is_damaged_is_not_copied(many_shards, tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    url = in_memory(many_shards)
    (ref,) = resolve_datasets([url])
    shard = manifest_of(ref).shards_of("val")[1]
    data = Folder(url).read(shard.file)
    Folder(url).write(shard.file, data[:1000] + bytes([data[1000] ^ 1]) + data[1001:])
    with pytest.raises(InputError, match=rf"{shard.file}: damaged"):
        open_split(ref, "val", decoded=())
    assert shard.sha256 not in {path.name.partition("-")[0] for path in kept(tmp_path, "*")} - {"room.lock"}


def room_for(ref: DatasetRef, count: int) -> float:
    """Gigabytes of the largest files of shards."""
    return (sum(sorted((shard.bytes for shard in manifest_of(ref).shards), reverse=True)[:count]) + 0.5) / 1e9


def test_in_the_order_of_shards_a_small_cache_holds_a_few_copies_at_a_time(many_shards, tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    (ref,) = resolve_datasets([in_memory(many_shards)])
    expected = batches_of(open_split(ref, "train"), 1, order="shards")
    shutil.rmtree(tmp_path / "cache")
    budget = room_for(ref, open_dataset.SHARDS_ON_DISK)
    assert decoded_shards(ref, budget, "shards") == frozenset()
    split = open_split(ref, "train", decoded=(), order="shards", cache_gb=budget, threads=2)
    assert not kept(tmp_path, "*.tar"), "each is copied when it is needed"
    reads = Counter()
    monkeypatch.setattr("emotune.data.read.cache.read_shard", lambda folder, shard: (
        reads.update([shard.file]), read_shard(folder, shard))[1])  # fmt: skip
    with_evaluation = batches_of(split, 1, order="shards")
    assert with_evaluation == expected
    assert sum(path.stat().st_size for path in kept(tmp_path, "*.tar")) <= budget * 1e9
    assert len(reads) == len(split.images.shards) > open_dataset.SHARDS_ON_DISK
    assert max(reads.values()) <= 2, "once an epoch, and once an evaluation"


@pytest.mark.parametrize("order", ["images", "shards"])
def test_copies_that_other_processes_remove_are_made_again(many_shards, order, tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    (ref,) = resolve_datasets([in_memory(many_shards)])
    split = open_split(ref, "train", decoded=(), order=order, threads=2)
    expected = [batch.indices.tolist() for batch in open_split(ref, "train").training_batches(3, 0, 0, order=order)]
    found = []
    for batch in split.training_batches(3, 0, 0, order=order):
        found.append(batch.indices.tolist())
        for path in kept(tmp_path, "*.tar"):
            path.unlink()
    assert found == expected


def test_shards_behind_a_url_that_do_not_fit_the_disk_are_rejected_with_the_numbers(many_shards, tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    (ref,) = resolve_datasets([in_memory(many_shards)])
    all_bytes = sum(shard.bytes for shard in manifest_of(ref).shards)
    usage = shutil.disk_usage("/")

    def disk_with(room: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(total=10**9, free=10**8 + room))

    disk_with(all_bytes)
    assert decoded_shards(ref) == frozenset()
    disk_with(all_bytes - 1)
    with pytest.raises(InputError) as caught:
        decoded_shards(ref)
    message = str(caught.value)
    for part in (f"{all_bytes / 1e9:.3g} GB", f"{(all_bytes - 1) / 1e9:.3g} GB", "EMOTUNE_CACHE", "order: shards"):
        assert part in message
    assert decoded_shards(ref, order="shards") == frozenset()
    disk_with(1000)
    with pytest.raises(InputError, match=r" 9 of "):
        decoded_shards(ref, order="shards")
    with pytest.raises(InputError, match=r"GB.* 0 GB.*--cache-gb"):
        decoded_shards(ref, 0.0)


def test_runs_need_room_for_copies_of_all_shards_or_of_a_few(many_shards, tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    (ref,) = resolve_datasets([in_memory(many_shards)])
    by_image = RunConfig(variant="a", dataset=ref, seed=0, model=AlexNetConfig(), train=TrainConfig())
    by_shard = replace(by_image, train=TrainConfig(order="shards"))
    fitted = replace(by_image, model=ConstantConfig())
    shards = manifest_of(ref).shards
    budget = (sum(shard.bytes for shard in shards) + 0.5) / 1e9
    for runs in ([by_image], [by_shard, by_image], [fitted, by_image]):
        assert room_needed(runs, budget) == sum(shard.bytes for shard in shards)
    for runs in ([by_shard], [fitted], [by_shard, fitted]):
        assert room_needed(runs, budget) == int(1e9 * room_for(ref, open_dataset.SHARDS_ON_DISK))
    open_shards(ref, SPLITS, decoded=(), cache_gb=budget)
    assert room_needed([by_image], budget) == 0


PROGRAM = """
import hashlib, sys, time
from pathlib import Path
from emotune.data.read.batches import open_split
from emotune.data.datasets.resolve import resolve_datasets
url, go = sys.argv[1:]
(ref,) = resolve_datasets([url])
print("ready", flush=True)
while not Path(go).exists(): time.sleep(0.001)
split = open_split(ref, "train", decoded=(), threads=2)
images = [image.numpy().tobytes() for batch in split.training_batches(8, 0, 0) for image in batch.images]
print(hashlib.sha256(b"".join(images)).hexdigest())
"""


@pytest.fixture
def served(many_shards: Path) -> Iterator[tuple[str, Counter]]:
    """The URL of the shards over HTTP, and the number of requests by path."""
    requests = Counter()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            requests[self.path.strip("/")] += 1
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(many_shards)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    thread.join()
    server.server_close()


def test_processes_that_open_at_the_same_time_copy_and_index_each_shard_once(
    served, many_shards, tmp_path, monkeypatch
):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    url, requests = served
    command = [sys.executable, "-c", PROGRAM, url, str(tmp_path / "go")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    (tmp_path / "go").touch()
    outputs = {process.communicate(timeout=120)[0] for process in processes}
    expected = open_split(resolve_datasets([str(many_shards)])[0], "train").training_batches(8, 0, 0)
    images = b"".join(image.numpy().tobytes() for batch in expected for image in batch.images)
    assert outputs == {f"{hashlib.sha256(images).hexdigest()}\n"}
    train = {shard.file for shard in read_manifest(Folder(str(many_shards))).shards_of("train")}
    assert {name: n for name, n in requests.items() if name.endswith(".tar")} == dict.fromkeys(train, 1)


def test_the_index_has_the_position_of_each_image_and_is_made_once(shards, monkeypatch):
    (ref,) = resolve_datasets([Selection(data=str(shards))])
    (shard, *_) = manifest_of(ref).shards_of("val")
    data = (shards / shard.file).read_bytes()
    (opened, *_) = open_shards(ref, ["val"], decoded=())
    for info, sample in zip(opened.samples, read_samples(data, shard.file), strict=True):
        assert data[info.start : info.start + info.bytes] == sample.jpg
    assert isinstance(opened.images, IndexedShard)
    monkeypatch.setattr("emotune.data.read.cache.checked_samples", None)
    cache = Cache(cache_folder() / "decoded")
    assert cache.samples(Folder(str(shards)), shard) == opened.samples
    assert not re.search("copy", "".join(path.name for path in cache.folder.iterdir()))
