import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from study_files import GOOD

from emotune.config.baselines import ConstantConfig
from emotune.config.contrast import Contrast
from emotune.config.load import load_study
from emotune.config.metric import Metric
from emotune.config.resources import Resources
from emotune.config.study import Study
from emotune.config.train import TrainConfig
from emotune.data.datasets.resolve import resolve_datasets
from emotune.execution.monitor.status import print_status, study_status
from emotune.execution.plan.config_diff import NEW_SEED
from emotune.execution.plan.plan import make_plan
from emotune.execution.plan.resolution import resolution
from emotune.execution.plan.summary import print_plan, print_reasons
from emotune.runs.directory import METRICS, RunDirectory, State
from emotune.runs.registered_study import NamedRun
from emotune.runs.store import RunStore


@pytest.fixture
def study(write, small_shards: Path) -> Study:
    return load_study(write(GOOD.replace("[scenes]", f"[{small_shards}]"), "own.yaml"))


@pytest.fixture
def pool(tmp_path: Path) -> str:
    return str(tmp_path / "runs")


def finish(pool: str, run, seconds: float) -> None:
    directory = RunDirectory(pool, run)
    directory.begin()
    record = {"run": run.id, "variant": run.variant, "dataset": run.dataset.name, "seed": run.seed, "accuracy": 50.0}
    directory.finish(record | {"durations_s": {"train": seconds, "test": 0.0}})


def shown(study: Study, runs, pool: str, *, executor: str = "ray", why: bool = False, **durations) -> str:
    console = Console(file=io.StringIO(), width=300)
    plan = make_plan(runs, RunStore(pool))
    if why:
        print_reasons(console, plan)
    else:
        print_plan(console, study, resolve_datasets(study.datasets), plan, executor, **durations)
    return console.file.getvalue()


def test_a_plan_counts_runs_by_state_and_hours_and_gpu_hours_of_each_variant(study: Study, pool: str):
    runs = study.runs(datasets := resolve_datasets(study.datasets))
    finish(pool, runs[0], 3600.0)
    text = shown(replace(study, resources=Resources(workers=2, gpus_per_worker=1)), runs, pool)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line}
    assert rows["variant"] == ["missing", "done", "hours", "GPU-hours"]
    assert (rows["plain"], rows["wide"]) == (["2", "1", "2.00", "4.00"], ["3", "·", "3.00", "6.00"])
    assert "5.0 hours" in text and "10.0 GPU-hours" in text
    assert re.search(r": wide\b.*--time-steps", text), "it has not been timed"
    timed = shown(study, runs, pool, executor="local", from_steps={("wide", datasets[0].name): 60.0})
    assert re.search(r"\b2\.0 hours\D* 1\b", timed) and "--time-steps" not in timed


def test_a_plan_warns_of_a_min_effect_that_its_images_or_seeds_cannot_detect(study: Study, pool: str):
    runs = study.runs(resolve_datasets(study.datasets))
    text = shown(study, runs, pool)
    assert re.search(r"Warning.*min_effect.*\b1 point\b.*\b39\b", text), "there are few test images"
    large = replace(study, metric=Metric(min_effect=30.0))
    assert "Warning" not in shown(large, runs, pool)
    rows = [
        {"variant": variant, "dataset": "d", "seed": seed, "accuracy": accuracy}
        for variant, values in (("plain", [60.0, 62.0, 67.0]), ("wide", [65.0, 60.0, 67.0]))
        for seed, accuracy in enumerate(values)
    ]
    line, warning = resolution(replace(study, contrasts=(Contrast.difference("wide", "plain"),)), rows)
    assert re.search(r"\b11\.8 points\b.*\b3\.6 points\b\D* 2\b", line)
    assert re.match(r"Warning.*min_effect.*\b1 point\b", warning)
    _, fine = resolution(replace(large, contrasts=(Contrast.difference("wide", "plain"),)), rows)
    assert "Warning" not in fine
    (nothing,) = resolution(replace(study, seeds=2, contrasts=(Contrast.difference("wide", "plain"),)), rows)
    assert "80 %" not in nothing, "two seeds of two variants give no verdict"
    least = replace(study, variants={**study.variants, "wide": (ConstantConfig(), TrainConfig())})
    for seeds in (3, 20):
        (line,) = resolution(replace(least, seeds=seeds, contrasts=(Contrast.difference("wide", "plain"),)), rows)
        assert "verdict" not in line and "one network" in line, "there are verdicts; what seeds detect is not known"


