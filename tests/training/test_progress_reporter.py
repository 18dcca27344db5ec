"""What a run tells those who watch it."""

import math
import pickle
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from running import trained

from emotune.config.run import RunConfig
from emotune.runs.progress import RunProgress
from emotune.training import progress_reporter
from emotune.training.loop import InterruptedRunError
from emotune.training.progress_reporter import RecentRate

STEPS = 10


def test_every_step_and_every_evaluated_batch_changes_what_is_told(
    run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress_reporter, "READING_TOLD_AFTER_S", math.inf)  # however slow this machine is
    told: list[RunProgress] = []
    trained(run, tmp_path, on_progress=told.append)
    phases = [progress.phase for progress in told]
    epoch = ["training"] * 5 + ["validating"] + ["training"]
    assert phases == epoch * 2 + ["testing"], "49 and 39 images are one batch each"
    same = [before for before, after in pairwise(told) if before == after]
    assert not same, "a watchdog sees every one of them as life"
    assert pickle.loads(pickle.dumps(told[0])) == told[0], "NaN or not, where nothing moves it sees none"
    assert [p.step for p in told if p.phase == "training"] == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10]
    assert [(p.evaluated, p.step) for p in told if p.phase != "training"] == [(49, 5), (49, 10), (39, 10)]
    assert {p.steps for p in told} == {STEPS}
    assert (told[-1].fraction, told[-1].epoch) == (1.0, 2)
    assert all(math.isnan(p.val_accuracy) for p in told[:6])
    assert not any(math.isnan(p.val_accuracy) for p in told[6:])
    assert all(p.images_per_s > 0 and p.lr > 0 for p in told)


def test_images_that_take_long_to_read_are_told_of_and_every_shard_changes_it(
    run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress_reporter, "READING_TOLD_AFTER_S", 0.0)
    told: list[RunProgress] = []
    trained(run, tmp_path, on_progress=told.append)
    reading = [progress for progress in told if progress.phase == "reading"]
    assert [progress.evaluated for progress in reading] == [30, 60, 72, 102, 121, 151, 160]
    assert told[:5] == reading[:5], "train and val before the first step"
    assert not [before for before, after in pairwise(told) if before == after]


def test_a_continued_run_tells_where_it_goes_on_and_how_often_it_was_continued(run: RunConfig, tmp_path: Path):
    asked = iter([False] * 6 + [True])
    with pytest.raises(InterruptedRunError):
        trained(run, tmp_path, stop=lambda: next(asked))
    told: list[RunProgress] = []
    trained(run, tmp_path, on_progress=told.append)
    assert (told[0].step, told[0].epoch, told[0].interruptions) == (8, 2, 1)
    assert not math.isnan(told[0].val_accuracy)


def test_ten_crops_of_a_large_split_are_told_batch_by_batch(run: RunConfig, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("emotune.training.evaluate.EVALUATION_BATCH_SIZE", 20)
    told: list[RunProgress] = []
    short = replace(run, train=replace(run.train, epochs=1))
    trained(short, tmp_path, on_progress=told.append)
    assert [p.evaluated for p in told if p.phase == "validating"] == [20, 40, 49]


def test_the_rate_is_that_of_late_whatever_came_before():
    rate = RecentRate()
    assert math.isnan(rate.per_s)
    rate.add(10, 60.0)  # a compilation
    assert rate.per_s == pytest.approx(10 / 60)
    for _ in range(1000):
        rate.add(10, 0.1)
    assert rate.per_s == pytest.approx(100, rel=0.05)
    for _ in range(1000):
        rate.add(10, 0.2)
    assert rate.per_s == pytest.approx(50, rel=0.05)
