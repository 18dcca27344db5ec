"""Uncertainty over images, the second kind: what other test images, rather than other seeds, would change.

Images are resampled by groups of near-duplicates. All runs of a data set share the draws, so that differences of runs
are paired by image. The crossed interval allows for other seeds and other images at once: these are crossed random
factors, whose components of variance add (Owen 2007, "The pigeonhole bootstrap").
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse, stats
from statsmodels.stats.contingency_tables import mcnemar

from emotune.analysis.metrics import metric_from_stats, sufficient_stats
from emotune.analysis.power import ALPHA
from emotune.config.metric import Metric
from emotune.config.study import Contrast
from emotune.core.errors import InputError

__all__ = ["ImageBootstrap", "McNemar", "bootstrap_over_images"]

DRAWS, AT_A_TIME = 2000, 100
Predictions = Mapping[str, Mapping[int, pd.DataFrame]]


@dataclass(frozen=True)
class McNemar:
    """Images that one of two networks alone tells right, and the exact two-sided p of McNemar's (1947) test.

    It counts top-1 answers, whatever the study's metric, and takes every image for itself, near-duplicates too.
    """

    only_variant: int
    only_reference: int
    p: float


@dataclass(frozen=True)
class ImageBootstrap:
    """A contrast on one data set, in the unit of the study's metric, as other images would change it.

    Attributes:
        contrast: Variant minus reference.
        dataset: On which test images.
        seeds: In which both runs are finished.
        images: How many were tested.
        groups: Of near-duplicates, that they make up; what is resampled.
        mean: The mean difference over seeds.
        low: Of the 95 % interval for these networks on as many other images: percentiles of a paired bootstrap,
            centred on the mean difference, cut where it would leave what is possible; None where a value is infinite.
        high: Of the same.
        crossed_low: Of the interval for other seeds and other images, of 95 % at least, cut likewise; None under two
            seeds, too.
        crossed_high: Of the same.
        mcnemar: By seed.
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
    """The contrasts that have a complete pair of runs, with their uncertainty over images.

    Args:
        contrasts: Which differences.
        dataset: Its name.
        predictions: By variant and seed, of the finished runs on this data set: ``sample_id, target, group,
            logit_<class>…``.
        metric: What is compared.

    Raises:
        InputError: two runs were not tested on the same images.
    """
    common = {c: sorted(predictions.get(c.variant, {}).keys() & predictions.get(c.reference, {})) for c in contrasts}
    used = dict.fromkeys((name, seed) for c in contrasts for name in (c.variant, c.reference) for seed in common[c])
    if not used:
        return []
    runs = _aligned({run: predictions[run[0]][run[1]] for run in used}, dataset)
    # A run from before groups were noted has every image by itself; any of the others knows better.
    groups = pd.factorize(min((frame["group"] for frame in runs.values()), key=pd.Series.nunique))[0]
    values = dict(zip(runs, _replicates(list(runs.values()), groups, metric.name).T, strict=True))
    right = {run: sufficient_stats(frame, "accuracy").value > 0 for run, frame in runs.items()}
    found = []
    for c in contrasts:
        if seeds := common[c]:
            with np.errstate(invalid="ignore"):  # infinite less infinite
                differences = np.stack([values[c.variant, s] - values[c.reference, s] for s in seeds], axis=1)
            tests = {s: _mcnemar(right[c.variant, s], right[c.reference, s]) for s in seeds}
            found.append(_intervals(c, dataset, differences, groups, tests, metric.scale.difference_bounds))
    return found


def _aligned(runs: Mapping[tuple[str, int], pd.DataFrame], dataset: str) -> dict[tuple[str, int], pd.DataFrame]:
    """The runs' predictions, images in the order of the first."""
    (first, pattern), aligned = next(iter(runs.items())), {}
    ids, targets = pattern["sample_id"].to_numpy(), pattern["target"].to_numpy()
    for run, frame in runs.items():
        same = np.array_equal(frame["sample_id"].to_numpy(), ids)
        aligned[run] = frame if same else frame.set_index("sample_id").reindex(ids).reset_index()
        if len(frame) != len(ids) or not np.array_equal(aligned[run]["target"].to_numpy(), targets):
            raise InputError(
                f"{dataset}: {run[0]}, seed {run[1]}, and {first[0]}, seed {first[1]}, were not tested on the same "
                "images; delete the folder of the run whose data have changed, to train it again"
            )
    return aligned


