import numpy as np
import pytest
from PIL import Image, ImageDraw

from emotune.models.handmade.principles import FEATURES, principles
from emotune.models.handmade.resizing import square
from emotune.models.handmade.saliency import SIDE, focused_attention, saliency_of, scan_path


def named(image):
    return dict(zip(FEATURES.columns, principles(np.ascontiguousarray(image)), strict=True))


def coarse(seed, cells=8, side=224):
    """Coarse noise; 224×224 is nearly the area that the features look at."""
    noise = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    return noise.repeat(side // cells, axis=0).repeat(side // cells, axis=1)


def spot(row, column, radius=12):
    image = Image.new("RGB", (224, 224), (120, 130, 125))
    ImageDraw.Draw(image).ellipse((column - radius, row - radius, column + radius, row + radius), fill=(250, 240, 20))
    return np.asarray(image)


def grey(values):
    return np.clip(np.broadcast_to(values, (224, 224)), 0, 255).round().astype(np.uint8)[..., None].repeat(3, axis=2)


MIRRORED = {
    "left-right": lambda image: np.concatenate([image[:, :112], image[:, 111::-1]], axis=1),
    "up-down": lambda image: np.concatenate([image[:112], image[111::-1]]),
    "half-turn": lambda image: np.concatenate([image[:112], image[111::-1, ::-1]]),
}


@pytest.mark.parametrize("how", MIRRORED)
def test_a_mirrored_half_is_symmetric_in_that_way_only(how):
    found = named(MIRRORED[how](coarse(1)))
    for what in ("lightness", "colour", "edges"):
        for other in MIRRORED:
            value = found[f"balance_mirror/{what}-{other}"]
            assert value > 0.95 if other == how else value < 0.7


def test_two_halves_of_opposite_lightness_are_antisymmetric():
    found = named(grey(np.where(np.arange(224) < 112, 40, 200)))
    assert found["balance_mirror/lightness-left-right"] == pytest.approx(-1, abs=0.05)
    assert found["balance_mirror/lightness-up-down"] == pytest.approx(1, abs=0.01)
    assert found["balance_mirror/lightness-half-turn"] == pytest.approx(-1, abs=0.05)


def test_the_edges_of_a_disc_point_to_its_centre_at_its_radius():
    found = named(spot(120, 100, radius=28))  # 16 of 128
    radial = {radius: found[f"balance_radial/{radius}"] for radius in (2, 4, 6, 8, 12, 16, 24, 32)}
    assert max(radial, key=radial.__getitem__) == 16
    assert radial[16] > 0.6
    assert radial[32] < 0.3


@pytest.mark.parametrize(
    ("row", "column", "on"),
    [
        (75, 149, (True, True, False)),
        (112, 112, (False, True, True)),
        (35, 35, (False, True, False)),
        (112, 20, (False,) * 3),
    ],
)
def test_attention_is_where_the_only_spot_is(row, column, on):
    saliency = saliency_of(square(spot(row, column), SIDE)[..., 2] / 255.0)
    assert saliency.sum() == pytest.approx(1)
    at = np.array(np.unravel_index(saliency.argmax(), saliency.shape)) * 224 / SIDE
    assert np.hypot(*(at - (row, column))) < 20
    for share, expected in zip(focused_attention(saliency), on, strict=True):
        assert share > 0.3 if expected else share < 0.2


def test_a_path_over_two_places_jumps_from_one_to_the_other():
    saliency = np.zeros((64, 64))
    saliency[10, 50], saliency[40, 10] = 0.6, 0.4
    fixations, length, spread, across, down, turn, off_centre, seen = scan_path(saliency)
    assert fixations == 2 / 8
    assert length == pytest.approx(50 / 64)
    assert (across, down) == (40 / 64, 30 / 64)
    assert spread == turn == 0
    assert off_centre == pytest.approx(np.hypot(10.5 / 64 - 0.5, 50.5 / 64 - 0.5))
    assert seen == pytest.approx(1)


def test_a_ramp_is_inherent_variation_along_its_axis_and_stripes_are_not():
    ramp = named(grey(np.arange(224)))
    assert ramp["gradation/ratio-x"] > 0.95
    assert ramp["gradation/total-x"] == pytest.approx(1 / 255, rel=0.05)
    assert ramp["gradation/total-y"] == 0
    stripes = named(grey(127 + 100 * np.sin(np.arange(224)[:, None] * 2)))
    assert stripes["gradation/ratio-y"] < 0.1
    assert stripes["gradation/total-y"] > 10 * ramp["gradation/total-x"]


def test_one_hue_is_more_harmonious_than_a_neighbour_and_that_more_than_noise():
    def hue(*colours):
        cells = np.array(colours, np.uint8)[np.random.default_rng(0).integers(0, len(colours), (224, 224))]
        return named(cells)["harmony/hue"]

    one, mixed = hue((220, 30, 30)), hue((220, 30, 30), (30, 220, 220))
    many = hue((220, 30, 30), (220, 220, 30), (30, 220, 30), (30, 220, 220), (30, 30, 220), (220, 30, 220))
    assert one == pytest.approx(1, abs=0.01)
    assert many < 0.3
    assert mixed < one
    assert named(grey(np.arange(224)))["harmony/hue"] == 0


def test_variety_counts_the_colours_that_are_there():
    halves = np.concatenate([np.full((224, 112, 3), (255, 0, 0)), np.full((224, 112, 3), (255, 255, 255))], axis=1)
    found = named(halves.astype(np.uint8))
    assert found["variety_colours/red"] == pytest.approx(0.5, abs=0.01)
    assert found["variety_colours/white"] == pytest.approx(0.5, abs=0.01)
    assert found["variety_colours/count"] == 2
    assert found["variety_colours/entropy"] == pytest.approx(np.log(2) / np.log(11), abs=0.01)
    assert named(np.full((64, 64, 3), 255, np.uint8))["variety_colours/entropy"] == 0


def test_a_blank_image_is_balanced_and_has_nothing_else_but_its_colour():
    found = named(np.full((64, 80, 3), 255, np.uint8))
    assert [value for name, value in found.items() if name.startswith("balance_mirror")] == [1] * 9
    for name, value in found.items():
        if name.startswith(("balance_radial", "gradation", "harmony", "variety_lines")):
            assert value == 0, name


def test_mirroring_an_image_changes_no_symmetry_and_no_gradation():
    image = coarse(5, cells=16)
    found, mirrored = named(image), named(image[:, ::-1])
    for name in FEATURES.columns:
        if name.startswith(("balance", "gradation", "variety_colours", "harmony")):
            assert found[name] == pytest.approx(mirrored[name], abs=0.03), name
