"""A data set as the report describes it: counts, classes, source and licence from its manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emotune.config.division import Division
from emotune.config.run import DatasetRef
from emotune.config.target import Dimension
from emotune.core.text import listed
from emotune.data.datasets.location import is_ready, manifest_of
from emotune.data.division import expected_counts
from emotune.data.manifest import SPLITS, Manifest

__all__ = ["DatasetInfo", "dataset_info", "synthetic_sentences"]


@dataclass(frozen=True)
class DatasetInfo:
    """The description of a data set in the report.

    Attributes:
        name: The data set's name.
        content_hash: The hash of its samples.
        part: The part of it that the study uses, or ``all``.
        synthetic: Whether a program drew the images.
        manifest: Its manifest; None if the shards are not on this machine.
        division: Its division into train, val and test; None for that of the shards.
        frames: The number of frames of each of its clips; 1 for images.
    """

    name: str
    content_hash: str
    part: str
    synthetic: bool
    manifest: Manifest | None
    division: Division | None = None
    frames: int = 1

    @property
    def whole(self) -> str:
        """The name without that of the division, which all divisions of a data set share."""
        return self.name.removesuffix(f"-{self.division.name}") if self.division else self.name

    @property
    def why_without_images(self) -> str:
        """Why its images are not in the report, as a clause; empty if they are."""
        if self.manifest is None:
            return "the data set is not on this machine"
        return "" if self.manifest.may_show_images else "its manifest does not allow that"

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names; empty without a manifest."""
        return self.manifest.classes if self.manifest else ()

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The dimensions in which the images are rated; empty for classes, and without a manifest."""
        return self.manifest.dimensions if self.manifest else ()

    @property
    def counts(self) -> dict[str, int]:
        """The number of images in each split; empty without a manifest."""
        return {split: sum(self._count(split, label) for label in self.classes) for split in SPLITS if self.manifest}

    @property
    def every_class_in_every_split(self) -> bool:
        """Whether that is certain from the manifest: the counts of another division are not exact."""
        return bool(self.classes) and not self.division and all(self._count(s, c) for s in SPLITS for c in self.classes)

    @property
    def train_by_class(self) -> dict[str, int]:
        """The number of training images of each class; empty without a manifest."""
        return {label: self._count("train", label) for label in self.classes}

    @property
    def excluded(self) -> Mapping[str, int]:
        """The number of images that were excluded before the split, by problem, the most frequent first."""
        return self.manifest.left_out if self.manifest else {}

    def excluded_of(self, problem: str, label: str) -> int:
        """The number of images of a class that were excluded because of a problem."""
        return self.manifest.health[problem].get(label, 0) if self.manifest else 0

    def _count(self, split: str, label: str) -> int:
        if not self.manifest:
            return 0
        own = {one: self.manifest.count(one, label, self.part) for one in SPLITS}
        return (expected_counts(own, self.division) if self.division else own)[split]


def dataset_info(ref: DatasetRef) -> DatasetInfo:
    """The description of a data set, from its manifest where the shards are on this machine."""
    manifest = manifest_of(ref) if is_ready(ref) else None
    synthetic = manifest.synthetic if manifest else ref.location == "scenes"
    return DatasetInfo(ref.name, ref.content_hash, ref.part, synthetic, manifest, ref.division, ref.frames)


def synthetic_sentences(datasets: Sequence[DatasetInfo]) -> str:
    """The note on what synthetic data sets do not say; empty without any.

    Args:
        datasets: The descriptions of a study's data sets.
    """
    names = list(dict.fromkeys(f"“{data.whole}”" for data in datasets if data.synthetic))
    if not names:
        return ""
    return (
        f"{listed(names)} {'consist' if len(names) > 1 else 'consists'} of computer-generated images. The results "
        "compare networks on these images; they say nothing about photographs or about what people feel."
    )
