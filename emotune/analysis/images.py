"""Uncertainty over test images: a paired cluster bootstrap, crossed intervals over seeds and images, McNemar's test.

The bootstrap resamples groups of near-duplicates. All runs of a data set share the draws, so differences between runs
are paired by image. The crossed interval covers other seeds and other images at once: they are crossed random factors,
whose variance components add (Owen 2007, "The pigeonhole bootstrap").
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import sparse, stats
from statsmodels.stats.contingency_tables import mcnemar

from emotune.analysis.alignment import in_order
from emotune.analysis.metrics import metric_from_stats, sufficient_stats
from emotune.analysis.prediction_arrays import guesses_of, targets_of
from emotune.analysis.rating_arrays import has_ratings
from emotune.analysis.verdict import ALPHA
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.core.errors import InputError
from emotune.core.sample_noun import worded

__all__ = ["ImageBootstrap", "McNemar", "bootstrap_over_images", "complete_seeds"]

DRAWS, BATCH = 2000, 100
"""The bootstrap draws, and how many of them are computed at a time."""
Predictions = Mapping[str, Mapping[int, pd.DataFrame]]


@dataclass(frozen=True)
class McNemar:
    """McNemar's (1947) exact test of two networks, on top-1 predictions whatever the study's metric.

    Every image counts as independent, near-duplicates too.

    Attributes:
        only_variant: The number of images that only the variant classifies correctly.
        only_reference: The number of images that only the reference classifies correctly.
        p: The two-sided p value.
    """

    only_variant: int
    only_reference: int
    p: float


@dataclass(frozen=True)
class ImageBootstrap:
    """The uncertainty of a contrast over test images, in the unit of the study's metric.

    Attributes:
        contrast: The contrast.
        dataset: The data set's name.
        seeds: The seeds in which the runs of all its variants have finished.
        images: The number of test images.
        groups: The number of near-duplicate groups, which are resampled.
        mean: The mean difference over seeds.
        low: The lower end of the 95 % interval for the same networks on as many other images: a percentile of a paired
            bootstrap, centred on the mean difference and truncated to the possible values; None if a value is infinite.
        high: The upper end of this interval.
        crossed_low: The lower end of the interval for other seeds and other images, which covers at least 95 %,
            truncated likewise; None if a value is infinite or there are fewer than two seeds.
        crossed_high: The upper end of this interval.
        mcnemar: McNemar's test by seed; empty for a contrast that is not a difference of two variants.
    """

    contrast: Contrast
    dataset: str
    seeds: tuple[int, ...]
    images: int
    groups: int
    mean: float
    low: float | None
    high: float | None
    crossed_low: float | None
    crossed_high: float | None
    mcnemar: Mapping[int, McNemar]


def bootstrap_over_images(
    contrasts: Sequence[Contrast], dataset: str, predictions: Predictions, metric: Metric
) -> list[ImageBootstrap]:
    """The uncertainty over images of each contrast that has a complete seed.

    Args:
        contrasts: The contrasts.
        dataset: The data set's name.
        predictions: The predictions of the finished runs on this data set by variant and seed: ``sample_id, target,
            group, logit_<class>…``.
        metric: The study's metric, which is one of emotune's.

    Raises:
        InputError: two runs were not tested on the same images.
    """
    common = {c: complete_seeds(c, predictions) for c in contrasts}
    used = dict.fromkeys((variant, seed) for c in contrasts for variant in c.weights for seed in common[c])
    if not used:
        return []
    runs = _aligned({run: predictions[run[0]][run[1]] for run in used}, dataset)
    # In a run without recorded groups, every image is its own group; any other run has the real groups.
    groups = pd.factorize(min((frame["group"] for frame in runs.values()), key=pd.Series.nunique))[0]
    values = dict(zip(runs, _replicates(list(runs.values()), groups, metric.column).T, strict=True))
    right = {} if has_ratings(next(iter(runs.values()))) else _right(runs)
    bootstraps = []
    for c in contrasts:
        if seeds := common[c]:
            with np.errstate(invalid="ignore"):  # infinite less infinite
                differences = np.stack(
                    [sum(w * values[variant, s] for variant, w in c.weights.items()) for s in seeds], axis=1
                )
            found = _intervals(c, dataset, differences, groups, tuple(seeds), c.bounds(metric.scale))
            tests = {s: _mcnemar(*(right[variant, s] for variant in c.pair)) for s in seeds} if c.pair and right else {}
            bootstraps.append(replace(found, mcnemar=tests))
    return bootstraps


def _right(runs: Mapping[tuple[str, int], pd.DataFrame]) -> dict[tuple[str, int], np.ndarray]:
    """For each run, the images that it classifies correctly, (N,)."""
    targets = targets_of(next(iter(runs.values())))  # the same in all runs
    return {run: guesses_of(frame) == targets for run, frame in runs.items()}


def complete_seeds(contrast: Contrast, predictions: Mapping[str, Mapping[int, object]]) -> list[int]:
    """The seeds in which all variants of a contrast have predictions, which are given by variant and seed."""
    return sorted(set.intersection(*(set(predictions.get(variant, {})) for variant in contrast.weights)))


def _aligned(runs: Mapping[tuple[str, int], pd.DataFrame], dataset: str) -> dict[tuple[str, int], pd.DataFrame]:
    """The runs' predictions with the images in the order of the first run."""
    (first, first_frame), aligned = next(iter(runs.items())), {}
    ids, targets = first_frame["sample_id"], first_frame["target"]
    for run, frame in runs.items():
        aligned[run] = in_order(frame, ids)
        if len(frame) != len(ids) or not aligned[run]["target"].equals(targets):
            raise InputError(
                f"{dataset}: {run[0]}, seed {run[1]}, and {first[0]}, seed {first[1]}, were not tested on the same "
                f"{worded('images')}; delete the folder of the run that was trained on other data, to train it again"
            )
    return aligned


