"""Annotators' votes on an image, or their ratings: its label, their agreement on it, and targets for training."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from emotune.config.labels import NEGATIVE, POSITIVE, wheel_of
from emotune.config.losses import GaussianTargets
from emotune.config.target import Target

__all__ = ["OTHER", "QUARTERS", "agreement_of", "gaussian_on_wheel", "leading_class", "majority_class", "parse_votes",
           "quarters", "target_weights", "training_targets", "vote_shares"]  # fmt: skip

OTHER = "other"
"""The key of votes for none of the classes: "not this one", or neutral."""
QUARTERS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")
"""The labels of rated images: the quarters of the ratings of a dimension, each in every split if possible."""


def parse_votes(text: str) -> float:
    """The number of votes in a cell of a table, or the share of votes.

    >>> parse_votes("3"), parse_votes("0.25"), parse_votes("62.5%")
    (3, 0.25, 0.625)

    Raises:
        ValueError: the text is not such a number.
    """
    if not re.fullmatch(r"([0-9]+(\.[0-9]*)?|\.[0-9]+)(e-[0-9]+)?%?", text, re.IGNORECASE):
        raise ValueError(f'"{text}" is not a number of votes')
    value = float(text.removesuffix("%"))
    if text.endswith("%"):
        return value / 100
    return int(value) if value.is_integer() else value


def agreement_of(label: str, votes: Mapping[str, float]) -> str:
    """``well`` if more than half of all votes are for the label, else ``noisy``; a tie is noisy.

    These are the terms of You et al. (2016), as the thesis uses them.

    >>> agreement_of("awe", {"awe": 3, "other": 2}), agreement_of("awe", {"awe": 2, "other": 2})
    ('well', 'noisy')
    """
    return "well" if votes.get(label, 0) > sum(votes.values()) / 2 else "noisy"


def majority_class(votes: Mapping[str, float], classes: Sequence[str]) -> str | None:
    """The class with the most votes; None if several classes share the lead, or no class has a vote.

    >>> majority_class({"awe": 3, "fear": 1}, ("awe", "fear")), majority_class({"awe": 2, "fear": 2}, ("awe", "fear"))
    ('awe', None)
    """
    most = max((votes.get(label, 0) for label in classes), default=0)
    leaders = [label for label in classes if votes.get(label, 0) == most]
    return leaders[0] if most > 0 and len(leaders) == 1 else None


def leading_class(votes: Mapping[str, float], classes: Sequence[str]) -> str | None:
    """The class with the most votes, the first of several; None if no class has a vote.

    >>> leading_class({"awe": 2, "fear": 2, "other": 5}, ("awe", "fear")), leading_class({"other": 5}, ("awe", "fear"))
    ('awe', None)
    """
    most = max((votes.get(label, 0) for label in classes), default=0)
    return next((label for label in classes if votes.get(label, 0) == most), None) if most > 0 else None


def quarters(ratings: Sequence[float]) -> list[str]:
    """The quarter of the ratings that each of them is in, out of `QUARTERS`; equal ratings are in the same one.

    >>> quarters([1, 2, 3, 3])
    ['lowest quarter', 'second quarter', 'third quarter', 'third quarter']
    """
    values = np.asarray(ratings, float)
    ends = np.quantile(values, (0.25, 0.5, 0.75), method="lower")
    return [QUARTERS[number] for number in np.searchsorted(ends, values).tolist()]


def target_weights(
    labels: Sequence[str], votes: Sequence[Mapping[str, float]], classes: Sequence[str], kind: str
) -> np.ndarray:
    """The target distribution of each image, which weights the terms of its cross-entropy: float32 (N, K).

    Args:
        labels: The labels of N images.
        votes: The votes on the same N images, by class.
        classes: The K classes.
        kind: *hard*: 1 for the label. *soft*: each class's share of the votes; votes for none of the classes are
            spread evenly over those that are not the label. *weighted*: for the label, its share of the votes, divided
            by the mean of all images' shares, so that the learning rate keeps its meaning.

    >>> target_weights(["awe"], [{"awe": 3, "other": 2}], ("anger", "awe", "fear"), "soft").round(2).tolist()
    [[0.20000000298023224, 0.6000000238418579, 0.20000000298023224]]
    """
    index = {label: i for i, label in enumerate(classes)}
    weights = np.zeros((len(labels), len(classes)))
    for row, (label, image_votes) in enumerate(zip(labels, votes, strict=True)):
        total = sum(image_votes.values()) or 1
        if kind == "soft" and image_votes:
            outside = sum(count for name, count in image_votes.items() if name not in index)
            weights[row] = outside / (len(classes) - 1)
            weights[row, index[label]] = 0
            for name in set(image_votes) & set(index):
                weights[row, index[name]] += image_votes[name]
            weights[row] /= total
        else:
            weights[row, index[label]] = image_votes.get(label, 0) / total if kind == "weighted" else 1
    if kind == "weighted":
        weights /= weights.sum(1).mean()
    return weights.astype(np.float32)


def vote_shares(labels: Sequence[str], votes: Sequence[Mapping[str, float]], classes: Sequence[str]) -> np.ndarray:
    """The share of each class in the votes for the classes, float32 (N, K); votes for none of them are left out.

    An image without a vote for a class has its label alone.

    >>> vote_shares(["awe", "fear"], [{"awe": 3, "fear": 1, "other": 6}, {}], ("awe", "fear")).tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    counts = np.array([[one.get(name, 0) for name in classes] for one in votes], float).reshape(-1, len(classes))
    own = np.array([[name == label for name in classes] for label in labels], float).reshape(-1, len(classes))
    counts = np.where(counts.sum(axis=1, keepdims=True) > 0, counts, own)
    return (counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)


