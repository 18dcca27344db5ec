"""The names in a study stand for the embedded images or for folders of shards."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest

from emotune.config.run import DatasetRef, Selection
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.datasets import location
from emotune.data.datasets.location import is_ready, manifest_of, materialise
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.manifest import FORMAT, MANIFEST, read_manifest, write_manifest
from emotune.data.sources.base import Listing
from emotune.data.sources.class_folders import ClassFolders
from emotune.data.split import split_of


def resolve(names: Iterable[str], part: str = "all") -> tuple[DatasetRef, ...]:
    return resolve_datasets([Selection(data=name, part=part) for name in names])


def refusal(*names: str) -> str:
    with pytest.raises(InputError) as caught:
        resolve(names)
    return str(caught.value)


def test_a_folder_of_shards_is_known_by_its_manifest(small_shards):
    (ref,) = resolve([str(small_shards)])
    manifest = read_manifest(Folder(str(small_shards)))
    assert (ref.name, ref.location, ref.content_hash) == ("scenes", str(small_shards), manifest.content_hash)
    assert is_ready(ref)
    assert manifest_of(ref) == manifest
    assert materialise(ref).local == small_shards


def test_a_relative_folder_is_the_same_from_everywhere(small_shards, tmp_path, monkeypatch):
    monkeypatch.chdir(small_shards.parent)
    (ref,) = resolve([f"./{small_shards.name}"])
    monkeypatch.chdir(tmp_path)
    assert manifest_of(ref) == read_manifest(Folder(str(small_shards)))


def test_shards_behind_a_url_are_known_by_their_manifest(small_shards):
    url = "memory://test-datasets/shards"
    Folder(url).write(MANIFEST, (small_shards / MANIFEST).read_bytes())
    (ref,) = resolve([url])
    assert ref.location == url
    assert ref.content_hash == resolve([str(small_shards)])[0].content_hash


def test_the_embedded_set_is_named_without_drawing_it(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    (ref,) = resolve(["scenes"])
    assert (ref.name, ref.location) == ("scenes", "scenes")
    assert not is_ready(ref)
    assert not (tmp_path / "cache").exists()


def test_the_embedded_set_is_drawn_once_into_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(location, "EMBEDDED_IMAGES", 80)  # a small one is drawn alike, and sooner
    monkeypatch.setattr(location, "EMBEDDED_SEED", 1)
    monkeypatch.setattr(location, "EMBEDDED_SHARES", (0.5, 0.25, 0.25))
    (ref,) = resolve(["scenes"])
    drawn = []
    folder = materialise(ref, drawn.append)
    assert sum(drawn) == 80
    assert is_ready(ref)
    assert folder.local.parent == tmp_path / "cache"
    assert folder.local.name.endswith(f"-format{FORMAT}"), "else an older emotune's shards would be taken for these"
    assert manifest_of(ref).synthetic
    assert manifest_of(ref).content_hash == ref.content_hash
    assert materialise(ref, drawn.append) == folder
    assert sum(drawn) == 80, "it was drawn again"


@pytest.mark.slow
def test_the_embedded_set_has_every_class_in_every_split():
    (ref,) = resolve(["scenes"])
    materialise(ref, workers=2)
    counts = manifest_of(ref).counts
    assert sum(sum(by_class.values()) for by_class in counts.values()) == location.EMBEDDED_IMAGES
    assert min(counts["test"].values()) > 50


def test_a_part_of_a_data_set_is_a_data_set_of_its_own(small_shards, tmp_path):
    folder = Folder(str(shutil.copytree(small_shards, tmp_path / "copy")))
    manifest = read_manifest(folder)
    ones = {split: dict.fromkeys(manifest.classes, 1) for split in manifest.counts}
    write_manifest(folder, replace(manifest, noisy=ones))
    whole, well, noisy = (resolve([folder.url], part)[0] for part in ("all", "well", "noisy"))
    assert [ref.name for ref in (whole, well, noisy)] == ["scenes", "scenes-well", "scenes-noisy"]
    assert len({ref.identity for ref in (whole, well, noisy)}) == 3
    assert whole.identity == manifest.content_hash
    write_manifest(folder, replace(manifest, noisy=ones | {"val": ones["val"] | {"fear": 0}}))
    with pytest.raises(InputError, match=r"noisy .* val .*fear"):
        resolve([folder.url], "noisy")


def test_a_name_that_is_not_a_folder_is_refused_with_the_choices(tmp_path):
    message = refusal(str(tmp_path / "none"))
    assert str(tmp_path / "none") in message
    assert '"scenes"' in message


def test_a_folder_without_shards_is_refused_with_the_command_that_makes_them(tmp_path):
    message = refusal(str(tmp_path))
    assert str(tmp_path) in message
    assert "python -m emotune.shard" in message


@pytest.mark.parametrize("name", ["foo://bucket/shards", "s3:/", "a\0b"])
def test_a_location_that_cannot_be_opened_is_an_input_error_that_names_it(name):
    assert name in refusal(name) or repr(name) in refusal(name)


def test_two_data_sets_of_one_name_are_refused_with_the_remedy(small_shards, tmp_path):
    for other in ("scenes", str(shutil.copytree(small_shards, tmp_path / "copy"))):
        message = refusal(str(small_shards), other)
        assert '"scenes"' in message
        assert "--name" in message


def test_equal_content_in_two_places_is_one_data_set(small_shards, tmp_path):
    copy = shutil.copytree(small_shards, tmp_path / "copy")
    manifest = read_manifest(Folder(str(copy)))
    write_manifest(Folder(str(copy)), replace(manifest, name="copy"))
    (one,), (other,) = resolve([str(small_shards)]), resolve([str(copy)])
    assert (one.content_hash, one.name, other.name) == (other.content_hash, "scenes", "copy")
    with pytest.raises(InputError, match=r'"scenes" .*"copy"'):
        resolve([str(small_shards), str(copy)])


def half_noisy(listing: Listing) -> Listing:
    """Of each class and split, every other image with votes against its label."""
    seen: Counter[tuple[str, str]] = Counter()
    entries = []
    for entry in listing.entries:
        place = entry.label, split_of(hashlib.sha256(entry.image.read_bytes()).hexdigest())
        seen[place] += 1
        entries.append(replace(entry, votes={entry.label: 2, "other": 1 + 2 * (seen[place] % 2)}))
    return replace(listing, entries=entries)


def test_a_part_is_a_data_set_of_its_own_name_and_identity(image_folder, tmp_path):
    out = str(tmp_path / "photos")
    write_shards(half_noisy(ClassFolders(image_folder).listing()), Folder(out))
    well, noisy, whole = (Selection(data=out, part=part) for part in ("well", "noisy", "all"))
    refs = [resolve_datasets([part])[0] for part in (well, noisy, whole)]
    assert len(resolve_datasets([well, noisy])) == 2
    for overlapping in ([well, whole], [whole, noisy], [well, noisy, whole]):
        with pytest.raises(InputError, match="overlap"):
            resolve_datasets(overlapping)
    assert [ref.name for ref in refs] == ["images-well", "images-noisy", "images"]
    assert len({ref.identity for ref in refs}) == 3
    assert len({ref.content_hash for ref in refs}) == 1
    manifest = manifest_of(refs[0])
    for split in manifest.counts:
        for label in manifest.classes:
            both = [manifest.count(split, label, part) for part in ("well", "noisy")]
            assert sum(both) == manifest.count(split, label)
            assert both[0] == both[1]


def test_a_part_that_lacks_a_class_is_refused_with_split_and_class(image_folder, tmp_path):
    write_shards(ClassFolders(image_folder).listing(), Folder(str(tmp_path / "out")))
    with pytest.raises(InputError, match=r"noisy .* train .*amusement, anger"):
        resolve([str(tmp_path / "out")], part="noisy")
