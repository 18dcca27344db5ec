"""Shards as a run knows them, for the tests beside."""

from pathlib import Path

from emotune.data.datasets import resolve
from emotune.run import DatasetRef, Selection


def ref_of(folder: Path) -> DatasetRef:
    return resolve([Selection(data=str(folder))])[0]
