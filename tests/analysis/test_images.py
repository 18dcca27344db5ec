import numpy as np
import pandas as pd
import pytest
from scipy import stats

from emotune.analysis.images import ImageBootstrap, _intervals, _weights, bootstrap_over_images
from emotune.analysis.metrics import scalar_metrics
from emotune.analysis.seeds import summarise
from emotune.config.contrast import Contrast
from emotune.config.labels import MIKELS
from emotune.config.metric import SCALES, Metric
from emotune.core.errors import InputError

AB = Contrast.difference("a", "b")
STUDIES = 600


def run_predictions(right: np.ndarray, groups: np.ndarray | None = None, sure: float = 1.0) -> pd.DataFrame:
    """Predictions of one run, right (N,) or wrong, in two classes."""
    ids = [f"p{i:04d}" for i in range(len(right))]
    target = np.where(np.arange(len(right)) % 2, "awe", "fear")
    logit = np.where(right == (target == "awe"), sure, -sure)
    frame = {"sample_id": ids, "target": target, "group": ids if groups is None else groups.astype(str)}
    return pd.DataFrame(frame | {"logit_awe": logit, "logit_fear": -logit})


def drawn(images: int, skill: float, seed: int) -> pd.DataFrame:
    """Predictions of one run in eight classes."""
    rng = np.random.default_rng([7, seed])
    aims = np.random.default_rng(8).choice(8, images, p=np.arange(1, 9) / 36)
    logits = rng.normal(0, 1, (images, 8)) + skill * (np.arange(8) == aims[:, None])
    ids = [f"p{i:04d}" for i in range(images)]
    frame = {"sample_id": ids, "target": np.array(MIKELS)[aims], "group": ids}
    return pd.DataFrame(frame | {f"logit_{label}": logits[:, k] for k, label in enumerate(MIKELS)})


def one(a: dict, b: dict, metric: Metric | None = None) -> ImageBootstrap:
    (result,) = bootstrap_over_images([AB], "d", {"a": a, "b": b}, metric or Metric())
    return result


def half(low: float, high: float) -> float:
    return (high - low) / 2


def test_the_interval_of_an_accuracy_is_its_standard_error_by_hand():
    a, b = np.repeat([1, 1, 0, 0], [400, 150, 100, 350]) > 0, np.repeat([1, 0, 1, 0], [400, 150, 100, 350]) > 0
    result = one({0: run_predictions(a)}, {0: run_predictions(b)})
    assert (result.mean, result.images, result.groups) == (pytest.approx(5.0), 1000, 1000)
    error = 100 * ((0.25 - 0.05**2) / 1000) ** 0.5  # of an image's difference: +1, 150 times; -1, 100 times
    assert half(result.low, result.high) == pytest.approx(1.96 * error, rel=0.07)
    assert (result.low + result.high) / 2 == pytest.approx(5.0, abs=0.2)
    assert (result.crossed_low, result.crossed_high) == (None, None)


def test_the_interval_of_every_metric_is_scipys_paired_bootstrap():
    a, b = drawn(100, 2.0, 0), drawn(100, 1.5, 1)

    def differences(chosen: np.ndarray) -> list[float]:
        one, other = (scalar_metrics(frame.iloc[chosen]) for frame in (a, b))
        return [one[name] - other[name] for name in SCALES]

    draws = stats.bootstrap(
        (np.arange(100),), differences, vectorized=False, n_resamples=400, method="percentile", rng=1
    )
    interval = draws.confidence_interval
    means = draws.bootstrap_distribution.mean(axis=-1)
    for k, (name, expected) in enumerate(zip(SCALES, differences(np.arange(100)), strict=True)):
        result = one({0: a}, {0: b}, Metric(name=name, min_effect=1.0))
        assert result.mean == pytest.approx(expected), name
        low, high = (end[k] - (means[k] - result.mean) for end in (interval.low, interval.high))
        assert (result.low, result.high) == pytest.approx((low, high), abs=0.5 * draws.standard_error[k]), name


