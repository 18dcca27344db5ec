"""A process that computes hand-made features of images into the cache, while others compute those of other images.

It has one thread, and imports neither torch nor what only training needs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotune.config.input_spec import InputSpec
from emotune.config.run import DatasetRef
from emotune.core.child_process import serve
from emotune.core.errors import InputError
from emotune.data.read.feature_cache import FeatureCache, FeatureFile
from emotune.data.read.open_dataset import open_shards
from emotune.models.handmade.catalogue import feature_set
from emotune.models.handmade.feature_set import FeatureSet

__all__ = ["FIELD", "IMAGES_A_LINE", "FeatureJob", "features_of", "main"]

FIELD = "features"
"""The name of a row's only field, float32 (F,)."""
IMAGES_A_LINE = 8
"""The number of images after which a process says that it has the features of a set for them."""


@dataclass(frozen=True)
class FeatureJob:
    """The work of a process that computes features.

    Attributes:
        dataset: The data set with the splits of its shards.
        files: The files, whose views are the names of the sets.
        cache: The cache in which they are kept.
        cache_gb: The size of the cache that has copies of shards behind a URL.
    """

    dataset: DatasetRef
    files: tuple[FeatureFile, ...]
    cache: FeatureCache
    cache_gb: float | None


def main(descriptor: int) -> None:
    """Reads a job from stdin, does it, and sends numbers of images, and at last None, through the pipe."""
    serve(descriptor, work)


def work(job: FeatureJob, send: Callable[[Any], None]) -> None:
    """Makes those of the files that no other process makes; sends how many images it has done, or an error."""
    try:
        splits = {file.shard.split for file in job.files}
        seen = InputSpec().of(job.dataset.frames)
        opened = open_shards(job.dataset, splits, seen, decoded=(), order="shards", cache_gb=job.cache_gb)
        shards = {one.shard: one for one in opened}

        def rows_of(file: FeatureFile) -> Iterator[np.ndarray]:
            features, shard = feature_set(file.view), shards[file.shard]
            numbers = range(file.shard.samples) if file.images is None else file.images
            for first in range(0, len(numbers), IMAGES_A_LINE):
                part = numbers[first : first + IMAGES_A_LINE]
                rows = np.empty(len(part), file.row)
                rows[FIELD] = [features_of(features, shard.images[row], shard.samples[row].key) for row in part]
                yield rows
                send(str(len(part)))

        job.cache.make(job.files, rows_of)
        send(None)
    except InputError as error:
        send(error)


def features_of(features: FeatureSet, image: np.ndarray, key: str) -> np.ndarray:
    """The features of an image, float32 (F,), or the means over those of the frames of a clip.

    Args:
        features: The set of features.
        image: The image, uint8 (H, W, 3), or a clip, (T, H, W, 3).
        key: The key of the image, for messages.

    Raises:
        InputError: the set fails on this image, or gives it a number that is not finite.
    """
    if image.ndim == 4:
        frames = [features_of(features, frame, f"{key}, frame {i}") for i, frame in enumerate(image, 1)]
        return np.stack(frames).mean(axis=0, dtype=np.float64).astype(np.float32)
    remedy = "leave the set out (model.features) or the image, and report this"
    try:
        values = features.compute(image)
    except Exception as error:  # whatever a set raises, it is told of which image
        message = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise InputError(f"features {features.name}: image {key}: {message}; {remedy}") from error
    if values.shape != (len(features.columns),):
        numbers = f"{values.shape} numbers in place of {len(features.columns)}"
        raise InputError(f"features {features.name}: image {key}: {numbers}; {remedy}")
    if not np.isfinite(values).all():
        column = features.columns[int(np.argmin(np.isfinite(values)))]
        value = values[~np.isfinite(values)][0]
        raise InputError(f"features {features.name}: image {key}: {column} is {value}; {remedy}")
    return values
