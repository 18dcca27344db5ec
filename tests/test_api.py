"""The Python API: what it gives is what the command gives, and a study built in Python is checked as a file is."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import emotune
from emotune.config.load import load_study
from emotune.config.model import AlexNetConfig, AttentionConfig, ConstantConfig
from emotune.config.train import TrainConfig

QUICK = TrainConfig(epochs=1, batch_size=24)
VARIANTS = {
    "plain": (AlexNetConfig(width=0.0625, dropout=0.0), QUICK),
    "attention": (AttentionConfig(width=0.0625, dropout=0.0), QUICK),
}
SCRIPT = """
import sys
from emotune import Study, load_results, run_study
from emotune.config.model import AlexNetConfig, AttentionConfig
from emotune.config.train import TrainConfig
from emotune.execution.run.session import ExecutionOptions
train = TrainConfig(epochs=1, batch_size=24)
study = Study(
    "built", "Does attention help?", sys.argv[1], "plain",
    {"plain": (AlexNetConfig(width=0.0625, dropout=0.0), train),
     "attention": (AttentionConfig(width=0.0625, dropout=0.0), train)},
    seeds=2, contrasts=["attention - plain"],
)
print("ran")  # once: nothing runs this script again
outcome = run_study(study, options=ExecutionOptions(executor="local"))
assert outcome.complete
results = load_results(study)
print(len(results.runs), len(results.predictions), list(results.comparisons["verdict"]))
"""


def build(**changes) -> emotune.Study:
    """A study with two variants, with some arguments changed."""
    arguments = {"name": "built", "question": "Does attention help?", "datasets": "scenes", "baseline": "plain",
                 "variants": VARIANTS, "contrasts": ["attention - plain"]} | changes  # fmt: skip
    return emotune.Study(**arguments)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"contrasts": ["atention - plain"]}, 'contrasts: "atention - plain"'),
        ({"contrasts": ["attention plain"]}, "contrasts: "),
        ({"contrasts": [emotune.Contrast.difference("plain", "plain")]}, "contrasts: "),
        ({"baseline": "plane"}, 'baseline: "plane"'),
        ({"baseline": "least", "variants": VARIANTS | {"least": ConstantConfig()}}, 'baseline: "least"'),
        ({"variants": VARIANTS | {"twin": VARIANTS["plain"]}}, "variants.twin: "),
        ({"variants": VARIANTS | {"Wide": AlexNetConfig(width=0.5)}}, "variants.Wide: "),
        ({"variants": VARIANTS | {"text": "alexnet"}}, "variants.text: "),
        ({"variants": VARIANTS | {"plain-aa": AlexNetConfig(width=0.5)}, "aa": True}, "variants.plain-aa: "),
        ({"seeds": 0}, "seeds: 0"),
        ({"seeds": True}, "seeds: True"),
        ({"datasets": []}, "datasets: "),
        ({"name": "My Study"}, 'name "My Study"'),
        ({"question": " "}, "question: "),
    ],
)
def test_a_mistake_in_a_study_built_in_python_is_refused(changes, key):
    with pytest.raises(emotune.InputError) as error:
        build(**changes)
    assert [line for line in str(error.value).splitlines() if line.startswith(key)]


def test_all_mistakes_are_reported_at_once():
    with pytest.raises(emotune.InputError) as error:
        build(seeds=0, baseline="plane", contrasts=["a - b"])
    assert len(str(error.value).splitlines()) == 4


def test_the_text_of_a_study_built_in_python_reads_back_as_the_same_runs(tmp_path: Path):
    study = build(aa=True, seeds=2, metric=emotune.Metric(name="nll", min_effect=0.1))
    (tmp_path / "built.yaml").write_text(study.source)
    again = load_study(tmp_path / "built.yaml")
    assert (again.variants, again.contrasts, again.aa) == (study.variants, study.contrasts, "plain-aa")
    assert (again.metric, again.seeds, tuple(again.datasets)) == (study.metric, 2, study.datasets)


@pytest.mark.slow
def test_a_plain_script_without_a_main_guard_runs_a_study_and_its_command_finds_it_done(
    small_shards: Path, tmp_path: Path
):
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    first = run("script.py", str(small_shards))
    assert first.count("ran") == 1
    assert first.splitlines()[-1].startswith("4 156 [")
    records = {path: path.read_bytes() for path in tmp_path.glob("runs/*/record.json")}
    assert len(records) == 4
    page = (tmp_path / "reports/built/index.html").read_bytes()
    # The report's own command, which names the file that was written beside it, finds all done.
    run("-m", "emotune.ablate", "reports/built/built.yaml", "--runs", "runs", "--report", "reports/built")
    assert {path: path.read_bytes() for path in records} == records
    assert (tmp_path / "reports/built/index.html").read_bytes() == page


@pytest.mark.slow
def test_one_run_is_trained_here_and_its_results_are_tables(small_shards: Path, tmp_path: Path):
    study = build(datasets=str(small_shards), seeds=1)
    results = emotune.load_results(study, tmp_path / "runs")
    assert set(results.runs["state"]) == {"missing"}
    assert list(results.predictions.columns) == ["run", "variant", "dataset", "seed"]
    from emotune.execution.plan.resolved_study import resolve_study

    steps: list[int] = []
    for run in resolve_study(study, tmp_path / "runs").runs:
        record = emotune.train_run(run, tmp_path / "runs", on_progress=lambda progress: steps.append(progress.step))
        assert record["run"] == run.id
    assert max(steps) == 3
    results = emotune.load_results(study, tmp_path / "runs")
    assert set(results.runs["state"]) == {"done"}
    by_run = results.predictions.groupby("variant")
    logits = results.predictions.filter(like="logit_")
    assert logits.shape == (78, 8)
    accuracy = by_run.apply(
        lambda table: 100 * (table.filter(like="logit_").to_numpy().argmax(1) == _targets(table)).mean()
    )
    pd.testing.assert_series_equal(
        accuracy, results.runs.set_index("variant")["accuracy"].astype(float), check_names=False, check_like=True
    )
    assert len(results.comparisons) == 1
    predictor = emotune.load_predictor(tmp_path / "runs" / results.runs["run"][0])
    assert len(predictor.classes) == 8


def _targets(table: pd.DataFrame) -> list[int]:
    classes = [name.removeprefix("logit_") for name in table.columns if name.startswith("logit_")]
    return [classes.index(target) for target in table["target"]]
