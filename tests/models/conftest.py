import numpy as np
import pytest
from narrow import SHAPES, Arrays


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    """Weight and bias by layer, in Caffe's layout; values reach hundreds, as Caffe's, so that normalisation is felt."""
    generator, arrays = np.random.default_rng(0), {}
    for layer, shape in SHAPES.items():
        weight = generator.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape)
        arrays[layer] = [weight.astype(np.float32), generator.normal(0, 0.1, shape[0]).astype(np.float32)]
    return arrays
