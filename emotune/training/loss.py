"""The loss: cross-entropy with a target distribution and a weight for each training image."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from emotune.config.train import TrainConfig
from emotune.data.annotations import target_weights
from emotune.data.mixing import Mixture
from emotune.data.read.batches import Split

__all__ = ["Objective", "class_weights", "losses", "make_objective", "smooth_labels"]


@dataclass(frozen=True)
class Objective:
    """The targets of all training images; a batch's loss is Σ weight · Σ target_prob · (-log p) / Σ weight.

    Attributes:
        targets: The class indices of the labels, int64 (N,).
        target_probs: The target distributions over classes, float32 (N, K).
        weights: The weights of the images in the mean, float32 (N,).
    """

    targets: np.ndarray
    target_probs: np.ndarray
    weights: np.ndarray

    def of(self, indices: np.ndarray, mixture: Mixture | None = None) -> "Objective":
        """The objective of the images at ``indices``, (B,), each mixed with its partner if there is a mixture.

        A mixture's loss is the mean of the losses for both targets, by their shares, where each has the weight of its
        image: all classes count the same also if mixed images are balanced. Its label is the one with the greater
        share.
        """
        own = Objective(self.targets[indices], self.target_probs[indices], self.weights[indices])
        if mixture is None:
            return own
        partners, share = self.of(mixture.partners), mixture.share
        parts = (own.weights * share).astype(np.float32), (partners.weights * (1 - share)).astype(np.float32)
        weights = parts[0] + parts[1]
        probs = (parts[0][:, None] * own.target_probs + parts[1][:, None] * partners.target_probs) / weights[:, None]
        return Objective(own.targets if share >= 0.5 else partners.targets, probs, weights)


def make_objective(split: Split, train: TrainConfig) -> Objective:
    """The objective of a run's training images."""
    targets, classes = split.targets, split.classes
    labels = [classes[target] for target in targets]
    target_probs = target_weights(labels, split.votes, classes, train.targets)
    balanced = train.class_weights == "balanced"
    weights = class_weights(targets, len(classes))[targets] if balanced else np.ones(len(targets), np.float32)
    return Objective(targets, smooth_labels(target_probs, train.label_smoothing), weights)


def smooth_labels(target_probs: np.ndarray, smoothing: float) -> np.ndarray:
    """The target distributions with a share of each spread evenly over all classes (Szegedy et al. 2016, section 7).

    Args:
        target_probs: The target distributions, (N, K).
        smoothing: The share, from 0 to 1.

    >>> smooth_labels(np.array([[0, 1, 0, 0]]), 0.2).round(2).tolist()
    [[0.05, 0.85, 0.05, 0.05]]
    """
    return (1 - smoothing) * target_probs + smoothing * target_probs.mean(1, keepdims=True)


def class_weights(targets: np.ndarray, classes: int) -> np.ndarray:
    """The weight of an image of each class with which all classes count the same: n / (K · n_k), float32 (K,).

    >>> class_weights(np.array([0, 0, 0, 1]), 2).round(2).tolist()
    [0.6700000166893005, 2.0]
    """
    counts = np.bincount(targets, minlength=classes)
    return (len(targets) / (classes * counts.clip(min=1))).astype(np.float32)


def losses(logits: torch.Tensor, target_probs: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of each image, float32 (B,), from logits and target distributions, both (B, K)."""
    return F.cross_entropy(logits.float(), target_probs, reduction="none")
