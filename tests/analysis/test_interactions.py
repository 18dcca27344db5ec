"""What a plot of an interaction shows: means of combinations over complete seeds, with what a seed shares taken out."""

import math

import pandas as pd
import pytest
from seed_tables import rows

from emotune.analysis.interactions import cell_values

LAYOUT = {"a": {"no": ["n1", "n2"], "yes": ["y1", "y2"]}, "b": {"one": ["n1", "y1"], "two": ["n2", "y2"]}}
RUNS = pd.DataFrame(
    rows(n1=[50.0, 60.0, 55.0], n2=[52.0, 62.0, 57.0], y1=[53.0, 63.0, math.nan], y2=[50.0, 60.0, 55.0])
)


def test_seeds_are_complete_and_differ_by_what_they_do_not_share():
    values = cell_values(RUNS, LAYOUT, ("a", "b"), "accuracy")
    assert set(values["seed"]) == {0, 1}, "a mean over other seeds would differ for that reason"
    means = values.groupby(["first", "second"])[["value", "within"]].mean()
    assert (
        means["value"].to_dict()
        == means["within"].to_dict()
        == pytest.approx({("no", "one"): 55.0, ("no", "two"): 57.0, ("yes", "one"): 58.0, ("yes", "two"): 55.0})
    )
    assert values.groupby(["first", "second"])["within"].nunique().max() == 1, "seeds differ by a shift alone"


def test_other_factors_are_averaged_over():
    (single,) = {tuple(cell_values(RUNS, {"a": LAYOUT["a"], "b": LAYOUT["b"], "c": {"x": ["n1", "n2", "y1", "y2"]}},
                                   ("a", "c"), "accuracy").groupby("first")["value"].mean())}  # fmt: skip
    assert single == (56.0, 56.5)


def test_without_a_complete_seed_there_is_nothing():
    assert cell_values(RUNS[RUNS["variant"] != "y2"], LAYOUT, ("a", "b"), "accuracy").empty
