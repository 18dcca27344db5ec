"""A metric of the user's own gets a documented table and gives a number, or a message that says what is wrong."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special

from emotune.analysis.metrics import scalar_metrics
from emotune.analysis.user_metric import check_metric, metric_frame, metric_value
from emotune.config.metric import Metric
from emotune.core.errors import InputError

PREDICTIONS = pd.DataFrame(
    {
        "sample_id": ["q", "p", "r"],
        "target": ["awe", "fear", "awe"],
        "group": ["g", "q", "g"],
        "logit_awe": np.float32([2, 1, 0]),
        "logit_fear": np.float32([0, 3, 0]),
    }
)
ACCURACY = "def f(frame, factor=100.0):\n    return factor * (frame['label'] == frame['predicted']).mean()\n"


def metric(source: str = ACCURACY, **fields) -> Metric:
    return Metric(code="metrics.py:f", source=source, **({"min_effect": 1.0} | fields))


def test_the_table_has_a_row_for_each_image_in_the_order_of_keys():
    frame = metric_frame(PREDICTIONS)
    assert list(frame.columns) == ["key", "label", "predicted", "probability_awe", "probability_fear"]
    assert frame.index.tolist() == [0, 1, 2]
    assert frame["key"].tolist() == ["p", "q", "r"]
    assert frame["label"].tolist() == ["fear", "awe", "awe"]
    assert frame["predicted"].tolist() == ["fear", "awe", "awe"], "of equal ones the first"
    expected = special.softmax([[1.0, 3.0], [2.0, 0.0], [0.0, 0.0]], axis=1)
    np.testing.assert_allclose(frame[["probability_awe", "probability_fear"]].to_numpy(), expected)


def test_a_metric_gives_the_number_that_emotune_computes_too_and_may_change_its_table():
    assert metric_value(metric(), PREDICTIONS) == pytest.approx(scalar_metrics(PREDICTIONS)["accuracy"])
    assert metric_value(metric(options={"factor": 1}), PREDICTIONS) == 1.0
    before = PREDICTIONS.copy()
    source = "def f(frame):\n    frame['label'] = 'awe'\n    frame.iloc[:, 3] = 0.0\n    return len(frame)\n"
    assert metric_value(metric(source), PREDICTIONS) == 3.0
    pd.testing.assert_frame_equal(PREDICTIONS, before)
    assert metric_value(metric("import numpy\ndef f(frame):\n    return numpy.float32(0.5)\n"), PREDICTIONS) == 0.5


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("def f(frame):\n    return frame['lable'].size\n", ["line 2", "KeyError", "lable"]),
        ("def f(frame):\n    return float('nan')\n", ["nan"]),
        ("def f(frame):\n    return float('inf')\n", ["inf"]),
        ("def f(frame):\n    return None\n", ["NoneType"]),
        ("def f(frame):\n    return True\n", ["bool"]),
        ("def f(frame):\n    return '1'\n", ["str"]),
        ("def f(frame):\n    return frame['probability_awe']\n", ["Series"]),
        ("def f(frame):\n    return 101\n", ["101", "bounds"]),
        ("def f(frame):\n    raise SystemExit(3)\n", ["line 2", "SystemExit"]),
        ("import no_such_package_of_ours\ndef f(frame):\n    return 1\n", ["no_such_package_of_ours"]),
        ("import random\ndef f(frame):\n    return random.random()\n", ["random"]),
        ("f = 3\n", ["int"]),
        ("def g(frame):\n    return 1\ndef f(frame):\n    return g()\n", ["line 4", "TypeError"]),
    ],
)
def test_what_is_wrong_with_a_metric_is_found_on_made_up_predictions(source: str, parts: list[str]):
    with pytest.raises(InputError, match=r"^metric\.code: .*metrics\.py") as caught:
        check_metric(metric(source, unit="%"), ["awe", "fear", "anger"])
    assert "\n" not in str(caught.value) and all(part in str(caught.value) for part in parts), caught.value


def test_made_up_predictions_have_every_class_and_are_some_right_some_wrong(tmp_path: Path):
    source = "def f(frame, folder):\n    frame.to_csv(folder + '/tried.csv', index=False)\n    return len(frame)\n"
    check_metric(metric(source, options={"folder": str(tmp_path)}), ["awe", "fear", "anger"])
    tried = pd.read_csv(tmp_path / "tried.csv")
    assert set(tried["label"]) == set(tried["predicted"]) == {"awe", "fear", "anger"}
    assert 0 < (tried["label"] == tried["predicted"]).mean() < 1
    check_metric(Metric(), ["awe"])  # emotune's own are not tried


def test_the_table_has_the_true_shares_where_distributions_are_predicted():
    shares = pd.DataFrame({"share_awe": np.float32([0.25, 0.5, 1]), "share_fear": np.float32([0.75, 0.5, 0])})
    frame = metric_frame(PREDICTIONS.join(shares))
    assert list(frame.columns)[-2:] == ["share_awe", "share_fear"]
    assert frame["share_awe"].tolist() == [0.5, 0.25, 1.0]  # in the order of keys
    source = "def f(frame):\n    return (frame['share_awe'] - frame['probability_awe']).abs().mean()\n"
    own = metric(source, min_effect=0.01)
    check_metric(own, ["awe", "fear"], with_shares=True)
    assert 0 < metric_value(own, PREDICTIONS.join(shares)) < 1
    with pytest.raises(InputError, match="share_awe"):
        check_metric(own, ["awe", "fear"])