def test_a_plan_counts_the_runs_on_all_divisions_of_a_data_set_and_says_what_they_can_show(study: Study, pool: str):
    divided = replace(
        study, datasets=(replace(study.datasets[0], folds=5),), contrasts=(Contrast.difference("wide", "plain"),)
    )
    text = shown(divided, runs := divided.runs(resolve_datasets(divided.datasets)), pool)
    assert len(runs) == 2 * 3 * 5
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line}
    assert (rows["plain"], rows["wide"]) == (["15"], ["15"])
    assert re.search(r"^30 runs .*\b5 folds\b", text, re.M)
    assert re.search(r"^5 folds of scenes\b.*\b80 % power\b", text, re.M)
    assert "seed differences" not in text
    assert re.search(r"Warning.*\b160\b", shown(replace(divided, metric=Metric(min_effect=0.5)), runs, pool))
    reason = shown(divided, runs, pool, why=True)
    assert len(reason.splitlines()) == 3


def test_reasons_are_counted_by_variant(study: Study, pool: str):
    runs = study.runs(resolve_datasets(study.datasets))
    longer = [replace(run, train=replace(run.train, epochs=60)) for run in runs]
    for run in runs[:4]:
        finish(pool, run, 1.0)
    interrupted, failed, diverged, *_ = [RunDirectory(pool, run) for run in longer]
    lease = interrupted.begin()
    interrupted.folder.write(METRICS, b'{"epoch": 1}\n{"epoch": 2}\n')
    lease.release()
    failed.fail("Traceback (most recent call last):\n  File x\nValueError: [bold] no")
    diverged.fail("the loss is nan in epoch 3, step 2, lr 0.01", diverged=True)
    lines = [line.strip() for line in shown(study, longer, pool, why=True).splitlines()]
    expected = [
        ("plain", State.INTERRUPTED, "epoch 2 of 60"),
        ("wide", State.FAILED, "ValueError: [bold] no"),
        ("plain", State.DIVERGED, "lr 0.01"),
        ("wide", "train.epochs 50 → 60"),
        ("plain", NEW_SEED),
        ("wide", NEW_SEED),
    ]
    for line, (variant, *parts) in zip(lines[1:], expected, strict=True):
        assert line.startswith(f"{variant}, 1 run: ")
        assert all(part in line for part in parts)


def test_the_status_of_a_study_is_read_from_files(study: Study, pool: str):
    runs = study.runs(resolve_datasets(study.datasets))
    finish(pool, runs[0], 1.0)
    RunDirectory(pool, runs[1]).fail("Traceback (most recent call last):\n  File x\nValueError: no")
    running_directory = RunDirectory(pool, runs[2])
    with running_directory.leased():
        running_directory.folder.write(
            METRICS, json.dumps({"epoch": 3, "train_loss": 1.5, "val_accuracy": 40.0}).encode()
        )
        status = study_status([NamedRun.of(run) for run in runs], RunStore(pool))
    (running,) = status["running"]
    assert status["states"] == {"done": 1, "failed": 1, "running": 1, "missing": 3}
    assert (running["epoch"], running["loss"], running["val_accuracy"]) == (3, 1.5, 40.0)
    assert running["heartbeat_age_s"] < 60
    assert status["failed"] == [{"run": runs[1].id, "variant": "wide", "dataset": "scenes", "seed": 0,
                                "reason": "ValueError: no"}]  # fmt: skip
    console = Console(file=io.StringIO(), width=300)
    print_status(console, "own", status)
    lines = console.file.getvalue().splitlines()
    (failed,) = (line for line in lines if runs[1].id in line)
    assert all(part in failed for part in ("failed", "wide s0", "ValueError: no"))
    (total,) = (line for line in lines if "6 runs" in line)
    assert all(part in total for part in ("own", "3 missing", "1 running", "1 failed", "1 done"))


def test_a_plan_says_what_main_effects_and_interactions_need(write):
    text = GOOD.split("variants:")[0] + (
        "factors: {wide: {no: {}, yes: {model.width: 2}}, long: {no: {}, yes: {train.epochs: 60}}}\n"
        "variants: {plain: {wide: no, long: no}}\nseeds: 5\n"
    )
    study = load_study(write(text))
    line, seeds = resolution(study, [])
    main, interaction = map(float, re.findall(r"([\d.]+) ×", line.replace("wide × long", "")))
    assert interaction == pytest.approx(2 * main, abs=0.11), "twice the standard error"
    assert "four times the seeds" in seeds
    values = {"plain": [60, 62, 67, 61, 63], "no-wide_long": [65, 60, 67, 62, 64], "wide_no-long": [61, 60, 66, 64, 63],
              "wide_long": [63, 62, 68, 63, 66]}  # fmt: skip
    rows = [{"variant": v, "dataset": "scenes", "seed": s, "accuracy": float(x)}
            for v, by_seed in values.items() for s, x in enumerate(by_seed)]  # fmt: skip
    line, _, *warnings = resolution(replace(study, metric=Metric(min_effect=3.0)), rows)
    assert len(re.findall(r"[\d.]+ points for ", line)) == 2
    assert len(warnings) == 1 and "for wide × long" in warnings[0], "the main effects are within reach"
    needed = [int(re.search(r"about (\d+) seeds", w)[1]) for w in resolution(study, rows)[2:]]
    assert 3 < needed[1] / needed[0] < 4.1, "four times, less what the t distribution costs few seeds"
