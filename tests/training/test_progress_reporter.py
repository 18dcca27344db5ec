"""The progress that a run reports."""

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


def test_every_step_and_every_evaluated_batch_changes_the_progress(
    run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress_reporter, "READING_REPORTED_AFTER_S", math.inf)  # however slow this machine is
    reported: list[RunProgress] = []
    trained(run, tmp_path, on_progress=reported.append)
    phases = [progress.phase for progress in reported]
    epoch = ["training"] * 5 + ["validating"] + ["training"]
    assert phases == epoch * 2 + ["testing"], "49 and 39 images are one batch each"
    same = [before for before, after in pairwise(reported) if before == after]
    assert not same, "a watchdog sees every one of them as life"
    assert pickle.loads(pickle.dumps(reported[0])) == reported[0], "NaN or not, where nothing moves it sees none"
    assert [p.step for p in reported if p.phase == "training"] == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10]
    assert [(p.evaluated, p.step) for p in reported if p.phase != "training"] == [(49, 5), (49, 10), (39, 10)]
    assert {p.steps for p in reported} == {STEPS}
    assert (reported[-1].fraction, reported[-1].epoch) == (1.0, 2)
    assert all(math.isnan(p.val_accuracy) for p in reported[:6])
    assert not any(math.isnan(p.val_accuracy) for p in reported[6:])
    assert all(p.images_per_s > 0 and p.lr > 0 for p in reported)


def test_reading_that_takes_long_is_reported_and_every_shard_changes_it(
    run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress_reporter, "READING_REPORTED_AFTER_S", 0.0)
    reported: list[RunProgress] = []
    trained(run, tmp_path, on_progress=reported.append)
    reading = [progress for progress in reported if progress.phase == "reading"]
    assert [progress.evaluated for progress in reading] == [30, 60, 72, 102, 121, 151, 160]
    assert reported[:5] == reading[:5], "train and val before the first step"
    assert {progress.to_read for progress in reading} == {160}
    assert not [before for before, after in pairwise(reported) if before == after]


def test_a_continued_run_reports_where_it_continues_and_how_often_it_was_continued(run: RunConfig, tmp_path: Path):
    asked = iter([False] * 6 + [True])
    with pytest.raises(InterruptedRunError):
        trained(run, tmp_path, stop=lambda: next(asked))
    reported: list[RunProgress] = []
    trained(run, tmp_path, on_progress=reported.append)
    assert (reported[0].step, reported[0].epoch, reported[0].interruptions) == (8, 2, 1)
    assert not math.isnan(reported[0].val_accuracy)


def test_ten_crops_of_a_large_split_are_reported_batch_by_batch(run: RunConfig, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("emotune.training.evaluate.EVALUATION_BATCH_SIZE", 20)
    reported: list[RunProgress] = []
    short = replace(run, train=replace(run.train, epochs=1))
    trained(short, tmp_path, on_progress=reported.append)
    assert [p.evaluated for p in reported if p.phase == "validating"] == [20, 40, 49]


def test_the_rate_is_that_of_the_latest_steps():
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
