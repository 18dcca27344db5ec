"""Features are read by index and view, from memory or from their files."""

import numpy as np
import pytest
import torch

from emotune.data.read import feature_reader
from emotune.data.read.feature_cache import row_type
from emotune.data.read.feature_reader import FeatureReader


def rows_of(first: int, count: int) -> np.ndarray:
    """Rows with a vector and a map, which tell images apart."""
    rows = np.zeros(count, row_type([(8, 1, 1), (3, 2, 2)]))
    rows["0"] = (first + np.arange(count)).reshape(-1, 1, 1, 1)
    rows["1"] = np.arange(12).reshape(2, 2, 3) + 0.5
    return rows


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("part", [True, False])
def test_features_are_read_by_index_and_view(monkeypatch, in_memory, part):
    if not in_memory:
        monkeypatch.setattr(feature_reader, "IN_MEMORY", 0)
    arrays = tuple(tuple(rows_of(view + 100 * n, n) for n in (7, 5, 4)) for view in (0, 1000))
    rows = np.arange(1, 16, 2) if part else None
    reader = FeatureReader(arrays, np.array([0, 7, 12]), rows)
    indices, views = np.array([7, 0, 3, 6, 3]), np.array([1, 0, 1, 0, 0])
    numbers = indices if rows is None else rows[indices]
    plain = np.concatenate([np.concatenate(view)["0"][None, :, 0, 0, 0] for view in arrays])
    first, second = reader.take(indices, views)
    assert (first.shape, first.dtype, second.shape) == ((5, 8, 1, 1), torch.float16, (5, 3, 2, 2))
    assert first[:, 0, 0, 0].tolist() == plain[views, numbers].tolist()
    assert second.is_contiguous(memory_format=torch.channels_last)
    assert second[0, :, 0, 1].tolist() == [3.5, 4.5, 5.5]
    of_split = np.array([0, 1, 1, 1, 0, 0, 0, 1])
    parts = [np.array([3, 1]), np.array([], np.int64), np.array([7])]
    for indices, tensors in zip(parts, reader.take_parts(parts, of_split), strict=True):
        for tensor, expected in zip(tensors, reader.take(indices, of_split[indices]), strict=True):
            assert torch.equal(tensor, expected)
    assert [len(tensors[0]) for tensors in reader.take_parts(parts)] == [2, 0, 1]
