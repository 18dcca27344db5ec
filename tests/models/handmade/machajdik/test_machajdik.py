"""The layout of the 114 features, and an image with all of its groups known."""

from itertools import groupby

import numpy as np
import pytest

from emotune.models.handmade.machajdik import FEATURES, machajdik


def named(image: np.ndarray) -> dict[str, float]:
    return dict(zip(FEATURES.columns, map(float, machajdik(image)), strict=True))


def test_the_groups_have_the_numbers_of_the_paper() -> None:
    groups = [(name, len(list(columns))) for name, columns in groupby(FEATURES.columns, lambda c: c.split("/")[0])]
    assert groups == [
        ("brightness", 2), ("valdez", 3), ("hue", 4), ("colourfulness", 1), ("colour_names", 11), ("itten", 20),
        ("wang", 19), ("areas", 10), ("tamura", 3), ("wavelets", 12), ("co_occurrence", 12), ("detail", 1),
        ("depth_of_field", 3), ("dynamics", 6), ("thirds", 3), ("faces", 2), ("skin", 2),
    ]  # fmt: skip
    assert len(FEATURES.columns) == 114


def test_a_red_square_on_black() -> None:
    image = np.zeros((240, 240, 3), np.uint8)
    image[80:160, 80:160] = 255, 0, 0  # the middle ninth
    found = named(image)
    s, y = 1 / 9, 0.2126 / 9
    assert found["brightness/saturation"] == pytest.approx(s, rel=0.02)
    assert found["valdez/pleasure"] == pytest.approx(0.69 * y + 0.22 * s, rel=0.02)
    assert found["valdez/arousal"] == pytest.approx(-0.31 * y + 0.60 * s, rel=0.02)
    assert found["valdez/dominance"] == pytest.approx(-0.76 * y + 0.32 * s, rel=0.02)
    assert found["hue/weighted_mean"] == pytest.approx(0, abs=1e-4)
    assert found["colour_names/black"] == pytest.approx(8 / 9, abs=0.01)
    assert found["colour_names/red"] == pytest.approx(1 / 9, abs=0.01)
    assert found["detail/segments"] == 2
    assert found["itten/mean_warm_area"] == pytest.approx(1 / 9, rel=0.05)
    assert found["thirds/saturation"] == pytest.approx(1, abs=0.01)
    assert found["dynamics/slanted_length"] == 0
    assert found["dynamics/static_length"] == pytest.approx(1 / 3 / 2**0.5, rel=0.1)
    assert found["faces/count"] == 0


def test_a_grey_image_has_no_hue_anywhere() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (64, 64, 1), np.uint8).repeat(3, axis=2)
    found = named(grey)
    hueless = (
        "hue/mean", "hue/weighted_mean", "hue/weighted_dispersion", "itten/mean_hue", "itten/max_hue",
        "itten/max_complements", "itten/max_warmth", "itten/max_hue_count", "itten/mean_warm_area", "areas/warm",
        "areas/cool", "wang/colour_spread", "wavelets/hue_1", "wavelets/hue_3", "co_occurrence/hue_contrast",
        "thirds/hue",
    )  # fmt: skip
    assert [found[name] for name in hueless] == pytest.approx([0] * len(hueless), abs=0.01)
    assert found["wang/luminance_variance"] > 0.01


def test_size_hardly_matters() -> None:
    """Images are brought to one area: counts, lengths and thresholds mean the same at each resolution."""
    small = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    found = [named(small.repeat(times, 0).repeat(times, 1)) for times in (32, 56)]
    for column in ("brightness/luminance", "tamura/coarseness", "wang/colour_spread", "colourfulness/earth_mover"):
        assert found[0][column] == pytest.approx(found[1][column], rel=0.05)
    assert found[0]["detail/segments"] == pytest.approx(found[1]["detail/segments"], abs=4)
