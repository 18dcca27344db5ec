"""Opening splits with the features of their images, which are computed now unless this machine has them.

They are used if the head alone is trained, or if a model is fitted to them. A file of the cache holds them for a shard
in a view (`emotune.data.read.feature_cache`), and is named after everything that decides about their bits: backbone,
weights, what the head needs, input, precision, device and libraries. All ranks, and other runs on this machine, compute
different files at the same time. If all that a run needs does not fit the cache, features are computed from images, in
every step or once for a fit, which takes longer and gives the same bits (`emotune.models.networks.fixed_features`).
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version

import numpy as np
import torch

from emotune.config.backbone import BackboneCode
from emotune.config.head_training import feature_network
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError
from emotune.data.manifest import Shard
from emotune.data.read.batches import Split, open_split
from emotune.data.read.feature_cache import FeatureCache, FeatureFile, row_type
from emotune.data.read.feature_reader import FeatureReader
from emotune.data.read.split_rows import shards_of
from emotune.models.networks.backbone_network import BackboneNetwork
from emotune.models.networks.fixed_features import BATCH, Features
from emotune.runs.progress import RunProgress
from emotune.training.feature_views import View, test_views, training_views
from emotune.training.frozen import backbone_digest
from emotune.training.precision import autocast
from emotune.training.progress_reporter import reading_reporter
from emotune.training.setup import InterruptedRunError, RunSession, split_opener
from emotune.training.step import SeesImages, TrainState, network_inputs

__all__ = ["FeatureSource", "StoppedError", "features_opener"]

FORMAT = 1
"""A part of the name of every file; it is raised when features would be computed otherwise than before."""

AT_ONCE = 4
"""The number of batches of the fixed size whose images are read together."""


def features_opener(
    run: RunConfig,
    state: TrainState,
    session: RunSession,
    resources: Resources,
    on_progress: Callable[[RunProgress], None],
    stop: Callable[[], bool],
    open_images: Callable[[str], Split],
    *,
    once: bool = False,
) -> Callable[[str], Split]:
    """A function that opens a split of a run on the features of a frozen backbone, by the split's name.

    All ranks call it together.

    Args:
        run: The run.
        state: The head in training, and its backbone.
        session: The ranks that train the run together.
        resources: The resources, which limit how much features may fill.
        on_progress: A function that is called while features are computed.
        stop: A function that is called between batches; once it returns true, an `InterruptedRunError` is raised.
        open_images: A function that opens a split without features, as `split_opener` gives it.
        once: Whether features are needed a single time, so that they are computed and held in memory if they do not
            fit the cache; otherwise the run's steps compute them.
    """
    if state.backbone is None:
        raise ValueError("the run's network has no frozen backbone")
    views = {"train": len(training_views(run.train)), "test": run.train.test_crops}
    advance = reading_reporter(run, on_progress, views)
    source = FeatureSource(run, state, state.backbone, resources, stop, advance)
    kept = all(session.world.gather(source.fits(run.splits)))
    if not kept and not once:
        return split_opener(run, resources, run.train.order, on_progress, decode=True)

    def open_with_features(name: str) -> Split:
        reader = None
        with suppress(StoppedError):
            reader = source.reader(name) if kept else source.computed(name)
        if session.must_stop(stop()) or reader is None:
            raise InterruptedRunError(f"{run.id} was stopped while features were computed")
        split = open_images(name)
        return replace(split, features=replace(reader, rows=split.images.rows))

    return open_with_features


class StoppedError(Exception):
    """The run was asked to stop while features were computed."""


@dataclass(frozen=True)
class FeatureSource:
    """Computes the features of a run's images.

    Attributes:
        run: The run.
        state: How images are seen: the head in training, whose augmentation training views have.
        backbone: The network with the frozen backbone.
        resources: The resources, which limit how much features may fill.
        stop: A function that is called between batches; once it returns true, a `StoppedError` is raised.
        advance: A function that is called with the number of images whose features are there, one view at a time.
    """

    run: RunConfig
    state: SeesImages
    backbone: BackboneNetwork
    resources: Resources
    stop: Callable[[], bool]
    advance: Callable[[int], None]

    def fits(self, splits: Sequence[str]) -> bool:
        """Whether all features of these splits fit the cache."""
        return self._cache([]).fits({file for name in splits for file in self._files(name)})

    def reader(self, split: str) -> FeatureReader:
        """The features of all images of a split, of which a part may be the run's.

        Raises:
            StoppedError: the run was asked to stop.
        """
        files = self._files(split)
        cache, missing = self._cache(files), files
        rows: dict[FeatureFile, np.ndarray] = {}
        while missing:  # another process may remove a file before it is opened here
            absent = cache.missing(missing)
            self.advance(sum(file.shard.samples for file in missing) - sum(file.shard.samples for file in absent))
            if absent:  # otherwise images are not needed, and their shards not opened
                cache.make(absent, self._computation(split))
            rows |= {file: opened for file in missing if (opened := cache.open(file)) is not None}
            missing = [file for file in files if file not in rows]
        return self._reader_of(split, rows)

    def computed(self, split: str) -> FeatureReader:
        """The same, computed now and held in memory.

        Raises:
            StoppedError: the run was asked to stop.
        """
        compute = self._computation(split)
        return self._reader_of(split, {file: np.concatenate(list(compute(file))) for file in self._files(split)})

    def _reader_of(self, split: str, rows: Mapping[FeatureFile, np.ndarray]) -> FeatureReader:
        shards, views = self._shards(split), self._views(split)
        arrays = tuple(tuple(rows[self._file(shard, view)] for shard in shards) for view in views)
        return FeatureReader(arrays, np.cumsum([0, *(shard.samples for shard in shards)])[:-1])

    def _files(self, split: str) -> list[FeatureFile]:
        return [self._file(shard, view) for view in self._views(split) for shard in self._shards(split)]

    def _file(self, shard: Shard, view: View) -> FeatureFile:
        return FeatureFile(shard, view.name, self._key, self._row)

    def _shards(self, split: str) -> list[Shard]:
        return shards_of(self.run.dataset, [split])

    def _views(self, split: str) -> list[View]:
        train = self.run.train
        return training_views(train) if split == "train" else test_views(train.test_crops if split == "test" else 1)

    def _cache(self, used: Sequence[FeatureFile]) -> FeatureCache:
        folder, gigabytes = cache_folder() / "decoded", self.resources.cache_gb
        return FeatureCache(folder, gigabytes, used=frozenset(used))

    @cached_property
    def _row(self) -> np.dtype:
        """The type of the features of an image, or of all frames of a clip."""
        shapes = self._shapes()
        frames = self.run.input.frames
        return row_type([(frames, *one) for one in shapes] if frames > 1 else shapes)

    def _shapes(self) -> list[Sequence[int]]:
        """The shapes of the features of an image, or of a frame."""
        network = self.backbone.backbone
        if self.backbone.pooling:
            return [(network.channels[-1], 1, 1)]
        if not self.backbone.grids:
            return [(channels, *size) for channels, size in zip(network.channels, network.sizes, strict=True)]
        side = self.run.input.side
        image = torch.zeros(1, 3, side, side, device=self.state.world.device)
        return [one.shape[1:] for one in self._features(image)]

    def _computation(self, split: str) -> Callable[[FeatureFile], Iterator[np.ndarray]]:
        """The function that gives the rows of a file."""
        dataset, shards = replace(self.run.dataset.undivided, part="all"), self._shards(split)
        splits = {
            own: open_split(
                dataset, own, self.run.input,
                decoded=(), order="shards", cache_gb=self.resources.cache_gb, threads=torch.get_num_threads(),
            )
            for own in dict.fromkeys(shard.split for shard in shards)
        }  # fmt: skip
        starts: dict[Shard, int] = {}
        for own, whole in splits.items():
            of_split = [shard for shard in shards if shard.split == own]
            starts |= dict(zip(of_split, whole.images.starts.tolist(), strict=True))
        views = {view.name: view for view in self._views(split)}
        device = self.state.world.device
        size = max(1, AT_ONCE * BATCH.get(device.type, 1) // self.run.input.frames)

        def rows_of(file: FeatureFile) -> Iterator[np.ndarray]:
            whole, start, count = splits[file.shard.split], starts[file.shard], file.shard.samples
            randomness = views[file.view].randomness(whole.keys[start : start + count], self.run.input)
            parts = [np.arange(first, min(first + size, count)) for first in range(0, count, size)]
            with closing(whole.images.take_parts([start + part for part in parts])) as taken:
                for part, arrays in zip(parts, taken, strict=True):
                    if self.stop():
                        raise StoppedError
                    images = [torch.from_numpy(array) for array in arrays]
                    inputs = torch.stack(images).to(device) if device.type != "cpu" else images
                    pixels = network_inputs(self._of_view(views[file.view]), inputs, part, randomness)
                    yield self._rows(self._features(pixels))
                    self.advance(len(part))

        return rows_of

    def _of_view(self, view: View) -> SeesImages:
        """The state with the augmentation of a view: crops of evaluation have none."""
        return self.state if view.drawn else replace(self.state, augmentation=None, random_erasing=0.0)

    @torch.inference_mode()
    def _features(self, images: torch.Tensor) -> Features:
        with autocast(self.state.world.device, self.state.precision):
            return self.backbone.features(images)

    def _rows(self, features: Features) -> np.ndarray:
        """The features of images as rows of a file.

        Raises:
            InputError: float16 cannot hold them.
        """
        rows = np.empty(len(features[0]), self._row)
        for number, one in enumerate(features):
            if not one.isfinite().all():
                raise InputError(
                    f"{self.run.variant or self.run.id}: the backbone's features are not finite in float16, in which "
                    "they are kept; use other weights, or train more than the head (model.tune)"
                )
            rows[str(number)] = one.movedim(-3, -1).cpu().numpy()
        return rows

    @cached_property
    def _key(self) -> str:
        """A digest of all that decides about the features of an image in a view."""
        model, device = feature_network(self.run.model), self.state.world.device.type
        assert model is not None  # a frozen backbone has a config
        name = "torchvision" if isinstance(model.backbone, BackboneCode) else model.backbone.partition(":")[0]
        about = {
            "format": FORMAT,
            "backbone": model.backbone.identity if isinstance(model.backbone, BackboneCode) else model.backbone,
            "weights": backbone_digest(self.backbone.backbone),
            "need": [len(self.backbone.backbone.channels), self.backbone.grids, self.backbone.resize,
                     self.backbone.pooling],
            "input": self.run.input.identity,
            "normalisation": asdict(self.state.normalisation),
            "precision": self.run.train.precision,
            "device": [device, self.resources.deterministic and device != "cpu", BATCH.get(device)],
            "libraries": {library: version(library) for library in ("torch", name)},
        }  # fmt: skip
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
