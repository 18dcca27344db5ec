"""Hand-made features of a run's images, which are computed now unless this machine has them.

Those of a clip are the means over its frames.

They are computed once per data set and machine: a file of the cache holds the features of one set for some images of a
shard (`emotune.data.read.feature_cache`), and is named after everything that decides about their bits. So runs with
other sets share what they have in common, and a process that is killed leaves what it has completed. Processes of one
thread each compute different files at the same time, as do ranks and other runs. If the files do not fit the cache,
they are made in a folder that is removed at once, which gives the same bits.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.core.cache_dir import cache_folder
from emotune.core.child_process import ChildProcess, results
from emotune.data.read.feature_cache import FeatureCache, FeatureFile
from emotune.data.read.split_rows import shards_of
from emotune.models.handmade.catalogue import feature_set
from emotune.runs.progress import RunProgress
from emotune.training.handmade_worker import FIELD, FeatureJob
from emotune.training.progress_reporter import reading_reporter
from emotune.training.setup import InterruptedRunError, RunSession

__all__ = ["feature_tables", "handmade_features"]

FORMAT = 1
"""A part of the name of every file; it is raised when features would be computed from other pixels than before."""
IMAGES_A_FILE = 64
"""The number of images, or of frames, in a file: computing them may take half a minute, which a killed process loses.
"""
LIBRARIES = ("numpy", "pillow", "scipy", "scikit-image")
"""The packages that compute features."""
ONE_THREAD: dict[str, str] = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""The environment of a process: several of them compute at a time, one for each CPU of the run."""


LOOK_EVERY_S = 5.0
"""Seconds between two looks for what other ranks and runs have made."""


class _StoppedError(Exception):
    """The run was asked to stop while features were computed."""


def handmade_features(
    run: RunConfig,
    sets: Sequence[str],
    session: RunSession,
    resources: Resources,
    on_progress: Callable[[RunProgress], None],
    stop: Callable[[], bool],
    splits: Sequence[str] | None = None,
) -> Callable[[str], np.ndarray]:
    """A function that gives the features of all images in the shards of a split, by the split's name, float32 (N, F).

    Columns are those of the sets, one set after the other. All ranks call this together; each sees to the features on
    its machine. The arguments and errors are those of `feature_tables`.
    """
    tables = feature_tables(run, sets, session, resources, on_progress, stop, splits=splits)

    def features(split: str) -> np.ndarray:
        return np.concatenate([np.concatenate(tables(split, one)) for one in sets], axis=1)

    return features


def feature_tables(
    run: RunConfig,
    sets: Sequence[str],
    session: RunSession,
    resources: Resources,
    on_progress: Callable[[RunProgress], None],
    stop: Callable[[], bool],
    *,
    mapped: bool = False,
    splits: Sequence[str] | None = None,
) -> Callable[[str, str], list[np.ndarray]]:
    """A function that gives the features of the images in the shards of a split, by the split's name and the set's.

    They are arrays (N, F) of some images each, in the order of the images.

    Args:
        run: The run.
        sets: The names of the sets.
        session: The ranks that work on the run together.
        resources: The resources, which limit how much features may fill.
        on_progress: A function that is called while features are computed.
        stop: A function that is called between images; once it returns true, an `InterruptedRunError` is raised.
        mapped: Whether they are read from their files when they are used, rather than held in memory.
        splits: The splits whose features are needed; None: those that the run reads.
    """
    files = {split: _files(run, split, sets) for split in splits or run.splits}
    tables: Mapping[FeatureFile, np.ndarray] = {}
    try:
        needed = list(dict.fromkeys(file for of_split in files.values() for file in of_split))
        tables = _computed(run, needed, resources, _counter(run, len(sets), on_progress), stop, mapped)
        stopped = False
    except _StoppedError:
        stopped = True
    if session.must_stop(stopped):
        raise InterruptedRunError(f"{run.id} was stopped while features were computed")

    return lambda split, one: [tables[file] for file in files[split] if file.view == one]


