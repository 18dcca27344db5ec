"""The worst rated images are those with the largest errors over all dimensions, told on the dimensions' own scales."""

import numpy as np
import pandas as pd
import pytest

from emotune.analysis.rating_diagnostics import worst_rated
from emotune.config.target import Dimension

DIMENSIONS = (Dimension("valence", 1, 7), Dimension("arousal", 0, 1))


def table(predicted: list[tuple[float, float]]) -> pd.DataFrame:
    """Four images whose true ratings are in the middle of both scales."""
    return pd.DataFrame(
        {
            "sample_id": list("abcd"),
            "true_valence": [0.0] * 4,
            "true_arousal": [0.0] * 4,
            "predicted_valence": [one for one, _ in predicted],
            "predicted_arousal": [two for _, two in predicted],
        }
    )


def test_the_error_is_the_root_mean_square_over_dimensions_and_the_mean_over_seeds():
    first = table([(0.1, 0.1), (-0.6, 0.8), (0.0, 0.9), (0.5, 0.5)])
    second = table([(0.1, 0.1), (-0.6, 0.8), (0.0, 0.3), (0.5, 0.5)])
    found = worst_rated({0: first, 1: second}, DIMENSIONS, 3)
    assert found["sample_id"].tolist() == ["b", "d", "c"]
    expected = [np.sqrt(0.5), 0.5, (np.sqrt(0.405) + np.sqrt(0.045)) / 2]
    assert found["value"].tolist() == pytest.approx(expected)
    assert found["true"].tolist() == ["valence 4.00, arousal 0.50"] * 3
    assert found["predicted"].tolist() == ["valence 2.20, arousal 0.90", "valence 5.50, arousal 0.75",
                                           "valence 4.00, arousal 0.80"]  # fmt: skip


def test_of_equally_bad_images_the_first_come_first_and_no_more_are_listed_than_there_are():
    found = worst_rated({0: table([(0.5, 0.5)] * 4)}, DIMENSIONS, 8)
    assert found["sample_id"].tolist() == list("abcd")
