"""Run directories as training writes them, and as it wrote them before it noted groups, attention and selection."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emotune.analysis.records import Records, load_records
from emotune.errors import InputError
from emotune.run import DatasetRef, RunConfig
from emotune.run_directory import METRICS, PREDICTIONS, RECORD, RunDirectory
from emotune.storage import Folder
from emotune.study import load_study

STUDY = """
question: Does attention help?
datasets: [scenes]
model: {width: 0.25}
baseline: alexnet
variants: {alexnet: {model.name: alexnet}, attention: {model.name: attention}}
seeds: 2
"""
DATA = DatasetRef(name="made", location="nowhere", content_hash="0" * 64)


@pytest.fixture
def runs(tmp_path: Path) -> tuple[RunConfig, ...]:
    (tmp_path / "study.yaml").write_text(STUDY)
    return load_study(tmp_path / "study.yaml").runs([DATA])


def parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


def predictions(seed: int = 0) -> pd.DataFrame:
    logits = np.random.default_rng(seed).normal(size=(4, 2))
    return pd.DataFrame({"sample_id": list("pqrs"), "target": ["awe", "fear"] * 2, "logit_awe": logits[:, 0],
                         "logit_fear": logits[:, 1]})  # fmt: skip


def finish(pool: Path, run: RunConfig, table: pd.DataFrame | None = None, *, tested: list[float] | None = None,
           selected: int | None = None) -> Folder:  # fmt: skip
    folder = RunDirectory(str(pool), run).folder
    tested = tested or [None, None]
    curve = [{"epoch": e, "val_accuracy": 50.0} | ({"test_accuracy": t} if t else {}) for e, t in enumerate(tested, 1)]
    folder.write(METRICS, "".join(json.dumps(entry) + "\n" for entry in curve).encode())
    folder.write(PREDICTIONS, parquet(predictions(run.seed) if table is None else table))
    record = {
        "run": run.id, "last_epoch": curve[-1], "durations_s": {"train": 3.0}, "parameters": 7, "images_per_s": 1.0,
        "workers": 1, "interruptions": 0, "origins": [{"git": None, "versions": {}}], "accuracy": 0.0,
    }  # fmt: skip
    folder.write_json(RECORD, record | ({"selected_epoch": selected} if selected else {}))
    return folder


def load(runs, tmp_path: Path) -> Records:
    return load_records(runs, str(tmp_path))


def test_a_run_made_before_groups_and_selection_is_its_own_group_and_was_selected_last(runs, tmp_path: Path):
    finish(tmp_path, runs[0])
    found = load(runs, tmp_path)
    assert found.predictions[runs[0].id]["group"].tolist() == list("pqrs")
    (row,) = found.done().to_dict("records")
    assert row["selected_epoch"] == 2
    assert np.isnan(row["best_test_accuracy"])
    assert not found.attention
    assert found.curves["test_accuracy"].isna().all()


def test_the_selected_epoch_the_best_test_epoch_and_attention_are_read_where_they_were_noted(runs, tmp_path: Path):
    folder = finish(tmp_path, runs[1], tested=[61.0, 58.0], selected=1)
    weights = pd.DataFrame({"sample_id": list("pqrs"), "layer": "trunk.attention", "weights": [[1 / 36] * 36] * 4})
    folder.write("attention.parquet", parquet(weights))
    found = load(runs, tmp_path)
    (row,) = found.done().to_dict("records")
    assert (row["selected_epoch"], row["best_test_accuracy"]) == (1, 61.0)
    assert found.curves["test_accuracy"].tolist() == [61.0, 58.0]
    assert len(found.attention[runs[1].id]["weights"].iloc[0]) == 36


def test_a_variants_predictions_come_by_seed_and_only_of_finished_runs(runs, tmp_path: Path):
    for run in (runs[2], runs[0]):
        finish(tmp_path, run)
    found = load(runs, tmp_path)
    assert list(found.of("alexnet", "made")) == [0, 1]
    assert found.of("attention", "made") == {}
    assert found.of("alexnet", "other") == {}
    assert found.of("alexnet", "made")[1]["logit_awe"].tolist() == predictions(1)["logit_awe"].tolist()


@pytest.mark.parametrize(
    "other",
    [
        predictions().iloc[:3],
        predictions().iloc[::-1],
        predictions().assign(target=["fear"] * 4),
        predictions().assign(group="twins"),
    ],
    ids=["fewer", "another order", "other labels", "other groups"],
)
def test_runs_that_were_not_tested_on_the_same_pictures_are_named(runs, tmp_path: Path, other: pd.DataFrame):
    finish(tmp_path, runs[0], predictions().assign(group=list("ppqq")))
    finish(tmp_path, runs[1], other)
    with pytest.raises(InputError, match=f"{runs[1].id}.*not the same test pictures.*as {runs[0].id}.*delete"):
        load(runs, tmp_path)


def test_a_run_older_than_groups_gets_those_of_the_others(runs, tmp_path: Path):
    finish(tmp_path, runs[0])
    finish(tmp_path, runs[1], predictions().assign(group=list("ppqq")))
    found = load(runs, tmp_path)
    assert [frame["group"].tolist() for frame in found.predictions.values()] == [list("ppqq")] * 2


def test_runs_on_other_data_may_have_other_pictures(runs, tmp_path: Path):
    elsewhere = replace(runs[1], dataset=replace(DATA, name="other", content_hash="1" * 64))
    finish(tmp_path, runs[0])
    finish(tmp_path, elsewhere, predictions().iloc[:3])
    assert len(load([runs[0], elsewhere], tmp_path).predictions) == 2


@pytest.mark.parametrize("name", [PREDICTIONS, "attention.parquet", METRICS])
def test_a_damaged_file_is_named_with_the_remedy(runs, tmp_path: Path, name: str):
    folder = finish(tmp_path, runs[0])
    folder.write(name, b"PAR1 not at all")
    with pytest.raises(InputError, match=rf"{runs[0].id}/{name}: not readable .*delete"):
        load(runs, tmp_path)


def test_what_scripts_read_from_the_table_of_runs_keeps_its_place(runs, tmp_path: Path):
    columns = list(load(runs, tmp_path).runs.columns)
    assert columns[:8] == ["run", "variant", "dataset", "seed", "state", "detail", "accuracy", "test_pictures"]
    assert columns[-3:] == ["forward_flops", "selected_epoch", "best_test_accuracy"]
