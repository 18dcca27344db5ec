"""The visual words of a run's images, whose local descriptors are computed once per data set into the cache.

Descriptors are read from their files, some images at a time: what is held in memory are the words, two bytes for each
patch.
"""

from collections.abc import Callable

import numpy as np

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.data.read.batches import Split
from emotune.models.baselines.blocks.blocks import Blocks
from emotune.models.baselines.blocks.vocabulary import SAMPLE
from emotune.runs.progress import RunProgress
from emotune.training.handmade import feature_tables
from emotune.training.setup import RunSession

__all__ = ["word_rows"]


def word_rows(
    run: RunConfig,
    model: Blocks,
    open_images: Callable[[str], Split],
    session: RunSession,
    resources: Resources,
    on_progress: Callable[[RunProgress], None],
    stop: Callable[[], bool],
) -> Callable[[str, Callable[[int], None]], list[np.ndarray]]:
    """A function that gives the words of a split's images, uint16 (N, P), in their only view.

    Its arguments are the name of the split, and a function that is called with the number of images that are done.
    Before the first words, the model learns its vocabulary from the training images.

    Args:
        run: The run.
        model: The model, which has no vocabulary yet.
        open_images: A function that opens a split by its name.
        session: The ranks that work on the run together.
        resources: The resources, which limit how much descriptors may fill.
        on_progress: A function that is called while descriptors are computed.
        stop: A function that is called between images; once it returns true, an `InterruptedRunError` is raised.
    """
    name = model.config.descriptors
    tables = feature_tables(run, [name], session, resources, on_progress, stop, mapped=True)

    def rows(split: str, on_batch: Callable[[int], None]) -> list[np.ndarray]:
        images, parts = open_images(split), tables(split, name)
        if model.vocabulary is None:
            if split != "train":
                raise ValueError("words are learned from training images, which come first")
            model.learn_words(_sample(parts, _chosen(images), model))
        chosen = _chosen(images)
        words = np.zeros((sum(map(len, parts)), model.patches), np.uint16)
        wanted, first, done = np.isin(np.arange(len(words)), chosen), 0, 0
        for part in parts:
            here = np.flatnonzero(wanted[first : first + len(part)])
            words[first + here] = model.words(part[here])
            first, done = first + len(part), done + len(here)
            on_batch(done)
        return [words[chosen]]

    return rows


def _chosen(split: Split) -> np.ndarray:
    """The numbers of a split's images among those of its shards."""
    return np.arange(len(split)) if split.images.rows is None else split.images.rows


def _sample(parts: list[np.ndarray], chosen: np.ndarray, model: Blocks) -> np.ndarray:
    """Descriptors of random patches of the chosen images, about as many of each, float16 (M, D)."""
    generator = np.random.default_rng(model.seed)
    count = min(model.patches, -(-SAMPLE // len(chosen)))
    starts = np.cumsum([0, *map(len, parts)])
    sample = []
    for row in chosen:
        number = int(np.searchsorted(starts, row, side="right")) - 1
        patches = generator.choice(model.patches, count, replace=False)
        sample.append(model.described(parts[number][row - starts[number]])[patches])
    return np.concatenate(sample)
