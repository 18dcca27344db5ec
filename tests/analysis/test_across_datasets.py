"""A mean over data sets varies with their seeds only, and data sets are compared by the interval of a difference."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from seed_tables import AB, compare_contrasts, rows

from emotune.analysis.across_datasets import AcrossDatasets, across_datasets
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric

D = {"a": [60.0, 61, 65], "b": [50.0, 52, 53]}
E = {"a": [50.0, 51, 53], "b": [51.0, 52, 52]}
F = {"a": [54.0, 52, 55], "b": [50.0, 51, 52]}

ACCURACY = Metric()


def across(
    contrasts: list[Contrast], seeds: int = 3, metric: Metric = ACCURACY, **datasets: dict
) -> list[AcrossDatasets]:
    table = [row | {"nll": row["accuracy"]} for name, values in datasets.items() for row in rows(name, **values)]
    return across_datasets(compare_contrasts(table, contrasts, list(datasets), seeds, metric))


def test_the_means_of_the_data_sets_are_described():
    ab, ba = across([AB, Contrast.difference("b", "a"), Contrast.difference("c", "a")], d=D, e=E, f=F)  # c has no runs
    means = [float(np.mean(np.subtract(one["a"], one["b"]))) for one in (D, E, F)]
    assert (ab.mean, ab.lowest, ab.highest) == pytest.approx((np.mean(means), min(means), max(means)))
    assert ab.sd == pytest.approx(np.std(means, ddof=1))
    assert (ab.favourable, ab.datasets, ab.one_seed, ba.favourable) == (2, ("d", "e", "f"), (), 1)
    assert across([AB], d=D) == []


def test_the_interval_of_the_mean_and_of_a_difference_between_two_data_sets_are_those_of_welch():
    (ab,) = across([AB], d=D, e=E)  # two variants: the spread is that of the contrast's own seeds
    first, second = (np.subtract(one["a"], one["b"]) for one in (D, E))
    welch = stats.ttest_ind(first, second, equal_var=False)
    difference = welch.confidence_interval(0.95)
    (between,) = ab.between
    assert (between.larger, between.smaller) == ("d", "e")
    assert (between.low, between.high) == pytest.approx((difference.low, difference.high))
    half = (difference.high - difference.low) / 4  # √(e₁² + e₂²) / 2
    assert ab.interval == pytest.approx((ab.mean - half, ab.mean + half))
    assert ab.seed_sd == pytest.approx(math.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 3 / 2))


def test_every_two_data_sets_are_compared_at_a_share_of_the_5_per_cent():
    (ab,) = across([AB], d=D, e=E, f=F)
    assert {(one.larger, one.smaller) for one in ab.between} == {("d", "e"), ("d", "f"), ("f", "e")}
    first, second = (np.subtract(one["a"], one["b"]) for one in (D, E))
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(1 - 0.05 / 3)
    (between,) = [one for one in ab.between if (one.larger, one.smaller) == ("d", "e")]
    assert (between.low, between.high) == pytest.approx((interval.low, interval.high))


def test_a_data_set_with_one_seed_leaves_the_mean_without_an_interval():
    (ab,) = across([AB], 2, d={"a": [60, 61], "b": [50, 52]}, e={"a": [50, None], "b": [51, 52]})
    assert (ab.mean, ab.one_seed) == (pytest.approx(4.25), ("e",))
    assert (ab.interval, ab.seed_sd, ab.between) == (None, None, ())


def test_a_contrast_that_no_seed_changes_on_one_data_set_adds_nothing_to_the_error():
    same = {"a": [60.0, 60, 60], "b": [50.0, 50, 50]}
    (ab,) = across([AB], d=D, e=same)
    own = stats.sem(np.subtract(D["a"], D["b"])) * stats.t.ppf(0.975, 2)
    assert ab.interval == pytest.approx((ab.mean - own / 2, ab.mean + own / 2))
    (ab,) = across([AB], d=same, e=same)
    assert (ab.interval, ab.seed_sd, ab.between) == (None, 0.0, ())


def test_a_lower_loss_is_favourable_and_an_infinite_one_has_no_interval():
    metric = Metric(name="nll", min_effect=0.05)
    (ab,) = across([AB], 2, metric, d={"a": [1.0, 1.1], "b": [1.2, 1.4]}, e={"a": [1.0, 1.1], "b": [1.2, 1.4]})
    assert (ab.favourable, len(ab.datasets)) == (2, 2)
    (ab,) = across([AB], 2, metric, d={"a": [math.inf, 1.1], "b": [1.2, 1.4]}, e={"a": [1.0, 1.1], "b": [1.2, 1.4]})
    assert (ab.mean, ab.interval, ab.between) == (math.inf, None, ())


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_over_data_sets_cover_whatever_the_data_sets_have_in_common(seeds: int):
    """The effect is 3, 1 and -1 on three data sets, whose seeds vary by 1, 2 and 3."""
    rng, studies, covers, apart = np.random.default_rng(seeds), 1200, 0, 0
    effects = {"d": (3.0, 1.0), "e": (1.0, 2.0), "f": (-1.0, 3.0)}
    for _ in range(studies):
        drawn = {name: rng.normal(50, sd, (5, seeds)) + rng.normal(0, 3, seeds) for name, (_, sd) in effects.items()}
        datasets = {
            name: {v: list(row) for v, row in zip("abcde", values, strict=True)} for name, values in drawn.items()
        }
        for name, (effect, _) in effects.items():
            datasets[name]["a"] = [value + effect for value in datasets[name]["a"]]
        (ab,) = across([AB], seeds, **datasets)
        covers += ab.low <= 1.0 <= ab.high
        true = {name: effect for name, (effect, _) in effects.items()}
        apart += all(one.low <= true[one.larger] - true[one.smaller] <= one.high for one in ab.between)
    shares = [f"{100 * number / studies:.1f} %" for number in (covers, apart)]
    print(f"{seeds} seeds: the mean is covered in {shares[0]}, all differences between data sets in {shares[1]}")
    least = 0.95 - 2 * (0.05 * 0.95 / studies) ** 0.5
    assert covers / studies >= least and apart / studies >= least


def test_data_sets_on_which_nothing_is_assessed_are_named():
    table = [row for name, values in {"d": D, "e": E}.items() for row in rows(name, **values)]
    d, e = compare_contrasts(table, [AB], ["d", "e"], 3, ACCURACY)
    (ab,) = across_datasets([d, replace(e, verdict=Verdict.NOT_ASSESSED)])
    assert (ab.datasets, ab.not_assessed) == (("d", "e"), ("e",))
