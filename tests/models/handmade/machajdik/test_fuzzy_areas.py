"""Fuzzy histograms of images of one and two colours."""

import numpy as np
import pytest

from emotune.models.handmade.fuzzy import LIGHTNESS_CENTRES, centre_memberships
from emotune.models.handmade.machajdik.fuzzy_areas import COLUMNS, fuzzy_areas
from emotune.models.handmade.machajdik.prepared import prepare


def named(image: np.ndarray) -> dict[str, float]:
    return dict(zip(COLUMNS, map(float, fuzzy_areas(prepare(image))), strict=True))


def flat(*rgb: int) -> np.ndarray:
    return np.full((16, 16, 3), rgb, np.uint8)


def test_a_warm_colour_is_divided_among_levels_of_lightness_and_saturation() -> None:
    found = named(flat(255, 213, 0))  # hue 50.1°
    y = 0.2126 + 0.7152 * 213 / 255
    for number, level in enumerate(("very_dark", "dark", "middle", "light", "very_light")):
        membership = float(centre_memberships(np.array(y), LIGHTNESS_CENTRES)[number])
        assert found[f"wang/{level}_warm"] == pytest.approx(membership, abs=1e-3)
        assert found[f"areas/{level}"] == pytest.approx(membership, abs=1e-5)
        assert found[f"wang/{level}_cool"] == 0
    assert found["wang/high_saturation_warm"] == pytest.approx(1, abs=1e-3)
    assert found["wang/middle_saturation_warm"] == pytest.approx(0, abs=1e-6)
    assert found["areas/warm"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("saturation", "low", "middle", "high"), [(26, 1, 0, 0), (48, 0.48, 0.52, 0), (99, 0, 0.5, 0.5)]
)
def test_levels_of_saturation_change_over_within_0_to_1(
    saturation: int, low: float, middle: float, high: float
) -> None:
    """With slopes of 1/17 and 1/24, as in public code, a saturation of 0.19 would be low to 99 %."""
    found = named(flat(100 + saturation, 100, 100))
    values = [found[f"areas/{level}_saturation"] for level in ("low", "middle", "high")]
    assert values == pytest.approx([low, middle, high], abs=0.02)


def test_shares_sum_to_one() -> None:
    found = named(np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8))
    assert sum(found[name] for name in COLUMNS[19:24]) == pytest.approx(1, abs=1e-5)
    assert sum(found[name] for name in COLUMNS[26:29]) == pytest.approx(1, abs=1e-5)
    warm = sum(found[name] for name in COLUMNS[0:10:2])
    assert warm == pytest.approx(found["areas/warm"], abs=1e-5)
    assert sum(found[name] for name in COLUMNS[10:16:2]) == pytest.approx(warm, abs=1e-5)


def test_colour_spread_and_variance_of_two_halves() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[:100] = 255
    found = named(image)
    assert found["wang/luminance_variance"] == pytest.approx(0.25, rel=0.02)
    assert found["wang/colour_spread"] == pytest.approx(0, abs=0.01)
    assert found["wang/sharpness"] > 0.2
    image[:100], image[100:] = (255, 0, 0), (0, 255, 0)
    red, green = np.array([80.09, 67.20]), np.array([-86.18, 83.18])  # (a*, b*) of the primaries of sRGB, D65
    assert named(image)["wang/colour_spread"] == pytest.approx(np.linalg.norm(red - green) / 2, rel=0.01)


def test_sharpness_is_that_of_the_sharpest_half_percent() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 256, axis=0).repeat(3, axis=2)
    edge = np.where(ramp > 127, 255, 0).astype(np.uint8)
    assert named(ramp)["wang/sharpness"] < 0.01
    assert named(edge)["wang/sharpness"] > 0.3
    assert named(flat(90, 90, 90))["wang/sharpness"] == pytest.approx(0, abs=1e-6)
