"""What networks have seen is found in another data set, copied, mirrored or under its own key, and nothing else is."""

from dataclasses import replace
from pathlib import Path

import pytest
from other_sets import altered, mirrored_and_toned, samples_of, smaller, write_polarity

from emotune.config.division import Division
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError
from emotune.data.annotations import agreement_of
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.read.near_training import near_training

KEYS = [f"{number:x}" * 20 for number in range(10, 15)]


@pytest.fixture
def polar(small_shards: Path, tmp_path: Path) -> str:
    """Scenes of their own, and five images of `small_shards` for testing: three of train, one of val, one of test."""
    train, val, test = (samples_of(small_shards, split) for split in ("train", "val", "test"))
    copies = {
        KEYS[0]: altered(train[0], smaller), KEYS[1]: altered(train[1], mirrored_and_toned),
        KEYS[2]: altered(val[0], smaller), KEYS[3]: altered(test[0], smaller),
        train[2].key: altered(samples_of(small_shards, "test")[1], smaller),
    }  # fmt: skip
    write_polarity(tmp_path / "polar", copies)
    return str(tmp_path / "polar")


def test_copies_of_what_was_seen_are_found_and_those_of_test_images_are_not(polar: str, small_shards: Path):
    trained_on, other = resolve_datasets([str(small_shards), polar])
    by_key = samples_of(small_shards, "train")[2].key
    assert near_training(trained_on, other, ("test",)) == {*KEYS[:3], by_key}
    assert near_training(trained_on, other, ("train", "val")) == set()
    divided = replace(trained_on, name="small-fold1of2", division=Division(folds=2, fold=1))
    assert near_training(divided, other, ("test",)) == {*KEYS[:4], by_key}, "each image is trained on in some fold"


def test_only_images_of_the_part_that_was_used_count_as_seen(small_shards: Path, tmp_path: Path):
    by_part: dict[str, set[str]] = {"well": set(), "noisy": set()}
    copies = {}
    for number, one in enumerate(samples_of(small_shards, "train")):
        copies[f"{number:020x}"] = altered(one, smaller)
        by_part[agreement_of(one.label, one.votes)].add(f"{number:020x}")
    assert all(by_part.values())
    write_polarity(tmp_path / "copies", copies)
    trained_on, other = resolve_datasets([str(small_shards), str(tmp_path / "copies")])
    for part in ("well", "noisy"):
        found = near_training(replace(trained_on, part=part), other, ("test",))
        assert found & copies.keys() == by_part[part]


def test_hashes_are_computed_once_per_shard(polar: str, small_shards: Path):
    trained_on, other = resolve_datasets([str(small_shards), polar])
    near_training(trained_on, replace(other, name="first"), ("test",))
    files = {path: path.stat().st_mtime_ns for path in cache_folder().glob("hashes-*/*.npz")}
    counted: list[int] = []
    near_training(trained_on, replace(other, name="again"), ("test",), advance=counted.append)
    assert files == {path: path.stat().st_mtime_ns for path in files} and len(files) > 2
    assert sum(counted) == 72 + 49 + len(samples_of(Path(polar), "test"))


def test_a_damaged_shard_is_named(polar: str, small_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "empty"))
    trained_on, other = resolve_datasets([str(small_shards), polar])
    (shard,) = Path(polar).glob("val-*.tar")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(InputError, match=shard.name):
        near_training(trained_on, replace(other, name="damaged"), ("val",))
