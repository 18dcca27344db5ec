"""Results that are computed once on a machine are read again with the same bits, whatever happens to their files."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from running import trained, without_times

from emotune.config.model import LogisticConfig, SvmConfig
from emotune.config.train import TrainConfig
from emotune.training import kept_results
from emotune.training.kept_results import kept_result

SLOW = """
import pathlib, sys, time
from emotune.training.kept_results import kept_result

def compute():
    with open(sys.argv[1], "a") as file:
        file.write("computed\\n")
    time.sleep(float(sys.argv[2]))
    return 42

print(kept_result(["slow"], compute, lambda: None))
"""


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def result(content: list, computed: list, value: object = None) -> object:
    """The result of a computation that notes that it was done."""

    def compute() -> object:
        computed.append(content)
        return value

    return kept_result(content, compute, lambda: None)


def entries(cache: Path) -> list[Path]:
    return sorted(cache.rglob("output.pkl"))


def test_a_result_is_computed_once_for_the_same_content():
    computed: list = []
    rows = np.asfortranarray(np.random.default_rng(0).normal(size=(50, 7)))
    first = result(["a", rows], computed, rows)
    again = result(["a", rows.copy("A")], computed)
    assert computed == [["a", rows]]
    assert np.array_equal(first, again) and again.flags.f_contiguous
    changed = rows.copy()
    changed[-1, -1] = np.nextafter(changed[-1, -1], 2)
    assert result(["a", changed], computed, "changed") == "changed"
    assert result(["b", rows], computed, "other") == "other"
    assert len(computed) == 3


def test_what_fails_is_not_kept(fresh_cache):
    def fail() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        kept_result(["a"], fail, lambda: None)
    assert entries(fresh_cache) == []
    assert result(["a"], [], "right") == "right"


@pytest.mark.parametrize("place", [0, 0.5, 0.999, "cut", "empty", "no file"])
def test_a_damaged_result_is_computed_anew(fresh_cache, place):
    value, computed = np.random.default_rng(0).bytes(20_000), []
    result(["a"], computed, value)
    (file,) = entries(fresh_cache)
    data = bytearray(file.read_bytes())
    if place == "no file":
        file.unlink()
    elif isinstance(place, str):
        file.write_bytes(data[: len(data) // 2] if place == "cut" else b"")
    else:
        data[int(place * len(data))] ^= 4
        file.write_bytes(data)
    for _ in range(2):
        assert result(["a"], computed, value) == value
    assert len(computed) == 2  # it was mended


def test_only_so_much_is_kept(fresh_cache, monkeypatch):
    monkeypatch.setattr(kept_results, "MOST_BYTES", 100_000)
    computed: list = []
    for number in range(4):
        result([number], computed, bytes(40_000))
        os.utime(entries(fresh_cache)[-1])
    assert 1 <= len(entries(fresh_cache)) <= 2
    assert result([3], computed) == bytes(40_000)
    assert len(computed) == 4


def start(log: Path, seconds: float) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, str(log), str(seconds)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def test_one_of_two_processes_computes_and_the_other_waits(tmp_path):
    both = [start(tmp_path / "log", 3) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in both] == ["42", "42"]
    assert (tmp_path / "log").read_text() == "computed\n"


def test_who_waits_can_stop_and_a_killed_process_leaves_nothing(tmp_path, fresh_cache):
    killed = start(tmp_path / "log", 600)
    while not (tmp_path / "log").exists():
        assert killed.poll() is None
    computed: list = []

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        kept_result(["slow"], lambda: computed.append(1), stop)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert result(["slow"], computed, "again") == "again"
    assert len(computed) == 1


@pytest.mark.parametrize("model", [SvmConfig(c_grid=(0.1, 1.0)), LogisticConfig(features="colours", c_grid=(0.01,))])
def test_other_seeds_use_the_fit_of_the_first(run, tmp_path, fresh_cache, monkeypatch, model):
    baseline = replace(run, variant="colours", model=model, train=TrainConfig())
    first, predictions = trained(baseline, tmp_path)
    assert len(entries(fresh_cache)) == 2  # the fit and the importance of its features
    before = {file: file.stat().st_mtime_ns for file in entries(fresh_cache)}
    second, others = trained(replace(baseline, seed=1), tmp_path)
    assert {file: file.stat().st_mtime_ns for file in entries(fresh_cache)} == before
    pd.testing.assert_frame_equal(predictions, others, check_exact=True)
    assert first["fitted"] == second["fitted"] and first["fitted_file"] == second["fitted_file"]
    assert second["durations_s"]["train"] == pytest.approx(first["durations_s"]["train"], abs=0.1)

    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "another"))
    alone, expected = trained(replace(baseline, seed=1), tmp_path / "alone")
    pd.testing.assert_frame_equal(others, expected, check_exact=True)
    assert without_times(second) == without_times(alone)
    other_grid = replace(baseline, model=replace(model, c_grid=(0.2,)))
    trained(other_grid, tmp_path)
    assert trained(other_grid, tmp_path / "once more")[0]["fitted"]["c"] == 0.2
