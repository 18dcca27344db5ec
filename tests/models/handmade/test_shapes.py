import numpy as np
import pytest
from PIL import Image, ImageDraw

from emotune.models.handmade.contours import contours_of, pieces_of
from emotune.models.handmade.shapes import FEATURES, shapes


def drawn(draw, side=256):
    image = Image.new("RGB", (side, side), "white")
    draw(ImageDraw.Draw(image))
    return np.asarray(image)


def named(image):
    return dict(zip(FEATURES.columns, shapes(image), strict=True))


def group(found, name):
    return [value for column, value in found.items() if column.startswith(f"{name}/")]


CIRCLE = drawn(lambda draw: draw.ellipse((60, 60, 180, 180), fill="black"))
SQUARE = drawn(lambda draw: draw.rectangle((50, 70, 170, 190), fill="black"))
TRIANGLE = drawn(lambda draw: draw.regular_polygon((128, 128, 100), 3, fill="black"))


def test_a_disc_is_one_closed_contour_without_angles_and_wholly_circular():
    found = named(CIRCLE)
    assert found["line_count/contours"] == found["line_count/closed"] == pytest.approx(np.log(2))
    assert found["line_curving/0"] == 1
    assert found["angle_count/corners"] == 0
    assert found["roundest/0-circularity"] == pytest.approx(1, abs=0.02)
    assert found["roundest/0-fitness"] > 0.99
    assert found["roundest/0-size"] == pytest.approx((np.pi * 60**2) ** 0.5 / 256, rel=0.03)
    assert found["curve_circularity/9"] == 1
    assert group(found, "roundest")[3:] == [0] * 6
    assert group(found, "segment_orientation") == [0] * 12


@pytest.mark.parametrize("degrees", [0, 30, 60, 90, 120, 150])
def test_an_ellipse_has_its_axes_and_its_direction(degrees):
    big = Image.new("L", (1024, 1024), 255)
    ImageDraw.Draw(big).ellipse((112, 312, 912, 712), fill=0)
    turned = big.rotate(degrees, fillcolor=255).resize((256, 256)).convert("RGB")
    found = named(np.asarray(turned))
    assert found["roundest/0-circularity"] == pytest.approx(0.5, abs=0.03)
    assert found[f"curve_orientation/{degrees}"] == 1


def test_a_square_has_four_right_angles_and_four_sides():
    found = named(SQUARE)
    assert found["angle_count/corners"] == pytest.approx(np.log(5))
    assert found["angle_size/80"] == 1
    assert found["angle_size/mean"] == pytest.approx(0.5, abs=0.03)
    assert found["line_count/segments"] == pytest.approx(np.log(5))
    assert found["line_count/curves"] == 0
    assert found["segment_orientation/0"] ** 2 == pytest.approx(0.5, abs=0.02)
    assert found["segment_orientation/90"] ** 2 == pytest.approx(0.5, abs=0.02)
    assert group(found, "line_mass")[:2] == pytest.approx([130 / 256, 110 / 256], abs=0.01)
    assert group(found, "curve_circularity") == [0] * 10


def test_a_triangle_has_three_angles_of_sixty_degrees():
    found = named(TRIANGLE)
    assert found["angle_count/corners"] == pytest.approx(np.log(4))
    assert found["angle_size/mean"] == pytest.approx(1 / 3, abs=0.05)
    assert {column for column in FEATURES.columns if column.startswith("segment_or") and found[column] > 0.4} == {
        f"segment_orientation/{degrees}" for degrees in (0, 60, 120)
    }


@pytest.mark.parametrize("degrees", [0, 15, 45, 90, 135, 165])
def test_a_border_is_a_straight_line_of_its_direction(degrees):
    y, x = np.mgrid[:256, :256] - 127.5
    above = x * np.sin(np.deg2rad(degrees)) + y * np.cos(np.deg2rad(degrees)) < 0
    found = named(np.where(above[..., None], 30, 220).repeat(3, axis=2).astype(np.uint8))
    assert found["line_curving/9"] == 1
    assert found[f"segment_orientation/{degrees}"] == 1
    assert found["angle_count/corners"] == 0


def test_a_half_circle_curves_by_its_diameter_over_its_arc():
    image = drawn(lambda draw: draw.chord((-100, 28, 100, 228), -90, 90, fill="black"))
    lines = pieces_of(contours_of(image))[0]
    assert len(lines.first) == 1
    assert lines.straightness[0] == pytest.approx(2 / np.pi, abs=0.03)
    assert lines.length[0] == pytest.approx(100 * np.pi, rel=0.03)


def test_the_same_drawing_at_twice_the_resolution_has_nearly_the_same_numbers():
    fine = drawn(lambda draw: draw.regular_polygon((256, 256, 200), 3, fill="black"), side=512)
    np.testing.assert_allclose(shapes(fine), shapes(TRIANGLE), atol=0.1)


def test_a_quarter_turn_moves_orientations_by_ninety_degrees_and_keeps_angles():
    image, turned = named(TRIANGLE), named(np.rot90(TRIANGLE))
    np.testing.assert_allclose(
        np.roll(group(image, "segment_orientation"), 6), group(turned, "segment_orientation"), atol=0.1
    )
    assert turned["angle_size/mean"] == pytest.approx(image["angle_size/mean"], abs=0.02)


def test_a_symmetric_ellipse_for_which_the_library_divides_by_zero_is_no_warning():
    rng = np.random.default_rng(169)
    image = Image.new("RGB", (256, 256), "white")
    for _ in range(20):
        x, y = rng.integers(0, 256, 2).tolist()
        r = int(rng.integers(5, 12))
        ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), fill=tuple(rng.integers(0, 200, 3).tolist()))
    assert np.isfinite(shapes(np.asarray(image))).all()


def test_what_touches_nothing_but_the_blank_leaves_zeros():
    assert not shapes(np.full((100, 200, 3), 90, np.uint8)).any()
