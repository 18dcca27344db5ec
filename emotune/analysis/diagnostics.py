"""Beyond one number per run: classes, confidence, images and attention, as tidy tables.

``predictions`` are those that `emotune.analysis.load.Records` has of one data set, by seed, and by variant where
several are told apart. All of them have the same images.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import special

from emotune.analysis.metrics import classes_of, confusion, per_class
from emotune.analysis.seeds import summarise
from emotune.config.metric import SCALES
from emotune.runs.predictions import LOGIT_PREFIX

__all__ = [
    "calibration",
    "choose_examples",
    "confusion_shares",
    "disagreements",
    "image_attention",
    "mean_attention",
    "recall_differences",
    "recalls",
    "selection_bias",
]  # fmt: skip


def recalls(predictions: Mapping[str, Mapping[int, pd.DataFrame]]) -> pd.DataFrame:
    """The recall of each class (per cent) in each run: ``variant, seed, label, recall``.

    Classes that are no image's target have none, and no row.
    """
    rows = [
        (variant, seed, label, recall)
        for variant, by_seed in predictions.items()
        for seed, frame in by_seed.items()
        for label, recall in per_class(confusion(frame))["recall"].dropna().items()
    ]
    return pd.DataFrame(rows, columns=["variant", "seed", "label", "recall"])


def recall_differences(recalls: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Each variant's recalls less the baseline's, in points, paired by seed: ``variant, label, n, mean, low, high``.

    The interval is the 95 % t interval over ``n`` seeds; NaN with one, and where all are equal. Variants without a
    common seed have no rows.

    Args:
        recalls: See `recalls`.
        baseline: The variant that the others are compared with.
    """
    table = recalls.pivot(index=["variant", "label"], columns="seed", values="recall")
    rows = []
    for variant, label in recalls[["variant", "label"]].drop_duplicates().itertuples(index=False):
        if variant == baseline or (baseline, label) not in table.index:
            continue
        differences = (table.loc[variant, label] - table.loc[baseline, label]).dropna().tolist()
        summary = summarise(differences, SCALES["accuracy"].difference_bounds)
        if summary.n:
            rows.append((variant, label, summary.n, summary.mean, summary.low, summary.high))
    columns = ["variant", "label", "n", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns).astype({"mean": float, "low": float, "high": float})


