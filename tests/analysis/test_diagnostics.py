import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from emotune.analysis.diagnostics import (
    ALL_CLIPS,
    attention_in_time,
    calibration,
    choose_examples,
    clip_attention,
    confusion_shares,
    disagreements,
    image_attention,
    mean_attention,
    recall_differences,
    recalls,
    selection_bias,
)
from emotune.analysis.metrics import expected_calibration_error

CLASSES = ("awe", "fear", "anger")


def run_predictions(targets: str, guesses: str, ids: str = "pqrstuvwxyz") -> pd.DataFrame:
    """Predictions of classes given by their first letters; anger is "x"."""
    named = dict(zip("afx", CLASSES, strict=True))
    logits = {f"logit_{c}": [float(named[guess] == c) for guess in guesses] for c in CLASSES}
    known = {"sample_id": list(ids[: len(targets)]), "target": [named[target] for target in targets]}
    return pd.DataFrame(known | {"group": known["sample_id"]} | logits)


def confident(shares: list[float], right: list[bool]) -> pd.DataFrame:
    """Predictions of two classes whose larger probability is given."""
    known = {"sample_id": [str(i) for i in range(len(right))], "target": ["awe" if r else "fear" for r in right]}
    return pd.DataFrame(known | {"logit_awe": np.log(shares), "logit_fear": np.log1p(-np.array(shares))})


def attended(ids: str, layer: str, weights: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"sample_id": list(ids), "layer": layer, "weights": list(np.float32(weights))})


def test_recall_is_the_share_of_a_classs_images_that_got_it_and_needs_some():
    result = recalls({"a": {3: run_predictions("aaaff", "aaxaf")}, "b": {3: run_predictions("aaaff", "xxxff")}})
    assert result.values.tolist() == [
        ["a", 3, "awe", pytest.approx(200 / 3)],
        ["a", 3, "fear", 50.0],
        ["b", 3, "awe", 0.0],
        ["b", 3, "fear", 100.0],
    ], "no image is labelled anger"


def test_differences_of_recall_are_paired_by_seed_with_students_interval():
    base = {0: run_predictions("aaff", "axfa"), 1: run_predictions("aaff", "aafa"), 2: run_predictions("aaff", "xxff")}
    other = {1: run_predictions("aaff", "xxff"), 2: run_predictions("aaff", "axff"), 7: run_predictions("aaff", "aaff")}
    result = recall_differences(recalls({"base": base, "other": other}), "base")
    assert result[["variant", "label", "n", "mean"]].values.tolist() == [
        ["other", "awe", 2, -25.0],  # seeds 1 and 2: 0 - 100 and 50 - 0
        ["other", "fear", 2, 25.0],  # 100 - 50 and 100 - 100
    ]
    assert (result["low"][0], result["high"][0]) == (-100, 100), "cut: recalls do not differ by more"
    near = recall_differences(recalls({"base": base, "other": base | {0: run_predictions("aaff", "aafa")}}), "base")
    half = stats.t.ppf(0.975, 2) * np.std([50, 0, 0], ddof=1) / 3**0.5
    assert (near["low"][0], near["high"][0]) == pytest.approx((50 / 3 - half, 50 / 3 + half))


def test_a_difference_in_one_seed_has_no_interval_and_in_none_no_row():
    one = recall_differences(
        recalls({"base": {0: run_predictions("af", "aa")}, "v": {0: run_predictions("af", "af")}}), "base"
    )
    assert one["mean"].tolist() == [0.0, 100.0]
    assert one[["low", "high"]].isna().all(axis=None)
    none = recalls({"base": {0: run_predictions("a", "a")}, "v": {1: run_predictions("a", "a")}})
    assert recall_differences(none, "base").empty
    assert recall_differences(none, "not trained").empty


def test_confusion_is_shared_out_over_a_labels_images_in_all_seeds():
    result = confusion_shares({0: run_predictions("aaff", "axfa"), 1: run_predictions("aaff", "aafa")})
    assert result.loc["awe"].tolist() == [75.0, 0.0, 25.0]
    assert result.loc["fear"].tolist() == [50.0, 50.0, 0.0]
    assert result.loc["anger"].isna().all(), "no image is labelled so"
    assert (list(result.index), list(result.columns)) == (list(CLASSES), list(CLASSES))


