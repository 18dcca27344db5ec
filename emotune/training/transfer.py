"""Testing a finished run on other data sets: its network answers, in the classes that both have in common."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch

from emotune.config.baselines import ConstantConfig
from emotune.config.network import NetworkConfig
from emotune.config.other_data import TransferTest
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.config.zero_shot import ZeroShotConfig
from emotune.core.errors import InputError
from emotune.data.datasets.location import manifest_of, materialise
from emotune.data.datasets.resolve_tests import splits_tested
from emotune.data.read.batches import Split, open_split
from emotune.data.read.near_training import near_training
from emotune.data.read.open_dataset import decoded_shards
from emotune.models.build import build
from emotune.models.weights.weights_file import read_run_weights
from emotune.runs.directory import RunDirectory
from emotune.runs.predictions import class_prior, common_log_probabilities
from emotune.runs.progress import Phase, RunProgress
from emotune.runs.record import RunRecord
from emotune.runs.tested import can_be_tested, read_tested, write_tested
from emotune.training.distributed import World
from emotune.training.evaluate import evaluate
from emotune.training.precision import numerics
from emotune.training.setup import InterruptedRunError, RunSession, leased

__all__ = ["make_tests"]

Answer = Callable[[Split, Callable[[int], None]], np.ndarray]
"""A function that gives the logits (N, K) of a split's images; it calls another one with the number of those done."""


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
        answer = _answer(run, session, session.record)
        for number, test in enumerate(missing):
            reporter = _Reporter(session, on_progress, stop, test, number, len(missing))
            reporter.stop_if_asked()
            _test(run, session, session.record, test, answer, resources, reporter)


@dataclass
class _Reporter:
    """Reports how far one of the tests of a run is, and stops it if that is asked for.

    Attributes:
        session: The ranks that test the run together.
        on_progress: The function to which progress is reported.
        stop: The function that asks to stop.
        test: The test.
        number: Its number, from 0.
        tests: The number of all tests.
        images: The number of images that have been compared with those of training.
        before: The number of images that were tested in earlier splits.
    """

    session: RunSession
    on_progress: Callable[[RunProgress], None]
    stop: Callable[[], bool]
    test: TransferTest
    number: int
    tests: int
    images: int = 0
    before: int = 0

    def read(self, images: int) -> None:
        """Reports that further images have been compared with those of training."""
        self.images += images
        self._report("reading", 0.0, self.images, to_read=self.images)

    def tested(self, images: int) -> None:
        """Reports the number of images of a split that have been tested."""
        images += self.before
        self._report("testing", min(1.0, images / max(1, self.test.images or images)), images)

    def stop_if_asked(self) -> None:
        """Raises an `InterruptedRunError` if any rank is asked to stop; all ranks call this together."""
        if self.session.must_stop(self.stop()):
            run_id = self.session.directory.run.id
            raise InterruptedRunError(f"{run_id} was stopped while it was tested on {self.test.name}")

    def _report(self, phase: Phase, share: float, images: int, to_read: int = 0) -> None:
        run_id, fraction = self.session.directory.run.id, (self.number + share) / self.tests
        progress = RunProgress(run_id, 1, 1, fraction, phase=phase, evaluated=images, to_read=to_read)
        self.on_progress(progress)
        if self.session.lease:
            self.session.lease.report(progress)
        if self.session.world.size == 1:  # else ranks have different numbers of batches
            self.stop_if_asked()


def _test(
    run: RunConfig, session: RunSession, record: RunRecord, test: TransferTest, answer: Answer, resources: Resources,
    reporter: _Reporter,
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
    for split in _splits(run, test, resources):
        common = [test.labels.labels.get(split.classes[target]) for target in split.targets]
        kept = [(row, label) for row, label in enumerate(common) if label is not None and split.keys[row] not in seen]
        unmapped = common.count(None)
        left_out["other_classes"] += unmapped
        left_out["near_training"] += len(common) - unmapped - len(kept)
        reporter.before = done
        outputs = answer(split, reporter.tested)
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
    if not np.isfinite(found).all():
        raise InputError(f"{run.id}: its answers on {test.name} are not finite numbers, so it has no result there")
    write_tested(session.directory.folder, test, record, columns, found, left_out, time.perf_counter() - started)


def _splits(run: RunConfig, test: TransferTest, resources: Resources) -> Iterator[Split]:
    """The splits that are tested, one after another, those without images left out."""
    manifest, threads = manifest_of(test.dataset), torch.get_num_threads()
    decoded = decoded_shards(test.dataset, resources.cache_gb, "images", run.input)
    for name in splits_tested(test.split):
        if manifest.shards_of(name):
            split = open_split(
                test.dataset, name, run.input, decoded=decoded, cache_gb=resources.cache_gb, threads=threads
            )
            if len(split):
                yield split


def _answer(run: RunConfig, session: RunSession, record: RunRecord) -> Answer:
    """The function that answers for images as the run's own test did.

    Raises:
        InputError: the run's weights are missing or damaged.
    """
    classes, directory, world = manifest_of(run.dataset).classes, session.directory, session.world
    if isinstance(run.model, ConstantConfig):
        counts = record.get("train_by_class")
        if counts is None:
            raise InputError(f"{directory.folder}: its record is too old to say how often classes are in training")
        prior = class_prior(np.array([counts.get(label, 0) for label in classes]))
        return lambda split, on_batch: np.tile(prior, (len(split), 1))
    if isinstance(run.model, ZeroShotConfig):
        from emotune.models.baselines.zero_shot import zero_shot  # late: open_clip is an extra

        network: torch.nn.Module = zero_shot(run, classes)
        normalisation, crops = run.input.normalisation, 1
    elif isinstance(run.model, NetworkConfig) and "weights" in record:
        weights = read_run_weights(directory.folder, record["weights"]["sha256"])
        if weights.classes != classes:
            raise InputError(f"{directory.folder}: its weights are for other classes than {run.dataset.name} has now")
        network = build(run.model, len(classes), input_spec=run.input)
        network.load_state_dict(weights.tensors)
        normalisation, crops = weights.normalisation, run.train.test_crops
    else:
        why = "keeps no weights" if not can_be_tested(run.model) else "has no weights in its record"
        raise InputError(f"{directory.folder}: this run {why}, so that it cannot be tested on other data")
    network = network.to(world.device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
    return lambda split, on_batch: evaluate(
        network, split, world, crops, precision=run.train.precision, input_spec=run.input,
        normalisation=normalisation, on_batch=on_batch,
    ).logits  # fmt: skip
