"""Thumbnails show what networks see, and only images that may be shown."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from videos import write_class_folders

from emotune.config.input_spec import InputSpec
from emotune.config.run import DatasetRef
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.datasets.location import manifest_of
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.manifest import MANIFEST, Manifest, read_manifest
from emotune.data.read.thumbnails import thumbnails
from emotune.data.shard_reader import checked_samples, decode_sample
from emotune.data.sources.class_folders import ClassFolders
from emotune.data.sources.video import Video


def keys_of_test_images(ref: DatasetRef) -> list[str]:
    folder = Folder(ref.location)
    return [s.key for shard in manifest_of(ref).shards_of("test") for s in checked_samples(folder, shard)]


@pytest.fixture
def drawn(small_shards: Path) -> DatasetRef:
    return resolve_datasets([str(small_shards)])[0]


@pytest.mark.parametrize("seen", [InputSpec(), InputSpec(side=96, resize=128, interpolation="bilinear")])
def test_a_thumbnail_is_what_networks_see_of_the_image_in_small(drawn: DatasetRef, seen: InputSpec):
    first, second, *_ = keys_of_test_images(drawn)
    found = thumbnails(drawn, [second, "not there", first], input_spec=seen)
    assert list(found) == [second, first]
    image = Image.open(io.BytesIO(found[first]))
    assert (image.format, image.size) == ("JPEG", (96, 96))
    folder = Folder(drawn.location)
    sample = next(
        s for shard in manifest_of(drawn).shards_of("test") for s in checked_samples(folder, shard) if s.key == first
    )
    whole = Image.fromarray(decode_sample(sample, "", seen))
    box = (14, 14, 241, 241) if seen == InputSpec() else (16, 16, 112, 112)
    crop, whole = (p.resize((96, 96), Image.Resampling.LANCZOS) for p in (whole.crop(box), whole))
    assert np.abs(np.asarray(image, float) - np.asarray(crop, float)).mean() < 6
    assert np.abs(np.asarray(image, float) - np.asarray(whole, float)).mean() > 6
    assert thumbnails(drawn, [first], input_spec=seen) == {first: found[first]}, "the same bytes each time"


def test_clips_are_shown_by_their_middle_frame_or_by_all_frames_in_the_order_of_time(tmp_path: Path):
    clips = write_class_folders(tmp_path / "in", 20)
    listing = Video(clips, frames=3, labels="any").listing()
    write_shards(listing, Folder(str(tmp_path / "clips")), shares=(0.4, 0.3, 0.3), allow_thumbnails=True)
    (ref,) = resolve_datasets([str(tmp_path / "clips")])
    key = keys_of_test_images(ref)[0]
    middle = np.asarray(Image.open(io.BytesIO(thumbnails(ref, [key])[key])), float)
    strip = np.asarray(Image.open(io.BytesIO(thumbnails(ref, [key], strips=True)[key])), float)
    assert (middle.shape, strip.shape) == ((96, 96, 3), (96, 288, 3))
    away = [np.abs(middle - strip[:, 96 * n : 96 * n + 96]).mean() for n in range(3)]
    assert away[1] < 2 < min(away[0], away[2])


def photographs(tmp_path: Path, **options: bool) -> Manifest:
    images = tmp_path / "images"
    if not images.exists():
        rng = np.random.default_rng(0)
        for label in ("happy", "sad"):
            (images / label).mkdir(parents=True)
            for number in range(20):
                image = Image.fromarray(rng.integers(0, 256, (80, 80, 3), np.uint8))
                image.save(images / label / f"{number}.png")
    listing = ClassFolders(images, labels="any").listing()
    return write_shards(listing, Folder(str(tmp_path / "shards")), shares=(0.4, 0.3, 0.3), **options)


def test_photographs_are_only_shown_while_the_manifest_allows_it(tmp_path: Path):
    made = photographs(tmp_path)
    (ref,) = resolve_datasets([str(tmp_path / "shards")])
    ids = keys_of_test_images(ref)
    assert thumbnails(ref, ids) == {}
    allowed = photographs(tmp_path, allow_thumbnails=True)
    assert thumbnails(ref, ids).keys() == set(ids)
    assert allowed.content_hash == made.content_hash, "runs stay what they are"
    assert allowed.shards == made.shards
    assert not photographs(tmp_path).may_show_images
    assert thumbnails(ref, ids) == {}


def test_a_manifest_without_the_permission_can_be_read_and_shows_nothing(tmp_path: Path):
    photographs(tmp_path)
    path = tmp_path / "shards" / MANIFEST
    old = json.loads(path.read_text())
    del old["allow_thumbnails"], old["sha256"]
    old["sha256"] = hashlib.sha256(json.dumps(old, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(old))
    assert not read_manifest(Folder(str(tmp_path / "shards"))).may_show_images


def test_synthetic_images_need_no_permission_but_must_have_been_drawn(drawn, tmp_path, monkeypatch):
    assert manifest_of(drawn).may_show_images
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path))
    (scenes,) = resolve_datasets(["scenes"])
    assert thumbnails(scenes, ["0"]) == {}


def test_missing_shards_give_no_thumbnails(drawn: DatasetRef, tmp_path: Path):
    (tmp_path / MANIFEST).write_bytes((Path(drawn.location) / MANIFEST).read_bytes())
    ids = keys_of_test_images(drawn)
    assert thumbnails(replace(drawn, location=str(tmp_path)), ids) == {}
