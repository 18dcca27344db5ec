"""A run that was stopped, or killed, anywhere ends with the bits of one that was not."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from running import ALL_STATE, AUGMENTED, Undisturbed, changed, trained, without_times

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.runs.directory import CHECKPOINTS, RunDirectory, State
from emotune.runs.progress import RunProgress
from emotune.training.loop import InterruptedRunError

STEPS = 10


@pytest.fixture
def stateful(run: RunConfig) -> RunConfig:
    """A run that has everything which a checkpoint could miss."""
    return replace(changed(run, dropout=0.5, **AUGMENTED, **ALL_STATE), select="best_val")


@pytest.mark.parametrize(("steps", "precision"), [(1, "float32"), (4, "bf16"), (7, "bf16")])
def test_a_run_that_was_stopped_after_any_step_ends_as_if_it_had_not_been(
    stateful: RunConfig, steps: int, precision: str, undisturbed: Undisturbed, tmp_path: Path
):
    run = changed(stateful, precision=precision)
    whole, expected = undisturbed(run)
    asked = iter([False] * (steps - 1) + [True])
    with pytest.raises(InterruptedRunError, match=run.id):
        trained(run, tmp_path / "b", stop=lambda: next(asked))
    assert RunDirectory(str(tmp_path / "b"), run).status().state is State.INTERRUPTED
    record, predictions = trained(run, tmp_path / "b")
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
    assert without_times(record) == without_times(whole)
    assert (whole["interruptions"], record["interruptions"]) == (0, 1)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adamw", "optimizer_options": {"betas": [0.8, 0.99], "amsgrad": True}, "layer_decay": 0.75},
        {"optimizer": "NAdam", "optimizer_options": {"decoupled_weight_decay": True}},
        {"optimizer": "Adafactor"},
    ],
    ids=lambda settings: settings["optimizer"],
)
def test_a_stopped_run_with_another_optimizer_ends_as_if_it_had_not_been(
    stateful: RunConfig, settings: dict[str, Any], tmp_path: Path
):
    run = changed(stateful, lr=0.001, **settings)
    _, expected = trained(run, tmp_path / "a")
    asked = iter([False] * 3 + [True])
    with pytest.raises(InterruptedRunError):
        trained(run, tmp_path / "b", stop=lambda: next(asked))
    record, predictions = trained(run, tmp_path / "b")
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
    assert record["interruptions"] == 1


SCRIPT = """
    import itertools, json, os, signal, sys, threading, time, torch
    import emotune.training.loop as loop
    from emotune.config.run import RunConfig
    from emotune.runs.directory import RunDirectory
    loop.CHECKPOINT_EVERY_S = 0.0
    torch.set_num_threads(1)
    run, count = RunConfig.from_json(json.loads(sys.argv[1])), itertools.count(1)
    last_step, delay_s = int(sys.argv[3]), float(sys.argv[4])

    def on_progress(progress):
        step = next(count)
        if step == last_step:
            threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
        if step == 10:
            time.sleep(60)  # it comes before the end, whatever the machine

    loop.train(run, RunDirectory(sys.argv[2], run), loop.World(0, 1, torch.device("cpu")), on_progress=on_progress)
"""


def test_a_run_killed_at_a_random_moment_goes_on_from_its_checkpoint_to_the_same_bits(
    stateful: RunConfig, undisturbed: Undisturbed, tmp_path: Path
):
    seed = random.SystemRandom().randrange(2**32)
    drawn = random.Random(seed)
    moment = [str(drawn.randint(1, STEPS - 1)), str(drawn.uniform(0, 0.06))]
    _, expected = undisturbed(stateful)
    arguments = [json.dumps(stateful.to_json()), str(tmp_path / "b"), *moment]
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), *arguments]
    process = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    description = f"drawn from seed {seed}: step {moment[0]} and {moment[1]} s"
    assert process.returncode == -signal.SIGKILL, description
    assert RunDirectory(str(tmp_path / "b"), stateful).status().state is State.INTERRUPTED
    saved = (tmp_path / "b" / stateful.id / CHECKPOINTS / "index.json").exists()
    record, predictions = trained(stateful, tmp_path / "b")
    assert record["interruptions"] == saved, description
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True, obj=f"predictions, {description}")


def test_no_step_draws_from_a_generator_that_a_checkpoint_would_have_to_keep(
    stateful: RunConfig, undisturbed: Undisturbed, tmp_path: Path
):
    _, expected = undisturbed(stateful)

    def disturb(progress: RunProgress) -> None:
        seed = random.SystemRandom().randrange(2**32)
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)

    _, predictions = trained(stateful, tmp_path / "b", on_progress=disturb)
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)


def test_a_change_of_how_it_is_calculated_is_recorded(run: RunConfig, tmp_path: Path):
    asked = iter([False] * 3 + [True])
    with pytest.raises(InterruptedRunError):
        trained(run, tmp_path, stop=lambda: next(asked))
    record, _ = trained(run, tmp_path, resources=Resources(accumulate=2))
    assert [numerics["accumulate"] for numerics in record["numerics"]] == [1, 2]
