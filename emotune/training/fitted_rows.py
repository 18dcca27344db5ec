"""What a baseline is fitted to: a row of numbers for each image, by hand, from a frozen backbone, or by prompts."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np

from emotune.config.baselines import handmade_sets
from emotune.config.head_training import as_network, feature_network
from emotune.config.model import ConstantConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.config.zero_shot import ZeroShotConfig
from emotune.data.read.batches import Split
from emotune.models.baselines.baseline import Baseline
from emotune.models.baselines.blocks.blocks import Blocks
from emotune.models.baselines.build import make_baseline
from emotune.models.baselines.class_prior import MeanDistribution
from emotune.models.cost import Cost, cost
from emotune.models.handmade.catalogue import feature_set
from emotune.models.weights.initial_weights import Initialisation
from emotune.runs.progress import RunProgress
from emotune.training.block_words import word_rows
from emotune.training.distributed import World
from emotune.training.evaluate import evaluate
from emotune.training.features import features_opener
from emotune.training.handmade import handmade_features
from emotune.training.setup import RunSession, load_or_init, split_opener
from emotune.training.tasks import true_shares

__all__ = ["Rows", "open_rows"]

OnBatch = Callable[[int], None]
"""A function that is called with the number of images that have been read, and may raise an error to stop."""


@dataclass(frozen=True)
class Rows:
    """A baseline before it is fitted, and the rows that it gets of images.

    Attributes:
        model: The baseline.
        open: A function that opens a split by its name.
        of: A function that gives the rows of a split's images by its name, in each of their views, (N, F).
        reading: ``features`` if rows are computed once for all runs (`emotune.training.record.reading_mode`).
        columns: The names of the rows' numbers, ``set/group/number``; empty unless they are hand-made features.
        costs: The cost of the model, if it is known before the model is fitted.
        initialisation: The origin of the weights of a network that is a part of the model.
    """

    model: Baseline
    open: Callable[[str], Split]
    of: Callable[[str, OnBatch], list[np.ndarray]]
    reading: str = ""
    columns: tuple[str, ...] = ()
    costs: Cost | None = None
    initialisation: dict[str, Any] = field(default_factory=dict)


def open_rows(
    run: RunConfig,
    session: RunSession,
    resources: Resources,
    on_progress: Callable[[RunProgress], None],
    stop: Callable[[], bool],
) -> Rows:
    """The model of a run that is not trained in steps, with what it gets of images.

    The arguments and errors are those of `emotune.training.loop.train`.
    """
    # Each image is used once, in stored order.
    open_images: Callable[[str], Split] = cache(split_opener(run, resources, "shards", on_progress))
    classes = open_images("train").classes
    if isinstance(run.model, ZeroShotConfig):
        return _by_prompts(run, run.model, session, open_images, classes)
    if isinstance(run.model, ConstantConfig) and run.dataset.task == "distributions":
        trivial = MeanDistribution(len(classes), shares=true_shares(open_images("train")))
        return Rows(trivial, open_images, partial(_empty, open_images))
    model = make_baseline(run.model, len(classes), run.dataset.task, run.stream("blocks"))
    if feature_network(run.model) is not None:
        return _of_backbone(run, model, session, resources, on_progress, stop, open_images)
    sets = handmade_sets(run.model)
    if not sets:
        return Rows(model, open_images, partial(_empty, open_images))
    if isinstance(model, Blocks):
        words = word_rows(run, model, open_images, session, resources, on_progress, stop)
        return Rows(model, open_images, words, "features")
    of_shards = handmade_features(run, sets, session, resources, on_progress, stop)

    def features(name: str, on_batch: OnBatch) -> list[np.ndarray]:
        split, rows = open_images(name), of_shards(name)
        on_batch(len(split))
        return [rows if split.images.rows is None else rows[split.images.rows]]

    columns = tuple(f"{one}/{column}" for one in sets for column in feature_set(one).columns)
    return Rows(model, open_images, features, "features", columns)


def _empty(open_split: Callable[[str], Split], name: str, on_batch: OnBatch) -> list[np.ndarray]:
    """Rows without a number, for a model that does not look at images."""
    images = len(open_split(name))
    on_batch(images)
    return [np.empty((images, 0), np.float32)]


def _of_backbone(
    run: RunConfig,
    model: Baseline,
    session: RunSession,
    resources: Resources,
    on_progress: Callable[[RunProgress], None],
    stop: Callable[[], bool],
    open_images: Callable[[str], Split],
) -> Rows:
    """The pooled features that a frozen backbone gives; of a clip the mean over its frames."""
    network, train = as_network(run), open_images("train")
    state, progress = load_or_init(network, session.directory, session.world, resources, train)
    open_features: Callable[[str], Split] = cache(
        features_opener(run, state, session, resources, on_progress, stop, open_images, once=True)
    )

    def pooled(name: str, on_batch: OnBatch) -> list[np.ndarray]:
        split = open_features(name)
        assert split.features is not None  # the opener of features gives them
        reader, images = split.features, np.arange(len(split))
        on_batch(len(split))
        views = [reader.take(images, view)[0].float().numpy() for view in range(len(reader.arrays))]
        return [(one.mean(axis=1) if run.input.frames > 1 else one).reshape(len(images), -1) for one in views]

    costs = cost(network.model, len(train.classes), run.input)
    return Rows(model, open_features, pooled, "features", costs=costs, initialisation=progress.initialisation)


def _by_prompts(
    run: RunConfig,
    model: ZeroShotConfig,
    session: RunSession,
    open_images: Callable[[str], Split],
    classes: tuple[str, ...],
) -> Rows:
    """The logits of a model that compares images with texts; nothing is left to fit."""
    from emotune.models.baselines.zero_shot import Prompts, zero_shot  # late: open_clip is an extra

    device, normalisation = session.world.device, run.input.normalisation
    network, alone = zero_shot(run, classes).to(device), World(0, 1, device)  # every rank does the same work

    def logits(name: str, on_batch: OnBatch) -> list[np.ndarray]:
        split, seen = open_images(name), run.input
        outputs = evaluate(network, split, alone, input_spec=seen, normalisation=normalisation, on_batch=on_batch)
        return [outputs.logits]

    loaded = tuple(name for name, _ in network.clip.named_parameters())
    initialisation = Initialisation(normalisation, "state_dict", loaded)
    costs = Cost(sum(one.numel() for one in network.clip.parameters()), None)
    model_of_prompts = Prompts(model, classes, network)
    return Rows(model_of_prompts, open_images, logits, costs=costs, initialisation=asdict(initialisation))
