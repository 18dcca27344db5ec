"""Compares the size in which images are stored with that in which networks see them."""

import io
from collections.abc import Iterable
from itertools import islice

from PIL import Image

from emotune.config.input_spec import InputSpec
from emotune.config.run import DatasetRef, RunConfig
from emotune.core.sample_noun import worded
from emotune.core.typed_command import typed_command
from emotune.data.datasets.location import manifest_of, shards_folder
from emotune.data.shard_reader import read_samples, read_shard

__all__ = ["enlarged_images"]

IMAGES_READ = 50
"""Number of images of a data set whose sizes are read."""


def enlarged_images(runs: Iterable[RunConfig]) -> list[str]:
    """A line for each data set whose stored images are smaller than networks see them, so that they are enlarged.

    Data sets are looked at only for networks that do not see images in the usual size.

    Args:
        runs: The runs that are going to be trained.

    Raises:
        InputError: a shard is missing or damaged.
    """
    wanted: dict[DatasetRef, dict[str, int]] = {}
    for run in runs:
        if run.input.resize != InputSpec.resize:
            wanted.setdefault(run.dataset.undivided, {})[run.variant] = run.input.resize
    lines = []
    for dataset, sides in wanted.items():
        stored = _stored_side(dataset)
        if larger := {variant: side for variant, side in sides.items() if side > stored}:
            lines.append(
                f"{dataset.name}: its {worded('images')} are stored with a shorter side of at most {stored} pixels, "
                f"and enlarged to {max(larger.values())} for {', '.join(larger)}. If the originals are larger, write "
                f"the shards again: {typed_command('shard')} … --size {max(larger.values())}."
            )
    return lines


def _stored_side(dataset: DatasetRef) -> int:
    """The shorter side in pixels of the largest of a few images of a data set."""
    folder, shard = shards_folder(dataset), min(manifest_of(dataset).shards, key=lambda shard: shard.bytes)
    samples = islice(read_samples(read_shard(folder, shard), str(folder / shard.file)), IMAGES_READ)
    return max(min(Image.open(io.BytesIO(sample.jpg)).size) for sample in samples)
