import math
import pickle
import re
from dataclasses import replace

import pytest
from progress_screen import STEPS, Clock, Screen, at, run

from emotune.core.sample_noun import speaking_of
from emotune.execution.monitor.observer import RunObservers
from emotune.execution.monitor.tracker import RunTracker
from emotune.runs.directory import State, Status
from emotune.runs.progress import RunProgress


def test_a_log_gets_a_plain_line_now_and_then_and_one_for_how_each_run_ended():
    a, b = run("alexnet"), run("attention")
    screen = Screen(a, b)
    with screen.lines as lines:
        lines.on_progress(at(a, 40, val_accuracy=math.nan))
        screen.clock.now = 5.0
        lines.on_progress(at(a, 80))
        screen.clock.now = 25.0
        lines.on_progress(at(a, 300))
        lines.on_end(a.id, Status(State.DONE))
        trace = 'Traceback (most recent call last):\n  File "x.py", line 3, in f\n    g()'
        detail = f"{trace}\nRuntimeError: [/] no [bold]\nand more of it"
        lines.on_end(b.id, Status(State.FAILED, detail))
    early, *others = screen.text.splitlines()
    assert re.findall(r"[\d.,:/]*\d", early.removeprefix("    alexnet s0: ")) == ["10", "1/4", "1.500", "1,234"]
    assert "nan" not in early
    expected = [
        ("    alexnet s0: ", " 75%", " 4/4 ", " 1.500 ", " 31.2 %", " 1,234 ", " 0:10 "),
        ("  ✓ 1/2 alexnet s0: ", " 0:25 ", " 31.2 %"),
        (f"  ✗ 2/2 {b.variant} s{b.seed} ({b.id}): ", " RuntimeError: [/] no [bold]"),
        ("    1 of 2 ", " 1 failed ", " 0:25 "),
    ]
    for line, (start, *parts) in zip(others, expected, strict=True):
        assert line.startswith(start)
        assert all(part in line for part in parts)


def test_the_speed_of_training_on_clips_is_in_clips_in_a_log_and_a_terminal():
    a = run("alexnet")
    with speaking_of([8]):
        log, screen = Screen(a), Screen(a, terminal=True)
        narrow = Screen(a, terminal=True, width=70)
    for one in (log, screen, narrow):  # as in the thread that draws the table, which knows of no noun
        one.lines.on_progress(at(a, 100))
    assert "1,234 clips/s" in log.text
    assert "clips/s" in " ".join(screen.live()).split()
    assert all(len(line) <= 70 for line in narrow.live())


def test_the_log_of_two_hundred_runs_stays_readable():
    runs = [run("alexnet", seed) for seed in range(200)]
    screen = Screen(*runs)
    for start in range(0, 200, 8):
        screen.clock.now = began = start / 8 * 1000.0
        while screen.clock.now < began + 1000:
            screen.clock.now += 5
            for one in runs[start : start + 8]:
                screen.lines.on_progress(at(one, int((screen.clock.now - began) * STEPS / 1000)))
        for one in runs[start : start + 8]:
            screen.lines.on_end(one.id, Status(State.DONE))
    lines = screen.text.splitlines()
    assert sum("✓" in line for line in lines) == 200
    assert sum("alexnet s100:" in line for line in lines) > 2
    assert sum("elapsed" in line for line in lines) > 20
    assert len(lines) < 1000, "of 8 hours"


def test_phases_are_shown():
    one = run("alexnet")
    screen = Screen(one, terminal=True)
    screen.lines.on_progress(at(one, 100, phase="validating", evaluated=1250))
    assert "validating 1,250" in screen.live()[2]
    screen.lines.on_progress(at(one, STEPS, phase="testing", evaluated=50))
    assert "testing 50" in screen.live()[2]


def test_a_lost_attempt_is_reported_once_and_does_not_count_for_the_time_left():
    one = run("alexnet")
    screen = Screen(one)
    screen.pass_time(50, 1, 4, one)
    for step in (120, 124, 128):
        screen.clock.now += 1
        screen.lines.on_progress(at(one, step, interruptions=1))
    screen.clock.now += 30
    screen.lines.on_progress(at(one, 256, interruptions=1))
    (remark,) = (line for line in screen.text.splitlines() if "↻ alexnet s0: " in line)
    assert "lost" in remark and "epoch 2" in remark
    assert " 0:34 " in screen.text.splitlines()[-2], "144 steps at 136 in 32 s"


def test_a_run_that_an_earlier_command_began_is_continued_not_lost():
    one = run("alexnet")
    screen = Screen(one)
    screen.lines.on_progress(at(one, 120, interruptions=2))
    screen.lines.on_progress(at(one, 121, interruptions=2))
    (remark,) = (line for line in screen.text.splitlines() if "↻ alexnet s0: " in line)
    assert "epoch 2" in remark and "lost" not in remark


