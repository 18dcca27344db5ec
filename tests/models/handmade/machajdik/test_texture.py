"""Tamura's features, wavelets and co-occurrence of patterns whose answer is known."""

import numpy as np
import pytest
from skimage.feature import graycomatrix, graycoprops

from emotune.models.handmade.colour_spaces import ihsl
from emotune.models.handmade.machajdik.prepared import prepare
from emotune.models.handmade.machajdik.tamura import coarseness, contrast, directionality
from emotune.models.handmade.machajdik.texture import COLUMNS, co_occurrence, grey_levels, hue_levels, texture
from emotune.models.handmade.machajdik.wavelets import channel_details, haar_details

NOISE = np.random.default_rng(0).integers(0, 256, (256, 256))


def grating(degrees: float, period: float, side: int = 256) -> np.ndarray:
    rows, columns = np.indices((side, side))
    across = columns * np.cos(np.deg2rad(degrees)) + rows * np.sin(np.deg2rad(degrees))
    return np.round(127.5 + 127.5 * np.sin(2 * np.pi * across / period)).astype(int)


def board(field: int, side: int = 256) -> np.ndarray:
    rows, columns = np.indices((side, side)) // field
    return 255 * ((rows + columns) % 2)


def slow_coarseness(grey: np.ndarray) -> float:
    """The definition, pixel by pixel."""
    padded = np.pad(grey, 32, mode="symmetric").astype(float)
    best = np.zeros(grey.shape)
    for r, c in np.ndindex(grey.shape):
        differences = []
        for side in (2, 4, 8, 16, 32):
            y, x, half = r + 32, c + 32, side // 2
            rows, columns = slice(y - half, y + half), slice(x - half, x + half)
            beside = padded[rows, x : x + side].mean() - padded[rows, x - side : x].mean()
            above = padded[y : y + side, columns].mean() - padded[y - side : y, columns].mean()
            differences.append(max(abs(beside), abs(above)))
        best[r, c] = 2 ** (1 + np.argmax(differences))
    return best.mean() / 32


def test_coarseness_is_that_of_its_definition_pixel_by_pixel() -> None:
    grey = np.random.default_rng(1).integers(0, 4, (9, 7)).repeat(3, 0).repeat(4, 1) * 60
    assert coarseness(grey) == pytest.approx(slow_coarseness(grey))


def test_larger_fields_are_coarser_and_a_blank_is_finest() -> None:
    found = [coarseness(board(field)) for field in (2, 8, 32)]
    assert found == sorted(found)
    assert found[0] < 0.3
    assert found[2] > 0.5
    assert coarseness(np.full((40, 50), 77)) == 2 / 32


