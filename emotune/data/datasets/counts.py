"""Numbers of images in the splits of a data set as a run sees it, from its manifest."""

from emotune.config.run import DatasetRef
from emotune.data.datasets.location import manifest_of
from emotune.data.division import expected_counts
from emotune.data.manifest import SPLITS

__all__ = ["images_by_class", "images_in"]


def images_by_class(ref: DatasetRef, split: str) -> dict[str, int]:
    """The number of images of each class in a split, of the part that is used.

    In another division than that of the shards it is the number that the division aims at, from which groups of images
    that stay whole may make it deviate.

    Args:
        ref: The data set, whose shards exist.
        split: The name of the split.

    Raises:
        InputError: there is no manifest, or it cannot be used.
    """
    manifest = manifest_of(ref)
    by_class = {}
    for label in manifest.classes:
        own = {one: manifest.count(one, label, ref.part) for one in SPLITS}
        by_class[label] = (expected_counts(own, ref.division) if ref.division else own)[split]
    return by_class


def images_in(ref: DatasetRef, split: str) -> int:
    """The number of images in a split, see `images_by_class`."""
    return sum(images_by_class(ref, split).values())
