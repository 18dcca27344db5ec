"""Shards hold every image once, and are the same wherever they are made."""

import csv
import hashlib
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotune.config.labels import MIKELS
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.annotations import agreement_of
from emotune.data.build import shard_files
from emotune.data.build.ingest_image import Limits
from emotune.data.build.shards import write_shards
from emotune.data.build.verify import verify
from emotune.data.manifest import HEALTH, MANIFEST, SPLITS, Manifest, read_manifest
from emotune.data.shard_reader import Sample, read_samples
from emotune.data.sources.base import Listing
from emotune.data.sources.class_folders import ClassFolders
from emotune.data.sources.scenes import Scenes
from emotune.data.split import split_of

SHARES = (0.5, 0.25, 0.25)


def sharded(images: Path | Listing, out: Path, **options) -> Manifest:
    listing = ClassFolders(images).listing() if isinstance(images, Path) else images
    return write_shards(listing, Folder(str(out)), **options)


def content_key(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:20]


def of_split(images: Path, label: str, split: str) -> list[Path]:
    return [path for path in sorted((images / label).iterdir()) if split_of(content_key(path)) == split]


def samples_of(out: Path) -> dict[str, list[Sample]]:
    manifest = read_manifest(Folder(str(out)))
    return {
        split: [
            s for shard in manifest.shards_of(split) for s in read_samples((out / shard.file).read_bytes(), shard.file)
        ]
        for split in SPLITS
    }


def contents(out: Path) -> dict[str, bytes]:
    """All but hidden files, of which the lock and the spool may stay."""
    return {path.name: path.read_bytes() for path in out.iterdir() if not path.name.startswith(".")}


def test_the_shards_are_as_the_manifest_lists_them(small_shards):
    manifest = read_manifest(Folder(str(small_shards)))
    assert {path.name for path in small_shards.glob("*.tar*")} == {shard.file for shard in manifest.shards}
    for shard in manifest.shards:
        data = (small_shards / shard.file).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (shard.bytes, shard.sha256)
        assert len(list(read_samples(data, shard.file))) == shard.samples <= 30
    for split, samples in samples_of(small_shards).items():
        assert len(manifest.shards_of(split)) > 1
        labels = [sample.label for sample in samples]
        assert {label: labels.count(label) for label in MIKELS} == manifest.counts[split]
        assert all(split_of(sample.key, SHARES) == split for sample in samples)


def test_every_image_of_the_source_is_in_the_shards_once(small_shards):
    entries = Scenes(160, seed=1).listing().entries
    found = [sample for samples in samples_of(small_shards).values() for sample in samples]
    assert sorted((s.key, s.label, s.source, json.dumps(s.votes)) for s in found) == sorted(
        (e.key, e.label, e.source, json.dumps(e.votes)) for e in entries
    )
    assert next(s.jpg for s in found if s.key == entries[17].key) == entries[17].image()


