"""Whether anything was learned: variants over seeds, runs over images, and what that does to verdicts."""

import numpy as np
import pandas as pd
import pytest
from seed_tables import compare_contrasts, rows

from emotune.analysis.joint_interval import mean_intervals
from emotune.analysis.learning import (
    RunLearning,
    run_learning,
    variant_learning,
    with_learning,
    yardsticks,
)
from emotune.analysis.prior import prior_predictor
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.runs.directory import State

VARIANTS = ("alexnet", "attention", "dual", "mldr")
POSITIVE = 57.5
"""The share of the class *positive* among the images, in per cent."""


def frame(targets: list[str], answers: list[str], sure: float = 2.0) -> pd.DataFrame:
    classes = sorted(set(targets) | {"negative", "positive"})
    logits = {f"logit_{one}": [sure if answer == one else 0.0 for answer in answers] for one in classes}
    return pd.DataFrame({"sample_id": [str(i) for i in range(len(targets))], "target": targets, **logits})


def learned(table: list[dict], prior: dict[str, float], metric: Metric, runs=()) -> set[str]:
    found = variant_learning(table, "d", 4, prior, yardsticks(metric), dict.fromkeys(r["variant"] for r in table), runs)
    return {name for name, one in found.items() if one.learned}


def collapsed(**accuracies: list[float]) -> list[dict]:
    return rows(**{v: [POSITIVE] * 4 for v in VARIANTS} | accuracies)


def verdicts(table: list[dict], names: set[str]) -> list[Verdict | None]:
    contrasts = [Contrast.difference(v, "alexnet") for v in VARIANTS[1:]]
    return [c.verdict for c in with_learning(compare_contrasts(table, contrasts, ["d"], 4, Metric()), {"d": names})]


def test_networks_that_all_answer_positive_have_no_verdict_though_one_of_sixteen_learned():
    table = collapsed(dual=[POSITIVE, POSITIVE, 66.0, POSITIVE])
    nobody = [RunLearning(v, seed, v == "dual" and seed == 2) for v in VARIANTS for seed in range(4)]
    names = learned(table, {"accuracy": POSITIVE}, Metric(), nobody)
    assert names == set()
    assert verdicts(table, names) == [Verdict.NOT_ASSESSED] * 3
    assert Verdict.NOT_ASSESSED not in verdicts(table, set(VARIANTS))


def test_one_side_that_learned_is_enough_for_a_verdict():
    table = collapsed(dual=[66.0, 67.0, 66.5, 67.5])
    names = learned(table, {"accuracy": POSITIVE}, Metric())
    assert names == {"dual"}
    assert verdicts(table, names) == [Verdict.NOT_ASSESSED, Verdict.BETTER, Verdict.NOT_ASSESSED]


def test_without_pairs_a_contrast_is_unresolved_rather_than_not_assessed():
    table = rows(alexnet=[POSITIVE], attention=[State.DIVERGED], dual=[State.FAILED], mldr=[None])
    assert verdicts(table, set()) == [Verdict.UNRESOLVED] * 3


@pytest.mark.parametrize("accuracies", [[66.0], [66.0] * 4])
def test_a_variant_without_spread_over_seeds_is_judged_over_the_images(accuracies: list[float]):
    table, seeds = rows(svm=accuracies), range(len(accuracies))
    prior = {"accuracy": POSITIVE}
    assert learned(table, prior, Metric(), [RunLearning("svm", seed, True) for seed in seeds]) == {"svm"}
    assert learned(table, prior, Metric(), [RunLearning("svm", seed, False) for seed in seeds]) == set()


def test_a_loss_worse_than_the_prior_s_is_no_failure_if_classes_are_told_apart():
    prior, metric = {"nll": 2.0, "accuracy": 20.0}, Metric(name="nll", min_effect=0.1)
    values = {
        "sure": ([2.5, 2.6, 2.4, 2.5], [60.0, 61.0, 62.0, 60.0]),
        "vague": ([1.8, 1.82, 1.79, 1.8], [20.0] * 4),
        "infinite": ([np.inf] * 4, [20.0] * 4),
        "poor": ([2.0, 2.1, 1.9, 2.0], [20.0, 21.0, 19.0, 20.0]),
    }
    table = [
        {"variant": v, "dataset": "d", "seed": seed, "state": State.DONE, "nll": nll[seed], "accuracy": accuracy[seed]}
        for v, (nll, accuracy) in values.items() for seed in range(4)
    ]  # fmt: skip
    assert learned(table, prior, metric) == {"sure", "vague"}


