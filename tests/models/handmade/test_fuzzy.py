"""Memberships against the thresholds and centres of their definition."""

import numpy as np
import pytest

from emotune.models.handmade.fuzzy import (
    LIGHTNESS_CENTRES,
    centre_memberships,
    saturation_memberships,
    warmth_memberships,
)


def test_a_value_at_a_centre_belongs_to_its_class_alone() -> None:
    found = centre_memberships(np.array(LIGHTNESS_CENTRES, np.float32), LIGHTNESS_CENTRES)
    assert found == pytest.approx(np.eye(5), abs=1e-4)


def test_memberships_are_those_of_fuzzy_c_means() -> None:
    found = centre_memberships(np.array([0.1, 0.5]), (0.0, 0.4))
    assert found[:, 0] == pytest.approx([0.9, 0.1])  # squared distances .01 and .09
    assert found[:, 1] == pytest.approx([1 / 26, 25 / 26], abs=1e-6)
    everything = centre_memberships(np.linspace(0, 1, 101), LIGHTNESS_CENTRES)
    assert everything.sum(axis=0) == pytest.approx(1)


def test_saturation_changes_over_between_its_thresholds() -> None:
    """Public code divides by 17 and 24 although saturation is in 0..1, and has .20 for one threshold of .10."""
    found = saturation_memberships(np.array([0, 0.10, 0.185, 0.27, 0.39, 0.51, 1]))
    expected = [[1, 1, 0.5, 0, 0, 0, 0], [0, 0, 0.5, 1, 0.5, 0, 0], [0, 0, 0, 0, 0.5, 1, 1]]
    assert found == pytest.approx(np.array(expected, float))


def test_warm_and_cold_follow_the_cosine_and_grey_is_neutral() -> None:
    hue = np.deg2rad([50.0, 230.0, 140.0, 110.0, 50.0, 50.0])
    found = warmth_memberships(hue, np.array([1, 1, 1, 1, 0, 0.05]))
    expected = [[1, 0, 0, 0.5, 0, 0.5], [0, 1, 0, 0, 0, 0], [0, 0, 1, 0.5, 1, 0.5]]
    assert found == pytest.approx(np.array(expected, float), abs=1e-6)
