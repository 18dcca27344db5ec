import numpy as np
import pytest

from emotune.models.handmade.bags_of_emotions import FEATURES, bags_of_emotions
from emotune.models.handmade.colour_emotions import emotions_of_image

RED, CYAN = (255, 0, 0), (0, 255, 255)


def named(image):
    return dict(zip(FEATURES.columns, bags_of_emotions(image), strict=True))


def halves(left, right):
    image = np.empty((256, 256, 3), np.uint8)
    image[:, :128], image[:, 128:] = left, right
    return image


def bins(values):
    return np.searchsorted(np.arange(-1.5, 1.6, 0.5), values)


def test_of_two_half_planes_homogeneous_points_lie_in_both_and_transitions_between_them():
    found = named(halves(RED, CYAN))
    warm, cool = bins(emotions_of_image(np.array([[RED, CYAN]], np.uint8))[0, :, 2])
    assert warm != cool
    assert found[f"homogeneous_heat/{warm}"] ** 2 == pytest.approx(0.5, abs=0.05)
    assert found[f"homogeneous_heat/{cool}"] ** 2 == pytest.approx(0.5, abs=0.05)
    assert found[f"higher_heat/{warm}"] == pytest.approx(1, abs=0.05)
    assert found[f"lower_heat/{cool}"] == pytest.approx(1, abs=0.05)
    assert found["points/transition0"] == pytest.approx(2 / 256, rel=0.3)  # the two columns at the border
    assert found["points/homogeneous0"] > 0.9


def test_a_blank_image_has_no_transitions():
    found = named(np.full((50, 70, 3), RED, np.uint8))
    for name, value in found.items():
        if name.startswith(("lower", "higher", "points/transition")):
            assert value == 0
    assert [found[f"points/homogeneous{level}"] for level in range(4)] == [1] * 4


def test_histograms_of_shares_are_whole():
    values = bags_of_emotions(np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8))
    np.testing.assert_allclose((values[:72].reshape(9, 8) ** 2).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("turned", [np.fliplr, np.flipud, np.rot90])
def test_the_bag_does_not_feel_how_an_image_is_turned(turned):
    coarse = np.random.default_rng(2).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    image = coarse.repeat(16, axis=0).repeat(16, axis=1)
    np.testing.assert_allclose(
        bags_of_emotions(np.ascontiguousarray(turned(image))), bags_of_emotions(image), atol=0.02
    )