def confusion_shares(predictions: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Per cent of each label's images (rows) that were given each class (columns), over all seeds.

    Rows of labels that no image has are NaN.
    """
    counts = sum(confusion(frame) for frame in predictions.values())
    return 100 * counts.div(counts.sum(axis=1), axis=0)


def calibration(predictions: Mapping[int, pd.DataFrame], bins: int = 10) -> pd.DataFrame:
    """What confidence was worth, over all seeds: a row per bin of confidence that has images, in ascending order.

    All in per cent: ``confidence``, the mean in the bin; ``accuracy`` of its images; their ``share`` of all images.
    Edges are as in `emotune.analysis.metrics.expected_calibration_error`.

    Args:
        predictions: By seed.
        bins: Between 0 and 1, of equal width.
    """
    logits = np.concatenate([_logits(frame) for frame in predictions.values()])
    right = np.concatenate([_is_correct(frame) for frame in predictions.values()])
    confidence = special.softmax(logits, axis=1).max(axis=1)
    table = pd.DataFrame({"confidence": 100 * confidence, "accuracy": 100 * right, "share": 100 / len(right)})
    bin_of = np.digitize(confidence, np.linspace(0, 1, bins + 1), right=True)
    found = table.groupby(bin_of).agg({"confidence": "mean", "accuracy": "mean", "share": "sum"})
    return found.reset_index(drop=True)


def disagreements(a: Mapping[int, pd.DataFrame], b: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Images that one variant gets right and the other wrong in every seed that both have.

    None with fewer than two such seeds: in one, chance flips as many. They are in the order of `choose_examples`, so
    that the first ones are a fair sample.

    Args:
        a: Predictions of one variant by seed.
        b: Of the other.

    Returns:
        ``sample_id``, ``target``, ``right`` (``a`` or ``b``), and ``other_prediction``: the wrong class that the other
        gave most often; of equally frequent ones the first in the order of the logits.
    """
    columns = ["sample_id", "target", "right", "other_prediction"]
    seeds = sorted(a.keys() & b.keys())
    if len(seeds) < 2:
        return pd.DataFrame(columns=columns, dtype=str)
    images, classes = a[seeds[0]][["sample_id", "target"]], np.array(classes_of(a[seeds[0]]))
    same = {side: [_reordered(runs[seed], images) for seed in seeds] for side, runs in (("a", a), ("b", b))}
    right = {side: np.array([_is_correct(frame) for frame in frames]) for side, frames in same.items()}  # (S, N)
    found = []
    for side, other in (("a", "b"), ("b", "a")):
        rows = right[side].all(axis=0) & ~right[other].any(axis=0)
        answers = np.array([_logits(frame)[rows].argmax(axis=1) for frame in same[other]])  # (S, flipped)
        votes = (answers[..., None] == np.arange(len(classes))).sum(axis=0)  # (flipped, K)
        found.append(images[rows].assign(right=side, other_prediction=classes[votes.argmax(axis=1)]))
    table = pd.concat(found).set_index("sample_id", drop=False)
    return table.loc[_shuffled_by_label(table), columns].reset_index(drop=True)


def mean_attention(frames: Sequence[pd.DataFrame]) -> dict[str, np.ndarray]:
    """By layer, the weights of the positions (H, W), mean over all images of all runs; they sum to one.

    Args:
        frames: Of one variant's runs: ``sample_id, layer, weights``.
    """
    return _mean_maps(pd.concat(frames), "layer") if frames else {}


def image_attention(frames: Sequence[pd.DataFrame], ids: Iterable[str]) -> dict[str, np.ndarray]:
    """By sample id, the weights of the positions (H, W), mean over runs and layers.

    Args:
        frames: Of one variant's runs: ``sample_id, layer, weights``.
        ids: Of which images; others than the runs' test images are left out.
    """
    wanted = list(ids)
    mine = [frame[frame["sample_id"].isin(wanted)] for frame in frames]
    maps = _mean_maps(pd.concat(mine), "sample_id") if mine else {}
    return {sample: maps[sample] for sample in wanted if sample in maps}


def selection_bias(runs: pd.DataFrame) -> pd.DataFrame:
    """What taking each run's best test epoch would have added: ``variant, dataset, n`` and means over ``n`` seeds.

    ``accuracy`` is of the epoch that was selected without the test images, ``best_test_accuracy`` the highest over
    epochs (both per cent), ``inflation`` the second less the first, in points. Without runs that were tested after each
    epoch there are no rows.

    Args:
        runs: As `emotune.analysis.load.Records` has them.
    """
    tested = runs.dropna(subset="best_test_accuracy")
    tested = tested.assign(inflation=tested["best_test_accuracy"] - tested["accuracy"])
    means = {name: (name, "mean") for name in ("accuracy", "best_test_accuracy", "inflation")}
    by_variant = tested.groupby(["variant", "dataset"], sort=False)
    return by_variant.agg(n=("inflation", "size"), **means).reset_index()


def choose_examples(predictions: Mapping[str, Mapping[int, pd.DataFrame]], count: int) -> list[str]:
    """Sample ids of test images to show, of one label after another in turn; always the same of the same images.

    They are drawn by a hash of their ids: neither by how they look nor by what the networks say.

    Args:
        predictions: By variant and seed, of one data set.
        count: How many, if there are as many.
    """
    frames = [frame for by_seed in predictions.values() for frame in by_seed.values()]
    return _shuffled_by_label(frames[0])[:count] if frames else []


def _shuffled_by_label(images: pd.DataFrame) -> list[str]:
    """All sample ids, shuffled by their hashes, label after label in turn."""
    digests = [hashlib.sha256(sample.encode()).hexdigest() for sample in images["sample_id"]]
    shuffled = images[["sample_id", "target"]].reset_index(drop=True).iloc[np.argsort(digests)]
    turn = shuffled.groupby("target").cumcount()
    return shuffled.assign(turn=turn).sort_values("turn", kind="stable")["sample_id"].tolist()


def _reordered(frame: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order of ``images``."""
    return frame.set_index("sample_id").loc[images["sample_id"]]


def _logits(frame: pd.DataFrame) -> np.ndarray:
    """(N, K), in double precision."""
    return frame[[LOGIT_PREFIX + label for label in classes_of(frame)]].to_numpy(np.float64)


def _is_correct(frame: pd.DataFrame) -> np.ndarray:
    """Whether the class with the largest logit is the target (N,)."""
    return np.array(classes_of(frame))[_logits(frame).argmax(axis=1)] == frame["target"].to_numpy()


def _mean_maps(attention: pd.DataFrame, by: str) -> dict[str, np.ndarray]:
    """Mean maps (H, W) of square grids, by what a column says."""
    weights = attention.groupby(by, sort=False)["weights"]
    means = {str(key): np.stack(rows.tolist()).mean(axis=0, dtype=np.float64) for key, rows in weights}
    return {key: mean.reshape(math.isqrt(mean.size), -1) for key, mean in means.items()}
