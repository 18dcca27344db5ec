"""Shards give back what was written into them, and `verify` finds whatever is not as it was written."""

import hashlib
import io
import json
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.build.verify import describe_damage, verify
from emotune.data.image_io import encode_jpeg
from emotune.data.manifest import HEALTH, MANIFEST, Manifest, Shard, content_line, digest, read_manifest, write_manifest
from emotune.data.shard_reader import read_samples
from emotune.data.sources.class_folders import ClassFolders
from emotune.data.sources.synthetic import draw_scene


@pytest.fixture(scope="module")
def _photos(tmp_path_factory) -> dict[str, bytes]:
    """The files of a small folder of shards of photographs, some of which were left out."""
    root = tmp_path_factory.mktemp("photos")
    for number in range(18):
        folder = root / "images" / ("sea", "city")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(encode_jpeg(draw_scene(number, seed=4).image.resize((80, 80))))
    (root / "images" / "sea" / "broken.jpg").write_bytes(b"no image")
    listing = ClassFolders(root / "images", labels="any").listing()
    write_shards(listing, Folder(str(root / "out")), shares=(0.4, 0.3, 0.3), samples_per_shard=4)
    return {path.name: path.read_bytes() for path in (root / "out").iterdir() if path.name[0] != "."}


@pytest.fixture(params=["disk", "memory"])
def photos(_photos, request, tmp_path) -> Iterator[Folder]:
    """The shards, to be damaged."""
    folder = Folder(str(tmp_path / "out") if request.param == "disk" else f"memory://test-samples/{tmp_path.name}")
    for name, data in _photos.items():
        folder.write(name, data)
    yield folder
    for name in folder.names():
        folder.delete(name)


def problems(folder: Folder) -> list[str]:
    """What `verify` says, be it in its list or in its refusal."""
    try:
        return verify(folder)[1]
    except InputError as error:
        return [str(error)]


def test_sound_shards_have_no_problems_and_every_sample_is_looked_at(photos, small_shards):
    for folder, samples in ((photos, 18), (Folder(str(small_shards)), 160)):
        passed: list[int] = []
        manifest, found = verify(folder, passed.append)
        assert found == []
        assert manifest == read_manifest(folder)
        assert sum(passed) == samples


@pytest.mark.parametrize("kind", ["tar", "csv", "json"])
def test_any_flipped_byte_is_found_and_its_file_is_named(photos, kind):
    generator = np.random.default_rng(3)
    for name in (name for name in photos.names() if name.endswith(kind)):
        whole = photos.read(name)
        count = {"tar": 25, "csv": 60, "json": 200}[kind]
        for position in {0, len(whole) - 1, *(int(p) for p in generator.integers(0, len(whole), count))}:
            damaged = bytearray(whole)
            damaged[position] ^= generator.integers(1, 256)
            photos.write(name, bytes(damaged))
            assert any(name in problem for problem in problems(photos)), (name, position)
        photos.write(name, whole)
    assert problems(photos) == []


def test_even_a_changed_blank_in_the_manifest_is_found(photos):
    photos.write(MANIFEST, photos.read(MANIFEST).replace(b"\n ", b"\n\t", 1))
    (problem,) = problems(photos)
    assert problem.startswith(f"{MANIFEST}: ")


def test_a_file_that_is_cut_short_empty_or_longer_is_found(photos):
    for name in photos.names():
        whole = photos.read(name)
        for damaged in (b"", whole[:-1], whole[: len(whole) // 2], whole + b"\0", whole + b"\n"):
            photos.write(name, damaged)
            assert any(name in problem for problem in problems(photos)), (name, len(damaged))
        photos.write(name, whole)


def test_missing_and_additional_files_are_named(photos):
    first, second = (shard.file for shard in read_manifest(photos).shards[:2])
    photos.write("train-000099-01234567.tar", photos.read(first))
    photos.delete(second)
    photos.delete(HEALTH)
    named = [problem.partition(": ") for problem in problems(photos)]
    assert [(name, "missing" in problem) for name, _, problem in named] == [
        ("train-000099-01234567.tar", False), (HEALTH, True), (second, True),
    ]  # fmt: skip
    photos.delete(MANIFEST)
    assert MANIFEST in problems(photos)[0]


def rewritten(shard: bytes, change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]) -> bytes:
    """The tar with other members."""
    with tarfile.open(fileobj=io.BytesIO(shard)) as tar:
        members = [(entry.name, tar.extractfile(entry).read()) for entry in tar]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in change(members):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), 1
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def with_json(members: list[tuple[str, bytes]], **change: object) -> list[tuple[str, bytes]]:
    """The first sample's JSON with other values."""
    (image, jpg), (name, known), *others = members
    return [(image, jpg), (name, json.dumps(json.loads(known) | change).encode()), *others]