def test_contrast_of_two_values_is_half_their_distance() -> None:
    assert contrast(board(8)) == pytest.approx(127.5 / 128)  # a kurtosis of 1
    assert contrast(board(8) // 5) == pytest.approx(25.5 / 128)
    assert contrast(np.full((9, 9), 3)) == 0
    values = np.random.default_rng(0).normal(128, 20, (500, 500)).round().astype(int)
    assert contrast(values) == pytest.approx(20 / 3**0.25 / 128, rel=0.01)


@pytest.mark.parametrize("degrees", [0, 45, 90, 135, 100])
def test_parallel_lines_have_one_direction_and_noise_has_all(degrees: float) -> None:
    assert directionality(grating(degrees, 24)) < 0.004
    assert directionality(NOISE) == pytest.approx(np.pi**2 / 12 / 5, rel=0.05)


def test_two_directions_are_two_peaks_and_faint_gradients_have_none() -> None:
    assert directionality(board(16)) < 0.02
    faint = np.random.default_rng(0).integers(100, 103, (64, 64))
    assert directionality(faint) == directionality(np.full((64, 64), 9)) == pytest.approx(np.pi**2 / 12 / 5, rel=0.05)


def test_details_are_the_haar_transform_of_the_mean_band() -> None:
    values = np.random.default_rng(0).random((32, 48))
    levels = haar_details(values)
    assert [level.shape for level in levels] == [(3, 16, 24), (3, 8, 12), (3, 4, 6)]
    a, b, c, d = values[::2, ::2], values[::2, 1::2], values[1::2, ::2], values[1::2, 1::2]
    np.testing.assert_allclose(levels[0][0], (a + b - c - d) / 2)
    # Orthonormal: the squares of all details and of the last mean band sum to those of the image. Public code divides
    # the whole mosaic of level 1 again.
    mean = values.reshape(4, 8, 6, 8).sum(axis=(1, 3)) / 8
    energy = sum((level**2).sum() for level in levels) + (mean**2).sum()
    assert energy == pytest.approx((values**2).sum())


def test_noise_has_details_at_the_level_of_its_grain() -> None:
    """Public code sums details with their sign, so that they cancel out."""
    grey = np.random.default_rng(0).choice([0, 255], (400, 500)).astype(np.uint8)
    found = named(grey[..., None].repeat(3, axis=2))
    assert found["wavelets/luminance_1"] == pytest.approx(0.375, rel=0.02)  # of ±1, 3 in 8 patterns of 2×2 and more
    coarse = named(grey[:100, :125].repeat(4, 0).repeat(4, 1)[..., None].repeat(3, axis=2))
    assert coarse["wavelets/luminance_1"] == pytest.approx(0, abs=1e-6)
    assert coarse["wavelets/luminance_3"] > 1
    assert coarse["wavelets/all_3"] == pytest.approx(
        sum(coarse[f"wavelets/{channel}_3"] for channel in ("hue", "saturation", "luminance"))
    )


def named(image: np.ndarray) -> dict[str, float]:
    return dict(zip(COLUMNS, map(float, texture(prepare(image))), strict=True))


def stripes(first: tuple[int, int, int], second: tuple[int, int, int]) -> np.ndarray:
    return np.where(np.indices((64, 64))[1][..., None] % 2, first, second).astype(np.uint8)


def test_hues_on_both_sides_of_red_have_neither_details_nor_contrast() -> None:
    reds, opposite = ihsl(stripes((255, 0, 5), (255, 5, 0))), ihsl(stripes((255, 0, 0), (0, 255, 255)))
    assert np.abs(channel_details(reds)[0][0]).max() < 0.05
    assert np.abs(channel_details(opposite)[0][0]).max() == pytest.approx(2, abs=1e-5)
    assert (hue_levels(reds) == 4).all()
    assert co_occurrence(hue_levels(opposite), circular=True)[0] == pytest.approx(16)


def test_grey_pixels_have_the_mean_hue() -> None:
    levels = hue_levels(ihsl(stripes((0, 200, 30), (90, 90, 90))))
    assert (levels == 4).all()


def test_hues_are_measured_in_turns_and_not_in_radians() -> None:
    """Public code gives radians to a function for 0..1, which puts all hues over 57° into one level."""
    thirds = np.zeros((30, 60, 3), np.uint8)
    for third in range(3):
        thirds[:, 20 * third : 20 * third + 20, third] = 255
    assert len(np.unique(hue_levels(ihsl(thirds)))) == 3


def test_co_occurrence_is_that_of_scikit_image() -> None:
    levels = grey_levels(np.random.default_rng(0).random((50, 60)) ** 2)
    matrix = graycomatrix(levels.astype(np.uint8), [1], [0], levels=8, normed=True)
    expected = [graycoprops(matrix, name)[0, 0] for name in ("contrast", "correlation", "ASM")]
    found = co_occurrence(levels)
    assert found[:3] == pytest.approx(expected)
    i, j = np.indices((8, 8))
    assert found[3] == pytest.approx((matrix[..., 0, 0] / (1 + np.abs(i - j))).sum())  # MATLAB's homogeneity
    assert co_occurrence(np.full((5, 5), 3)).tolist() == [0, 1, 1, 1]


def test_levels_of_hue_wrap_around() -> None:
    ends = np.tile([0, 7], (4, 4))
    assert co_occurrence(ends)[0] == pytest.approx(49)
    assert co_occurrence(ends, circular=True)[0] == pytest.approx(1)
