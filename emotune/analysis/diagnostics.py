"""Diagnostics as tidy tables: recall by class, confusions, calibration, disagreements, attention maps.

``predictions`` are those of `emotune.analysis.load.Records` on one data set, by seed, or by variant and seed. All of
them have the same images.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import special

from emotune.analysis.alignment import in_order
from emotune.analysis.metrics import confusion_counts, recall_of
from emotune.analysis.prediction_arrays import classes_of, guesses_of, logits_of, targets_of
from emotune.analysis.rating_arrays import has_ratings
from emotune.analysis.seeds import summarise
from emotune.config.metric import SCALES

__all__ = [
    "ALL_CLIPS",
    "attention_in_time",
    "calibration",
    "choose_examples",
    "clip_attention",
    "confusion_shares",
    "disagreements",
    "image_attention",
    "mean_attention",
    "recall_differences",
    "recalls",
    "selection_bias",
]  # fmt: skip

ALL_CLIPS = "all clips"
"""The name of all clips beside the names of classes."""


def recalls(predictions: Mapping[str, Mapping[int, pd.DataFrame]]) -> pd.DataFrame:
    """The recall of each class in each run, in per cent: ``variant, seed, label, recall``.

    Classes that are no image's target have no row.
    """
    rows = [
        (variant, seed, label, recall)
        for variant, by_seed in predictions.items()
        for seed, frame in by_seed.items()
        for label, recall in zip(classes_of(frame), recall_of(confusion_counts(frame)).tolist(), strict=True)
        if not math.isnan(recall)
    ]
    return pd.DataFrame(rows, columns=["variant", "seed", "label", "recall"])


def recall_differences(recalls: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Each variant's recalls minus the baseline's, in points, paired by seed: ``variant, label, n, mean, low, high``.

    The interval is the 95 % t interval over ``n`` seeds; it is NaN for one seed or equal differences. Variants that
    have no seed in common with the baseline have no rows.

    Args:
        recalls: See `recalls`.
        baseline: The variant that the others are compared with.
    """
    table = recalls.pivot(index=["variant", "label"], columns="seed", values="recall")
    by_seed = dict(zip(table.index, table.to_numpy(float), strict=True))
    rows = []
    for variant, label in recalls[["variant", "label"]].drop_duplicates().itertuples(index=False):
        if variant == baseline or (baseline, label) not in by_seed:
            continue
        differences = by_seed[variant, label] - by_seed[baseline, label]
        summary = summarise(differences[~np.isnan(differences)].tolist(), SCALES["accuracy"].difference_bounds)
        if summary.n:
            rows.append((variant, label, summary.n, summary.mean, summary.low, summary.high))
    columns = ["variant", "label", "n", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns).astype({"mean": float, "low": float, "high": float})