OTHER_IMAGE = encode_jpeg(draw_scene(1, seed=99).image)
TAMPERED: dict[str, Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]] = {
    "a sample removed": lambda members: members[2:],
    "a sample twice": lambda members: [*members, *members[:2]],
    "a sample twice under another key": lambda members: [
        *members, ("f" * 20 + ".jpg", members[0][1]), ("f" * 20 + ".json", members[1][1]),
    ],
    "another image": lambda members: [(members[0][0], OTHER_IMAGE), *members[1:]],
    "another image with its hash": lambda members: with_json(
        [(members[0][0], OTHER_IMAGE), *members[1:]], sha256=hashlib.sha256(OTHER_IMAGE).hexdigest()
    ),
    "another key": lambda members: [("0" * 20 + n[20:] if i < 2 else n, d) for i, (n, d) in enumerate(members)],
    "another known label": lambda members: with_json(
        members, label=({"sea", "city"} - {json.loads(members[1][1])["label"]}).pop()
    ),
    "an unknown label": lambda members: with_json(members, label="joy"),
    "other votes": lambda members: with_json(members, votes={"sea": 3, "other": 1}),
    "no label": lambda members: [members[0], (members[1][0], b"{}"), *members[2:]],
    "no image": lambda members: members[1:],
}  # fmt: skip


def with_fitting_manifest(folder: Folder, name: str, data: bytes, samples: int) -> Manifest:
    """Writes a shard, and a manifest that lists it as it is and fits itself."""
    folder.write(name, data)
    manifest = read_manifest(folder)
    told = Shard(name, name.partition("-")[0], samples, len(data), hashlib.sha256(data).hexdigest())
    shards = tuple(told if shard.file == name else shard for shard in manifest.shards)
    write_manifest(folder, replace(manifest, shards=shards))
    return read_manifest(folder)


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED)
def test_a_changed_shard_is_found_even_if_the_manifest_was_made_to_fit_it(photos, change):
    shard = read_manifest(photos).shards[0]
    data = rewritten(photos.read(shard.file), change)
    photos.write(shard.file, data)
    assert [problem.partition(":")[0] for problem in problems(photos)] == [shard.file]
    for samples in (shard.samples - 1, shard.samples, shard.samples + 1):
        with_fitting_manifest(photos, shard.file, data, samples)
        assert problems(photos), samples


def test_a_shard_rewritten_without_changes_is_reported_as_such_and_fits_a_manifest_that_lists_it(photos):
    shard = read_manifest(photos).shards[0]
    data = rewritten(photos.read(shard.file), lambda members: members)
    photos.write(shard.file, data)
    (problem,) = problems(photos)
    assert problem.startswith(f"{shard.file}: changed, ")
    with_fitting_manifest(photos, shard.file, data, shard.samples)
    assert problems(photos) == []


@pytest.mark.parametrize("change", ["another image", "a sample removed", "an unknown label"])
def test_a_changed_shard_of_scenes_is_found_though_their_content_hash_is_not_that_of_the_files(
    small_shards, tmp_path, change
):
    folder = Folder(str(shutil.copytree(small_shards, tmp_path / "scenes")))
    shard = read_manifest(folder).shards[0]
    data = rewritten(folder.read(shard.file), TAMPERED[change])
    with_fitting_manifest(folder, shard.file, data, shard.samples - (change == "a sample removed"))
    assert problems(folder)


@pytest.mark.parametrize("changed", ["content_hash", "counts", "shards"])
def test_a_manifest_that_contradicts_its_samples_is_found(photos, changed):
    manifest = read_manifest(photos)
    train = manifest.counts["train"]
    values = {
        "content_hash": "0" * 64, "counts": manifest.counts | {"train": train | {"sea": train["sea"] + 1}}, "shards": ()
    }  # fmt: skip
    write_manifest(photos, replace(manifest, **{changed: values[changed]}))
    assert problems(photos)


