"""Two label spaces have in common what their names say, or the user; everything else is left out and named."""

import pytest

from emotune.config.label_map import map_labels
from emotune.config.labels import EKMAN, MIKELS, NEGATIVE, POLARITY, POSITIVE
from emotune.core.errors import InputError


def test_the_same_classes_in_another_order_stay_themselves():
    found = map_labels(MIKELS, MIKELS[::-1])
    assert found.is_identity and found.classes == MIKELS and found.sentence() == ""


@pytest.mark.parametrize(("trained", "other"), [(MIKELS, POLARITY), (POLARITY, MIKELS)])
def test_mikels_classes_are_four_positive_and_four_negative_ones_on_either_side(
    trained: tuple[str, ...], other: tuple[str, ...]
):
    found = map_labels(trained, other)
    many = found.answers if trained == MIKELS else found.labels
    assert {name for name, to in many.items() if to == "positive"} == POSITIVE & set(MIKELS)
    assert {name for name, to in many.items() if to == "negative"} == NEGATIVE & set(MIKELS)
    assert set(found.classes) == set(POLARITY) and not found.unused_answers + found.unused_labels
    assert all(name in found.sentence() for name in MIKELS)


def test_mikels_and_ekmans_classes_meet_in_four_and_each_side_loses_the_others():
    found = map_labels(MIKELS, EKMAN)
    assert found.classes == ("anger", "disgust", "fear", "sadness")
    assert found.unused_answers == ("amusement", "awe", "contentment", "excitement")
    assert found.unused_labels == ("joy", "surprise")
    assert all(name in found.sentence() for name in (*found.unused_answers, *found.unused_labels))


def test_surprise_has_no_polarity():
    found = map_labels(EKMAN, POLARITY)
    assert found.unused_answers == ("surprise",) and found.answers["joy"] == "positive"
    assert map_labels(POLARITY, EKMAN).unused_labels == ("surprise",)


def test_a_mapping_of_ones_own_counts_before_equal_names():
    found = map_labels(MIKELS, EKMAN, {"awe": "joy", "amusement": "joy", "fear": None})
    assert found.answers == {"amusement": "joy", "anger": "anger", "awe": "joy", "disgust": "disgust",
                             "sadness": "sadness"}  # fmt: skip
    assert found.unused_answers == ("contentment", "excitement", "fear")
    assert found.unused_labels == ("fear", "surprise")


def test_a_mapping_may_go_from_the_images_to_the_networks():
    found = map_labels(POLARITY, ("calm", "angry", "happy"), {"calm": "positive", "angry": "negative"})
    assert found.labels == {"calm": "positive", "angry": "negative"}
    assert found.unused_labels == ("happy",) and found.classes == POLARITY


@pytest.mark.parametrize(
    ("trained", "other", "own", "named"),
    [
        (MIKELS, ("cat", "dog"), None, ["sadness", "map: {amusement: cat, ", ": dog}"]),
        (MIKELS, ("fear", "dog"), None, ["only fear"]),
        (MIKELS, ("cat", "dog"), {"awe": "cat", "fear": "cat"}, ["only cat"]),
        (MIKELS, POLARITY, {"awe": "positiv"}, ["positiv", 'did you mean "positive"']),
        (MIKELS, POLARITY, {"aw": "positive"}, ["aw", 'did you mean "awe"']),
    ],
)
def test_label_spaces_that_do_not_meet_are_refused(
    trained: tuple[str, ...], other: tuple[str, ...], own: dict[str, str | None] | None, named: list[str]
):
    with pytest.raises(InputError) as caught:
        map_labels(trained, other, own)
    assert all(part in str(caught.value) for part in named), caught.value