def test_a_run_of_another_process_is_neither_done_nor_failed():
    one, other = run("alexnet"), run("attention")
    screen = Screen(one, other)
    screen.lines.on_end(one.id, Status(State.RUNNING, "process 42 on node3"))
    (line,) = screen.text.splitlines()
    assert line.startswith("  · 1/2 alexnet s0: ")
    assert line.endswith("process 42 on node3")
    totals = screen.live()[-1].strip().split(" · ")
    assert [re.findall(r"\d+", total) for total in totals[:3]] == [["0", "2"], ["1"], ["1"]]


def test_the_time_left_takes_runs_side_by_side_into_account():
    runs = [run(variant, seed) for seed in range(4) for variant in ("alexnet", "dual")]
    screen = Screen(*runs)
    screen.pass_time(100, 1, 4, *runs[:2])  # two at a time, 100 s each
    for one in runs[:2]:
        screen.lines.on_end(one.id, Status(State.DONE))
    assert " 5:00 " in screen.live()[-1], "three more pairs"


def test_a_slow_variant_makes_the_time_left_longer_than_the_number_of_runs_suggests():
    runs = [run(variant, seed) for seed in range(2) for variant in ("quick", "slow")]
    screen = Screen(*runs)
    screen.pass_time(10, 1, 40, runs[0])
    screen.lines.on_end(runs[0].id, Status(State.DONE))
    screen.lines.on_progress(at(runs[1], 0))
    screen.clock.now += 190
    screen.lines.on_progress(at(runs[1], STEPS))
    screen.lines.on_end(runs[1].id, Status(State.DONE))
    assert " 3:2" in screen.live()[-1], "10 s and 190 s, one after the other"


@pytest.mark.parametrize("reads", [True, False])
def test_models_that_are_fitted_to_features_that_are_there_count_with_the_seconds_of_their_fit(reads: bool):
    runs, clock = [run("svm", seed) for seed in range(4)], Clock()
    tracker = RunTracker(runs, clock)
    if reads:  # features that other runs need, too
        tracker.update(RunProgress(runs[0].id, 0, 1, 0.0, phase="reading", evaluated=8, to_read=999))
    clock.now = 600.0 * reads
    for fraction, phase in ((0.87, "training"), (0.9998, "training"), (0.9998, "validating")):
        tracker.update(RunProgress(runs[0].id, 1, 1, fraction, phase=phase))
        clock.now += 20
    tracker.finish(runs[0].id, Status(State.DONE))
    assert tracker.left_s() == pytest.approx(3 * 60)


def test_runs_of_two_data_sets_and_of_one_variant_are_told_apart():
    screen = Screen(run("alexnet", data="fi"), run("alexnet", data="emoset"))
    for one in screen.runs:
        screen.lines.on_end(one.id, Status(State.DONE))
    assert "alexnet fi s0: " in screen.text
    assert "alexnet emoset s0: " in screen.text


def test_progress_at_the_same_step_is_equal_although_its_numbers_are_not_known_yet():
    one = RunProgress("a", 1, 4, 0.1, step=3, steps=30)
    assert math.isnan(one.val_accuracy)
    assert pickle.loads(pickle.dumps(one)) == one


def test_every_observer_is_called_and_left():
    class Recorder:
        def __init__(self) -> None:
            self.calls: list[str] = []

        def __enter__(self):
            self.calls.append("enter")
            return self

        def __exit__(self, *_: object) -> None:
            self.calls.append("exit")

        def on_progress(self, progress: RunProgress) -> None:
            self.calls.append("progress")

        def on_end(self, run_id: str, status: Status) -> None:
            self.calls.append("end")

    recorders = [Recorder(), Recorder()]
    one = run("alexnet")
    with pytest.raises(KeyboardInterrupt), RunObservers(recorders) as observers:
        observers.on_progress(at(one, 1))
        observers.on_end(one.id, Status(State.DONE))
        raise KeyboardInterrupt
    assert [each.calls for each in recorders] == [["enter", "progress", "end", "exit"]] * 2


def test_the_live_lines_go_when_the_work_ends():
    one = run("alexnet")
    screen = Screen(one, terminal=True)
    with screen.lines as lines:
        lines.on_progress(at(one, 150))
        lines.on_end(one.id, Status(State.DONE))
    assert "✓ 1/1 alexnet s0: " in screen.text
    assert "1 of 1 " in screen.text.splitlines()[-1]


def test_reading_images_is_shown_and_is_neither_a_lost_worker_nor_a_step_back():
    one, clock = run("alexnet"), Clock()
    tracker = RunTracker([one], clock)
    reading = replace(at(one, 0), phase="reading", evaluated=1000, epoch=0, to_read=2000)
    assert tracker.update(reading) is None
    clock.now += 100
    assert tracker.active[one.id].latest.evaluated == 1000
    continued = tracker.update(at(one, 40, interruptions=1))
    assert "epoch 1" in continued and "lost" not in continued
    assert tracker.update(reading) is None
    assert tracker.active[one.id].latest.step == 40
    assert tracker.update(at(one, 41, interruptions=1)) is None
    lost = tracker.update(at(one, 41, interruptions=2))
    assert "epoch 1" in lost and "lost" in lost
    assert tracker.finish(one.id, Status(State.DONE)) == 100.0, "reading is a part of what the run took"
