"""``train.precision: auto`` is decided once for a study, by the first machine that trains, and all others follow."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import emotune
from emotune.config.model import AlexNetConfig, AttentionConfig, SvmConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.config.train import TrainConfig
from emotune.config.tuning import Tuning
from emotune.core.errors import InputError
from emotune.execution.plan import auto_precision
from emotune.execution.plan.auto_precision import require_one_decision
from emotune.execution.plan.resolved_study import resolve_study
from emotune.execution.run.session import ExecutionOptions
from emotune.runs.registry import Registry
from emotune.runs.store import RunStore

AUTO = TrainConfig(epochs=1, batch_size=24, precision="auto")


@pytest.fixture
def pool(tmp_path: Path) -> str:
    return str(tmp_path / "runs")


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch):
    """Makes this machine one of that name, whose CPUs have instructions for bfloat16 or not."""

    def become(name: str, native: bool | None) -> None:
        monkeypatch.setattr(auto_precision, "has_native_bfloat16", lambda: native)
        monkeypatch.setattr(socket, "gethostname", lambda: name)

    return become


def build(data: Path, train: TrainConfig = AUTO, **changes: Any) -> emotune.Study:
    variants = {
        "plain": (AlexNetConfig(width=0.0625, dropout=0.0), train),
        "attention": (AttentionConfig(width=0.0625, dropout=0.0), train),
        "colours": SvmConfig(),
    }
    return emotune.Study(**{
        "name": "built", "question": "Does attention help?", "datasets": str(data), "baseline": "plain",
        "variants": variants, "contrasts": ["attention - plain"], "seeds": 1, **changes,
    })  # fmt: skip


def register(study: emotune.Study, pool: str) -> None:
    resolved = resolve_study(study, pool)
    Registry(pool).register(resolved.study, resolved.needed)


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "float32"), (None, "float32")])
def test_runs_are_those_of_the_study_with_the_decided_precision_written_out(small_shards, pool, on, native, precision):
    on("here", native)
    resolved = resolve_study(build(small_shards), pool)
    written = resolve_study(build(small_shards, replace(AUTO, precision=precision)), pool)
    assert [run.id for run in resolved.runs] == [run.id for run in written.runs]
    assert {run.train.precision for run in resolved.runs if run.variant != "colours"} == {precision}
    assert resolved.auto_precision is not None
    assert written.auto_precision is None
    assert (resolved.auto_precision.precision, resolved.auto_precision.when) == (precision, "")
    assert "precision: auto" in resolved.study.source
    assert not Path(pool).exists()  # a plan decides nothing


def test_a_machine_follows_the_one_that_decided_whatever_suits_itself(small_shards, pool, on):
    on("fast", native=True)
    register(build(small_shards), pool)
    on("slow", native=False)
    longer = resolve_study(build(small_shards, seeds=2), pool)
    assert {run.train.precision for run in longer.runs if run.variant != "colours"} == {"bf16"}
    assert longer.auto_precision is not None
    assert longer.auto_precision.host == "fast"
    assert longer.auto_precision.when
    register(build(small_shards, seeds=2), pool)  # a later version, from another machine
    on("third", native=False)
    third = resolve_study(build(small_shards, seeds=3), pool).auto_precision
    assert third == longer.auto_precision
    other = resolve_study(build(small_shards, name="other"), pool).auto_precision
    assert other is not None
    assert other.precision == "float32"  # a study of another name decides for itself


def test_of_two_machines_that_begin_at_once_the_later_one_is_told_to_begin_again(small_shards, pool, on):
    on("slow", native=False)
    late = resolve_study(build(small_shards), pool)
    on("fast", native=True)
    register(build(small_shards), pool)
    on("slow", native=False)
    Registry(pool).register(late.study, late.needed)
    with pytest.raises(InputError, match=r"^train\.precision: "):
        require_one_decision(late.study, RunStore(pool))
    again = resolve_study(build(small_shards), pool)
    require_one_decision(again.study, RunStore(pool))
    assert {run.train.precision for run in again.runs if run.variant != "colours"} == {"bf16"}


def test_tuning_runs_have_the_decided_precision_and_it_is_kept_from_stage_to_stage(small_shards, pool, on):
    on("fast", native=True)
    tune = Tuning(over={"train.lr": [0.003, 0.01]}, seeds=1, untuned=("colours",))
    stage = resolve_study(build(small_shards, tune=tune), pool).first_stage
    assert {run.train.precision for run in stage.runs} == {"bf16"}
    Registry(pool).register(stage.study, stage.runs)
    on("slow", native=False)
    again = resolve_study(stage.study, pool)  # as the second stage is resolved, from the study and not its file
    assert again.auto_precision is not None
    assert again.auto_precision.host == "fast"


def test_a_run_alone_cannot_have_auto(small_shards, pool, on):
    on("here", native=True)
    run = resolve_study(build(small_shards), pool).runs[0]
    with pytest.raises(ValueError, match="auto"):
        RunConfig.from_json(run.to_json() | {"train": run.to_json()["train"] | {"precision": "auto"}})


def test_without_a_gpu_to_ask_runs_on_gpus_need_a_written_precision(small_shards, pool):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU to ask")
    study = build(small_shards, resources=Resources(gpus_per_worker=1))
    with pytest.raises(InputError, match=r"^train\.precision: "):
        resolve_study(study, pool)


@pytest.mark.slow
def test_a_study_that_is_continued_on_another_machine_has_one_precision(small_shards, pool, on, tmp_path):
    on("fast", native=True)
    local = ExecutionOptions(executor="local")
    emotune.run_study(build(small_shards), pool, None, options=local)
    on("slow", native=False)
    outcome = emotune.run_study(build(small_shards, seeds=2), pool, str(tmp_path / "report"), options=local)
    assert outcome.complete
    variants = {run.id: run.variant for run in outcome.plan.runs}
    numerics = [record["numerics"] for run, record in outcome.plan.records.items() if variants[run] != "colours"]
    assert [one["precision"] for one in numerics if isinstance(one, dict)] == ["bf16"] * 4
    assert "precision bf16" in (tmp_path / "report" / "index.html").read_text()
