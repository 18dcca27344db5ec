"""Batches of a split for training and evaluation, for any number of ranks.

The order of the images is a pure function of seed and epoch. In the order of shards it also depends on how the images
are cut into shards.
"""

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from emotune.config.input_spec import InputSpec
from emotune.config.run import DatasetRef
from emotune.config.target import Dimension
from emotune.config.train import Order
from emotune.core.errors import InputError
from emotune.core.threads import prefetch
from emotune.data.datasets.location import manifest_of, outputs_of
from emotune.data.mixing import Mixing, Mixture
from emotune.data.read.cache import SampleInfo
from emotune.data.read.epoch_order import epoch_batches, rank_slice
from emotune.data.read.feature_reader import FeatureReader
from emotune.data.read.image_reader import ImageReader
from emotune.data.read.open_dataset import MAX_DECODE_THREADS, open_shards
from emotune.data.read.split_rows import split_rows

__all__ = ["Batch", "Split", "open_split"]

BATCHES_AHEAD = 2
"""Number of batches that are prepared in advance while one is computed."""


@dataclass(frozen=True)
class Batch:
    """A rank's part of a global batch.

    Attributes:
        indices: The indices of the images in their split, (B,).
        loaded: The indices of those in ``images``, (M,): the same; or if they are mixed, these and their partners'
            indices in ascending order.
        images: The images, each uint8 (resize, resize, 3) as of the network's `InputSpec`. Decoded images are views of
            the cache, which are copied by whoever crops them. For a GPU: one pinned tensor (M, resize, resize, 3).
            Clips have a dimension of frames before those of pixels.
        total: The number of images in the global batch.
        number: The number of the global batch in its epoch, counted from 0.
        mixture: How the images at ``indices`` are mixed with others of the global batch; None: not at all.
        features: For a split with features, in place of images: those at ``indices`` by view, each a list of float16
            tensors (B, …), in pinned memory for a GPU. There is one view in training, and one per crop in evaluation.
    """

    indices: np.ndarray
    loaded: np.ndarray
    images: Sequence[torch.Tensor] | torch.Tensor
    total: int
    number: int
    mixture: Mixture | None = None
    features: Sequence[Sequence[torch.Tensor]] = ()

    def images_on(self, device: torch.device) -> Sequence[torch.Tensor] | torch.Tensor:
        """The images on the device, if they are one tensor; else as they are."""
        return self.images.to(device, non_blocking=True) if isinstance(self.images, torch.Tensor) else self.images


