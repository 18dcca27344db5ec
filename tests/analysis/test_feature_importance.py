"""The importance of features, as records of finished runs tell it."""

from types import SimpleNamespace

import pandas as pd
import pytest

from emotune.analysis.feature_importance import feature_importance


def measured(told, noise=0.0):
    groups = {"a/noise": {"columns": 2, "loss": noise, "sd": 0.1}, "a/told": {"columns": 3, "loss": told, "sd": 0.5}}
    return {
        "images": 50, "validation_images": 90, "repeats": 10, "accuracy": 40.0, "groups": groups,
        "columns": {"a/told/x": {"loss": told / 2, "sd": 0.2}},
    }  # fmt: skip


def records(**by_run):
    """Records of runs named ``variant_seed``; None for one without importance."""
    rows = [{"run": run, "variant": run[:-2], "dataset": "d", "seed": int(run[-1])} for run in by_run]
    content = {run: {"fitted": {"importance": value}} if value else {} for run, value in by_run.items()}
    return SimpleNamespace(done=lambda: pd.DataFrame(rows), records=content)


def test_groups_are_in_the_order_of_their_loss():
    (found,) = feature_importance(records(svm_0=measured(4.0), svm_1=measured(4.0)), ["svm"], ["d"])
    assert [(one.name, one.columns, one.loss, one.sd) for one in found.groups] == [
        ("a/told", 3, 4.0, 0.5), ("a/noise", 2, 0.0, 0.1)
    ]  # fmt: skip
    assert [(one.name, one.columns, one.loss) for one in found.single] == [("a/told/x", 1, 2.0)]
    assert (found.runs, found.varies) == (2, False)
    assert (found.images, found.validation_images, found.repeats) == (50, 90, 10)


def test_runs_that_differ_are_averaged():
    (found,) = feature_importance(records(svm_0=measured(4.0), svm_1=measured(5.0, 9.0)), ["svm"], ["d"])
    assert found.varies
    assert {one.name: one.loss for one in found.groups} == {"a/told": pytest.approx(4.5), "a/noise": pytest.approx(4.5)}


def test_variants_and_runs_without_it_are_left_out():
    found = feature_importance(records(net_0=None, old_0=None, old_1=measured(1.0)), ["net", "old"], ["d", "e"])
    assert [(one.variant, one.dataset, one.runs) for one in found] == [("old", "d", 1)]
