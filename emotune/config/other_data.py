"""The other data sets on which a study tests the networks that it has trained: its key ``test_on``."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, StringConstraints
from pydantic.dataclasses import dataclass

from emotune.config.label_map import LabelMap
from emotune.config.run import DatasetRef, Part, RunConfig
from emotune.config.types import FORBID_UNKNOWN_KEYS, FrozenDict

__all__ = ["OtherData", "TransferTest", "made_with"]

FORMAT = 1
"""A part of the identity of every test. It is raised when the same test would give another result than before."""


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class OtherData:
    """Another data set in a study, on which its finished runs are tested; it changes no run.

    Attributes:
        data: The data set: ``scenes``, or a folder or URL of shards.
        split: The images that are tested: those of its *test* split, or *all*.
        part: The part of it that is used.
        map: The classes of the study's networks and what they are in this data set, or the other way round; see
            `emotune.config.label_map.map_labels`. Default: by their names.
    """

    data: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    split: Literal["test", "all"] = "test"
    part: Part = "all"
    map: Annotated[Mapping[str, str | None], AfterValidator(FrozenDict)] = FrozenDict()


@plain_dataclass(frozen=True)
class TransferTest:
    """A test of the runs that were trained on one data set on the images of another one.

    Attributes:
        trained_on: The name of the data set that they were trained on, without that of a division.
        name: The name of the other data set, with what is tested of it.
        dataset: The other data set.
        split: The images that are tested: ``test`` or ``all``.
        labels: The classes that both have in common.
        images: The number of images that have such a class; None for a data set that is not drawn yet.
    """

    trained_on: str
    name: str
    dataset: DatasetRef
    split: str
    labels: LabelMap
    images: int | None

    @property
    def file(self) -> str:
        """The name of the file in a run's directory with its predictions: ``tested-<16 hex>.parquet``."""
        identity = [FORMAT, self.dataset.identity, self.split, self.labels.identity]
        return f"tested-{hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]}.parquet"


def made_with(run: RunConfig, tests: Sequence[TransferTest]) -> list[TransferTest]:
    """Those of a study's tests that are made with a run."""
    return [test for test in tests if test.trained_on == run.dataset.whole and not run.tuning]