def test_calibration_by_hand():
    shares = {0: confident([0.55, 0.6, 0.95], [True, False, True]), 1: confident([0.58, 0.7, 0.92], [True, True, True])}
    result = calibration(shares, bins=10)
    assert result["confidence"].tolist() == pytest.approx([(55 + 60 + 58) / 3, 70, 93.5]), "edges are upper ones"
    assert result["accuracy"].tolist() == pytest.approx([200 / 3, 100, 100])
    assert result["share"].tolist() == pytest.approx([50, 100 / 6, 200 / 6])
    assert result["images"].tolist() == [3, 1, 2]


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_the_gaps_of_the_bins_add_up_to_the_expected_calibration_error(bins: int):
    generator = np.random.default_rng(5)
    logits = generator.normal(0, 3, (400, 3))
    frame = pd.DataFrame({f"logit_{c}": logits[:, k] for k, c in enumerate(CLASSES)})
    frame["target"] = generator.choice(CLASSES, 400)
    result = calibration({0: frame}, bins)
    right = np.array(CLASSES)[logits.argmax(1)] == frame["target"].to_numpy()
    ece = expected_calibration_error(special.softmax(logits, axis=1).max(1), right, bins)
    assert (result["share"] / 100 * (result["accuracy"] - result["confidence"]).abs()).sum() == pytest.approx(ece)
    assert result["share"].sum() == pytest.approx(100)


def test_flips_are_right_in_every_seed_of_one_variant_and_wrong_in_every_seed_of_the_other():
    #                     pqrstu: only a  p, by chance q, only b  r, both s, none t, only a u
    a = {
        0: run_predictions("aafaff", "aaxaaf"),
        1: run_predictions("aafaff", "aaaaaf"),
        4: run_predictions("aafaff", "aaxaaf"),
    }
    b = {
        0: run_predictions("aafaff", "xffaaa"),
        1: run_predictions("aafaff", "fafaax"),
        4: run_predictions("aafaff", "fffaax"),
    }
    result = disagreements(a | {9: run_predictions("aafaff", "ffffff")}, b).set_index("sample_id").sort_index()
    assert result.to_dict("index") == {
        "p": {"target": "awe", "right": "a", "other_prediction": "fear"},  # anger, fear, fear
        "r": {"target": "fear", "right": "b", "other_prediction": "anger"},  # anger, awe, anger
        "u": {"target": "fear", "right": "a", "other_prediction": "anger"},  # awe, anger, anger
    }


def test_the_first_of_equally_frequent_wrong_classes_counts():
    a = {0: run_predictions("f", "f"), 1: run_predictions("f", "f")}
    for first, second in ("ax", "xa"):
        assert disagreements(a, {0: run_predictions("f", first), 1: run_predictions("f", second)})[
            "other_prediction"
        ].tolist() == ["awe"]


def test_one_common_seed_shows_no_disagreements():
    a, b = run_predictions("a", "a"), run_predictions("a", "f")
    assert len(disagreements({0: a, 1: a}, {0: b, 1: b})) == 1
    one = disagreements({0: a, 1: a}, {1: b, 2: b})
    assert one.empty
    assert list(one.columns) == ["sample_id", "target", "right", "other_prediction"]
    assert disagreements({0: a, 1: a}, {0: a, 1: a}).empty


def test_disagreements_do_not_depend_on_the_order_of_rows():
    a, b = run_predictions("aafaff", "aaxaaf"), run_predictions("aafaff", "xffaaa")
    expected = disagreements({0: a, 1: a}, {0: b, 1: b})
    assert len(expected) == 4
    for turned in (
        disagreements({0: a.iloc[::-1], 1: a}, {0: b, 1: b}),
        disagreements({0: a, 1: a}, {0: b, 1: b.iloc[::-1]}),
    ):
        assert turned.equals(expected)


def test_a_mean_map_weighs_all_images_of_all_runs_alike_layer_by_layer():
    first = pd.concat([attended("pq", "x", [[0, 1, 0, 0], [1, 0, 0, 0]]), attended("pq", "y", np.full((2, 4), 0.25))])
    second = pd.concat([attended("pq", "x", [[0, 0, 0, 1]] * 2), attended("pq", "y", [[1, 0, 0, 0]] * 2)])
    result = mean_attention([first, second])
    assert list(result) == ["x", "y"]
    assert result["x"].tolist() == [[0.25, 0.25], [0, 0.5]]
    assert result["y"].tolist() == [[0.625, 0.125], [0.125, 0.125]]
    assert mean_attention([]) == {}


