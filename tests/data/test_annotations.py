"""A label is what more people said than anything else, and it is well supported only if more than half of all did."""

import pytest

from emotune.data.annotations import OTHER, agreement_of, majority_class

CLASSES = ("awe", "fear", "anger")


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        ({"awe": 3, "fear": 1}, "awe"),
        ({"fear": 1}, "fear"),
        ({"awe": 0.2, "fear": 0.3, "anger": 0.1}, "fear"),
        ({"awe": 2, OTHER: 9}, "awe"),  # most people said something else, but no class has more
        ({"awe": 1, "joy": 5}, "awe"),
        ({"awe": 2, "fear": 2}, None),
        ({"awe": 2, "fear": 2, "anger": 1}, None),
        ({"awe": 0, "fear": 0}, None),
        ({OTHER: 5}, None),
        ({}, None),
    ],
)
def test_the_label_is_the_class_with_most_votes_and_a_tie_has_none(votes, label):
    assert majority_class(votes, CLASSES) == label


@pytest.mark.parametrize(
    ("votes", "part"),
    [
        ({"awe": 3, "fear": 2}, "well"),
        ({"awe": 1}, "well"),
        ({"awe": 0.51, OTHER: 0.49}, "well"),
        ({"awe": 2, "fear": 2}, "noisy"),
        ({"awe": 2, OTHER: 2}, "noisy"),
        ({"awe": 2, "fear": 1, OTHER: 1}, "noisy"),
        ({"fear": 3}, "noisy"),
        ({"awe": 0}, "noisy"),
        ({}, "noisy"),
    ],
)
def test_a_label_is_well_supported_only_by_more_than_half_of_all_votes(votes, part):
    assert agreement_of("awe", votes) == part
