"""Segments of images whose regions are known."""

import numpy as np
import pytest

from emotune.models.handmade.segments import segments_of


def test_a_half_plane_has_two_segments_with_its_edge() -> None:
    luminance = np.zeros((100, 200), np.float32)
    luminance[:, 80:] = 0.8
    found = segments_of(luminance)
    assert found.count == 2
    assert found.areas == pytest.approx([0.4, 0.6])
    assert found.means(luminance) == pytest.approx([0, 0.8])


def test_a_chessboard_has_a_segment_per_field_and_details_have_none() -> None:
    rows, columns = np.indices((160, 160)) // 40
    board = ((rows + columns) % 2).astype(np.float32)
    assert segments_of(board).count == 16
    dotted = board.copy()
    dotted[20::40, 20::40] = 0.5  # single pixels
    assert segments_of(dotted).count == 16


@pytest.mark.parametrize("shape", [(32, 32), (32, 1500), (1, 1)])
def test_an_image_without_regions_is_one_segment(shape: tuple[int, int]) -> None:
    found = segments_of(np.full(shape, 0.3, np.float32))
    assert found.count == 1
    assert found.areas == pytest.approx([1])


def test_every_segment_has_pixels() -> None:
    luminance = np.random.default_rng(0).random((60, 80)).repeat(4, 0).repeat(4, 1).astype(np.float32)
    found = segments_of(luminance)
    assert found.count > 20
    assert found.pixels.min() > 0
    assert found.pixels.sum() == luminance.size
    assert found.labels.max() == found.count - 1
