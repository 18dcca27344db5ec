"""Other data sets are looked up and compared with the study's before anything is spent; mistakes name the key."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from emotune.config.other_data import OtherData, TransferTest
from emotune.config.run import DatasetRef
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.datasets.resolve_tests import resolve_tests
from emotune.data.manifest import read_manifest, write_manifest
from emotune.data.sources.class_folders import ClassFolders

Shards = Callable[..., str]


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    """Writes shards of images of noise, some of each class, and gives their folder."""

    def write(name: str, classes: list[str], images: int = 12, seed: int = 0) -> str:
        for number, label in enumerate(classes):
            folder = tmp_path / name / label
            folder.mkdir(parents=True)
            for index in range(images):
                image = Image.effect_noise((96, 96), 80 + index + 20 * number + 3 * seed)
                image.convert("RGB").save(folder / f"{index}.png")
        out = tmp_path / f"{name}-shards"
        listing = ClassFolders(tmp_path / name, labels="any").listing()
        write_shards(listing, Folder(str(out)), workers=1)
        return str(out)

    return write


def resolved(others: list[OtherData], *datasets: str) -> tuple[TransferTest, ...]:
    return resolve_tests(others, resolve_datasets(datasets))


def refused(others: list[OtherData], *datasets: str) -> str:
    with pytest.raises(InputError) as caught:
        resolved(others, *datasets)
    return str(caught.value)


def test_a_test_has_the_images_of_the_common_classes(shards: Shards):
    own, other = shards("own", ["awe", "fear", "joy"]), shards("other", ["fear", "joy", "calm"], 20)
    (test,) = resolved([OtherData(data=other)], own)
    assert (test.trained_on, test.name, test.labels.unused_labels) == ("own", "other", ("calm",))
    (everything,) = resolved([OtherData(data=other, split="all")], own)
    assert everything.images == 40 > (test.images or 0) > 0
    assert everything.name != test.name and everything.file != test.file


def test_data_sets_of_one_study_are_tested_by_the_runs_of_the_others(shards: Shards):
    paths = [shards("one", ["awe", "fear"]), shards("two", ["awe", "fear"], seed=1)]
    tests = resolved([OtherData(data=path) for path in paths], *paths)
    assert [(test.trained_on, test.name) for test in tests] == [("two", "one"), ("one", "two")]


def test_mistakes_are_found_before_anything_is_spent(shards: Shards, tmp_path: Path):
    own, same = shards("own", ["awe", "fear"]), OtherData(data=str(tmp_path / "own-shards"))
    assert refused([same], own).startswith(f'test_on: "{own}": the study trains on this data set')
    cats = shards("cats", ["cat", "dog"], seed=2)
    assert "cat and dog" in refused([OtherData(data=cats)], own)
    assert "cat" in refused([OtherData(data=cats, map={"aw": "cat", "fear": "dog"})], own)
    lines = refused([OtherData(data="nowhere"), OtherData(data=cats)], own).splitlines()
    assert len(lines) == 2 and "nowhere" in lines[0] and "cats" in lines[1], "all at once"
    good = OtherData(data=cats, map={"awe": "cat", "fear": "dog"})
    assert "listed twice" in refused([good, good], own)
    assert resolved([good], own)[0].labels.classes == ("cat", "dog")


def test_a_data_set_without_test_images_names_the_remedy(shards: Shards):
    own, other = shards("own", ["awe", "fear"]), shards("other", ["awe", "fear"], seed=3)
    folder = Folder(other)
    manifest = read_manifest(folder)
    write_manifest(folder, replace(manifest, counts={**manifest.counts, "test": {"awe": 0, "fear": 3}}))
    assert "split: all" in refused([OtherData(data=other)], own)
    assert resolved([OtherData(data=other, split="all")], own)[0].images
    noisy = refused([OtherData(data=other, part="noisy")], own)
    assert "0 of awe" in noisy and "another part" in noisy, "all annotators agree"


def test_only_classes_are_tested(shards: Shards):
    own, other = shards("own", ["awe", "fear"]), shards("other", ["awe", "fear"], seed=3)
    folder = Folder(other)
    write_manifest(folder, replace(read_manifest(folder), target="distributions"))
    assert "--target classes" in refused([OtherData(data=other)], own)
    (dataset,) = resolve_datasets([own], "distributions")
    with pytest.raises(InputError, match="distributions"):
        resolve_tests([OtherData(data=own)], [dataset])


def test_the_embedded_images_need_not_be_drawn_to_be_named(shards: Shards, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "empty"))
    (test,) = resolve_tests([OtherData(data="scenes")], [_ref(shards("own", ["negative", "positive"]))])
    assert test.images is None and test.labels.classes == ("negative", "positive")
    assert not (tmp_path / "empty").exists()


def _ref(path: str) -> DatasetRef:
    return resolve_datasets([path])[0]
