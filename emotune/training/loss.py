"""The loss of a run: a named one or the user's own, with a target distribution and a weight for each training image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from emotune.config.target import Target
from emotune.config.train import LossCode, TrainConfig
from emotune.core.errors import InputError
from emotune.core.user_module import load_function, user_errors
from emotune.data.annotations import training_targets
from emotune.data.mixing import Mixture
from emotune.data.read.batches import Split
from emotune.training.distribution_losses import make_named_loss

__all__ = [
    "Loss",
    "Objective",
    "check_loss",
    "class_weights",
    "cross_entropy",
    "make_loss",
    "make_objective",
    "smooth_labels",
]

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Logits and target distributions, both (B, K), and weights (B,) → the loss of each image, (B,)."""
TOLERANCE = 1e-4


def cross_entropy(logits: torch.Tensor, target_probs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of each image, float32 (B,), from logits and target distributions, both (B, K)."""
    return F.cross_entropy(logits, target_probs, reduction="none")


@dataclass(frozen=True)
class Objective:
    """The targets of all training images; a batch's loss is Σ weight · loss / Σ weight.

    Attributes:
        targets: The class indices of the labels, int64 (N,); or ratings in dimensions, float32 (N, D).
        target_probs: The target distributions over classes, float32 (N, K); or the ratings.
        weights: The weights of the images in the mean, float32 (N,).
        loss: The function that gives the loss of each image.
    """

    targets: torch.Tensor
    target_probs: torch.Tensor
    weights: torch.Tensor
    loss: Loss = cross_entropy

    def correct(self, outputs: torch.Tensor, images: slice) -> torch.Tensor:
        """The number of some images that are classified correctly; 0 of ratings.

        Args:
            outputs: The outputs for the images, (B, K).
            images: The places of the images among those of the objective.
        """
        targets = self.targets[images]
        return (outputs.argmax(1) == targets).sum() if targets.ndim == 1 else outputs.new_zeros(())

    def of(self, indices: np.ndarray, mixture: Mixture | None = None) -> "Objective":
        """The objective of the images at ``indices``, (B,), each mixed with its partner if there is a mixture.

        The target of a mixture is the mean of both targets by their shares and the weights of their images. For a
        loss that is linear in the target, that gives the mean of both losses: all classes count the same also if mixed
        images are balanced. The label is the one with the greater share.
        """
        rows = torch.from_numpy(indices).to(self.targets.device, non_blocking=True)
        targets, probs, weights = (
            values.index_select(0, rows) for values in (self.targets, self.target_probs, self.weights)
        )
        own = Objective(targets, probs, weights, self.loss)
        if mixture is None:
            return own
        partners, share = self.of(mixture.partners), mixture.share
        parts = own.weights * share, partners.weights * (1 - share)
        weights = parts[0] + parts[1]
        probs = (parts[0][:, None] * own.target_probs + parts[1][:, None] * partners.target_probs) / weights[:, None]
        return Objective(own.targets if share >= 0.5 else partners.targets, probs, weights, self.loss)


def make_objective(split: Split, train: TrainConfig, device: torch.device, task: Target = "classes") -> Objective:
    """The objective of a run's training images, on a device.

    Args:
        split: The training images.
        train: The training, with its targets and its loss.
        device: The device.
        task: What is predicted.
    """
    targets, classes = split.targets, split.classes
    labels = [classes[target] for target in targets]
    target_probs = training_targets(labels, split.votes, classes, train.targets, task)
    balanced = train.class_weights == "balanced"
    weights = class_weights(targets, len(classes))[targets] if balanced else np.ones(len(targets), np.float32)
    smoothed = smooth_labels(target_probs, train.label_smoothing)
    label, probs, weight = (torch.from_numpy(values).to(device) for values in (targets, smoothed, weights))
    return Objective(label, probs, weight, make_loss(train, classes))


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


def make_loss(train: TrainConfig, classes: Sequence[str]) -> Loss:
    """The loss function of a run.

    Args:
        train: The training, with its loss.
        classes: The K class names, in the order of the network's outputs.

    Raises:
        InputError: the user's own code cannot be run.
        ValueError: the classes are not on the loss' wheel.
    """
    if train.loss == "cross_entropy":
        return cross_entropy
    if not isinstance(train.loss, LossCode):
        return make_named_loss(train.loss, classes)
    code = train.loss
    return load_function(code.source, code.file, code.entry, code.options)


def check_loss(train: TrainConfig, outputs: int, task: Target = "classes") -> None:
    """Tries a loss of the user's own on three images, before anything is spent.

    Args:
        train: The training, with its loss.
        outputs: The number of classes, K, or of dimensions.
        task: What is predicted: of dimensions, targets are ratings on scales from -1 to 1.

    Raises:
        InputError: it fails, does not give a finite loss for each image with a gradient, or mixes images.
    """
    if not isinstance(train.loss, LossCode):
        return
    code, loss = train.loss, make_loss(train, ())
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(3, outputs, generator=generator, requires_grad=True)
    weights = torch.tensor([1.0, 0.5, 2.0])
    if task == "dimensions":
        targets = {"ratings": 2 * torch.rand(3, outputs, generator=generator) - 1}
    else:
        soft = torch.randn(3, outputs, generator=generator).softmax(1)
        targets = {"distributions of votes": soft, "labels": torch.eye(outputs)[torch.arange(3) % outputs]}
    for kind, values in targets.items():
        _check_losses(code, loss, given, values, weights, kind)


def _check_losses(
    code: LossCode, loss: Loss, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, kind: str
) -> None:
    """Checks the losses of three images, whose targets are of some kind."""
    name = "outputs" if kind == "ratings" else "logits"

    def of(images: slice) -> torch.Tensor:
        with user_errors(f"train.loss: {code.code} fails", code.file):
            losses = loss(outputs[images], targets[images], weights[images])
        count = len(weights[images])
        if not isinstance(losses, torch.Tensor) or losses.shape != (count,) or not losses.is_floating_point():
            given = tuple(losses.shape) if isinstance(losses, torch.Tensor) else type(losses).__name__
            raise InputError(
                f"train.loss: {code.code} gives {given} for {name} {tuple(outputs[images].shape)}; it must give a "
                f"loss per image, ({count},)"
            )
        return losses

    losses = of(slice(3))
    if not losses.isfinite().all():
        raise InputError(f"train.loss: {code.code} gives losses that are not finite for {kind}: {losses.tolist()}")
    with user_errors(f"train.loss: {code.code} has no gradient", code.file):
        gradient = torch.autograd.grad(losses.sum(), outputs, allow_unused=True)[0] if losses.requires_grad else None
    if gradient is None or not gradient.isfinite().all():
        raise InputError(
            f"train.loss: {code.code} gives losses without a finite gradient for the {name}; do not detach them"
        )
    alone = torch.cat([of(slice(image, image + 1)) for image in range(3)])
    if not torch.allclose(losses, alone, rtol=TOLERANCE, atol=TOLERANCE):
        raise InputError(
            f"train.loss: {code.code} gives an image another loss alone than in a batch; images must not mix"
        )
    of(slice(0))  # a worker's share of the last batch may be empty
