import math

import numpy as np
import pandas as pd
import pytest

from emotune.analysis import profiles
from emotune.analysis.metrics import scalar_metrics

CLASSES = ["awe", "fear", "anger"]


def frame(targets: list[str], answers: list[str], confidence: float = 0.6) -> pd.DataFrame:
    """Predictions that give every answer with one confidence, and the rest to the other two classes alike."""
    chances = np.where(np.array(answers)[:, None] == np.array(CLASSES), confidence, (1 - confidence) / 2)
    logits = {f"logit_{label}": np.log(chances[:, k]) for k, label in enumerate(CLASSES)}
    ids = [f"p{number}" for number in range(len(targets))]
    return pd.DataFrame({"sample_id": ids, "target": targets, "group": ids} | logits)


TARGETS = ["awe", "awe", "fear", "fear"]
A = {0: frame(TARGETS, ["awe", "awe", "fear", "awe"]), 1: frame(TARGETS, ["awe", "fear", "fear", "awe"])}
B = {0: frame(TARGETS, ["fear", "awe", "anger", "fear"]), 1: frame(TARGETS, ["anger", "awe", "anger", "fear"]),
     2: frame(TARGETS, TARGETS)}  # fmt: skip


def test_recall_is_per_variant_seed_and_class_and_not_defined_for_a_class_without_pictures():
    table = profiles.recalls({"a": A}).set_index(["seed", "label"])["recall"]
    assert table[0, "awe"] == 100
    assert table[1, "awe"] == 50
    assert table[0, "fear"] == 50
    assert math.isnan(table[0, "anger"])


def test_recall_differences_are_paired_by_seed_and_count_complete_pairs_only():
    found = profiles.recall_differences(profiles.recalls({"a": A, "b": B}), "a").set_index(["variant", "label"])
    assert list(found.index) == [("b", "awe"), ("b", "fear")]
    awe = found.loc["b", "awe"]  # 50 - 100 and 50 - 50; seed 2 has no partner
    assert (awe["n"], awe["mean"]) == (2, -25)
    half = 12.7062047 * np.std([-50, 0], ddof=1) / math.sqrt(2)
    assert (awe["low"], awe["high"]) == pytest.approx((-25 - half, -25 + half))


def test_one_seed_gives_a_difference_without_an_interval():
    found = profiles.recall_differences(profiles.recalls({"a": {0: A[0]}, "b": {0: B[0]}}), "a")
    assert found["n"].tolist() == [1, 1]
    assert found[["low", "high"]].isna().all(axis=None)


def test_confusion_shares_add_up_over_seeds_to_a_hundred_per_label_and_to_nothing_where_there_is_none():
    shares = profiles.confusion_shares(A)
    assert shares.loc["awe"].tolist() == [75, 25, 0]
    assert shares.loc["fear"].tolist() == [50, 50, 0]
    assert shares.loc["anger"].tolist() == [0, 0, 0]


def test_calibration_has_the_accuracy_of_each_bin_of_confidence_and_leaves_empty_bins_out():
    sure = frame(TARGETS, ["awe", "awe", "fear", "awe"], 0.9)
    unsure = frame(TARGETS, ["fear", "fear", "awe", "fear"], 0.4)
    table = profiles.calibration({0: sure, 1: unsure})
    assert table["confidence"].tolist() == pytest.approx([40, 90])
    assert table["accuracy"].tolist() == [25, 75]
    assert table["share"].tolist() == [50, 50]


def test_the_calibration_error_is_the_share_weighted_distance_of_its_bins():
    rng = np.random.default_rng(0)
    predictions = frame(rng.choice(CLASSES, 400).tolist(), rng.choice(CLASSES, 400).tolist())
    predictions[[f"logit_{c}" for c in CLASSES]] += rng.normal(0, 1, (400, 3))
    table = profiles.calibration({0: predictions}, bins=15)
    error = ((table["accuracy"] - table["confidence"]).abs() * table["share"] / 100).sum()
    assert error == pytest.approx(scalar_metrics(predictions)["ece"])


def test_a_flip_is_right_in_all_common_seeds_of_one_and_wrong_in_all_of_the_other():
    found = profiles.flips(A, B).set_index("sample_id")
    assert found["right"].to_dict() == {"p0": "a", "p2": "a", "p3": "b"}  # p1 changes its answer with the seed
    assert found.loc["p0", "answer_of_other"] == "anger", "anger and fear once each: the first in the alphabet"
    assert found.loc["p2", "answer_of_other"] == "anger"
    assert found.loc["p3", ["target", "answer_of_other"]].tolist() == ["fear", "awe"]


def test_one_common_seed_shows_no_flips():
    assert profiles.flips({0: A[0]}, B).empty
    assert list(profiles.flips({0: A[0]}, B).columns) == list(profiles.flips(A, B).columns)


def attention(ids: list[str], layer: str, values: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"sample_id": ids, "layer": layer, "weights": [np.full(36, v, np.float32) for v in values]})


def test_mean_attention_is_a_map_per_layer_over_pictures_and_runs():
    one, two = attention(["p", "q"], "first", [0.0, 1.0]), attention(["p", "q"], "first", [3.0, 4.0])
    one.loc[0, "weights"][7] = 8.0
    maps = profiles.mean_attention([pd.concat([one, attention(["p"], "second", [5.0])]), two])
    assert list(maps) == ["first", "second"]
    assert maps["first"].shape == (6, 6)
    assert maps["first"][1, 1] == 4.0
    assert maps["first"][0, 0] == 2.0
    assert maps["second"].mean() == 5.0


def test_a_pictures_attention_is_the_mean_of_layers_and_runs_in_the_order_that_was_asked_for():
    frames = [attention(["p", "q"], "first", [0.0, 1.0]), attention(["p", "q"], "second", [2.0, 3.0])]
    maps = profiles.picture_attention(frames, ["q", "p", "not there"])
    assert list(maps) == ["q", "p"]
    assert maps["q"].mean() == 2.0


def test_examples_are_the_first_pictures_of_each_class_whatever_networks_say():
    assert profiles.choose_examples({"a": A}, 2) == ["p0", "p2"]
    assert profiles.choose_examples({"b": {1: B[1].sample(frac=1, random_state=0)}}, 3) == ["p0", "p2", "p1"]
    assert profiles.choose_examples({"a": A}, 9) == ["p0", "p2", "p1", "p3"]


def test_optimism_is_what_the_best_epoch_on_test_adds_and_only_of_runs_that_noted_it():
    runs = pd.DataFrame(
        {
            "variant": ["a", "a", "b"],
            "dataset": "d",
            "accuracy": [50.0, 52.0, 60.0],
            "best_test_accuracy": [53.0, 52.0, None],
        }
    )
    (row,) = profiles.optimism(runs).to_dict("records")
    assert row == {"variant": "a", "dataset": "d", "n": 2, "accuracy": 51, "best_test_accuracy": 52.5, "inflation": 1.5}
    assert profiles.optimism(runs.assign(best_test_accuracy=None)).empty
