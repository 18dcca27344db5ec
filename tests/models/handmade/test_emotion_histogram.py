import numpy as np
import pytest

from emotune.models.handmade.colour_emotions import emotions_of_image, emotions_of_lab
from emotune.models.handmade.emotion_histogram import FEATURES, emotion_histogram

C, D = 40.0, np.deg2rad
AT_50 = (50.0, C * np.cos(D(50)), C * np.sin(D(50)))
"""A colour of chroma 40 in the direction of the warmest hue."""


@pytest.mark.parametrize(
    ("lab", "activity", "weight", "heat"),
    [
        ((50, 0, 0), -1.350, 0.2, -0.5),
        ((50, 3, 17), -2.1, None, None),  # the most passive colour
        ((100, 0, 0), -2.1 + 0.06 * (2500 + 9 + (17 / 1.4) ** 2) ** 0.5, -1.8, -0.5),
        (AT_50, None, 0.2 + 0.45 * np.cos(D(50)), -0.5 + 0.02 * C**1.07),
        ((50, -AT_50[1], -AT_50[2]), None, 0.2 - 0.45 * np.cos(D(50)), -0.5 - 0.02 * C**1.07),  # atan(b/a) fails here
        (
            (20, C * np.cos(D(100)), C * np.sin(D(100))),
            None,
            -1.8 + 0.04 * 80 + 0.45,
            -0.5 + 0.02 * C**1.07 * np.cos(D(50)),
        ),
        (
            (20, C * np.cos(D(280)), C * np.sin(D(280))),
            None,
            -1.8 + 0.04 * 80 - 0.45,
            -0.5 - 0.02 * C**1.07 * np.cos(D(50)),
        ),
    ],
)
def test_reference_colours_have_the_published_emotions(lab, activity, weight, heat):
    found = emotions_of_lab(np.array(lab, float))
    for value, expected in zip(found, (activity, weight, heat), strict=True):
        if expected is not None:
            assert value == pytest.approx(expected, abs=1e-3)


def heat(chroma, hue, least=-0.5):
    return least + 0.02 * chroma**1.07 * np.cos(hue - D(50))


WRONG = {
    "least": lambda a, b: heat(np.hypot(a, b), np.arctan2(b, a), least=-0.05),
    "quadrant": lambda a, b: heat(np.hypot(a, b), np.arctan(b / a)),
    "degrees": lambda a, b: -0.5 + 0.02 * np.hypot(a, b) ** 1.07 * np.cos(np.rad2deg(np.arctan2(b, a)) - 50),
}
"""Errors of a copy that is found in several places."""


@pytest.mark.parametrize("wrong", WRONG)
def test_the_errors_of_known_copies_are_not_made(wrong):
    a, b = -AT_50[1], -AT_50[2]
    assert abs(WRONG[wrong](a, b) - emotions_of_lab(np.array([50, a, b]))[2]) > 0.1


def test_all_greys_have_the_heat_of_no_hue_and_a_weight_that_depends_on_lightness_alone():
    greys = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    _, weight, heat = np.moveaxis(emotions_of_image(greys), -1, 0)
    assert heat == pytest.approx(-0.5, abs=1e-3)
    assert (np.diff(weight[0]) < 0).all()
    assert weight[0, 0] == pytest.approx(2.2, abs=0.01)


def test_red_is_warm_and_heavier_than_cool_cyan():
    red, cyan = emotions_of_image(np.array([[[255, 0, 0], [0, 255, 255]]], np.uint8))[0]
    assert red[2] > 1.5
    assert cyan[2] < -1
    assert red[1] > cyan[1]


def test_two_colours_fill_two_bins_with_the_roots_of_their_shares():
    image = np.full((64, 64, 3), 255, np.uint8)
    image[:16] = (255, 0, 0)
    shares = dict(zip(FEATURES.columns, emotion_histogram(image) ** 2, strict=True))
    filled = {name: share for name, share in shares.items() if share > 0.05}
    assert filled == {
        "emotions/activity3-weight2-heat3": pytest.approx(0.25, abs=0.01),
        "emotions/activity2-weight0-heat1": pytest.approx(0.75, abs=0.01),
    }
    assert sum(shares.values()) == pytest.approx(1)


def test_the_histogram_does_not_feel_where_colours_are():
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    moved = image.reshape(-1, 3)[np.random.default_rng(1).permutation(256 * 256)].reshape(image.shape)
    np.testing.assert_array_equal(emotion_histogram(image), emotion_histogram(moved))
