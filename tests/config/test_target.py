"""Targets of data sets: scales of dimensions, and which task a target allows."""

import numpy as np
import pytest
from pydantic import ValidationError

from emotune.config.model import AlexNetConfig
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.study import Study
from emotune.config.target import TARGETS, Dimension, can_give, parse_scale
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError

VALENCE = Dimension("valence", 1, 7)


def test_scales_are_mapped_onto_minus_one_to_one_and_back():
    ratings = np.array([1.0, 4, 5.5, 7])
    assert VALENCE.to_unit(ratings).tolist() == [-1, 0, 0.5, 1]
    assert np.allclose(VALENCE.from_unit(VALENCE.to_unit(ratings)), ratings)
    assert Dimension("v", -3, 3).centre == 0 and Dimension("v", 0, 100).to_unit(25) == -0.5


@pytest.mark.parametrize("wrong", [("Valence", 1, 7), ("valence,", 1, 7), ("", 1, 7), ("v", 7, 1), ("v", 1, 1)])
def test_wrong_dimensions_are_refused(wrong):
    with pytest.raises(ValidationError):
        Dimension(*wrong)


def test_scales_are_written_with_two_dots():
    assert parse_scale("1..9") == (1, 9) and parse_scale("-3..3") == (-3, 3)
    for wrong in ("1-9", "9..1", "a..b", "1..2..3", ""):
        with pytest.raises(ValueError):
            parse_scale(wrong)


def test_votes_allow_distributions_but_ties_no_classes():
    allowed = {(target, task) for target in TARGETS for task in TARGETS if can_give(target, task)}
    assert allowed == {(one, one) for one in TARGETS} | {("classes", "distributions")}


def test_a_task_is_a_part_of_the_identity_unless_it_is_classes():
    def run(**options) -> str:
        dataset = DatasetRef(name="photos", location="/data/photos", content_hash="0123", **options)
        return RunConfig(dataset=dataset, seed=0, model=AlexNetConfig(), train=TrainConfig()).id

    ids = {task: run(task=task) for task in TARGETS}
    assert ids["classes"] == run() and len(set(ids.values())) == 3


def test_a_study_has_one_of_the_tasks():
    study = {"question": "?", "datasets": "scenes", "baseline": "a", "variants": {"a": AlexNetConfig()}}
    assert Study("s", **study).task is None
    assert "task: distributions" in Study("s", **study, task="distributions").source
    with pytest.raises(InputError, match=r"^task: "):
        Study("s", **study, task="emotions")
