"""Lines of drawings whose lines are known."""

from collections.abc import Sequence

import numpy as np
import pytest

from emotune.models.handmade.lines import LINE_STATISTICS, edges_of, line_statistics, lines_of


def statistics(lines: Sequence[Sequence[Sequence[float]]], shape: tuple[int, int] = (300, 400)) -> dict[str, float]:
    found = line_statistics(np.array(lines, float).reshape(-1, 2, 2), shape)
    return dict(zip(LINE_STATISTICS, found, strict=True))


def test_static_and_slanted_lines_are_told_apart_in_any_direction() -> None:
    horizontal, vertical = [[0, 10], [100, 10]], [[5, 0], [5, 50]]
    slanted, backwards = [[0, 0], [30, 40]], [[30, 40], [0, 0]]
    found = statistics([horizontal, vertical, slanted, backwards])
    assert found["static_absolute_angle"] == pytest.approx(0.5)
    assert found["static_relative_angle"] == pytest.approx(0)
    assert found["static_length"] == pytest.approx((0.2 + 0.1) / 2)
    assert found["slanted_absolute_angle"] == pytest.approx(np.rad2deg(np.arctan2(4, 3)) / 90)
    assert found["slanted_relative_angle"] == pytest.approx(np.rad2deg(np.arctan2(3, 4)) / 45)
    assert found["slanted_length"] == pytest.approx(0.1)


def test_fifteen_degrees_are_the_limit_of_static() -> None:
    def at(degrees: float) -> list[list[float]]:
        return [[0, 0], [100 * np.cos(np.deg2rad(degrees)), 100 * np.sin(np.deg2rad(degrees))]]

    assert statistics([at(14.9), at(75.1), at(-14.9)])["slanted_length"] == 0
    assert statistics([at(15.1), at(74.9), at(-15.1)])["static_length"] == 0


def test_no_lines_give_zeros() -> None:
    blank = edges_of(np.full((50, 60), 0.4, np.float32))
    assert not blank.any()
    assert line_statistics(lines_of(blank), (50, 60)).tolist() == [0] * 6


def test_lines_of_stripes_are_found_at_their_angle_and_again() -> None:
    rows, columns = np.indices((300, 300))
    for angle in (0, 45, 90):
        across = columns * np.cos(np.deg2rad(angle)) + rows * np.sin(np.deg2rad(angle))
        edges = edges_of((across // 30 % 2).astype(np.float32))
        lines = lines_of(edges)
        assert np.array_equal(lines, lines_of(edges))
        found = dict(zip(LINE_STATISTICS, line_statistics(lines, edges.shape), strict=True))
        assert len(lines) > 5
        if angle == 45:
            assert found["static_length"] == 0
            assert found["slanted_absolute_angle"] == pytest.approx(0.5, abs=0.02)
        else:
            assert found["slanted_length"] == 0
            assert found["static_absolute_angle"] == pytest.approx(1 - angle / 90, abs=0.02)