def training_targets(
    labels: Sequence[str],
    votes: Sequence[Mapping[str, float]],
    classes: Sequence[str],
    targets: str | GaussianTargets,
    task: Target = "classes",
) -> np.ndarray:
    """The target distribution of each image as `TrainConfig.targets` says, float32 (N, K).

    Args:
        labels: The labels of N images.
        votes: The votes on the same N images, by class.
        classes: The K classes.
        targets: The kind of targets.
        task: What is predicted. For *distributions*, soft targets are `vote_shares`, which tests compare predictions
            with; they differ from those for *classes* only where there are votes for none of the classes.
    """
    if isinstance(targets, GaussianTargets):
        of_label = dict(zip(classes, gaussian_on_wheel(classes, targets), strict=True))
        return np.stack([of_label[label] for label in labels])
    if task == "distributions" and targets == "soft":
        return vote_shares(labels, votes, classes)
    return target_weights(labels, votes, classes, targets)


def gaussian_on_wheel(classes: Sequence[str], targets: GaussianTargets) -> np.ndarray:
    """The target distribution of an image of each class, float32 (K, K): a row for each label.

    Args:
        classes: The K classes.
        targets: The width of the Gaussian, and the value of classes of the other polarity.

    Raises:
        ValueError: the classes are not on the wheel.

    >>> targets = GaussianTargets(wheel=("joy", "fear", "anger"))
    >>> gaussian_on_wheel(("joy", "fear", "anger"), targets)[0].round(2).tolist()
    [0.8299999833106995, 0.07999999821186066, 0.07999999821186066]
    """
    wheel = wheel_of(classes, targets.wheel)
    places = np.array([wheel.index(name) for name in classes])
    apart = np.abs(places[:, None] - places[None, :])
    weights = np.exp(-(np.minimum(apart, len(classes) - apart) ** 2) / (2 * targets.sigma**2))
    polarity = np.array([(name in POSITIVE) - (name in NEGATIVE) for name in classes])
    weights = np.where(polarity[:, None] * polarity[None, :] < 0, targets.epsilon, weights)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
