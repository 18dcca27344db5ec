"""Shards as a run knows them, for the tests beside."""

from pathlib import Path

from emotune.config.run import DatasetRef, Selection
from emotune.data.datasets.resolve import resolve_datasets


def ref_of(folder: Path) -> DatasetRef:
    return resolve_datasets([Selection(data=str(folder))])[0]