def _replicates(runs: Sequence[pd.DataFrame], groups: np.ndarray, metric: str) -> np.ndarray:
    """The metric of every run (1 + draws, runs): with every image once, then with groups resampled."""
    parts = [sufficient_stats(frame, metric) for frame in runs]
    cells, count = parts[0].cells, groups.max() + 1
    columns = np.concatenate([run * cells + part.cell for run, part in enumerate(parts)])
    values = np.concatenate([part.value for part in parts])
    infinite = [np.isinf(part.value).any() for part in parts]  # a run whose loss of one image is infinite
    values = np.where(np.isinf(values), 0.0, values)  # 0 × infinite is no number
    sums = sparse.csr_array((values, (columns, np.tile(groups, len(runs)))), shape=(len(runs) * cells, count))
    images, found = np.bincount(groups), []
    for weights in _weights(count):
        drawn = (sums @ weights.T).T.reshape(len(weights), len(runs), cells)
        found.append(metric_from_stats(metric, drawn, (weights @ images)[:, None]))
    whole = np.concatenate(found)
    whole[:, infinite] = np.inf
    return whole


def _weights(groups: int) -> Iterator[np.ndarray]:
    """How often each group counts (draws, groups): once; then as drawn, some draws at a time to save memory."""
    yield np.ones((1, groups))
    rng = np.random.default_rng(0)
    for _ in range(DRAWS // AT_A_TIME):
        yield rng.multinomial(groups, np.full(groups, 1 / groups), size=AT_A_TIME).astype(float)


def _intervals(
    contrast: Contrast,
    dataset: str,
    differences: np.ndarray,
    groups: np.ndarray,
    tests: Mapping[int, McNemar],
    bounds: tuple[float, float],
) -> ImageBootstrap:
    """The intervals of differences (1 + draws, S)."""
    observed, draws = differences[0], differences[1:]
    mean, count = sum(map(float, observed)) / len(observed), int(groups.max()) + 1
    common = (contrast, dataset, tuple(tests), len(groups), count, mean)
    if not np.isfinite(observed).all():
        return ImageBootstrap(*common, None, None, None, None, tests)
    # A resampled calibration error is too high: uncentred, its interval may even leave out the difference itself.
    draws = draws - draws.mean(axis=0) + observed
    low, high = np.percentile(draws.mean(axis=1), [100 * ALPHA / 2, 100 * (1 - ALPHA / 2)])
    ends = (low, high, *(_crossed(observed, draws, count) if len(observed) > 1 else ()))
    cut = [float(np.clip(end, *bounds)) for end in ends]
    return ImageBootstrap(*common, *cut, *[None] * (4 - len(cut)), tests)


def _crossed(observed: np.ndarray, draws: np.ndarray, groups: int) -> tuple[float, float]:
    """The ends of Banerjee's (1961) interval over seeds and images: each variance has its own t.

    Satterthwaite's one t for their sum covers 87 % in the worst case of two seeds and 92 % of three, this one 95 %.

    Args:
        observed: Differences by seed (S,).
        draws: The same of resampled images (draws, S).
        groups: That were resampled.
    """
    seeds, mean = len(observed), float(observed.mean())
    over_seeds = observed.var(ddof=1) / seeds
    over_images = draws.mean(axis=1).var(ddof=1)
    # What depends on seed and image at once is in both of them.
    both = max(0.0, draws.var(axis=0, ddof=1).mean() - over_images) / (seeds - 1)
    t_seeds, t_images = stats.t.ppf(1 - ALPHA / 2, [seeds - 1, max(1, groups - 1)])
    squared = t_seeds**2 * over_seeds + t_images**2 * max(0.0, over_images - both)
    half = math.sqrt(max(squared, t_images**2 * over_images))
    return mean - half, mean + half


def _mcnemar(variant: np.ndarray, reference: np.ndarray) -> McNemar:
    a, b = int((variant & ~reference).sum()), int((~variant & reference).sum())
    return McNemar(a, b, float(mcnemar([[0, a], [b, 0]], exact=True).pvalue))
