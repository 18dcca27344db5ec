"""Checks whether the disks of this machine have room for what a study writes."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotune.config.optimizers import kept_values
from emotune.config.run import DatasetRef, RunConfig
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError
from emotune.core.sample_noun import worded
from emotune.data.datasets.counts import images_by_class
from emotune.runs.store import RunStore

__all__ = ["require_room"]

VALUE_BYTES = 4
"""Size of a parameter, and of a logit."""
CHECKPOINTS = 3
"""Number of checkpoints of one run at a time: two are kept while the next is written."""
SAMPLE_BYTES = 100
"""Size of the name and label of a test image in a run's predictions."""
LITTLE_BYTES = 1e9


@dataclass(frozen=True)
class _Need:
    """Something that is going to be written: the folder, what it is, how to make do with less, and its bytes."""

    folder: Path
    content: str
    remedy: str
    size: float


def require_room(
    runs: Sequence[RunConfig], parameters: Mapping[str, int], store: RunStore, concurrency: int, cache_bytes: int
) -> list[str]:
    """Compares what is going to be written with what is free.

    Folders on the same disk must fit together; storage behind a URL is not checked.

    Args:
        runs: The runs that are going to be trained.
        parameters: The number of parameters of each variant's network; variants without a network leave no weights.
        store: The folder of all run directories.
        concurrency: The number of runs that are trained at a time.
        cache_bytes: The bytes by which the cache will grow, see `emotune.data.read.open_dataset.room_needed`.

    Returns:
        A line for each disk that will be nearly full.

    Raises:
        InputError: There is too little room; the message has the numbers and says what to do.
    """
    needs = []
    if (folder := store.folder.local) is not None:
        prediction_bytes = {dataset: _prediction_bytes(dataset) for dataset in {run.dataset for run in runs}}
        results = sum(VALUE_BYTES * parameters.get(run.variant, 0) + prediction_bytes[run.dataset] for run in runs)
        checkpoints = [_checkpoint_bytes(run, parameters.get(run.variant, 0)) for run in runs]
        largest = sorted(checkpoints, reverse=True)[:concurrency]
        content = f"weights and predictions of {len(runs)} runs"
        needs.append(_Need(folder, content, "name another folder (--runs)", results))
        needs.append(_Need(folder, f"checkpoints of {len(largest)} at a time", "", CHECKPOINTS * sum(largest)))
    remedy = worded("reduce the cache of decoded images (--cache-gb)")
    needs.append(_Need(cache_folder(), worded("decoded images"), remedy, cache_bytes))
    by_disk: dict[int, list[_Need]] = {}
    for need in needs:
        if need.size:
            by_disk.setdefault(_existing(need.folder).stat().st_dev, []).append(need)
    return [note for disk in by_disk.values() if (note := _check_disk(disk))]


def _existing(folder: Path) -> Path:
    """The folder, or the deepest of its parents that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _check_disk(needs: Sequence[_Need]) -> str:
    """A note if the disk will be nearly full.

    Raises:
        InputError: There is too little room.
    """
    folder = _existing(needs[0].folder)
    free, needed = shutil.disk_usage(folder).free, sum(need.size for need in needs)
    listed = ", ".join(f"{need.size / 1e9:,.1f} GB for {need.content}" for need in needs)
    disk = f"{folder}: its disk has {free / 1e9:,.1f} GB free"
    if needed > free:
        remedies = ", ".join(["free disk space", *(need.remedy for need in needs if need.remedy)])
        raise InputError(f"{disk}, but this study needs {needed / 1e9:,.1f} GB ({listed}); {remedies}")
    if free - needed < max(LITTLE_BYTES, needed / 10):
        return f"{disk}, of which this study needs {needed / 1e9:,.1f} GB ({listed}): it will be nearly full."
    return ""


def _prediction_bytes(dataset: DatasetRef) -> int:
    by_class = images_by_class(dataset, "test")
    return sum(by_class.values()) * (VALUE_BYTES * len(by_class) + SAMPLE_BYTES)


def _checkpoint_bytes(run: RunConfig, parameters: int) -> int:
    train = run.train
    kept = kept_values(train.optimizer, train.optimizer_options, train.momentum)
    copies = 1 + kept + (train.ema_decay > 0) + (run.select == "best_val")
    return VALUE_BYTES * parameters * copies
