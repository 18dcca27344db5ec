"""Mean distributions by class, and the images that are predicted worst."""

import numpy as np
import pandas as pd
import pytest

from emotune.analysis.distribution_diagnostics import ALL, TRUE, distribution_text, mean_distributions, worst_images

CLASSES = ("awe", "fear", "joy")
TRUTH = np.array([[0.5, 0.5, 0], [0.2, 0.8, 0], [1, 0, 0], [0.4, 0.3, 0.3]])


def frame(predicted: np.ndarray) -> pd.DataFrame:
    table = {"sample_id": list("abcd"), "target": ["awe", "fear", "awe", "awe"]}
    with np.errstate(divide="ignore"):
        table |= {f"logit_{name}": np.log(predicted[:, i]) for i, name in enumerate(CLASSES)}
    return pd.DataFrame(table | {f"share_{name}": TRUTH[:, i] for i, name in enumerate(CLASSES)})


UNIFORM = np.full((4, 3), 1 / 3)
PREDICTIONS = {"right": {0: frame(TRUTH), 1: frame(TRUTH)}, "mixed": {0: frame(TRUTH), 1: frame(UNIFORM)}}


def test_shares_are_means_over_images_of_the_leading_class_and_over_seeds():
    means = mean_distributions(PREDICTIONS)
    assert list(dict.fromkeys(means["of"])) == [ALL, "awe", "fear"]  # joy leads for no image
    assert means.groupby("of")["images"].first().to_dict() == {ALL: 4, "awe": 3, "fear": 1}
    of_awe = means[means["of"] == "awe"].pivot(index="who", columns="label", values="share")
    expected = 100 * TRUTH[[0, 2, 3]].mean(axis=0)
    np.testing.assert_allclose(of_awe.loc[TRUE, list(CLASSES)], expected)
    np.testing.assert_allclose(of_awe.loc["right", list(CLASSES)], expected)
    np.testing.assert_allclose(of_awe.loc["mixed", list(CLASSES)], (expected + 100 / 3) / 2)


@pytest.mark.parametrize(("measure", "first"), [("chebyshev", "c"), ("intersection", "c"), ("cosine", "c")])
def test_the_worst_images_come_first_whatever_the_direction(measure, first: str):
    worst = worst_images(PREDICTIONS["mixed"], measure, 2)
    assert worst["sample_id"].tolist()[0] == first and len(worst) == 2
    assert worst["true"].iloc[0] == "awe 100 %" and worst["predicted"].iloc[0] == "awe 67 %, fear 17 %, joy 17 %"
    assert worst_images(PREDICTIONS["mixed"], measure, 99)["sample_id"].nunique() == 4


def test_the_value_is_the_mean_over_seeds():
    worst = worst_images(PREDICTIONS["mixed"], "chebyshev", 1)
    assert worst["value"].iloc[0] == pytest.approx((0 + 2 / 3) / 2)


def test_shares_that_round_to_nothing_are_left_out_of_texts():
    assert distribution_text(np.array([0.004, 0.99, 0.006]), list(CLASSES)) == "fear 99 %, joy 1 %"
