"""Arrays of predictions, kept or read off the table again."""

import gc

import numpy as np
import pandas as pd
import pytest

from emotune.analysis import prediction_arrays
from emotune.analysis.prediction_arrays import classes_of, guesses_of, keep_arrays, logits_of, targets_of


@pytest.fixture
def table():
    logits = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    logits[4] = logits[4, 0]
    images = pd.DataFrame({"sample_id": [f"{i}" for i in range(20)], "target": ["c", "a", "b", "other"] * 5})
    return images.assign(**{f"logit_{label}": logits[:, i] for i, label in enumerate("abc")})


@pytest.mark.parametrize("columns", ["side by side", "apart"])
def test_kept_arrays_are_those_of_the_table(table, columns):
    if columns == "apart":
        table = table[["logit_a", "sample_id", "logit_b", "logit_c", "target"]]
    kept = table.copy()
    keep_arrays(kept)
    for read in (classes_of, targets_of, logits_of, guesses_of):
        assert np.array_equal(read(kept), read(table))
    assert logits_of(kept).dtype == np.float64
    assert guesses_of(kept)[4] == 0, "the first of equal logits"
    assert targets_of(kept)[3] == -1


def test_callers_cannot_change_what_others_get(table):
    keep_arrays(table)
    logits_of(table)[:] = 0
    assert logits_of(table).any()
    with pytest.raises(ValueError, match="read-only"):
        targets_of(table)[0] = 1


def test_arrays_go_with_their_table(table):
    before = len(prediction_arrays._KEPT)
    tables = [table.copy() for _ in range(5)]
    for one in tables:
        keep_arrays(one)
    assert len(prediction_arrays._KEPT) == before + 5
    del one, tables
    gc.collect()
    assert len(prediction_arrays._KEPT) == before