@dataclass(frozen=True)
class Split:
    """The samples of a split, in the order of their shards, and batches of their images.

    Batches for a GPU and batches of images that are not decoded are prepared in advance by threads, which end with the
    iterator: close it (`contextlib.closing`) if you leave it early. Other batches are made faster than a thread could
    hand them over.

    Attributes:
        keys: The keys of the samples.
        targets: The class of each sample as an index into ``classes``, int64 (N,); or if dimensions are predicted, its
            ratings on scales from −1 to 1, float32 (N, D).
        votes: The annotators' votes for each sample, by class.
        groups: The group of each sample; near-duplicates share one, see `emotune.data.shard_reader.Sample`.
        classes: The classes of the data set, or the dimensions if those are predicted: what networks have outputs for.
        images: The images of the samples.
        features: The features of the images, if those are read in place of images.
        dimensions: The dimensions that are predicted; empty otherwise.
        deviations: The standard deviations of the ratings on the dimensions' own scales, float64 (N, D); NaN where
            unknown.
    """

    keys: tuple[str, ...]
    targets: np.ndarray
    votes: tuple[dict[str, float], ...]
    groups: tuple[str, ...]
    classes: tuple[str, ...]
    images: ImageReader
    features: FeatureReader | None = None
    dimensions: tuple[Dimension, ...] = ()
    deviations: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    def __len__(self) -> int:
        return len(self.keys)

    def training_batches(
        self,
        batch_size: int,
        seed: int,
        epoch: int,
        *,
        order: Order = "images",
        first: int = 0,
        rank: int = 0,
        world_size: int = 1,
        pin: bool = False,
        mixing: Mixing | None = None,
        views: np.ndarray | None = None,
    ) -> Generator[Batch, None, None]:
        """A rank's parts of the global batches of an epoch.

        Args:
            batch_size: The largest size of a global batch.
            seed: The seed of the order.
            epoch: The number of the epoch, counted from 0.
            order: The kind of order, see `emotune.config.train.TrainConfig`.
            first: The number of the first batch, counted from 0.
            rank: The rank whose parts are wanted.
            world_size: The number of ranks.
            pin: Whether to put the images into pinned memory, from which a GPU copies faster.
            mixing: How the images of a batch are mixed. A rank then also reads the partners of its images.
            views: The number of the view of each image, (N,), whose features are read; None: the first.
        """
        shards = self.images.shard_numbers(np.arange(len(self))) if order == "shards" else None
        batches = epoch_batches(len(self), batch_size, seed, epoch, shards)[first:]
        parts = [rank_slice(indices, rank, world_size) for indices in batches]
        totals = [len(indices) for indices in batches]
        if self.features is not None:
            yield from self._feature_batches(self.features, parts, totals, pin, first, [0 if views is None else views])
            return
        mixtures: list[Mixture] | None = None
        if mixing:
            drawn = [mixing.draw(indices, epoch, number) for number, indices in enumerate(batches, first)]
            mixtures = [replace(m, partners=rank_slice(m.partners, rank, world_size)) for m in drawn]
        yield from self._batches(parts, totals, pin, first, mixtures)

    def evaluation_batches(
        self, batch_size: int, *, rank: int = 0, world_size: int = 1, pin: bool = False, crops: int = 1
    ) -> Generator[Batch, None, None]:
        """A rank's part of all images; each image is in one batch of one rank.

        Args:
            batch_size: The largest number of images in a batch.
            rank: The rank whose part is wanted.
            world_size: The number of ranks.
            pin: Whether to put the images into pinned memory, from which a GPU copies faster.
            crops: The number of crops whose features are read, if there are features.
        """
        indices = rank_slice(np.arange(len(self)), rank, world_size)
        parts = [indices[start : start + batch_size] for start in range(0, len(indices), batch_size)]
        totals = [len(part) for part in parts]
        if self.features is not None:
            yield from self._feature_batches(self.features, parts, totals, pin, 0, range(crops))
        else:
            yield from self._batches(parts, totals, pin)

    def _feature_batches(
        self,
        reader: FeatureReader,
        parts: Sequence[np.ndarray],
        totals: Sequence[int],
        pin: bool,
        first: int,
        views: Sequence[np.ndarray | int],
    ) -> Generator[Batch, None, None]:
        by_view = zip(*(reader.take_parts(parts, view) for view in views), strict=True)
        made = (
            Batch(
                indices, indices, (), total, number,
                features=[[one.pin_memory() if pin else one for one in tensors] for tensors in features],
            )
            for number, (indices, total, features) in enumerate(zip(parts, totals, by_view, strict=True), first)
        )  # fmt: skip
        with closing(prefetch(made, BATCHES_AHEAD) if pin else made) as batches:
            yield from batches

    def _batches(
        self,
        parts: Sequence[np.ndarray],
        totals: Sequence[int],
        pin: bool,
        first: int = 0,
        mixtures: Sequence[Mixture | None] | None = None,
    ) -> Generator[Batch, None, None]:
        mixtures = mixtures or [None] * len(parts)
        loaded = [
            part if mixture is None else np.union1d(part, mixture.partners)
            for part, mixture in zip(parts, mixtures, strict=True)
        ]
        with closing(self.images.take_parts(loaded)) as taken:
            rows = zip(parts, loaded, taken, totals, mixtures, strict=True)
            made = (
                Batch(indices, present, _to_tensors(arrays, pin, self.images.shape), total, number, mixture)
                for number, (indices, present, arrays, total, mixture) in enumerate(rows, first)
            )
            in_advance = pin or not self.images.decoded
            with closing(prefetch(made, BATCHES_AHEAD) if in_advance else made) as batches:
                yield from batches


