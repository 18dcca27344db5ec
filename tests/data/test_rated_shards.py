"""Ratings and tied votes are in shards, manifests and content hashes; those of classes are as they were."""

from dataclasses import asdict, replace

import pytest
from rated import AROUSAL, VALENCE, rated_scenes

from emotune.config.run import Selection
from emotune.config.target import Dimension
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.annotations import QUARTERS
from emotune.data.build.shards import write_shards
from emotune.data.build.verify import verify
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.manifest import MANIFEST, SPLITS, Manifest, read_manifest, write_manifest
from emotune.data.read.cache import Cache
from emotune.data.shard_reader import read_samples
from emotune.data.sources.base import Listing


@pytest.fixture(scope="module")
def rated(tmp_path_factory) -> tuple[Folder, Listing, Manifest]:
    folder, listing = Folder(str(tmp_path_factory.mktemp("rated"))), rated_scenes()
    return folder, listing, write_shards(listing, folder)


def test_a_manifest_of_ratings_has_their_scales_and_its_quarters_are_in_every_split(rated):
    folder, listing, manifest = rated
    assert read_manifest(folder) == manifest
    assert (manifest.target, manifest.dimensions) == ("dimensions", (VALENCE, AROUSAL))
    assert manifest.classes == QUARTERS
    assert all(manifest.counts[split][label] for split in SPLITS for label in QUARTERS)
    valences = [entry.ratings["valence"][0] for entry in listing.entries if entry.label == QUARTERS[-1]]
    assert min(valences) > max(e.ratings["valence"][0] for e in listing.entries if e.label == QUARTERS[-2])


def test_ratings_and_their_deviations_come_back_from_shards_and_from_the_cache(rated, tmp_path):
    folder, listing, manifest = rated
    given = {entry.source: dict(entry.ratings) for entry in listing.entries}
    for shard in manifest.shards:
        samples = list(read_samples(folder.read(shard.file) or b"", shard.file))
        assert all(sample.ratings == given[sample.source] for sample in samples)
        first, again = (Cache(tmp_path / "cache").samples(folder, shard) for _ in range(2))
        assert [tuple(one.ratings["valence"]) for one in again] == [s.ratings["valence"] for s in samples]
        assert [tuple(one.ratings["arousal"]) for one in first] == [s.ratings["arousal"] for s in samples]


def test_sound_shards_of_ratings_are_verified_and_their_content_hash_covers_ratings_and_scales(rated, tmp_path):
    folder, listing, manifest = rated
    assert verify(folder) == (manifest, [])
    first, *others = listing.entries
    ratings = {"valence": (first.ratings["valence"][0], 0.5), "arousal": first.ratings["arousal"]}
    other_sd = replace(listing, entries=[replace(first, ratings=ratings), *others])
    other_scale = replace(listing, dimensions=(Dimension("valence", 1, 9), AROUSAL))
    hashes = {write_shards(one, Folder(str(tmp_path / f"{n}"))).content_hash
              for n, one in enumerate([listing, other_sd, other_scale])}  # fmt: skip
    assert len(hashes) == 3 and manifest.content_hash in hashes


def test_the_same_image_with_other_ratings_is_a_copy_and_not_ambiguous(tmp_path):
    listing = rated_scenes(64)
    lowest = next(entry for entry in listing.entries if entry.label == QUARTERS[0])
    twin = replace(lowest, label=QUARTERS[-1], votes={QUARTERS[-1]: 1}, source="twin")
    manifest = write_shards(replace(listing, entries=[*listing.entries, twin]), Folder(str(tmp_path)))
    assert manifest.left_out == {"exact duplicate": 1}


def test_a_quarter_may_be_missing_in_a_split_but_no_split_may_be_empty(rated, tmp_path):
    split_of = dict(zip(QUARTERS, ("test", "val", "train", "train"), strict=True))
    images = [replace(entry, split=split_of[entry.label]) for entry in rated[1].entries]
    folder = Folder(str(tmp_path))
    manifest = write_shards(replace(rated[1], entries=images), folder)
    assert manifest.counts["val"][QUARTERS[0]] == manifest.counts["test"][QUARTERS[-1]] == 0
    refs = resolve_datasets([Selection(data=folder.url, folds=3)])
    assert [ref.task for ref in refs] == ["dimensions"] * 3
    empty = {split: dict.fromkeys(QUARTERS, 0) if split == "val" else of for split, of in manifest.counts.items()}
    write_manifest(folder, replace(manifest, counts=empty))
    with pytest.raises(InputError, match="no image in val; "):
        resolve_datasets([folder.url])


def test_a_manifest_of_classes_says_nothing_of_targets(small_shards):
    written = Folder(str(small_shards)).read_json(MANIFEST)
    assert not {"target", "dimensions"} & set(written)
    manifest = read_manifest(Folder(str(small_shards)))
    assert (manifest.target, manifest.dimensions) == ("classes", ())


@pytest.mark.parametrize("change", [{"target": "classes"}, {"dimensions": ()}, {"dimensions": (VALENCE, VALENCE)}])
def test_a_manifest_whose_target_and_dimensions_disagree_is_refused(rated, change):
    with pytest.raises(ValueError, match="dimensions"):
        Manifest(**{**{name: getattr(rated[2], name) for name in asdict(rated[2])}, **change})


def test_a_run_on_ratings_knows_its_task_and_a_study_of_another_is_refused(rated, small_shards):
    folder = rated[0].url
    (ref,) = resolve_datasets([folder])
    assert (ref.task, ref.dimensions) == ("dimensions", (VALENCE, AROUSAL))
    assert ref.identity == f"{ref.content_hash} dimensions"
    for data, task in [(folder, "classes"), (folder, "distributions"), (str(small_shards), "dimensions"),
                       ("scenes", "dimensions")]:  # fmt: skip
        with pytest.raises(InputError, match=f"^task: {task}, but "):
            resolve_datasets([data], task)
    with pytest.raises(InputError, match=r'^datasets: "scenes" is for classes'):
        resolve_datasets([str(small_shards), folder])
    assert resolve_datasets([str(small_shards)], "distributions")[0].task == "distributions"
    with pytest.raises(InputError, match="noisy"):
        resolve_datasets([Selection(data=folder, part="noisy")])


def test_shards_of_another_target_are_not_overwritten(rated, tmp_path):
    out, entries = Folder(str(tmp_path)), [replace(entry, ratings={}) for entry in rated[1].entries]
    write_shards(replace(rated[1], target="classes", dimensions=(), entries=entries), out)
    with pytest.raises(InputError, match="target is classes"):
        write_shards(rated[1], out)
    assert read_manifest(out).target == "classes"