def test_random_answers_have_learned_nothing_by_any_metric():
    rng = np.random.default_rng(0)
    targets = rng.choice(["awe", "fear", "joy"], 600, p=[0.7, 0.2, 0.1]).tolist()
    prior = prior_predictor(frame(targets, targets), None)
    answers = {
        "random": rng.choice(["awe", "fear", "joy"], 600).tolist(),
        "right": targets,
        "one": ["fear"] * 600,
        "nearly one": ["fear" if target != "awe" and i % 25 == 0 else "awe" for i, target in enumerate(targets)],
    }
    runs = [{"run": v, "variant": v, "dataset": "d", "seed": 0, "state": State.DONE} for v in answers]
    frames = {v: frame(targets, a) for v, a in answers.items()}
    for metric in ("accuracy", "balanced_accuracy", "macro_f1", "top2_accuracy", "polarity_accuracy", "ece", "brier"):
        compared = yardsticks(Metric(name=metric, min_effect=0.5))
        found = {one.variant: one for one in run_learning(runs, "d", frames, prior, compared)}
        assert {v: found[v].learned for v in ("random", "right", "one")} == dict(random=False, right=True, one=False)
        assert [found[v].answer for v in answers] == [None, None, "fear", "awe"]


def test_a_run_is_compared_with_the_prior_by_an_exact_test():
    targets = ["positive"] * 60 + ["negative"] * 40
    prior = prior_predictor(frame(targets, targets), None)

    def is_better(right_negatives: int, wrong_positives: int) -> bool:
        answers = ["negative"] * wrong_positives + ["positive"] * (100 - wrong_positives - right_negatives)
        table = frame(targets, [*answers, *["negative"] * right_negatives])
        run = {"run": "r", "variant": "a", "dataset": "d", "seed": 0, "state": State.DONE}
        return run_learning([run], "d", {"r": table}, prior, ["accuracy"])[0].learned

    assert [is_better(4, 0), is_better(5, 0)] == [False, True], "p = 1/16 and 1/32"
    assert [is_better(14, 6), is_better(15, 5)] == [False, True], "p = 0.058 and 0.021"
    assert not is_better(0, 0) and not is_better(0, 9)


def test_a_run_that_gives_one_answer_has_not_learned_though_another_class_is_frequent_among_the_test_images():
    targets = ["excitement"] * 24 + ["contentment"] * 5 + [f"class {i % 6}" for i in range(72)]
    prior = prior_predictor(frame(targets, targets), {"contentment": 40, "excitement": 30})
    shown = {"excited": ["excitement"] * 101, "apart": ["excitement"] * 24 + ["contentment"] * 77}
    runs = [
        {"run": f"{v}{seed}", "variant": v, "dataset": "d", "seed": seed, "state": State.DONE, "accuracy": 24.0}
        for v in shown for seed in range(3)
    ]  # fmt: skip
    frames = {f"{v}{seed}": frame(targets, answers) for v, answers in shown.items() for seed in range(3)}
    found = run_learning(runs, "d", frames, prior, ["accuracy"])
    assert prior.answer == "contentment" and prior.metrics["accuracy"] == pytest.approx(100 * 5 / 101)
    assert {(one.variant, one.learned, one.answer) for one in found} == {
        ("excited", False, "excitement"), ("apart", True, None),
    }  # fmt: skip
    assert learned(runs, prior.metrics, Metric(), found) == {"apart"}
    assert prior.best_answer == ("excitement", pytest.approx(100 * 24 / 101))


@pytest.mark.parametrize(("one_answer", "has_learned"), [(4, False), (2, False), (1, True)])
def test_an_interval_above_the_prior_is_not_enough_if_half_of_the_runs_give_one_answer(one_answer, has_learned):
    table = rows(a=[70.0, 71.0, 70.5, 70.2])
    runs = [RunLearning("a", s, s >= one_answer, "joy" if s < one_answer else None) for s in range(4)]
    assert (learned(table, {"accuracy": POSITIVE}, Metric(), runs) == {"a"}) == has_learned


@pytest.mark.slow
def test_intervals_of_means_miss_seldom_however_much_seeds_share():
    rng, studies = np.random.default_rng(3), 400
    for share in (0.0, 0.5, 0.95):
        missed = 0
        for _ in range(studies):
            values = np.sqrt(share) * rng.normal(size=3) + np.sqrt(1 - share) * rng.normal(size=(5, 3))
            missed += any(one.low > 0 or one.high < 0 for one in mean_intervals(values) if one.low is not None)
        assert missed <= 0.05 * studies + 3 * (0.05 * 0.95 * studies) ** 0.5, share
