"""A model of the blocks of an image: visual words, topics, and multiple-instance learning."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emotune.config.blocks import BlocksConfig
from emotune.models.baselines.blocks.counts import block_counts, number_of_blocks
from emotune.models.baselines.blocks.mi_svm import MiSvm, fit_mi_svm
from emotune.models.baselines.blocks.pooling import Mil, fit_pooling
from emotune.models.baselines.blocks.topics import SAMPLE, Topics, learn_topics
from emotune.models.baselines.blocks.vocabulary import Vocabulary, learn_vocabulary
from emotune.models.baselines.calibration import best_temperature, log_probabilities
from emotune.models.handmade.local_descriptors import COLOURS, GRADIENTS, positions

__all__ = ["Blocks"]

IMAGES_AT_ONCE = 256


@dataclass
class Blocks:
    """The dominant emotion of an image from the topics of its blocks, after Rao, Xu, Liu, Wang, Burnett (2016).

    It is our own reading: the paper could not be read. Local descriptors on a dense grid become visual words; each
    block of the image is the bag of its words, and, by probabilistic latent semantic analysis, a distribution over
    topics; the square roots of its shares, standardised over all blocks of the training images, are an instance of the
    image. Multiple-instance learning makes scores of the classes from an image's instances. Words and topics are
    learned from training images, C is the one with the highest validation accuracy, the smallest of equally good ones,
    and scores are divided by a temperature that is fitted on the validation images (Guo et al. 2017, section 4.2).

    The rows that it gets are the words of an image's patches, uint16 (N, P), which it gives itself once it has learned
    the vocabulary. The result depends on the seed and not on the number of threads. The other methods are those of
    `emotune.models.baselines.baseline.Baseline`.

    Args:
        config: The options.
        classes: The number of classes, K.
        seed: The seed of words, topics and starting points.

    Attributes:
        vocabulary: The visual words, None before they are learned.
    """

    config: BlocksConfig
    classes: int
    seed: int
    vocabulary: Vocabulary | None = field(default=None, init=False, repr=False)
    _topics: Topics = field(init=False, repr=False)
    _scale: tuple[np.ndarray, np.ndarray] = field(init=False, repr=False)
    _mil: Mil = field(init=False, repr=False)
    _temperature: float = field(default=1.0, init=False, repr=False)

    @property
    def patches(self) -> int:
        """The number of patches of an image, P."""
        return len(positions(self.config.step)) ** 2

    def described(self, descriptors: np.ndarray) -> np.ndarray:
        """The part of the descriptors of images' patches that the model uses: (..., P·44) → (..., P, D)."""
        whole = descriptors.reshape(*descriptors.shape[:-1], self.patches, GRADIENTS + COLOURS)
        return whole[..., :GRADIENTS] if self.config.descriptor == "gradients" else whole

    def learn_words(self, sample: np.ndarray) -> None:
        """Learns the visual words from descriptors of training images, (M, D).

        Raises:
            InputError: there are fewer different descriptors than words.
        """
        self.vocabulary = learn_vocabulary(sample, self.config.words, self.seed)

    def words(self, descriptors: np.ndarray) -> np.ndarray:
        """The words of the patches of images, from all their descriptors: (N, P·44) → uint16 (N, P)."""
        return self._known_words.words(self.described(descriptors))

    def fit(
        self,
        train: np.ndarray,
        targets: np.ndarray,
        val: np.ndarray,
        val_targets: np.ndarray,
        on_progress: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Fits topics, and a model for each C, of which it keeps the best; returns the choice and its accuracies."""
        blocks, generator = number_of_blocks(self.config.levels), np.random.default_rng([self.seed, 1])
        sampled = generator.choice(len(train), min(len(train), -(-SAMPLE // blocks)), replace=False)
        counts = self._counts(train[np.sort(sampled)]).reshape(-1, self.config.words)
        self._topics = learn_topics(counts, self.config.topics, self.seed)
        on_progress()
        self._scale = np.zeros(1, np.float32), np.ones(1, np.float32)
        bags = self._bags(train)
        self._scale = bags.mean(axis=(0, 1)), np.maximum(bags.std(axis=(0, 1)), 1e-6)
        bags, val_bags = (bags - self._scale[0]) / self._scale[1], self._bags(val)
        on_progress()
        candidates: dict[float, tuple[float, Mil]] = {}
        for c in sorted(set(self.config.c_grid)):
            mil = self._fitted(bags, targets, c)
            correct = mil.scores(val_bags).argmax(axis=1) == val_targets
            candidates[c] = 100 * float(correct.mean()), mil
            on_progress()
        best = max(candidates, key=lambda c: candidates[c][0])  # the first of equally good ones
        self._mil = candidates[best][1]
        self._temperature = best_temperature(self._mil.scores(val_bags), val_targets)
        notes = list(self._known_words.notes)
        if len(candidates) > 1 and best in (min(candidates), max(candidates)):
            notes.append(f"blocks: the best C, {best:g}, is an end of c_grid; others beyond it may be better")
        accuracies = {f"{c:g}": round(accuracy, 3) for c, (accuracy, _) in candidates.items()}
        outcome = {"c": best, "val_accuracy_by_c": accuracies, "temperature": round(self._temperature, 4)}
        rounds = {"rounds": list(self._mil.rounds)} if isinstance(self._mil, MiSvm) else {}
        return outcome | rounds | ({"notes": notes} if notes else {})

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """The classes' log-probabilities, not less than -30: words (N, P) → float32 (N, K)."""
        parts = [features[first : first + IMAGES_AT_ONCE] for first in range(0, len(features), IMAGES_AT_ONCE)]
        scores = np.concatenate([self._mil.scores(self._bags(part)) for part in parts])
        return log_probabilities(scores, self._temperature, np.arange(self.classes), self.classes)

    @property
    def parameters(self) -> int:
        """The number of values in words, topics and the weights of blocks."""
        return self._known_words.prototypes.size + self._topics.words.size + self._mil.parameters

    @property
    def _known_words(self) -> Vocabulary:
        if self.vocabulary is None:
            raise ValueError("the model has not learned its words yet")
        return self.vocabulary

    def _fitted(self, bags: np.ndarray, targets: np.ndarray, c: float) -> Mil:
        kind = self.config.aggregation
        if kind == "mi_svm":
            return fit_mi_svm(bags, targets, self.classes, c)
        return fit_pooling(kind, bags, targets, self.classes, c, self.seed)

    def _counts(self, words: np.ndarray) -> np.ndarray:
        """The words of blocks: (N, P) → float32 (N, B, W)."""
        return block_counts(words, positions(self.config.step), self.config.levels, self.config.words)

    def _bags(self, words: np.ndarray) -> np.ndarray:
        """The instances of images: (N, P) → float32 (N, B, T)."""
        mean, deviation = self._scale
        blocks = number_of_blocks(self.config.levels)
        bags = np.empty((len(words), blocks, self.config.topics), np.float32)
        for first in range(0, len(words), IMAGES_AT_ONCE):
            shares = self._topics.shares(self._counts(words[first : first + IMAGES_AT_ONCE]))
            bags[first : first + IMAGES_AT_ONCE] = (np.sqrt(shares) - mean) / deviation
        return bags