def _to_tensors(
    arrays: Sequence[np.ndarray], pin: bool, shape: tuple[int, ...]
) -> Sequence[torch.Tensor] | torch.Tensor:
    """The images as tensors; as one tensor in pinned memory if ``pin`` is set."""
    images = [torch.from_numpy(array) for array in arrays]
    if not pin:
        return images
    empty = torch.empty((0, *shape), dtype=torch.uint8)
    return (torch.stack(images) if images else empty).pin_memory()


def open_split(
    ref: DatasetRef,
    split: str,
    input_spec: InputSpec = InputSpec(),
    *,
    decoded: Collection[str] | None = None,
    order: Order = "images",
    cache_gb: float | None = None,
    threads: int = 1,
    advance: Callable[[int], None] = lambda images: None,
) -> Split:
    """A split of a data set, which is verified and decoded now if this machine has not done so yet.

    Args:
        ref: The data set.
        split: The name of the split.
        input_spec: The input of the network, which gives the images' size and interpolation.
        decoded: The hashes of the shards that are kept decoded (`emotune.data.read.open_dataset.decoded_shards`); None
            for all. The images of other shards are read from their files.
        order: The order of the training images; in that of shards, files behind a URL are copied when they are read.
        cache_gb: The size of the cache, see `emotune.data.read.cache.Cache`.
        threads: The number of threads that decode.
        advance: A function that is called with the number of images that are ready, shard by shard.

    Raises:
        InputError: a shard is missing, differs from the manifest, or holds something unreadable; or the division
            cannot have every class in every split.
    """
    shards = open_shards(
        ref, [split], input_spec, decoded=decoded, order=order, cache_gb=cache_gb, threads=threads, advance=advance
    )
    samples, classes = [sample for shard in shards for sample in shard.samples], manifest_of(ref).classes
    class_indices = {label: index for index, label in enumerate(classes)}
    starts = np.cumsum([0, *(len(shard.samples) for shard in shards)])[:-1]
    rows = split_rows(ref, [split], [(shard.shard, shard.samples) for shard in shards])
    if rows is not None:
        samples = [samples[row] for row in rows]
    return Split(
        keys=tuple(sample.key for sample in samples),
        targets=_unit_ratings(ref, samples)
        if ref.dimensions
        else np.array([class_indices[sample.label] for sample in samples], dtype=np.int64),
        votes=tuple(sample.votes for sample in samples),
        groups=tuple(sample.group for sample in samples),
        classes=outputs_of(ref),
        images=ImageReader(
            tuple(shard.images for shard in shards),
            starts,
            rows,
            min(threads, MAX_DECODE_THREADS),
            input_spec.resize,
            input_spec.frames,
        ),
        dimensions=ref.dimensions,
        deviations=_ratings(ref, samples, 1),
    )


def _unit_ratings(ref: DatasetRef, samples: Sequence[SampleInfo]) -> np.ndarray:
    """The samples' mean ratings on scales from −1 to 1, float32 (N, D)."""
    means = _ratings(ref, samples, 0)
    columns = [one.to_unit(means[:, number]) for number, one in enumerate(ref.dimensions)]
    return np.stack(columns, axis=1).astype(np.float32)


def _ratings(ref: DatasetRef, samples: Sequence[SampleInfo], part: int) -> np.ndarray:
    """The means (part 0) or the standard deviations (part 1) of the samples' ratings, float64 (N, D).

    Raises:
        InputError: a sample has no rating in a dimension.
    """
    names = [one.name for one in ref.dimensions]
    try:
        rows = [[sample.ratings[name][part] for name in names] for sample in samples]
    except KeyError as error:
        raise InputError(f"{ref.location}: a sample has no rating of {error.args[0]}; make the shards again") from None
    return np.array(rows, np.float64).reshape(len(samples), len(names))