def test_an_infinite_loss_has_no_interval_over_images_and_takes_none_from_others():
    a, b, c = drawn(100, 2.0, 0), drawn(100, 1.5, 1), drawn(100, 1.0, 2)
    a.loc[a["target"] == MIKELS[0], f"logit_{MIKELS[0]}"] = -np.inf
    metric = Metric(name="nll", min_effect=0.1)
    result, other = bootstrap_over_images(
        [AB, Contrast.difference("b", "c")], "d", {"a": {0: a, 1: b}, "b": {0: b, 1: a}, "c": {0: c}}, metric
    )
    assert (result.low, result.crossed_low) == (None, None)
    assert np.isnan(result.mean)
    assert other.low < other.mean < other.high
    assert one({0: a}, {0: b}, metric).mean == np.inf
    assert one({0: a}, {0: b}).low is not None, "its accuracy is a number"


def test_the_interval_of_a_calibration_error_is_around_it_although_resampling_adds_to_it():
    calibrated, sure = drawn(1000, 2.0, 0), drawn(1000, 2.0, 0)
    calibrated.update(2 * calibrated.filter(like="logit_"))  # log p(class | scores), but for the classes' frequencies
    sure.update(6 * sure.filter(like="logit_"))
    result = one({0: calibrated}, {0: sure}, Metric(name="ece", min_effect=1.0))
    assert (result.low + result.high) / 2 == pytest.approx(result.mean, abs=0.1 * half(result.low, result.high))


def test_copies_in_one_group_do_not_narrow_the_interval():
    rng = np.random.default_rng(0)
    a, b = rng.random(300) < 0.6, rng.random(300) < 0.5
    copies = np.repeat(np.arange(300), 4)

    def four(right: np.ndarray, groups: np.ndarray | None) -> dict[int, pd.DataFrame]:
        return {0: run_predictions(np.repeat(right, 4), groups)}

    plain = one({0: run_predictions(a)}, {0: run_predictions(b)})
    grouped, naive = one(four(a, copies), four(b, copies)), one(four(a, None), four(b, None))
    assert (grouped.images, grouped.groups) == (1200, 300)
    assert (grouped.low, grouped.high) == pytest.approx((plain.low, plain.high))
    assert half(naive.low, naive.high) == pytest.approx(half(plain.low, plain.high) / 2, rel=0.1)
    forgetful = one(four(a, None), four(b, copies))  # one of the runs is from before groups were noted
    assert (forgetful.low, forgetful.high) == (grouped.low, grouped.high)


def test_where_images_do_not_matter_the_crossed_interval_is_that_over_seeds():
    right = np.ones(50, bool)
    a, b = (
        {s: run_predictions(right, sure=x) for s, x in enumerate(sure)} for sure in ((1.0, 1.3, 0.9), (0.7, 0.7, 0.8))
    )
    result = one(a, b, Metric(name="nll", min_effect=0.1))
    over_seeds = summarise([scalar_metrics(a[s])["nll"] - scalar_metrics(b[s])["nll"] for s in range(3)])
    assert (result.crossed_low, result.crossed_high) == pytest.approx((over_seeds.low, over_seeds.high))
    assert (result.low, result.high) == pytest.approx((result.mean, result.mean))


def test_where_seeds_do_not_matter_the_crossed_interval_is_that_over_images():
    rng = np.random.default_rng(0)
    a, b = run_predictions(rng.random(400) < 0.6), run_predictions(rng.random(400) < 0.5)
    result = one(dict.fromkeys(range(3), a), dict.fromkeys(range(3), b))
    assert half(result.crossed_low, result.crossed_high) == pytest.approx(half(result.low, result.high), rel=0.05)


def test_the_crossed_interval_is_never_tighter_than_seeds_or_images_alone():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        runs = [{s: run_predictions(rng.random(200) < rng.normal(0.5, 0.03)) for s in range(4)} for _ in range(2)]
        result = one(*runs)
        over_seeds = summarise([scalar_metrics(runs[0][s])["accuracy"] - scalar_metrics(runs[1][s])["accuracy"]
                                for s in range(4)])  # fmt: skip
        width = half(result.crossed_low, result.crossed_high)
        assert width > 0.95 * half(result.low, result.high)
        assert width >= half(over_seeds.low, over_seeds.high) * (1 - 1e-9)


def test_equal_predictions_have_zero_difference():
    result = one(*(({s: run_predictions(np.arange(20) % 3 > 0) for s in range(3)},) * 2))
    assert (result.mean, result.low, result.high, result.crossed_low, result.crossed_high) == (0,) * 5
    assert result.mcnemar[0].p == 1


