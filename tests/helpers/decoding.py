"""Shards as a run knows them, for the tests beside."""

from pathlib import Path

from emotune.config.run import DatasetRef, Selection
from emotune.data.datasets import resolve


def ref_of(folder: Path) -> DatasetRef:
    return resolve([Selection(data=str(folder))])[0]
