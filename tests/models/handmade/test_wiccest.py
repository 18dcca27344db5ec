import numpy as np
import pytest
from scipy.stats import gennorm

from emotune.models.handmade.wiccest import FEATURES, fit_weibull, wiccest


def named(image):
    return dict(zip(FEATURES.columns, wiccest(image), strict=True))


@pytest.mark.parametrize(("shape", "width"), [(0.7, 2.0), (1.0, 0.05), (2.0, 1.0), (3.5, 40.0)])
def test_the_fit_is_that_of_the_generalised_normal_distribution(shape, width):
    values = gennorm.rvs(shape, scale=width * shape ** (1 / shape), size=4001, random_state=1)
    values -= np.median(values)
    fitted, _, scale = gennorm.fit(values, floc=0)
    beta, gamma = fit_weibull(values)
    assert gamma == pytest.approx(fitted, rel=2e-3)
    assert beta == pytest.approx(scale / fitted ** (1 / fitted), rel=2e-3)
    assert gamma == pytest.approx(shape, rel=0.1)
    assert beta == pytest.approx(width, rel=0.1)


def test_the_fit_is_around_the_median_and_its_width_follows_the_unit():
    values = gennorm.rvs(0.7, size=4001, random_state=2)
    beta, gamma = fit_weibull(values)
    np.testing.assert_allclose(fit_weibull(-3 * values + 50), [3 * beta, gamma], rtol=1e-3)
    np.testing.assert_allclose(
        fit_weibull(np.stack([values, 9 * values])), [[beta, gamma], [9 * beta, gamma]], rtol=1e-3
    )


def test_where_there_is_no_edge_the_width_is_the_least_and_extremes_stay_in_range():
    np.testing.assert_allclose(fit_weibull(np.full(100, 7.0)), [1e-4, 2])
    assert fit_weibull(np.tile([-1.0, 1.0], 500))[1] == 5  # two values are flatter than any such distribution
    spike = np.zeros(1000)
    spike[:3] = 1e6
    assert fit_weibull(spike)[1] == pytest.approx(0.1)


def test_edges_are_seen_across_stripes_only_and_only_where_they_are():
    image = np.full((256, 256, 3), 200, np.uint8)
    image[:128, 128:] -= (60 + 60 * np.sin(np.arange(128) / 4)).astype(np.uint8)[None, :, None]
    found = named(image)
    assert found["intensity_x/width_2x2_1"] > 0.02
    assert found["intensity_y/width_2x2_1"] < 0.002
    assert found["intensity_x/width_3x3_6"] == pytest.approx(1e-4)
    assert found["intensity_x/shape_3x3_6"] == 2
    assert found["intensity_x/shape_1x1_0"] < 0.7  # no edges in most of it
    assert found["intensity_x/shape_3x3_2"] > 2  # a sine, but for its border


def test_contrasts_do_not_change_with_the_intensity_of_the_light():
    noise = np.random.default_rng(0).integers(60, 120, (32, 32, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    np.testing.assert_allclose(wiccest(2 * noise), wiccest(noise), rtol=0.05)


def test_a_mirrored_image_has_the_same_numbers_in_mirrored_regions():
    noise = np.random.default_rng(1).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    image, mirrored = named(noise), named(noise[:, ::-1])
    for region, other in [("1x1_0", "1x1_0"), ("2x2_0", "2x2_1"), ("2x2_3", "2x2_2"), ("3x3_3", "3x3_5")]:
        for name in ("red_green_x/width", "yellow_blue_y/width", "intensity_x/shape"):
            assert image[f"{name}_{region}"] == pytest.approx(mirrored[f"{name}_{other}"], rel=0.02)