def test_shards_behind_a_url_are_those_in_a_folder_to_the_byte(image_folder, tmp_path):
    manifest = sharded(image_folder, tmp_path / "out", samples_per_shard=9)
    for out in (Folder("memory://test-shards/out"), Folder(f"file://{tmp_path}/url")):
        listing = ClassFolders(image_folder).listing()
        assert write_shards(listing, out, samples_per_shard=9) == read_manifest(out) == manifest
        names = [name for name in out.names() if not name.startswith(".")]
        assert {name: out.read(name) for name in names} == contents(tmp_path / "out")
    assert not list(cache_folder().glob("spool/*/.spool"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_standard_webdataset_reader_reads_every_sample_once(small_shards):
    import webdataset

    manifest = read_manifest(Folder(str(small_shards)))
    urls = [str(small_shards / shard.file) for shard in manifest.shards]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil"))
    assert len({sample["__key__"] for sample in samples}) == len(samples) == 160
    assert {sample["jpg"].size for sample in samples} == {(256, 256)}
    assert {sample["json"]["label"] for sample in samples} == set(MIKELS)


def test_the_same_images_give_the_same_bytes_in_another_folder(image_folder, tmp_path):
    (image_folder / "awe" / "broken.jpg").write_bytes(b"no image")
    one = sharded(image_folder, tmp_path / "one")
    elsewhere = Path(shutil.copytree(image_folder, tmp_path / "moved" / "images"))
    for path in elsewhere.rglob("*.*"):
        os.utime(path, (1, 1))
    other = sharded(elsewhere, tmp_path / "other", workers=2)
    assert replace(other, recipe=one.recipe) == one, "only the recipe knows where the images were, and how old"
    in_one, in_other = contents(tmp_path / "one"), contents(tmp_path / "other")
    assert in_one.pop(MANIFEST) != in_other.pop(MANIFEST)
    assert in_one == in_other


def test_the_content_hash_does_not_depend_on_the_cut_into_shards_nor_on_file_names(image_folder, tmp_path):
    one = sharded(image_folder, tmp_path / "one")
    for path in list(image_folder.rglob("*.*g")):
        path.rename(path.with_stem(f"renamed-{path.stem}"))
    two = sharded(image_folder, tmp_path / "two", samples_per_shard=7)
    assert len(two.shards) > len(one.shards)
    assert two.content_hash == one.content_hash


def test_the_content_hash_changes_with_a_label_an_image_a_vote_and_the_split(image_folder, tmp_path):
    hashes = [sharded(image_folder, tmp_path / "one").content_hash]
    listing = ClassFolders(image_folder).listing()
    voted = [replace(entry, votes={entry.label: 3, "other": 1}) for entry in listing.entries]
    hashes.append(sharded(replace(listing, entries=voted), tmp_path / "votes").content_hash)
    of_split(image_folder, "awe", "train")[0].rename(image_folder / "fear" / "moved.jpg")
    hashes.append(sharded(image_folder, tmp_path / "label").content_hash)
    (image_folder / "fear" / "moved.jpg").unlink()
    hashes.append(sharded(image_folder, tmp_path / "fewer").content_hash)
    hashes.append(sharded(image_folder, tmp_path / "split", shares=(0.6, 0.2, 0.2)).content_hash)
    smaller = sharded(image_folder, tmp_path / "smaller", limits=Limits(shorter_side=20))
    hashes.append(smaller.content_hash)
    assert len(set(hashes)) == 6


def test_scenes_split_otherwise_are_another_data_set(tmp_path):
    """Else runs on one of them would count as runs on the other."""
    listing = Scenes(80, seed=1).listing()
    one = sharded(listing, tmp_path / "one", shares=SHARES)
    other = sharded(listing, tmp_path / "other", shares=(0.34, 0.33, 0.33))
    assert one.counts != other.counts
    assert one.content_hash != other.content_hash


def test_noisy_images_are_counted_by_split_and_class(small_shards):
    manifest = read_manifest(Folder(str(small_shards)))
    for split, samples in samples_of(small_shards).items():
        noisy = [sample.label for sample in samples if agreement_of(sample.label, sample.votes) == "noisy"]
        assert {label: noisy.count(label) for label in MIKELS} == manifest.noisy[split]
        assert 0 < len(noisy) < len(samples)
        for label in MIKELS:
            assert manifest.count(split, label, "well") + noisy.count(label) == manifest.counts[split][label]


def test_adding_and_renaming_images_moves_none_to_another_split(image_folder, tmp_path):
    sharded(image_folder, tmp_path / "one")
    before = {split: {s.key for s in samples} for split, samples in samples_of(tmp_path / "one").items()}
    for number, path in enumerate(sorted(image_folder.rglob("*.*g"))):
        (path.parent / "deeper").mkdir(exist_ok=True)
        path.rename(path.parent / "deeper" / f"renamed {1000 - number}.image")
    generator = np.random.default_rng(8)
    for label in MIKELS:
        Image.fromarray(generator.integers(0, 256, (72, 96, 3), np.uint8)).save(image_folder / label / "0.png")
    sharded(image_folder, tmp_path / "two")
    after = {split: {s.key for s in samples} for split, samples in samples_of(tmp_path / "two").items()}
    assert sum(map(len, after.values())) == sum(map(len, before.values())) + 8
    assert all(before[split] <= after[split] for split in SPLITS)


def test_files_that_are_not_images_are_listed_and_all_others_are_stored(image_folder, tmp_path):
    whole = {content_key(path) for path in image_folder.rglob("*.*g")}
    bad = {
        "awe/empty.jpg": (b"", "undecodable", "empty"),
        "awe/page.jpg": (b"<html>404</html>", "undecodable", "HTML page"),
        "fear/half, with comma.jpg": (
            next((image_folder / "fear").glob("*.jpg")).read_bytes()[:700], "truncated", "damaged",
        ),
        "sadness/ünïcode\nname.png": (b"\x89PNG\r\n\x1a\n", "truncated", ""),
    }  # fmt: skip
    for name, (data, _, _) in bad.items():
        (image_folder / name).write_bytes(data)
    manifest = sharded(image_folder, tmp_path / "out", samples_per_shard=10, workers=2)
    assert {s.key for samples in samples_of(tmp_path / "out").values() for s in samples} == whole
    with (tmp_path / "out" / HEALTH).open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["source", "label", "problem", "detail", "left_out"]
    assert {(source, label, problem, left_out) for source, label, problem, _, left_out in rows} == {
        (name, name.split("/")[0], problem, "yes") for name, (_, problem, _) in bad.items()
    }
    assert len(rows) == len(bad)
    assert all(bad[source][2] in detail for source, _, _, detail, _ in rows)
    assert manifest.health == {"undecodable": {"awe": 2}, "truncated": {"fear": 1, "sadness": 1}}
    assert manifest.left_out == {"undecodable": 2, "truncated": 2}


def test_a_file_name_that_is_not_utf8_does_not_end_the_command(image_folder, tmp_path):
    for label, data in (("awe", Image.effect_noise((80, 80), 90).convert("RGB")), ("fear", None)):
        path = os.fsencode(image_folder / label) + b"/\xe9t\xe9.png"
        with open(path, "wb") as file:  # noqa: PTH123 - pathlib takes no bytes
            data.save(file, "PNG") if data else file.write(b"no image")
    manifest = sharded(image_folder, tmp_path / "out")
    assert sum(shard.samples for shard in manifest.shards) == 65
    assert manifest.left_out == {"undecodable": 1}


def test_shards_of_one_image_hold_all_readable_images(image_folder, tmp_path):
    (image_folder / "awe" / "broken.jpg").write_bytes(b"no image")
    manifest = sharded(image_folder, tmp_path / "out", samples_per_shard=1)
    assert sum(shard.samples for shard in manifest.shards) == len(manifest.shards) == 64
    assert sum(map(len, samples_of(tmp_path / "out").values())) == 64


def test_a_shard_has_no_more_bytes_of_images_than_allowed_unless_one_has_more(image_folder, tmp_path, monkeypatch):
    whole = sharded(image_folder, tmp_path / "whole")
    sizes = {len(s.jpg) for samples in samples_of(tmp_path / "whole").values() for s in samples}
    limit = (min(sizes) + max(sizes)) // 2 + min(sizes)
    monkeypatch.setattr(shard_files, "MAX_SHARD_BYTES", limit)
    cut = sharded(image_folder, tmp_path / "cut")
    assert len(cut.shards) > len(whole.shards)
    assert cut.content_hash == whole.content_hash
    images = [[len(s.jpg) for s in read_samples((tmp_path / "cut" / shard.file).read_bytes(), shard.file)]
                for shard in cut.shards]  # fmt: skip
    assert max(map(len, images)) > 1
    assert all(sum(sizes) <= limit for sizes in images)
    monkeypatch.setattr(shard_files, "MAX_SHARD_BYTES", 1)
    assert len(sharded(image_folder, tmp_path / "single").shards) == 64


def test_a_class_that_cannot_be_in_every_split_is_rejected_before_any_image_is_read(image_folder, tmp_path):
    for label in ("awe", "fear"):
        for path in sorted((image_folder / label).iterdir())[2:]:
            path.unlink()
    passed = []
    with pytest.raises(InputError) as caught:
        sharded(image_folder, tmp_path / "out", advance=passed.append)
    message = str(caught.value)
    assert all(re.search(rf'"{label}"\D* 2 ', message) for label in ("awe", "fear"))
    assert "train, val, test" in message
    assert not passed
    assert not (tmp_path / "out").exists()


def test_a_class_whose_hashes_miss_a_split_is_still_in_every_split(image_folder, tmp_path):
    for label in ("awe", "fear"):
        for path in of_split(image_folder, label, "val"):
            path.unlink()
    manifest = sharded(image_folder, tmp_path / "out")
    assert all(manifest.counts[split][label] for split in SPLITS for label in MIKELS)
    assert manifest.counts["val"]["awe"] == 1
    assert verify(Folder(str(tmp_path / "out")))[1] == []


def test_three_images_of_a_class_are_enough_and_two_are_not(image_folder, tmp_path):
    for path in sorted((image_folder / "awe").iterdir())[3:]:
        path.unlink()
    assert {s: sharded(image_folder, tmp_path / "out").counts[s]["awe"] for s in SPLITS} == dict.fromkeys(SPLITS, 1)
    next((image_folder / "awe").iterdir()).unlink()
    with pytest.raises(InputError, match=r'"awe"\D* 2 '):
        sharded(image_folder, tmp_path / "few")


def test_a_class_with_unreadable_images_is_rejected_and_the_earlier_shards_stay_valid(image_folder, tmp_path):
    out = tmp_path / "out"
    sharded(image_folder, out)
    before = contents(out)
    names = sorted((image_folder / "awe").iterdir())
    for path in names[:-2]:
        path.write_bytes(b"no image")
    with pytest.raises(InputError) as caught:
        sharded(image_folder, out)
    message = str(caught.value)
    assert re.search(r'"awe".*\b6 undecodable', message)
    assert f"awe/{names[0].name}" in message
    assert str(out / "health.refused.csv") in message
    assert contents(out).pop("health.refused.csv").count(b"undecodable") == 6
    assert contents(out).items() > before.items()
    assert verify(Folder(str(out)))[1] == []


def test_health_csv_is_also_written_without_shards_and_does_not_block_the_next_call(image_folder, tmp_path):
    out, names = tmp_path / "out", sorted((image_folder / "awe").iterdir())
    whole = {path: path.read_bytes() for path in names}
    for path in names:
        path.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"health\.csv"):
        sharded(image_folder, out)
    assert list(contents(out)) == [HEALTH]
    for path, data in whole.items():
        path.write_bytes(data)
    assert sharded(image_folder, out).left_out == {}


def test_a_folder_with_other_files_is_left_as_it_is(image_folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.pdf").write_bytes(b"x")
    with pytest.raises(InputError, match=r"/out: .*thesis\.pdf"):
        sharded(image_folder, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {"thesis.pdf": b"x"}


def test_another_set_of_images_replaces_the_earlier_shards(image_folder, tmp_path):
    out = tmp_path / "out"
    sharded(image_folder, out, samples_per_shard=5)
    generator = np.random.default_rng(9)
    for label in MIKELS:
        for number in range(3):
            pixels = generator.integers(0, 256, (70, 70, 3), np.uint8)
            Image.fromarray(pixels).save(image_folder / label / f"new-{number}.png")
    manifest = sharded(image_folder, out, samples_per_shard=6)
    assert set(contents(out)) == {s.file for s in manifest.shards} | {MANIFEST, HEALTH}
    assert sum(map(len, samples_of(out).values())) == 88