def _replicates(runs: Sequence[pd.DataFrame], groups: np.ndarray, metric: str) -> np.ndarray:
    """The metric of each run (1 + draws, runs): first with every image once, then with resampled groups."""
    parts = [sufficient_stats(frame, metric) for frame in runs]
    cells, count = parts[0].cells, groups.max() + 1
    columns = np.concatenate([run * cells + part.cell for run, part in enumerate(parts)])
    values = np.concatenate([part.value for part in parts])
    infinite = [np.isinf(part.value).any() for part in parts]  # a run whose loss is infinite for an image
    values = np.where(np.isinf(values), 0.0, values)  # because 0 × infinite is NaN
    rows = np.concatenate([groups if part.image is None else groups[part.image] for part in parts])
    sums = sparse.csr_array((values, (columns, rows)), shape=(len(runs) * cells, count))
    images, metrics = np.bincount(groups), []
    for weights in _weights(count):
        drawn = (sums @ weights.T).T.reshape(len(weights), len(runs), cells)
        metrics.append(metric_from_stats(metric, drawn, (weights @ images)[:, None]))
    replicates = np.concatenate(metrics)
    replicates[:, infinite] = np.inf
    return replicates


def _weights(groups: int) -> Iterator[np.ndarray]:
    """The weight of each group (draws, groups): first 1, then as drawn, some draws at a time to save memory."""
    yield np.ones((1, groups))
    rng = np.random.default_rng(0)
    for _ in range(DRAWS // BATCH):
        yield rng.multinomial(groups, np.full(groups, 1 / groups), size=BATCH).astype(float)


def _intervals(
    contrast: Contrast,
    dataset: str,
    differences: np.ndarray,
    groups: np.ndarray,
    seeds: tuple[int, ...],
    bounds: tuple[float, float],
) -> ImageBootstrap:
    """The intervals of a contrast from its differences (1 + draws, S), of which the first row is observed."""
    observed, draws = differences[0], differences[1:]
    mean, count = sum(map(float, observed)) / len(observed), int(groups.max()) + 1
    bootstrap = ImageBootstrap(
        contrast, dataset, seeds, len(groups), count, mean, low=None, high=None, crossed_low=None, crossed_high=None,
        mcnemar={},
    )  # fmt: skip
    if not np.isfinite(observed).all():
        return bootstrap
    # Resampling raises a calibration error: without centring, the interval may exclude the difference itself.
    draws = draws - draws.mean(axis=0) + observed
    low, high = np.percentile(draws.mean(axis=1), [100 * ALPHA / 2, 100 * (1 - ALPHA / 2)])
    bootstrap = replace(bootstrap, low=float(np.clip(low, *bounds)), high=float(np.clip(high, *bounds)))
    if len(observed) < 2:
        return bootstrap
    low, high = _crossed(observed, draws, count)
    return replace(bootstrap, crossed_low=float(np.clip(low, *bounds)), crossed_high=float(np.clip(high, *bounds)))


def _crossed(observed: np.ndarray, draws: np.ndarray, groups: int) -> tuple[float, float]:
    """The ends of Banerjee's (1961) interval over seeds and images, with a t quantile for each variance.

    Satterthwaite's single t for their sum covers 87 % in the worst case of two seeds and 92 % of three; this interval
    covers 95 %.

    Args:
        observed: The differences by seed (S,).
        draws: The differences of resampled images by seed (draws, S).
        groups: The number of groups that were resampled.
    """
    seeds, mean = len(observed), float(observed.mean())
    over_seeds = observed.var(ddof=1) / seeds
    over_images = draws.mean(axis=1).var(ddof=1)
    # The interaction of seed and image is part of both variances.
    interaction = max(0.0, draws.var(axis=0, ddof=1).mean() - over_images) / (seeds - 1)
    t_seeds, t_images = stats.t.ppf(1 - ALPHA / 2, [seeds - 1, max(1, groups - 1)])
    squared = t_seeds**2 * over_seeds + t_images**2 * max(0.0, over_images - interaction)
    half = math.sqrt(max(squared, t_images**2 * over_images))
    return mean - half, mean + half


def _mcnemar(variant: np.ndarray, reference: np.ndarray) -> McNemar:
    a, b = int((variant & ~reference).sum()), int((~variant & reference).sum())
    result = mcnemar([[0, a], [b, 0]], exact=True)
    return McNemar(a, b, float(result.pvalue))  # pyright: ignore[reportAttributeAccessIssue]  # set at run time
