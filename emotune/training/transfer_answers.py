"""How a finished run answers for images of other data sets: as in its own test, from the files in its directory."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from emotune.config.baselines import ConstantConfig, LogisticConfig, SvmConfig, handmade_sets
from emotune.config.head_training import as_network, is_head_alone
from emotune.config.network import NetworkConfig
from emotune.config.normalisation import Normalisation
from emotune.config.other_data import TransferTest
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.config.zero_shot import ZeroShotConfig
from emotune.core.errors import InputError
from emotune.data.augmentation_policies import Augmentation
from emotune.data.datasets.location import manifest_of
from emotune.data.datasets.resolve_tests import splits_tested
from emotune.data.read.batches import Split
from emotune.data.read.feature_reader import FeatureReader
from emotune.models.baselines.fitted_file import read_fitted
from emotune.models.build import build
from emotune.models.networks.backbone_network import BackboneNetwork, HeadNetwork
from emotune.models.weights.weights_file import read_run_weights
from emotune.runs.predictions import class_prior
from emotune.runs.progress import Phase, RunProgress
from emotune.runs.record import RunRecord
from emotune.training.distributed import World
from emotune.training.distribution_losses import readout
from emotune.training.evaluate import average_logits, evaluate
from emotune.training.feature_views import View, test_views
from emotune.training.features import FeatureSource, StoppedError
from emotune.training.frozen import frozen_network
from emotune.training.handmade import handmade_features
from emotune.training.setup import InterruptedRunError, RunSession

__all__ = ["Answer", "TransferReporter", "answer_of"]


@dataclass
class TransferReporter:
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


Answer = Callable[[TransferTest, str, Split, TransferReporter], np.ndarray]
"""A function that gives the logits (N, K) of the images of a split of the test's data set, which has this name."""