def test_an_image_in_two_shards_is_found_even_if_everything_in_the_manifest_was_made_to_fit(photos):
    manifest = read_manifest(photos)
    one, other = (shard for shard in manifest.shards_of("train")[:2])
    first = next(read_samples(photos.read(one.file), one.file))
    known = json.dumps({"label": first.label, "votes": first.votes, "source": first.source,
                        "split_group": first.group, "sha256": first.sha256}).encode()  # fmt: skip
    more = [(f"{first.key}.jpg", first.jpg), (f"{first.key}.json", known)]
    data = rewritten(photos.read(other.file), lambda members: members + more)
    manifest = with_fitting_manifest(photos, other.file, data, other.samples + 1)
    lines = [content_line(s.key, s.label, s.votes, shard.split, s.sha256) for shard in manifest.shards
             for s in read_samples(photos.read(shard.file), shard.file)]  # fmt: skip
    train = manifest.counts["train"] | {first.label: manifest.counts["train"][first.label] + 1}
    fitting = replace(manifest, counts=manifest.counts | {"train": train}, content_hash=digest(sorted(lines)))
    write_manifest(photos, fitting)
    assert len(problems(photos)) == 1


def test_a_manifest_with_a_wrong_number_of_samples_is_found(photos):
    manifest = read_manifest(photos)
    first, *others = manifest.shards
    write_manifest(photos, replace(manifest, shards=(replace(first, samples=first.samples + 1), *others)))
    (problem,) = problems(photos)
    assert re.match(rf"{first.file}: {first.samples} samples.* {first.samples + 1}$", problem)


def test_damage_of_a_shard_is_described(photos):
    shard = read_manifest(photos).shards[0]
    whole = photos.read(shard.file)
    assert describe_damage(photos.read(shard.file), shard) == ""
    first = next(read_samples(whole, shard.file))
    at = whole.index(first.jpg) + len(first.jpg) // 2
    for data, words in (
        (whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], f"changed: {first.key}"),
        (rewritten(whole, TAMPERED["a sample removed"]), f"{shard.samples - 1} samples, "),
        (b"no tar", "damaged: its 6 bytes "),
    ):
        photos.write(shard.file, data)
        assert describe_damage(photos.read(shard.file), shard).startswith(words)
    photos.delete(shard.file)
    assert describe_damage(photos.read(shard.file), shard) == "missing"


def test_a_damaged_shard_is_an_input_error_that_names_it(small_shards):
    path = sorted(small_shards.glob("*.tar"))[0]
    data = path.read_bytes()
    for damaged in (b"", b"no tar", data[: len(data) // 2], b"\x1f\x8b" + data[2:], bytes([255]) * len(data)):
        with pytest.raises(InputError) as caught:
            list(read_samples(damaged, str(path)))
        assert str(path) in str(caught.value)
        assert "emotune.shard" in str(caught.value)
        assert "object at 0x" not in str(caught.value), "the message shows the address of an object"


WHOLE = {"label": "awe", "votes": {}, "source": "s", "split_group": "g", "sha256": "h"}


@pytest.mark.parametrize(
    "files", [{"a.jpg": b"x"}, {"a.json": json.dumps(WHOLE).encode()}, {"a.jpg": b"x", "a.json": b"{}"},
              {"a.jpg": b"x", "a.json": b"[]"}, {"a.jpg": b"x", "a.json": b"{"},
              *({"a.jpg": b"x", "a.json": json.dumps({k: v for k, v in WHOLE.items() if k != key}).encode()}
                for key in WHOLE)],
    ids=["no json", "no jpg", "nothing", "list", "broken", *(f"no {key}" for key in WHOLE)],
)  # fmt: skip
def test_a_sample_without_its_image_or_what_is_known_of_it_is_an_input_error(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    with pytest.raises(InputError, match=r"some\.tar"):
        list(read_samples(buffer.getvalue(), "some.tar"))


def test_every_sample_says_what_it_is_and_where_it_comes_from(_photos, tmp_path):
    manifest = json.loads(_photos[MANIFEST])
    samples = [s for shard in manifest["shards"] for s in read_samples(_photos[shard["file"]], shard["file"])]
    assert {s.source for s in samples} == {f"{('sea', 'city')[n % 2]}/{n}.jpg" for n in range(18)}
    for sample in samples:
        assert sample.key == hashlib.sha256(sample.jpg).hexdigest()[:20] == sample.group
        assert sample.sha256 == hashlib.sha256(sample.jpg).hexdigest()
        assert sample.votes == {sample.label: 1}
        assert Path(sample.source).parent == Path(sample.label)
