"""Itten's contrasts of images with two and three colours."""

import numpy as np
import pytest

from emotune.models.handmade.colour_spaces import ihsl
from emotune.models.handmade.fuzzy import LIGHTNESS_CENTRES, centre_memberships
from emotune.models.handmade.itten import CONTRASTS, itten_contrasts
from emotune.models.handmade.segments import Segments

RED, GREEN, BLUE, CYAN = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 255, 255)
JUST_BELOW_RED = (255, 0, 30)


def contrasts(*colours: tuple[int, int, int], widths: tuple[int, ...] | None = None) -> dict[str, tuple[float, float]]:
    """The mean and maximum of each contrast of stripes of given colours and widths, each of which is a segment."""
    widths = widths or (20,) * len(colours)
    row = np.repeat(np.array(colours, np.uint8), widths, axis=0)
    labels = np.repeat(np.arange(len(colours)), widths)
    image, numbers = np.tile(row, (30, 1, 1)), np.tile(labels, (30, 1))
    found = itten_contrasts(ihsl(image), Segments(numbers, len(colours)))
    return {name: (found[i], found[i + 10]) for i, name in enumerate(CONTRASTS)}


def test_complementary_colours_have_the_largest_contrasts_of_hue() -> None:
    found = contrasts(RED, CYAN)
    assert found["hue"] == pytest.approx((2, 2))
    assert found["complements"] == pytest.approx((1, 1))
    assert contrasts(RED, GREEN)["hue"] == pytest.approx(2 * (2 * np.sin(np.pi / 3),))


def test_hues_on_both_sides_of_red_are_close() -> None:
    found = contrasts((255, 30, 0), JUST_BELOW_RED)
    assert found["complements"][0] < 0.1
    assert found["hue_spread"] == pytest.approx((0, 0), abs=1e-6)


def test_brightness_contrast_is_the_spread_of_memberships_over_area() -> None:
    found = contrasts((0, 0, 0), (255, 255, 255), widths=(10, 30))
    apart = np.abs(np.subtract(*centre_memberships(np.array([0.0, 1.0]), LIGHTNESS_CENTRES).T))
    deviations = apart * np.sqrt(0.25 * 0.75)
    assert found["brightness"] == pytest.approx((deviations.mean(), deviations.max()))
    assert found["saturation"] == pytest.approx((0, 0))
    assert found["hue"] == (0, 0)  # grey has no hue
    assert contrasts((90, 90, 90), (250, 100, 100))["saturation"][0] > 0.3


def test_warmth_contrast_is_one_less_the_cosine_of_memberships() -> None:
    assert contrasts((255, 212, 0), (0, 43, 255))["warmth"] == pytest.approx((1, 1), abs=1e-3)
    assert contrasts(RED, RED)["warmth"] == pytest.approx((0, 0), abs=1e-6)
    warm, neutral = np.cos(np.deg2rad(50)), 1 - np.cos(np.deg2rad(50))
    cosine = neutral / np.hypot(warm, neutral)
    assert contrasts(RED, (128, 128, 128))["warmth"] == pytest.approx(2 * (1 - cosine,), abs=1e-5)


def test_harmonious_colours_span_a_regular_polygon() -> None:
    assert contrasts(RED, GREEN, BLUE)["harmony"] == pytest.approx((0, 0), abs=1e-9)
    assert contrasts(RED, GREEN)["harmony"] == (0, 0)
    # Corners at 0°, 60° and 240° have interior angles of half the arcs opposite: 180°, 120° and 60°.
    third = contrasts(RED, (255, 255, 0), BLUE)["harmony"]
    interior = np.array([90, 60, 30]) / 180
    assert third == pytest.approx((np.abs(interior - 1 / 3).mean(), np.abs(interior - 1 / 3).max()), abs=1e-6)
    ignored = contrasts(RED, GREEN, BLUE, (255, 255, 0), widths=(40, 40, 40, 4))  # yellow has under 5 %
    assert ignored["harmony"] == pytest.approx((0, 0), abs=1e-9)


def test_areas_are_totals_and_not_means_over_segments() -> None:
    """Public code has the mean of the segments' areas: 0.3 and not 0.6 here."""
    found = contrasts(RED, (255, 120, 0), BLUE, widths=(10, 50, 40))
    assert found["warm_area"] == pytest.approx((0.6, 0.5))
    assert found["cold_area"] == pytest.approx((0.4, 0.4))
    grey = contrasts((90, 90, 90), (10, 10, 10))
    assert (*grey["warm_area"], *grey["cold_area"]) == (0, 0, 0, 0)


def test_warm_hues_go_from_320_to_140_degrees() -> None:
    for degrees, warm in ((321, 1), (319, 0), (139, 1), (141, 0)):
        hue = np.full((4, 4), np.deg2rad(degrees), np.float32)
        image = ihsl(np.zeros((4, 4, 3), np.uint8))._replace(hue=hue, saturation=np.ones_like(hue))
        found = itten_contrasts(image, Segments(np.zeros((4, 4), int), 1))
        assert found[8] == pytest.approx(warm, abs=1e-6)


def test_hue_count_and_spread_are_those_within_segments() -> None:
    row = np.array([RED] * 10 + [GREEN] * 10 + [BLUE] * 20, np.uint8)
    labels = np.tile(np.repeat([0, 1], 20), (8, 1))
    found = itten_contrasts(ihsl(np.tile(row, (8, 1, 1))), Segments(labels, 2))
    means, maxima = (dict(zip(CONTRASTS, part, strict=True)) for part in (found[:10], found[10:]))
    assert (means["hue_count"], maxima["hue_count"]) == pytest.approx((1.5, 2))
    assert maxima["hue_spread"] == pytest.approx(0.5)
    assert means["hue_spread"] == pytest.approx(0.25)
