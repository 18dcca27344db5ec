"""What lies behind an accuracy: classes, confusions, calibration, attention, and pictures whose answer differs.

Tidy tables, from predictions by variant and seed. Shares are in per cent. Nothing here is tested: it describes.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import special

from emotune.analysis.metrics import PREFIX, classes_of, confusion, per_class
from emotune.analysis.statistics import summarise

__all__ = ["calibration", "choose_examples", "confusion_shares", "flips", "mean_attention", "optimism",
           "picture_attention", "recall_differences", "recalls"]  # fmt: skip

BySeed = Mapping[int, pd.DataFrame]
"""A variant's predictions."""


def recalls(predictions: Mapping[str, BySeed]) -> pd.DataFrame:
    """``variant, seed, label, recall``: of every class, NaN of one that is no test picture's."""
    rows = [
        {"variant": variant, "seed": seed, "label": label, "recall": recall}
        for variant, by_seed in predictions.items()
        for seed, frame in by_seed.items()
        for label, recall in per_class(confusion(frame))["recall"].items()
    ]
    return pd.DataFrame(rows, columns=["variant", "seed", "label", "recall"])


def recall_differences(recalls: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """``variant, label, n, mean, low, high``: recall less the baseline's of the same seed, with 95 % t intervals.

    Args:
        recalls: See `recalls`.
        baseline: A variant of it.
    """
    wide = recalls.pivot_table(index="seed", columns=["variant", "label"], values="recall", sort=False)
    rows = []
    for variant, label in wide.columns:
        if variant != baseline and (baseline, label) in wide:
            s = summarise((wide[variant, label] - wide[baseline, label]).dropna().tolist())
            rows.append({"variant": variant, "label": label, "n": s.n, "mean": s.mean, "low": s.low, "high": s.high})
    frame = pd.DataFrame(rows, columns=["variant", "label", "n", "mean", "low", "high"])
    return frame.astype({"mean": float, "low": float, "high": float})


def confusion_shares(predictions: BySeed) -> pd.DataFrame:
    """Per cent of each label's test pictures (rows) that were given each class (columns), over all seeds."""
    counts = sum(confusion(frame) for frame in predictions.values())
    return 100 * counts.div(counts.sum(axis=1).clip(lower=1), axis=0)


def calibration(predictions: BySeed, bins: int = 10) -> pd.DataFrame:
    """``confidence, accuracy, share`` by bin of confidence, over all seeds; bins without pictures are left out.

    Args:
        predictions: By seed.
        bins: Of equal width between 0 and 1, each with its upper edge, as in
            `emotune.analysis.metrics.expected_calibration_error`.
    """
    tables = []
    for frame in predictions.values():
        logits = frame[[PREFIX + label for label in classes_of(frame)]].to_numpy(np.float64)
        confidence = special.softmax(logits, axis=1).max(axis=1)
        tables.append(pd.DataFrame({"confidence": 100 * confidence, "accuracy": 100.0 * _right(frame)}))
    table = pd.concat(tables)
    number = np.digitize(table["confidence"] / 100, np.linspace(0, 1, bins + 1), right=True)
    groups = table.groupby(number)
    return groups.mean().assign(share=100 * groups.size() / len(table)).reset_index(drop=True)


def flips(a: BySeed, b: BySeed) -> pd.DataFrame:
    """Pictures that one gets right and the other wrong in every common seed; none with fewer than two such seeds.

    Returns:
        ``sample_id, target, right`` (``a`` or ``b``) and ``answer_of_other``: its most frequent answer, of equally
        frequent ones the first class.
    """
    columns = ["sample_id", "target", "right", "answer_of_other"]
    seeds = sorted(a.keys() & b.keys())
    if len(seeds) < 2:
        return pd.DataFrame(columns=columns)
    pictures = a[seeds[0]]
    rows = []
    for side, winner, loser in (("a", a, b), ("b", b, a)):
        chosen = np.all([_right(winner[s]) & ~_right(loser[s]) for s in seeds], axis=0)
        answers = pd.DataFrame([_answers(loser[s])[chosen] for s in seeds])
        for index, column in zip(np.flatnonzero(chosen), answers, strict=True):
            row = pictures.iloc[index]
            rows.append([row["sample_id"], row["target"], side, answers[column].mode().iloc[0]])
    return pd.DataFrame(rows, columns=columns).sort_values(["right", "target", "sample_id"], ignore_index=True)


def mean_attention(frames: Sequence[pd.DataFrame]) -> dict[str, np.ndarray]:
    """The mean weights of each attention layer over pictures and runs, as a square map (H, W) by the layer's name."""
    together = pd.concat(frames)
    return {
        layer: _square(np.stack(group["weights"].to_numpy()).mean(axis=0, dtype=np.float64))
        for layer, group in together.groupby("layer", sort=False)
    }


def picture_attention(frames: Sequence[pd.DataFrame], ids: Collection[str]) -> dict[str, np.ndarray]:
    """The mean weights on single pictures over layers and runs, as square maps (H, W) by sample id."""
    together = pd.concat([frame[frame["sample_id"].isin(list(ids))] for frame in frames])
    found = {
        sample: _square(np.stack(group["weights"].to_numpy()).mean(axis=0, dtype=np.float64))
        for sample, group in together.groupby("sample_id")
    }
    return {sample: found[sample] for sample in ids if sample in found}


def choose_examples(predictions: Mapping[str, BySeed], count: int) -> list[str]:
    """Sample ids of test pictures to show, whatever networks make of them: the first of each class, then the second…

    Args:
        predictions: Of any variants, at least one.
        count: At most.
    """
    pictures = next(iter(next(iter(predictions.values())).values())).sort_values("sample_id")
    place = pictures.groupby("target").cumcount()
    label = pd.Index(classes_of(pictures)).get_indexer(pictures["target"])
    return pictures.assign(place=place, label=label).sort_values(["place", "label"])["sample_id"].head(count).tolist()


def optimism(runs: pd.DataFrame) -> pd.DataFrame:
    """What the highest test accuracy over epochs, as the thesis reports it, adds to the selected epoch's.

    Args:
        runs: Finished ones, see `emotune.analysis.records.Records`.

    Returns:
        ``variant, dataset, n, accuracy, best_test_accuracy, inflation``: means over seeds, in per cent and points;
        empty where no run was tested at every epoch.
    """
    noted = runs.dropna(subset="best_test_accuracy").astype({"accuracy": float, "best_test_accuracy": float})
    groups = noted.groupby(["variant", "dataset"], sort=False)
    means = groups[["accuracy", "best_test_accuracy"]].mean()
    table = means.assign(n=groups.size(), inflation=means["best_test_accuracy"] - means["accuracy"]).reset_index()
    return table[["variant", "dataset", "n", "accuracy", "best_test_accuracy", "inflation"]]


def _answers(predictions: pd.DataFrame) -> np.ndarray:
    """The predicted class of each picture (N,)."""
    classes = classes_of(predictions)
    return np.array(classes)[predictions[[PREFIX + c for c in classes]].to_numpy().argmax(axis=1)]


def _right(predictions: pd.DataFrame) -> np.ndarray:
    return _answers(predictions) == predictions["target"].to_numpy()


def _square(weights: np.ndarray) -> np.ndarray:
    return weights.reshape(round(len(weights) ** 0.5), -1)
