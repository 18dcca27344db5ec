"""What holds for each set of features."""

from importlib import import_module
from itertools import pairwise

import numpy as np
import pytest

SETS = ["bags_of_emotions", "emotion_histogram", "wiccest"]


@pytest.fixture(params=SETS)
def features(request):
    return import_module(f"emotune.models.handmade.{request.param}").FEATURES


def test_every_number_is_finite_and_repeatable(features, strange_image):
    before = strange_image.copy()
    values = features.compute(strange_image)
    assert values.dtype == np.float32
    assert values.shape == (len(features.columns),)
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values, features.compute(strange_image))
    np.testing.assert_array_equal(strange_image, before)


def test_an_image_that_lies_otherwise_in_memory_has_the_same_numbers(features):
    image = np.random.default_rng(3).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    read_only = np.asfortranarray(image)
    read_only.flags.writeable = False
    np.testing.assert_array_equal(features.compute(image), features.compute(read_only))


def test_columns_are_named_by_group_and_groups_stand_side_by_side(features):
    groups = [name.split("/")[0] for name in features.columns]
    assert all(name.count("/") == 1 for name in features.columns)
    assert len(set(features.columns)) == len(features.columns)
    changes = sum(one != other for one, other in pairwise(groups))
    assert changes == len(set(groups)) - 1
