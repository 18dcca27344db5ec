"""What a baseline is fitted to: a row of numbers for each image, by hand, from a frozen backbone, or by prompts."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np

from emotune.config.head_training import as_network
from emotune.config.model import ConstantConfig
from emotune.config.resources import EVALUATION_BATCH_SIZE, Resources
from emotune.config.run import RunConfig
from emotune.config.zero_shot import ZeroShotConfig
from emotune.data.annotations import vote_shares
from emotune.data.read.batches import Split
from emotune.models.baselines.baseline import Baseline, ImageBaseline
from emotune.models.baselines.build import make_baseline
from emotune.models.baselines.class_prior import MeanDistribution
from emotune.models.baselines.logistic import Logistic
from emotune.models.cost import Cost, cost
from emotune.models.weights.initial_weights import Initialisation
from emotune.runs.progress import RunProgress
from emotune.training.distributed import World
from emotune.training.evaluate import evaluate
from emotune.training.features import features_opener
from emotune.training.setup import RunSession, load_or_init, split_opener

__all__ = ["Rows", "open_rows"]

OnBatch = Callable[[int], None]
"""A function that is called with the number of images that have been read, and may raise an error to stop."""


@dataclass(frozen=True)
class Rows:
    """A baseline before it is fitted, and the rows that it gets of images.

    Attributes:
        model: The baseline.
        open: A function that opens a split by its name.
        of: A function that gives the rows of all images of a split in each of their views, float32 (N, F).
        costs: The cost of the model, if it is known before the model is fitted.
        initialisation: The origin of the weights of a network that is a part of the model.
    """

    model: Baseline
    open: Callable[[str], Split]
    of: Callable[[Split, OnBatch], list[np.ndarray]]
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
        train = open_images("train")
        shares = vote_shares([classes[target] for target in train.targets], train.votes, classes)
        trivial = MeanDistribution(len(classes), shares=shares)
        return Rows(trivial, open_images, partial(_by_hand, trivial))
    model = make_baseline(run.model, len(classes))
    if not isinstance(model, Logistic):
        return Rows(model, open_images, partial(_by_hand, model))
    network = as_network(run)
    state, progress = load_or_init(network, session.directory, session.world, resources, open_images("train"))
    open_features = features_opener(run, state, session, resources, on_progress, stop, open_images, once=True)
    return Rows(model, open_features, _pooled, cost(network.model, len(classes), run.input), progress.initialisation)


def _by_hand(model: ImageBaseline, split: Split, on_batch: OnBatch) -> list[np.ndarray]:
    """The features that a model computes itself."""
    rows: dict[int, np.ndarray] = {}
    with closing(split.evaluation_batches(EVALUATION_BATCH_SIZE)) as batches:
        for batch in batches:
            rows |= {
                int(index): model.features(image.numpy())
                for index, image in zip(batch.indices, batch.images, strict=True)
            }
            on_batch(len(rows))
    return [np.stack([rows[index] for index in range(len(split))])]


def _pooled(split: Split, on_batch: OnBatch) -> list[np.ndarray]:
    """The features that a frozen backbone gives."""
    reader = split.features
    assert reader is not None  # the opener of features gives them
    on_batch(len(split))
    views = range(len(reader.arrays))
    return [reader.take(np.arange(len(split)), view)[0].flatten(1).float().numpy() for view in views]


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

    def logits(split: Split, on_batch: OnBatch) -> list[np.ndarray]:
        outputs = evaluate(network, split, alone, input_spec=run.input, normalisation=normalisation, on_batch=on_batch)
        return [outputs.logits]

    loaded = tuple(name for name, _ in network.clip.named_parameters())
    initialisation = Initialisation(normalisation, "state_dict", loaded)
    costs = Cost(sum(one.numel() for one in network.clip.parameters()), None)
    return Rows(Prompts(model, classes, network), open_images, logits, costs, asdict(initialisation))