def answer_of(run: RunConfig, session: RunSession, record: RunRecord, resources: Resources) -> Answer:
    """The function that answers for images as the run's own test did.

    Args:
        run: The run, which is finished.
        session: The ranks that test it together.
        record: Its record.
        resources: The options of computation and the limit of the image cache.

    Raises:
        InputError: the run's weights are missing or damaged, or it keeps none.
    """
    classes, folder = manifest_of(run.dataset).classes, session.directory.folder
    if isinstance(run.model, ConstantConfig):
        counts = record.get("train_by_class")
        if counts is None:
            raise InputError(f"{folder}: its record is too old to say how often classes are in training")
        prior = class_prior(np.array([counts.get(label, 0) for label in classes]))
        return lambda test, name, split, reporter: np.tile(prior, (len(split), 1))
    if isinstance(run.model, SvmConfig | LogisticConfig) and "fitted_file" in record:
        fitted = read_fitted(folder, record["fitted_file"]["sha256"], len(classes))
        return _FittedAnswers(run, session, resources, fitted)
    if isinstance(run.model, ZeroShotConfig):
        from emotune.models.baselines.zero_shot import zero_shot  # late: open_clip is an extra

        answers = _NetworkAnswers(run, session, resources, zero_shot(run, classes), run.input.normalisation, 1)
    elif isinstance(run.model, NetworkConfig) and "weights" in record:
        weights = read_run_weights(folder, record["weights"]["sha256"])
        if weights.classes != classes:
            raise InputError(f"{folder}: its weights are for other classes than {run.dataset.name} has now")
        network = build(run.model, len(classes), input_spec=run.input)
        network.load_state_dict(weights.tensors)
        answers = _NetworkAnswers(run, session, resources, network, weights.normalisation, run.train.test_crops)
    else:
        raise InputError(f"{folder}: this run has kept nothing that could be tested on other data; train it again")
    answers.network.to(session.world.device).to(memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
    return answers


@dataclass(frozen=True)
class _NetworkAnswers:
    """The answers of a network.

    Attributes:
        run: The run.
        session: The ranks that test it together.
        resources: The options of computation and the limit of the image cache.
        network: The whole network.
        normalisation: The normalisation of the images that it sees.
        crops: The number of crops over which answers are averaged.
    """

    run: RunConfig
    session: RunSession
    resources: Resources
    network: nn.Module
    normalisation: Normalisation
    crops: int

    def __call__(self, test: TransferTest, name: str, split: Split, reporter: TransferReporter) -> np.ndarray:
        """The logits of a split's images; of a frozen backbone's features, if the cache has room for them."""
        if is_head_alone(self.run.model) and isinstance(self.network, BackboneNetwork):
            reader = self._features(self.network, test, name, reporter)
            if reader is not None:
                split = replace(split, features=replace(reader, rows=split.images.rows))
                return self._evaluate(HeadNetwork(self.network), split, reporter, self.network)
        return self._evaluate(self.network, split, reporter)

    def _evaluate(
        self, network: nn.Module, split: Split, reporter: TransferReporter, backbone: BackboneNetwork | None = None
    ) -> np.ndarray:
        return evaluate(
            network, split, self.session.world, self.crops, precision=self.run.train.precision,
            input_spec=self.run.input, normalisation=self.normalisation, backbone=backbone,
            readout=readout(self.run.train), on_batch=reporter.tested,
        ).logits  # fmt: skip

    def _features(
        self, network: BackboneNetwork, test: TransferTest, name: str, reporter: TransferReporter
    ) -> FeatureReader | None:
        """The features of a split, which other runs with the same backbone share; None if they do not fit the cache.

        Raises:
            InterruptedRunError: a rank is asked to stop.
        """
        run, world = replace(self.run, dataset=test.dataset), self.session.world
        seeing = _Seeing(world, self.normalisation, run.train.precision)
        source = _TestedFeatures(run, seeing, network, self.resources, reporter.stop, reporter.read)
        if not all(world.gather(source.fits(splits_tested(test.split)))):
            return None
        reader = None
        with suppress(StoppedError):
            reader = source.reader(name)
        reporter.stop_if_asked()
        if reader is None:
            raise InterruptedRunError(f"{run.id} was stopped while features were computed")
        return reader


@dataclass(frozen=True)
class _FittedAnswers:
    """The answers of a model that was fitted to features.

    Attributes:
        run: The run.
        session: The ranks that test it together; each does the same work.
        resources: The options of computation and the limit of the cache.
        fitted: The function that gives log-probabilities (N, K) of features (N, F).
    """

    run: RunConfig
    session: RunSession
    resources: Resources
    fitted: Callable[[np.ndarray], np.ndarray]

    def __call__(self, test: TransferTest, name: str, split: Split, reporter: TransferReporter) -> np.ndarray:
        """The log-probabilities of a split's images, averaged over views as in the run's own test."""
        sets = handmade_sets(self.run.model)
        rows = self._by_hand(sets, test, name, split, reporter) if sets else self._pooled(test, name, split, reporter)
        reporter.tested(len(split))
        return average_logits([torch.from_numpy(self.fitted(one)) for one in rows]).numpy()

    def _by_hand(
        self, sets: Sequence[str], test: TransferTest, name: str, split: Split, reporter: TransferReporter
    ) -> list[np.ndarray]:
        run_id = self.run.id  # progress is that of this run, not of one on the other data set

        def on_progress(progress: RunProgress) -> None:
            reporter.on_progress(replace(progress, run_id=run_id))

        features = handmade_features(
            replace(self.run, dataset=test.dataset), sets, self.session, self.resources, on_progress, reporter.stop,
            (name,),
        )(name)  # fmt: skip
        return [features if split.images.rows is None else features[split.images.rows]]

    def _pooled(self, test: TransferTest, name: str, split: Split, reporter: TransferReporter) -> list[np.ndarray]:
        run, world = as_network(replace(self.run, dataset=test.dataset)), self.session.world
        network, initialisation = frozen_network(run, split.classes, world.device)
        seeing = _Seeing(world, initialisation.normalisation, run.train.precision)
        source = _TestedFeatures(run, seeing, network, self.resources, reporter.stop, reporter.read)
        kept, reader = all(world.gather(source.fits((name,)))), None
        with suppress(StoppedError):
            reader = source.reader(name) if kept else source.computed(name)
        reporter.stop_if_asked()
        if reader is None:
            raise InterruptedRunError(f"{self.run.id} was stopped while features were computed")
        reader, images = replace(reader, rows=split.images.rows), np.arange(len(split))
        return [reader.take(images, view)[0].flatten(1).float().numpy() for view in range(len(reader.arrays))]


@dataclass(frozen=True)
class _Seeing:
    """How images are seen in tests, see `emotune.training.step.SeesImages`."""

    world: World
    normalisation: Normalisation
    precision: str
    augmentation: Augmentation | None = None
    random_erasing: float = 0.0


class _TestedFeatures(FeatureSource):
    """Features of images that are all tested, whatever their split is called."""

    def _views(self, split: str) -> list[View]:
        return test_views(self.run.train.test_crops)
