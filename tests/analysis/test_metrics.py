import pandas as pd
import pytest

from emotune.analysis.metrics import accuracy, confusion, predicted

PREDICTIONS = pd.DataFrame(
    {
        "sample_id": ["p", "q", "r", "s"],
        "target": ["fear", "awe", "awe", "fear"],
        "logit_awe": [0.1, 2.0, -1.0, 0.0],
        "logit_fear": [0.3, 1.0, 5.0, -0.1],
        "logit_anger": [0.2, 0.0, 0.0, -9.0],
    }
)


def test_the_predicted_class_has_the_largest_logit():
    assert predicted(PREDICTIONS).tolist() == ["fear", "awe", "fear", "awe"]


def test_accuracy_is_the_share_of_pictures_that_are_right_in_per_cent():
    assert accuracy(PREDICTIONS) == pytest.approx(50.0)


def test_confusion_counts_every_picture_once_and_shows_classes_that_never_occur():
    table = confusion(PREDICTIONS)
    assert table.to_numpy().sum() == 4
    assert table.loc["awe"].to_dict() == {"awe": 1, "fear": 1, "anger": 0}
    assert table.loc["anger"].sum() == 0
    assert list(table.index) == list(table.columns) == ["awe", "fear", "anger"]