def _files(run: RunConfig, split: str, sets: Sequence[str]) -> list[FeatureFile]:
    """The files of a split: for the images of each of them, one set after the other."""
    kinds: dict[str, tuple[str, np.dtype]] = {}
    for name in sets:
        features = feature_set(name)
        kinds[name] = _key(name), np.dtype([(FIELD, features.kept_as, (len(features.columns),))])
    samples = max(1, IMAGES_A_FILE // run.dataset.frames)
    return [
        FeatureFile(shard, name, *kinds[name], range(first, min(first + samples, shard.samples)))
        for shard in shards_of(run.dataset, [split])
        for first in range(0, shard.samples, samples)
        for name in sets
    ]


def _computed(
    run: RunConfig,
    files: Sequence[FeatureFile],
    resources: Resources,
    advance: Callable[[int], None],
    stop: Callable[[], bool],
    mapped: bool,
) -> Mapping[FeatureFile, np.ndarray]:
    """The features in each of the files, (N, F)."""
    tables: dict[FeatureFile, np.ndarray] = {}
    with _cache(files, resources) as cache:
        while absent := [file for file in files if file not in tables]:  # another process may remove what is not open
            missing = cache.missing(absent)
            advance(sum(file.rows for file in absent) - sum(file.rows for file in missing))
            if missing:
                _compute(FeatureJob(run.dataset.undivided, tuple(missing), cache, resources.cache_gb), advance, stop)
            for file in absent:
                if (rows := cache.open(file)) is not None:
                    # What is mapped stays there if the file is removed, as Linux and macOS do.
                    tables[file] = rows[FIELD] if mapped else np.array(rows[FIELD])
    return tables


@contextmanager
def _cache(files: Sequence[FeatureFile], resources: Resources) -> Iterator[FeatureCache]:
    """This machine's cache, or, if it has no room for the files, one that is removed afterwards."""
    cache = FeatureCache(cache_folder() / "decoded", resources.cache_gb, used=frozenset(files))
    if cache.fits(files):
        yield cache
        return
    with TemporaryDirectory(prefix="emotune-features-") as folder:
        yield FeatureCache(Path(folder))


def _compute(job: FeatureJob, advance: Callable[[int], None], stop: Callable[[], bool]) -> None:
    """Computes files in as many processes as the run has CPUs."""

    whole, counted, looked = sum(file.rows for file in job.files), 0, time.monotonic()

    def look() -> None:
        """Counts what others have made, too, and what these processes wait for."""
        nonlocal counted, looked
        made = whole - sum(file.rows for file in job.cache.missing(job.files))
        if made > counted:
            advance(made - counted)
        counted, looked = max(made, counted), time.monotonic()
        if stop():
            raise _StoppedError

    def show(images: str) -> None:
        nonlocal counted
        counted += int(images)
        advance(int(images))
        if time.monotonic() - looked > LOOK_EVERY_S:
            look()
        elif stop():
            raise _StoppedError

    with ExitStack() as stack:
        children = [
            stack.enter_context(
                ChildProcess("emotune.training.handmade_worker", job, "computes features", environment=ONE_THREAD)
            )
            for _ in range(min(torch.get_num_threads(), len(job.files)))
        ]
        results(children, show, look)
    advance(max(0, whole - counted))


def _counter(run: RunConfig, sets: int, on_progress: Callable[[RunProgress], None]) -> Callable[[int], None]:
    """A function that counts the images of all sets, and reports them as images that all sets are done with."""
    report, done = reading_reporter(run, on_progress), 0

    def advance(images: int) -> None:
        nonlocal done
        before, done = done // sets, done + images
        report(done // sets - before)

    return advance


def _key(name: str) -> str:
    """A digest of all that decides about the features of an image."""
    features = feature_set(name)
    about = {
        "format": [FORMAT, IMAGES_A_FILE],
        "set": [features.name, features.version, features.columns],
        "libraries": {library: version(library) for library in LIBRARIES},
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
