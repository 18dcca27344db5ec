"""Resolve the data sets that a study names to references with content hashes; reads manifests only."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from emotune.config.division import Division
from emotune.config.run import DatasetRef, Selection
from emotune.config.target import Target, can_give
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.core.typed_command import typed_command
from emotune.data.datasets.location import EMBEDDED, embedded_content_hash
from emotune.data.manifest import SPLITS, Manifest, digest, read_manifest

__all__ = ["local_folder", "resolve_datasets"]


def resolve_datasets(selections: Sequence[Selection | str], task: Target | None = None) -> tuple[DatasetRef, ...]:
    """References to the data sets that a study names: ``scenes``, or folders or URLs of shards, or parts of them.

    Reads manifests only; no image is drawn or decoded.

    Args:
        selections: The data sets.
        task: What is predicted; None: the target of the data sets.

    Raises:
        InputError: there are no shards, a part lacks a class or has too few images of one for the folds, a data set
            does not have the target of the task, or two of them share a name, images or a part, or differ in the task.
    """
    refs: dict[str, DatasetRef] = {}
    divisions: dict[str, tuple[Division | None, ...]] = {}
    for selection in (Selection(data=one) if isinstance(one, str) else one for one in selections):
        ref = _resolve(selection, task)
        if ref.name in refs:
            raise InputError(f'datasets: two are called "{ref.name}"; rename one with {typed_command("shard")} --name')
        if twin := next((r for r in refs.values() if r.identity == ref.identity), None):
            raise InputError(f'datasets: "{twin.name}" and "{ref.name}" hold the same images; keep one of them')
        same_content = [r for r in refs.values() if r.content_hash == ref.content_hash]
        if whole := next((r for r in same_content if "all" in (r.part, ref.part)), None):
            raise InputError(
                f'datasets: "{whole.name}" and "{ref.name}" overlap: one is a part of the other; keep one, or use the '
                "parts well and noisy"
            )
        if other := next((r for r in refs.values() if (r.task, r.dimensions) != (ref.task, ref.dimensions)), None):
            raise InputError(
                f'datasets: "{other.name}" is for {_target_text(other)}, but "{ref.name}" for {_target_text(ref)}; '
                "make a study of each"
            )
        refs[ref.name], divisions[ref.name] = ref, selection.divisions
    return tuple(_divided(ref, division) for ref in refs.values() for division in divisions[ref.name])


def _divided(ref: DatasetRef, division: Division | None) -> DatasetRef:
    return replace(ref, name=f"{ref.name}-{division.name}", division=division) if division else ref


def _resolve(selection: Selection, task: Target | None) -> DatasetRef:
    suffix = "" if selection.part == "all" else f"-{selection.part}"
    if selection.data == EMBEDDED:
        _check_task(EMBEDDED, "classes", task)
        return DatasetRef(
            name=f"{EMBEDDED}{suffix}",
            location=EMBEDDED,
            content_hash=embedded_content_hash(),
            part=selection.part,
            task=task or "classes",
        )
    location = selection.data if "://" in selection.data else local_folder(selection.data)
    manifest = read_manifest(Folder(location))
    _check_task(selection.data, manifest.target, task)
    _check_counts(selection, manifest)
    name = f"{manifest.name}{suffix}"
    cut = digest(str(shard.samples) for shard in manifest.shards_of("train"))[:16]
    return DatasetRef(
        name=name, location=location, content_hash=manifest.content_hash, part=selection.part, cut=cut,
        task=task or manifest.target, dimensions=manifest.dimensions, frames=manifest.frames,
    )  # fmt: skip


def _check_counts(selection: Selection, manifest: Manifest) -> None:
    """Raises an InputError if a class is too small; the classes of ratings only spread them, and count as one."""
    rated = manifest.target == "dimensions"
    sets = {"the data set": manifest.classes} if rated else {label: (label,) for label in manifest.classes}
    counts = {
        name: {split: sum(manifest.count(split, label, selection.part) for label in labels) for split in SPLITS}
        for name, labels in sets.items()
    }
    for split in SPLITS:
        if lacking := [name for name, by_split in counts.items() if not by_split[split]]:
            of = "" if rated else f" of {', '.join(lacking)}"
            raise InputError(
                f'datasets: "{selection.data}": its {selection.part} part has no image in {split}{of}; choose another '
                "part"
            )
    images = {name: sum(by_split.values()) for name, by_split in counts.items()}
    if few := {name: number for name, number in images.items() if number < (selection.folds or 0)}:
        raise InputError(
            f'datasets: "{selection.data}": folds: {selection.folds} is more than the images of '
            f"{', '.join(f'{name} ({number})' for name, number in few.items())}; set at most {min(few.values())}"
        )


def _target_text(ref: DatasetRef) -> str:
    scales = ", ".join(f"{one.name} from {one.scale}" for one in ref.dimensions)
    return f"{ref.task} ({scales})" if scales else ref.task


def _check_task(data: str, target: Target, task: Target | None) -> None:
    """Raises an InputError if a data set with a target cannot be used for the study's task."""
    if task is None or can_give(target, task):
        return
    remedy = {
        "classes": "images whose votes tie have no class there" if target == "distributions" else "it has no classes",
        "distributions": "it has no votes",
        "dimensions": "it has no ratings",
    }[task]
    others = (
        "make shards of ratings (`shard oasis`, or csv with --valence and its like)"
        if task == "dimensions" else f"make shards with --target {task}, if the source has it"
    )  # fmt: skip
    raise InputError(f'task: {task}, but "{data}" was made for {target}: {remedy}; leave out task, or {others}')


def local_folder(name: str, key: str = "datasets") -> str:
    """The absolute path of a local folder of shards.

    Args:
        name: Its path, as a study gives it.
        key: The study's key, for the message; empty if the caller adds it.

    Raises:
        InputError: there is no such folder.
    """
    try:
        path = Path(name).expanduser().resolve()
        if name and path.is_dir():
            return str(path)
    except (OSError, ValueError, RuntimeError):  # not a possible path, or ~user without such a user
        pass
    where = f'{key}: "{name}": ' if key else ""
    raise InputError(f'{where}neither "{EMBEDDED}" nor a folder or URL of shards')
