"""Resolves the other data sets on which a study tests its runs: what of them is tested, and in which classes."""

from collections.abc import Mapping, Sequence

from emotune.config.label_map import LabelMap, map_labels
from emotune.config.labels import MIKELS
from emotune.config.other_data import OtherData, TransferTest
from emotune.config.run import DatasetRef
from emotune.core.errors import InputError, raise_if_any
from emotune.core.storage import Folder
from emotune.core.typed_command import typed_command
from emotune.data.datasets.location import EMBEDDED, embedded_content_hash, is_ready, manifest_of
from emotune.data.datasets.resolve import local_folder
from emotune.data.manifest import SPLITS, read_manifest

__all__ = ["resolve_tests", "splits_tested"]


def resolve_tests(others: Sequence[OtherData], datasets: Sequence[DatasetRef]) -> tuple[TransferTest, ...]:
    """The tests of a study's runs on other data sets. Reads manifests only; no image is drawn or decoded.

    One of the study's own data sets is tested by the runs of the others only.

    Args:
        others: The other data sets.
        datasets: The data sets of the study, as runs have them.

    Raises:
        InputError: a data set cannot be read, has no test images, has no classes in common with the networks, is the
            only one that the study trains on, or is named twice; with a line for each mistake.
    """
    trained = list(dict.fromkeys(ref.undivided for ref in datasets))
    problems: list[str] = []
    tests: list[TransferTest] = []
    for other in others:
        try:
            tests += _tests(other, trained)
        except InputError as error:
            problems.append(f'test_on: "{other.data}": {error}')
    for i, one in enumerate(tests):
        if any((one.trained_on, one.file) == (earlier.trained_on, earlier.file) for earlier in tests[:i]):
            problems.append(f'test_on: "{one.name}" is listed twice; leave one out')
        elif any((one.trained_on, one.name) == (earlier.trained_on, earlier.name) for earlier in tests[:i]):
            problems.append(f'test_on: two are called "{one.name}"; rename one with {typed_command("shard")} --name')
    raise_if_any(list(dict.fromkeys(problems)))
    return tuple(tests)


def splits_tested(split: str) -> tuple[str, ...]:
    """The splits of a data set whose images are tested, given `TransferTest.split`."""
    return SPLITS if split == "all" else (split,)


def _tests(other: OtherData, trained: Sequence[DatasetRef]) -> list[TransferTest]:
    ref = _resolve(other)
    if others := {own.task for own in trained} - {"classes"}:
        raise InputError(f"the study's networks predict {others.pop()}; only those that predict classes are tested")
    if any(own.frames > 1 for own in trained):
        raise InputError("the study's networks see clips; only those that see images are tested on other data")
    name = f"{ref.name} (all images)" if other.split == "all" else ref.name
    found = []
    for own in trained:
        if own.content_hash == ref.content_hash and (own.part == ref.part or "all" in (own.part, ref.part)):
            continue
        if own.name == ref.name:
            raise InputError(
                f'a data set of the study is called "{ref.name}", too; rename one with {typed_command("shard")} --name'
            )
        labels = map_labels(_classes(own), _classes(ref), other.map)
        found.append(TransferTest(own.name, name, ref, other.split, labels, _images(ref, other.split, labels)))
    if not found:
        raise InputError("the study trains on this data set and tests its runs on it anyway; name another one")
    return found


def _resolve(other: OtherData) -> DatasetRef:
    suffix = "" if other.part == "all" else f"-{other.part}"
    if other.data == EMBEDDED:
        return DatasetRef(
            name=f"{EMBEDDED}{suffix}", location=EMBEDDED, content_hash=embedded_content_hash(), part=other.part
        )
    location = other.data if "://" in other.data else local_folder(other.data, "")
    manifest = read_manifest(Folder(location))
    if manifest.target != "classes":
        raise InputError(f"was made for {manifest.target}; make shards with --target classes, if the source has them")
    if manifest.frames > 1:
        raise InputError("holds clips; networks of images are not tested on them")
    return DatasetRef(
        name=f"{manifest.name}{suffix}", location=location, content_hash=manifest.content_hash, part=other.part
    )


def _classes(ref: DatasetRef) -> tuple[str, ...]:
    return manifest_of(ref).classes if is_ready(ref) else MIKELS


def _images(ref: DatasetRef, split: str, labels: LabelMap) -> int | None:
    """The number of images to test, from the manifest; None for the embedded data set before it is drawn.

    Raises:
        InputError: the images are of fewer than two of the common classes.
    """
    if not is_ready(ref):
        return None
    counts = _counts(ref, splits_tested(split), labels)
    if _are_enough(counts):
        return sum(counts.values())
    shown = ", ".join(f"{count} of {label}" for label, count in counts.items())
    remedy = "name another part of it, or another data set"
    if _are_enough(_counts(ref, SPLITS, labels)):
        remedy = "write split: all to test all of its images"
    where = "" if split == "all" else f"{split} "
    raise InputError(f"its {where}images are too few to compare classes ({shown}); {remedy}")


def _counts(ref: DatasetRef, splits: Sequence[str], labels: LabelMap) -> dict[str, int]:
    manifest, counts = manifest_of(ref), dict.fromkeys(labels.classes, 0)
    for label, common in labels.labels.items():
        counts[common] += sum(manifest.count(split, label, ref.part) for split in splits)
    return counts


def _are_enough(counts: Mapping[str, int]) -> bool:
    """Whether there are images of two classes."""
    return sum(map(bool, counts.values())) > 1