def test_attention_in_time_is_the_mean_over_runs_and_clips_of_a_label_times_the_number_of_frames():
    runs = [
        attended("pqr", "f", [[0.5, 0.5], [1, 0], [0.25, 0.75]]),
        attended("rpq", "f", [[0.75, 0.25], [0, 1], [1, 0]]),
    ]
    found = attention_in_time(runs, {"p": "fear", "q": "awe", "r": "fear"})
    assert found.index.tolist() == [ALL_CLIPS, "awe", "fear"]
    np.testing.assert_allclose(found, [[7 / 6, 5 / 6], [2, 0], [0.75, 1.25]])
    assert attention_in_time(runs, {}).index.tolist() == [ALL_CLIPS]


def test_the_attention_of_a_clip_is_the_mean_over_runs_times_the_number_of_frames():
    runs = [
        attended("pqr", "f", [[0.5, 0.5], [1, 0], [0.25, 0.75]]),
        attended("rpq", "f", [[0.75, 0.25], [0, 1], [1, 0]]),
    ]
    found = clip_attention(runs, ["r", "not there", "p"])
    assert list(found) == ["r", "p"]
    np.testing.assert_allclose([found["r"], found["p"]], [[1, 1], [0.5, 1.5]])


def test_image_attention_is_the_mean_over_runs_and_layers():
    first = pd.concat([attended("pqr", "x", np.eye(4)[:3]), attended("pqr", "y", np.eye(4)[[3, 3, 3]])])
    result = image_attention([first, attended("rpq", "x", np.eye(4)[[2, 2, 2]])], ["q", "not there", "p"])
    assert list(result) == ["q", "p"]
    np.testing.assert_allclose(result["q"], [[0, 1 / 3], [1 / 3, 1 / 3]], rtol=1e-6)
    np.testing.assert_allclose(result["p"], [[1 / 3, 0], [1 / 3, 1 / 3]], rtol=1e-6)
    assert image_attention([], ["q"]) == {}


def test_36_weights_are_a_map_of_6_rows():
    weights = np.arange(36) / np.arange(36).sum()
    (result,) = mean_attention([attended("p", "x", [weights])]).values()
    np.testing.assert_allclose(result, weights.reshape(6, 6), rtol=1e-6)
    assert mean_attention([attended("p", "x", [weights[:35]])]) == {}, "no square grid"


def test_selection_bias_is_the_mean_inflation_of_the_best_test_epoch():
    rows = [("a", "d", 60.0, 62.0), ("a", "d", 70.0, 75.0), ("b", "d", 50.0, np.nan), ("a", "e", 10.0, 10.0)]
    runs = pd.DataFrame(rows, columns=["variant", "dataset", "accuracy", "best_test_accuracy"])
    assert selection_bias(runs).to_dict("records") == [
        {"variant": "a", "dataset": "d", "n": 2, "accuracy": 65.0, "best_test_accuracy": 68.5, "inflation": 3.5},
        {"variant": "a", "dataset": "e", "n": 1, "accuracy": 10.0, "best_test_accuracy": 10.0, "inflation": 0.0},
    ]
    for none in (runs[runs["variant"] == "b"], runs.head(0), runs.head(0).astype(object)):
        assert selection_bias(none).empty
        assert list(selection_bias(none).columns) == list(selection_bias(runs).columns)


def test_examples_are_of_one_label_after_another_and_always_the_same():
    ids = [f"{i:04d}" for i in range(60)]
    targets = ["awe"] * 50 + ["fear"] * 8 + ["anger"] * 2
    frame = pd.DataFrame({"sample_id": ids, "target": targets, "logit_awe": 0.0})
    chosen = choose_examples({"v": {0: frame}}, 6)
    labels = frame.set_index("sample_id")["target"]
    assert sorted(labels[chosen[:3]]) == sorted(labels[chosen[3:]]) == sorted(CLASSES)
    assert chosen[:3] != ["0000", "0050", "0058"], "not the first ones: their names may follow their origin"
    assert choose_examples({"w": {4: frame.iloc[::-1].assign(logit_awe=1.0)}}, 6) == chosen
    assert sorted(choose_examples({"v": {0: frame}}, 1000)) == ids
    assert choose_examples({}, 6) == []