def confusion_shares(predictions: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """The confusion matrix over all seeds, in per cent of each label's images: labels (rows) by predicted classes.

    Rows of labels that no image has are NaN.
    """
    classes = classes_of(next(iter(predictions.values())))
    counts = np.sum([confusion_counts(frame) for frame in predictions.values()], axis=0)
    with np.errstate(invalid="ignore"):
        return pd.DataFrame(100 * (counts / counts.sum(axis=1, keepdims=True)), index=classes, columns=classes)


def calibration(predictions: Mapping[int, pd.DataFrame], bins: int = 10) -> pd.DataFrame:
    """Accuracy by confidence over all seeds: a row for each bin of confidence that has images, in ascending order.

    The columns are the number of its ``images``, and in per cent: the mean ``confidence`` of the bin, the ``accuracy``
    of its images, and their ``share`` of all images. The edges are those of
    `emotune.analysis.metrics.expected_calibration_error`.

    Args:
        predictions: The predictions by seed.
        bins: The number of bins between 0 and 1, of equal width.
    """
    logits = np.concatenate([logits_of(frame) for frame in predictions.values()])
    right = logits.argmax(axis=1) == np.concatenate([targets_of(frame) for frame in predictions.values()])
    confidence = special.softmax(logits, axis=1).max(axis=1)
    table = pd.DataFrame(
        {"confidence": 100 * confidence, "accuracy": 100 * right, "share": 100 / len(right), "images": 1}
    )
    bin_of = np.digitize(confidence, np.linspace(0, 1, bins + 1), right=True)
    by_bin = table.groupby(bin_of).agg({"confidence": "mean", "accuracy": "mean", "share": "sum", "images": "sum"})
    return by_bin.reset_index(drop=True)


def disagreements(a: Mapping[int, pd.DataFrame], b: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Images that one variant classifies correctly and the other wrongly in every seed that both have.

    There are none with fewer than two common seeds, because chance alone produces as many in one seed, and none of
    predicted ratings, which are neither correct nor wrong. They are in the
    order of `choose_examples`, so that the first ones are a fair sample.

    Args:
        a: The predictions of one variant by seed.
        b: The predictions of the other variant by seed.

    Returns:
        ``sample_id``, ``target``, ``right`` (the variant that is correct: ``a`` or ``b``), and ``other_prediction``,
        the wrong class that the other variant predicts most often, the first one if several are equally frequent.
    """
    columns = ["sample_id", "target", "right", "other_prediction"]
    seeds = sorted(a.keys() & b.keys())
    if len(seeds) < 2 or has_ratings(a[seeds[0]]):
        return pd.DataFrame(columns=columns, dtype=str)
    images, classes = a[seeds[0]][["sample_id", "target"]], np.array(classes_of(a[seeds[0]]))
    guesses = {
        side: np.array([guesses_of(in_order(runs[seed], images["sample_id"])) for seed in seeds])  # (S, N)
        for side, runs in (("a", a), ("b", b))
    }
    targets = targets_of(a[seeds[0]])
    tables = []
    for side, other in (("a", "b"), ("b", "a")):
        rows = (guesses[side] == targets).all(axis=0) & (guesses[other] != targets).all(axis=0)
        votes = (guesses[other][:, rows, None] == np.arange(len(classes))).sum(axis=0)  # (images, K)
        tables.append(images[rows].assign(right=side, other_prediction=classes[votes.argmax(axis=1)]))
    table = pd.concat(tables).set_index("sample_id", drop=False)
    return table.loc[_shuffled_by_label(table), columns].reset_index(drop=True)


def mean_attention(frames: Sequence[pd.DataFrame]) -> dict[str, np.ndarray]:
    """The mean attention weights (H, W) of each layer over all images of all runs; each map sums to one.

    Args:
        frames: The attention tables of one variant's runs: ``sample_id, layer, weights``.
    """
    return _mean_maps(pd.concat(frames), "layer") if frames else {}


def image_attention(frames: Sequence[pd.DataFrame], ids: Iterable[str]) -> dict[str, np.ndarray]:
    """The attention weights (H, W) of each image, mean over runs and layers, by sample id.

    Args:
        frames: The attention tables of one variant's runs: ``sample_id, layer, weights``.
        ids: The sample ids; ids that are not among the test images are ignored.
    """
    wanted = list(ids)
    selected = [frame[frame["sample_id"].isin(wanted)] for frame in frames]
    maps = _mean_maps(pd.concat(selected), "sample_id") if selected else {}
    return {sample: maps[sample] for sample in wanted if sample in maps}


def attention_in_time(frames: Sequence[pd.DataFrame], labels: Mapping[str, str]) -> pd.DataFrame:
    """The attention weights of frames times their number, means over runs and clips, (1 + L, T).

    The first row, `ALL_CLIPS`, is the mean over all clips; the others are those of each label.

    Args:
        frames: The tables of attention over frames of one variant's runs: ``sample_id, layer, weights``.
        labels: The label of each clip by sample id, or of none.
    """
    table = pd.concat(frames)
    weights = pd.DataFrame(np.stack(table["weights"].tolist()).astype(np.float64))
    weights *= weights.shape[1]
    by_label = weights.groupby(table["sample_id"].map(dict(labels)).to_numpy(), sort=True).mean()
    return pd.concat([weights.mean().to_frame(ALL_CLIPS).T, by_label])


def clip_attention(frames: Sequence[pd.DataFrame], ids: Iterable[str]) -> dict[str, np.ndarray]:
    """The attention weights of the frames of each clip times their number, (T,), means over runs, by sample id.

    Args:
        frames: The tables of attention over frames of one variant's runs: ``sample_id, layer, weights``.
        ids: The sample ids; ids that are not among the test clips are ignored.
    """
    by_clip = pd.concat(frames).groupby("sample_id")["weights"]
    rows = {sample: np.stack(by_clip.get_group(sample).tolist()) for sample in ids if sample in by_clip.groups}
    return {sample: weights.mean(axis=0, dtype=np.float64) * weights.shape[1] for sample, weights in rows.items()}


def selection_bias(runs: pd.DataFrame) -> pd.DataFrame:
    """How much selecting the best test epoch would inflate accuracy: ``variant, dataset, n``, means over ``n`` seeds.

    ``accuracy`` is that of the epoch selected without the test images, ``best_test_accuracy`` the highest of all epochs
    (both in per cent), ``inflation`` their difference in points. Only runs that were tested after each epoch count.

    Args:
        runs: The table of runs of `emotune.analysis.load.Records`.
    """
    tested = runs.dropna(subset="best_test_accuracy")
    if "accuracy" not in tested:  # dimensions are predicted
        tested = tested.assign(accuracy=math.nan)
    tested = tested.assign(inflation=tested["best_test_accuracy"] - tested["accuracy"])
    means = {name: (name, "mean") for name in ("accuracy", "best_test_accuracy", "inflation")}
    by_variant = tested.groupby(["variant", "dataset"], sort=False)
    return by_variant.agg(n=("inflation", "size"), **means).reset_index()


def choose_examples(predictions: Mapping[str, Mapping[int, pd.DataFrame]], count: int) -> list[str]:
    """The sample ids of test images to show, one label after another in turn.

    They are chosen by a hash of their ids, not by their content or predictions; the same images give the same choice.

    Args:
        predictions: The predictions on one data set by variant and seed.
        count: The number of images, if there are as many.
    """
    frames = [frame for by_seed in predictions.values() for frame in by_seed.values()]
    return _shuffled_by_label(frames[0])[:count] if frames else []


def _shuffled_by_label(images: pd.DataFrame) -> list[str]:
    """All sample ids in the order of their hashes, one label after another in turn."""
    digests = [hashlib.sha256(sample.encode()).hexdigest() for sample in images["sample_id"]]
    shuffled = images[["sample_id", "target"]].reset_index(drop=True).iloc[np.argsort(digests)]
    turn = shuffled.groupby("target").cumcount()
    return shuffled.assign(turn=turn).sort_values("turn", kind="stable")["sample_id"].tolist()


def _mean_maps(attention: pd.DataFrame, by: str) -> dict[str, np.ndarray]:
    """The mean maps (H, W) of square grids for each value of a column; weights of no square grid have no map."""
    weights = attention.groupby(by, sort=False)["weights"]
    means = {str(key): np.stack(rows.tolist()).mean(axis=0, dtype=np.float64) for key, rows in weights}
    sides = {key: math.isqrt(mean.size) for key, mean in means.items()}
    return {key: mean.reshape(sides[key], -1) for key, mean in means.items() if mean.size == sides[key] ** 2}
