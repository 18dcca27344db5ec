"""Testing a finished run on other data sets: its network answers, in the classes that both have in common."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import numpy as np
import torch

from emotune.config.head_training import feature_network
from emotune.config.other_data import TransferTest
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.config.train import Order
from emotune.core.errors import InputError
from emotune.data.datasets.location import manifest_of, materialise
from emotune.data.datasets.resolve_tests import splits_tested
from emotune.data.read.batches import Split, open_split
from emotune.data.read.near_training import near_training
from emotune.data.read.open_dataset import decoded_shards
from emotune.runs.directory import RunDirectory
from emotune.runs.predictions import common_log_probabilities
from emotune.runs.progress import RunProgress
from emotune.runs.record import RunRecord
from emotune.runs.tested import read_tested, write_tested
from emotune.training.distributed import World
from emotune.training.precision import numerics
from emotune.training.setup import RunSession, leased
from emotune.training.transfer_answers import Answer, TransferReporter, answer_of

__all__ = ["make_tests"]


def make_tests(
    run: RunConfig,
    directory: RunDirectory,
    world: World,
    tests: Sequence[TransferTest],
    *,
    resources: Resources = Resources(),
    on_progress: Callable[[RunProgress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
    owner: str = "",
) -> None:
    """Makes those of the tests that the run does not have yet, and writes the predictions of each.

    The images are seen as in the run's own test, with its input, normalisation, precision and crops. Left out are
    images whose class corresponds to nothing, and those that the run has seen in training or validation, or nearly so
    (`emotune.data.read.near_training`).

    Args:
        run: The run, which is finished.
        directory: Its directory, to which only rank 0 writes.
        world: The ranks that test together, including this one.
        tests: The tests.
        resources: The options of computation and the limit of the image cache.
        on_progress: A function that is called on every rank after each batch.
        stop: A function that is called after each batch; once it returns true on any rank, all ranks stop. What is
            complete is kept.
        owner: The command that this process works for; leases of its other processes are taken over.

    Raises:
        BusyRunError: another process tests the run.
        LostRunError: another process has taken the run over; nothing was written after that.
        InterruptedRunError: ``stop`` returned true.
        InputError: the run is not finished or keeps no weights, or weights or images cannot be read.
    """
    with ExitStack() as stack:
        session = stack.enter_context(leased(directory, world, owner))
        stack.enter_context(numerics(run.train.precision, deterministic=resources.deterministic))
        if session.record is None:
            raise InputError(f"{directory.folder}: this run is not finished, and is not tested on other data")
        missing = [test for test in tests if read_tested(directory.folder, test, session.record) is None]
        missing = world.gather(missing)[0]  # rank 0's count: files may have appeared for another one only
        if not missing:
            return
        materialise(run.dataset)
        answer = answer_of(run, session, session.record, resources)
        for number, test in enumerate(missing):
            reporter = TransferReporter(session, on_progress, stop, test, number, len(missing))
            reporter.stop_if_asked()
            _test(run, session, session.record, test, answer, resources, reporter)


def _test(
    run: RunConfig, session: RunSession, record: RunRecord, test: TransferTest, answer: Answer, resources: Resources,
    reporter: TransferReporter,
) -> None:  # fmt: skip
    """Makes one test and writes its predictions."""
    started = time.perf_counter()
    materialise(test.dataset)
    seen = near_training(
        run.dataset, test.dataset, splits_tested(test.split), threads=torch.get_num_threads(), advance=reporter.read
    )
    columns: dict[str, list[str]] = {"sample_id": [], "target": [], "group": []}
    logits: list[np.ndarray] = []
    left_out, done = {"near_training": 0, "other_classes": 0}, 0
    for name, split in _splits(run, test, resources):
        common = [test.labels.labels.get(split.classes[target]) for target in split.targets]
        kept = [(row, label) for row, label in enumerate(common) if label is not None and split.keys[row] not in seen]
        unmapped = common.count(None)
        left_out["other_classes"] += unmapped
        left_out["near_training"] += len(common) - unmapped - len(kept)
        reporter.before = done
        outputs = answer(test, name, split, reporter)
        done += len(split)
        logits.append(outputs[[row for row, _ in kept]])
        columns["sample_id"] += [split.keys[row] for row, _ in kept]
        columns["target"] += [label for _, label in kept]
        columns["group"] += [split.groups[row] for row, _ in kept]
    session.check_lease()
    if not session.world.is_main:
        return
    if len(set(columns["target"])) < 2:
        raise InputError(
            f"{run.id}: of {test.name} no images of two classes are left; {left_out['near_training']} are near images "
            "that the run was trained or validated on"
        )
    found = common_log_probabilities(np.concatenate(logits), manifest_of(run.dataset).classes, test.labels)
    if not (np.isfinite(found) | np.isneginf(found)).all():  # a predicted share can be 0
        raise InputError(f"{run.id}: its answers on {test.name} are not finite numbers, so it has no result there")
    write_tested(session.directory.folder, test, record, columns, found, left_out, time.perf_counter() - started)


def _splits(run: RunConfig, test: TransferTest, resources: Resources) -> Iterator[tuple[str, Split]]:
    """The splits that are tested with their names, one after another, those without images left out.

    Images are not kept decoded if features of a frozen backbone are, for which they are needed once.
    """
    manifest, threads = manifest_of(test.dataset), torch.get_num_threads()
    lazy = feature_network(run.model) is not None
    order: Order = "shards" if lazy else "images"
    decoded = () if lazy else decoded_shards(test.dataset, resources.cache_gb, order, run.input)
    for name in splits_tested(test.split):
        if manifest.shards_of(name):
            split = open_split(
                test.dataset, name, run.input, decoded=decoded, order=order, cache_gb=resources.cache_gb,
                threads=threads,
            )  # fmt: skip
            if len(split):
                yield name, split