def test_mcnemars_p_is_that_of_r_for_the_prime_ministers_approval():
    # Agresti, Categorical Data Analysis, table 10.1; exact2x2::mcnemar.exact says p-value = 3.716e-05.
    a, b = np.repeat([1, 1, 0, 0], [794, 86, 150, 570]) > 0, np.repeat([1, 0, 1, 0], [794, 86, 150, 570]) > 0
    test = one({4: run_predictions(a)}, {4: run_predictions(b)}).mcnemar[4]
    assert (test.only_variant, test.only_reference, test.p) == (86, 150, pytest.approx(3.716e-05, abs=5e-9))


def test_only_seeds_with_both_runs_count_and_contrasts_without_one_are_left_out():
    runs = {"a": {s: drawn(60, 1, s) for s in (0, 2, 3)}, "b": {s: drawn(60, 1, 9 + s) for s in (1, 2, 3)}, "c": {}}
    (result,) = bootstrap_over_images(
        [Contrast.difference("c", "b"), AB, Contrast.difference("e", "a")], "d", runs, Metric()
    )
    assert (result.contrast, result.dataset, result.seeds, tuple(result.mcnemar)) == (AB, "d", (2, 3), (2, 3))
    assert bootstrap_over_images([Contrast.difference("c", "b")], "d", runs, Metric()) == []


def test_an_interval_does_not_depend_on_what_else_is_compared_or_on_the_order_of_images():
    runs = {name: {s: drawn(60, 1, 10 * k + s) for s in range(2)} for k, name in enumerate("abc")}
    (alone,) = bootstrap_over_images([AB], "d", runs, Metric())
    _, beside = bootstrap_over_images([Contrast.difference("c", "b"), AB], "d", runs, Metric())
    assert beside == alone
    runs["b"][1] = runs["b"][1].sample(frac=1, random_state=0)
    assert bootstrap_over_images([AB], "d", runs, Metric()) == [alone]


def test_runs_tested_on_other_images_are_rejected():
    a = drawn(30, 1, 0)
    for other in (drawn(29, 1, 1), drawn(31, 1, 1), a.assign(sample_id=a["sample_id"] + "x"), a.assign(target="awe")):
        with pytest.raises(InputError, match=r"^d: b, seed 0\b.*\ba, seed 0\b"):
            one({0: a}, {0: other})


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("spread", [0.0, 0.03, 0.1], ids=["seeds alike", "seeds differ", "seeds differ much"])
def test_intervals_over_images_and_over_both_cover_as_often_as_they_say(seeds: int, spread: float):
    sizes = np.resize([1, 1, 1, 2, 4], 200)
    groups, starts = np.repeat(np.arange(200), sizes), np.cumsum(sizes) - sizes
    weights = np.concatenate([*_weights(200)])
    rng, these, all_ = np.random.default_rng(seeds), 0, 0
    for _ in range(STUDIES):
        # A network's chance to be right: of the network, of variant and scene, of network and scene.
        network = rng.normal(0, spread, (2, seeds, 1))
        scene = rng.choice([-0.2, 0.2], (2, 1, 200)) + rng.choice([-0.1, 0.1], (2, seeds, 200))
        right = rng.random((2, seeds, len(groups))) < (0.5 + network + scene)[..., groups]
        scores = np.add.reduceat(right[0].astype(float) - right[1], starts, axis=1)
        result = _intervals(AB, "d", (weights @ scores.T) / (weights @ sizes)[:, None], groups, {}, (-1.0, 1.0))
        these += result.low <= (network[0] - network[1]).mean() <= result.high
        all_ += result.crossed_low <= 0 <= result.crossed_high
    print(f"S = {seeds}, sd {spread}: {100 * these / STUDIES:.1f} % these networks, {100 * all_ / STUDIES:.1f} % all")
    error = (0.95 * 0.05 / STUDIES) ** 0.5
    assert min(these, all_) / STUDIES > 0.95 - 3 * error


def test_a_weighted_contrast_has_intervals_over_images_and_no_test_of_pairs():
    runs = {name: {s: drawn(60, 1, 10 * i + s) for s in (0, 1)} for i, name in enumerate("abc")}
    mean = Contrast("mean", {"a": 0.5, "b": 0.5, "c": -1})
    ac, bc, both = bootstrap_over_images(
        [Contrast.difference("a", "c"), Contrast.difference("b", "c"), mean], "d", runs, Metric()
    )
    assert both.mean == pytest.approx((ac.mean + bc.mean) / 2)
    assert both.low is not None and both.high is not None and both.low < both.mean < both.high
    assert ac.mcnemar and not both.mcnemar
