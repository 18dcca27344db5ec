"""Whether there is room for what a study writes, on the disks of this machine."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from emotune.config.run import DatasetRef, RunConfig
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.datasets.location import manifest_of

__all__ = ["require_room"]

BYTES = 4
"""Of a parameter, and of a logit."""
CHECKPOINTS = 3
"""Of one run at a time: two are kept while the next is written."""
SAMPLE_BYTES = 100
"""Of the name and label of a test image in a run's predictions."""
LITTLE = 1e9


def require_room(
    runs: Sequence[RunConfig], parameters: Mapping[str, int], pool: str, at_a_time: int, cache: int
) -> list[str]:
    """Compares what is going to be written with what is free.

    A disk that holds both the pool and the cache of decoded images has to have room for both; what is behind a URL is
    not asked for.

    Args:
        runs: To be trained.
        parameters: Of each variant's network; variants without one leave no weights.
        pool: Where run directories are.
        at_a_time: Runs that are trained at a time.
        cache: Bytes by which the cache will grow, see `emotune.data.read.open_dataset.room_needed`.

    Returns:
        A line for each disk that will be nearly full.

    Raises:
        InputError: there is too little room; with the numbers and what to do.
    """
    needs: dict[int, list[tuple[Path, str, str, float]]] = {}
    place = Folder(pool).local
    if place is not None:
        predictions = {dataset: _predictions(dataset) for dataset in {run.dataset for run in runs}}
        left = sum(BYTES * parameters.get(run.variant, 0) + predictions[run.dataset] for run in runs)
        largest = sorted((_checkpoint(run, parameters.get(run.variant, 0)) for run in runs), reverse=True)[:at_a_time]
        _add(needs, place, f"weights and predictions of {len(runs)} runs", "name another place (--runs)", left)
        _add(needs, place, f"checkpoints of {len(largest)} at a time", "", CHECKPOINTS * sum(largest))
    _add(needs, cache_folder(), "decoded images", "give less to decoded images (--cache-gb)", cache)
    return [note for disk in needs.values() if (note := _judged(disk))]


def _add(needs: dict[int, list], place: Path, what: str, remedy: str, size: float) -> None:
    there = next(path for path in (place, *place.absolute().parents) if path.exists())
    if size:
        needs.setdefault(there.stat().st_dev, []).append((there, what, remedy, size))


def _judged(disk: list[tuple[Path, str, str, float]]) -> str:
    """A note if the disk will be nearly full."""
    free, needed = shutil.disk_usage(disk[0][0]).free, sum(size for *_, size in disk)
    said = f"{', '.join(f'{size / 1e9:,.1f} GB for {what}' for _, what, _, size in disk)}"
    where = f"{disk[0][0]}: its disk has {free / 1e9:,.1f} GB free"
    if needed > free:
        remedies = ", ".join(["make room", *(remedy for *_, remedy, _ in disk if remedy)])
        raise InputError(f"{where}, and {needed / 1e9:,.1f} GB are needed ({said}); {remedies}")
    if free - needed < max(LITTLE, needed / 10):
        return f"{where}, of which this study needs {needed / 1e9:,.1f} GB ({said}): little is left."
    return ""


def _predictions(dataset: DatasetRef) -> int:
    manifest = manifest_of(dataset)
    images = sum(manifest.count("test", label, dataset.part) for label in manifest.classes)
    return images * (BYTES * len(manifest.classes) + SAMPLE_BYTES)


def _checkpoint(run: RunConfig, parameters: int) -> int:
    copies = 1 + (run.train.momentum > 0) + (run.train.ema_decay > 0) + (run.select == "best_val")
    return BYTES * parameters * copies
