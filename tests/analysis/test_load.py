import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emotune.analysis.load import Records, load_records
from emotune.config.metric import SCALES
from emotune.config.model import AlexNetConfig
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.train import TrainConfig
from emotune.runs.directory import ATTENTION, METRICS, PREDICTIONS, RECORD
from emotune.runs.store import RunStore

IMAGES = pd.DataFrame(
    {
        "sample_id": ["p", "q", "r"],
        "target": ["awe", "fear", "awe"],
        "group": ["g", "q", "g"],
        "logit_awe": np.float32([2, 1, -1]),
        "logit_fear": np.float32([0, 3, 0]),
    }
)
ATTENDED = pd.DataFrame(
    {
        "sample_id": ["p", "q", "r"] * 2,
        "layer": ["a"] * 3 + ["b.c"] * 3,
        "weights": [np.float32([0.25, 0.75])] * 3 + [np.float32([0.5, 0.25, 0.25])] * 3,
    }
)
EPOCH = {"lr": 0.1, "train_loss": 1.0, "train_accuracy": 50.0, "val_loss": 1.0, "val_accuracy": 40.0,
         "train_s_so_far": 1.0}  # fmt: skip


def run(variant: str = "alexnet", seed: int = 0, dataset: str = "photos") -> RunConfig:
    ref = DatasetRef(name=dataset, location="/nowhere", content_hash="ab")
    model = AlexNetConfig(width=1 + sum(map(ord, variant)) / 1000)  # what a variant is called is not in a run's id
    return RunConfig(variant=variant, dataset=ref, seed=seed, model=model, train=TrainConfig())


def finish(
    pool: Path,
    of: RunConfig,
    predictions: pd.DataFrame = IMAGES,
    attention: pd.DataFrame | None = None,
    *,
    curve: tuple[dict, ...] = ({}, {}),
    **fields,
) -> Path:
    folder = pool / of.id
    folder.mkdir(parents=True)
    predictions.to_parquet(folder / PREDICTIONS)
    if attention is not None:
        attention.to_parquet(folder / ATTENTION)
    entries = [{"epoch": epoch, **EPOCH, **entry} for epoch, entry in enumerate(curve, 1)]
    (folder / METRICS).write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    record = {
        "run": of.id, "parameters": 9, "forward_flops": 70, "images_per_s": 5.0, "workers": 1, "interruptions": 0,
        "durations_s": {"train": 2.5}, "origins": [{"git": {"commit": "c0", "dirty": True}, "versions": {}}],
        "last_epoch": entries[-1], "selected_epoch": len(entries),
    }  # fmt: skip
    (folder / RECORD).write_text(json.dumps(record | fields))
    return folder


def damage(records: Records, of: RunConfig) -> str:
    """The problem of a damaged run, none of whose results count."""
    row = records.runs.set_index("run").loc[of.id]
    assert row["state"] == "damaged"
    assert row[list(SCALES)].isna().all() and of.id not in records.predictions and of.id not in records.records
    return row["detail"]


def of_one(pool: Path, **options) -> Records:
    finish(pool, run(), **options)
    return load_records(RunStore(pool).states([run()]))


def test_run_without_groups_test_curve_and_attention(tmp_path: Path):
    records = of_one(tmp_path, predictions=IMAGES.drop(columns="group"))
    frame = records.predictions[run().id]
    assert list(frame.columns) == ["sample_id", "target", "group", "logit_awe", "logit_fear"]
    assert frame["group"].tolist() == frame["sample_id"].tolist(), "each image is a group of its own"
    (row,) = records.runs.to_dict("records")
    assert row["selected_epoch"] == 2, "the last one"
    assert np.isnan(row["best_test_accuracy"])
    assert row["accuracy"] == pytest.approx(200 / 3), "r is awe and was taken for fear"
    assert records.curves[["test_accuracy", "attention_entropy"]].isna().all(axis=None)
    assert records.curves["epoch"].tolist() == [1, 2]
    assert records.attention == {}


def test_columns_of_the_table_of_runs(tmp_path: Path):
    old = "run,variant,dataset,seed,state,detail,accuracy,test_images,parameters,train_s,images_per_s,workers"
    old += f",interruptions,commit,dirty,{','.join(list(SCALES)[1:])},forward_flops"
    for records in (of_one(tmp_path), load_records(RunStore(tmp_path).states([run("other")]))):
        assert list(records.runs.columns) == [
            *old.split(","),
            "selected_epoch",
            "best_test_accuracy",
            "predicted_classes_digest",
        ]


def test_selected_epoch_test_curve_and_entropy_are_loaded(tmp_path: Path):
    curve = [{"test_accuracy": a, "attention_entropy": h} for a, h in ((30.0, 3.5), (70.0, 3.0), (66.0, 2.5))]
    records = of_one(tmp_path, curve=curve, selected_epoch=1)
    (row,) = records.runs.to_dict("records")
    assert (row["selected_epoch"], row["best_test_accuracy"]) == (1, 70.0)
    assert records.curves["test_accuracy"].tolist() == [30.0, 70.0, 66.0]
    assert records.curves["attention_entropy"].tolist() == [3.5, 3.0, 2.5]


def test_attention_is_loaded_for_runs_that_recorded_it(tmp_path: Path):
    finish(tmp_path, run("plain"))
    finish(tmp_path, run("attention"), attention=ATTENDED)
    records = load_records(RunStore(tmp_path).states([run("plain"), run("attention")]))
    (found,) = records.attention.items()
    assert found[0] == run("attention").id
    assert found[1][["sample_id", "layer"]].equals(ATTENDED[["sample_id", "layer"]])
    assert [w.tolist() for w in found[1]["weights"]] == [[0.25, 0.75]] * 3 + [[0.5, 0.25, 0.25]] * 3


def test_predictions_of_a_variant_are_by_seed_and_of_finished_runs_only(tmp_path: Path):
    runs = [run("a", 10), run("a", 2), run("a", 3), run("a", 2, "other"), run("b", 2)]
    for each in runs:
        if each.seed != 3:
            finish(tmp_path, each)
    unfinished = tmp_path / run("a", 3).id
    unfinished.mkdir()
    (unfinished / METRICS).write_text(json.dumps({"epoch": 1} | EPOCH))
    records = load_records(RunStore(tmp_path).states(runs))
    found = records.predictions_of("a", "photos")
    assert list(found) == [2, 10]
    assert found[2] is records.predictions[run("a", 2).id]
    assert records.predictions_of("c", "photos") == {}
    assert records.curves["seed"].tolist() == [10, 10, 2, 2, 3, 2, 2, 2, 2]
    assert len(records.done()) == 4


def test_images_have_the_order_of_the_first_run_and_the_groups_of_any_run(tmp_path: Path):
    finish(tmp_path, run(seed=0), IMAGES.drop(columns="group"))
    finish(tmp_path, run(seed=1), IMAGES.iloc[::-1])
    records = load_records(RunStore(tmp_path).states([run(seed=0), run(seed=1)]))
    first, second = records.predictions_of("alexnet", "photos").values()
    assert first.equals(IMAGES)
    assert second.equals(IMAGES)


@pytest.mark.parametrize(
    "other",
    [
        IMAGES.assign(sample_id=["p", "q", "s"]),
        IMAGES.assign(target=["awe", "fear", "fear"]),
        IMAGES.head(2),
        IMAGES.rename(columns={"logit_awe": "logit_fear", "logit_fear": "logit_awe"}),
        IMAGES.assign(logit_anger=np.float32(0)),
    ],
    ids=["other images", "other labels", "fewer images", "classes in another order", "more classes"],
)
def test_run_with_other_test_images_is_damaged(tmp_path: Path, other: pd.DataFrame):
    finish(tmp_path, run(seed=0), other)
    finish(tmp_path, run(seed=0, dataset="elsewhere"), other)
    for seed in (1, 2):
        finish(tmp_path, run(seed=seed))
    runs = [run(seed=0, dataset="elsewhere"), *(run(seed=seed) for seed in range(3))]
    records = load_records(RunStore(tmp_path).states(runs))
    assert records.runs["state"].tolist() == ["done", "damaged", "done", "done"]
    problem = damage(records, run(seed=0))
    assert f"{run(seed=0).id}/{PREDICTIONS}: " in problem and f"{run(seed=1).id};" in problem
    assert records.predictions.keys() == records.records.keys() == {each.id for each in runs if each is not runs[1]}


@pytest.mark.parametrize("name", [PREDICTIONS, ATTENTION])
def test_damaged_table_is_reported_with_its_path(tmp_path: Path, name: str):
    file = finish(tmp_path, run(), attention=ATTENDED) / name
    whole = file.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"PAR1" + bytes(len(whole) - 8) + b"PAR1", b"{}"):
        file.write_bytes(damaged)
        problem = damage(load_records(RunStore(tmp_path).states([run(), run(seed=1)])), run())
        assert re.search(f"{run().id}/{name}: .*; delete .*{run().id} ", problem)
    pd.DataFrame({"x": [1]}).to_parquet(file)
    assert "sample_id" in damage(load_records(RunStore(tmp_path).states([run()])), run())


@pytest.mark.parametrize(
    "damaged",
    [
        IMAGES.assign(logit_awe=[1.0, np.nan, 0.0]),
        IMAGES.assign(logit_awe=[1.0, np.inf, 0.0]),
        IMAGES.assign(logit_awe=[1.0, -np.inf, 0.0], logit_fear=[1.0, -np.inf, 0.0]),
        IMAGES.assign(logit_awe="high"),
        IMAGES.assign(sample_id=["p", "p", "r"]),
        IMAGES.assign(sample_id=["p", None, "r"]),
        IMAGES.assign(group=["g", None, "g"]),
        IMAGES.assign(target=["awe", "joy", "awe"]),
        IMAGES.head(0),
        IMAGES[["sample_id", "target", "group"]],
    ],
    ids=[
        "no number",
        "infinite",
        "no probability",
        "text",
        "twice",
        "no id",
        "no group",
        "unknown class",
        "no images",
        "no logits",
    ],
)
def test_invalid_predictions_are_reported(tmp_path: Path, damaged: pd.DataFrame):
    problem = damage(of_one(tmp_path, predictions=damaged), run())
    assert re.search(f"{run().id}/{PREDICTIONS}: .*; delete .*{run().id} ", problem)


def test_probability_of_zero_makes_the_loss_infinite(tmp_path: Path):
    (row,) = of_one(tmp_path, predictions=IMAGES.assign(logit_awe=[2.0, -np.inf, -np.inf])).runs.to_dict("records")
    assert (row["nll"], row["accuracy"]) == (np.inf, pytest.approx(200 / 3))
    assert np.isfinite([row["brier"], row["ece"]]).all()


def test_equal_predictions_have_equal_digests_in_any_order(tmp_path: Path):
    others = {
        1: IMAGES.iloc[::-1],
        2: IMAGES.assign(logit_awe=[5.0, 1, -1]),
        3: IMAGES.assign(logit_awe=[-5.0, 1, -1]),
    }
    finish(tmp_path, run(seed=0))
    for seed, predictions in others.items():
        finish(tmp_path, run(seed=seed), predictions)
    found = load_records(RunStore(tmp_path).states([run(seed=seed) for seed in range(4)])).runs[
        "predicted_classes_digest"
    ]
    assert found[0] == found[1] == found[2] != found[3]


@pytest.mark.parametrize(
    "damaged",
    [
        ATTENDED.iloc[1:],
        pd.concat([ATTENDED, ATTENDED.head(1)]),
        ATTENDED.assign(sample_id=["p", "q", "s"] * 2),
        ATTENDED.assign(weights=[np.float32([0.5, 0.6])] * 6),
        ATTENDED.assign(weights=[np.float32([np.nan, 1.0])] * 6),
        ATTENDED.assign(weights=[np.float32([1]), *[np.float32([0.5, 0.5])] * 5]),
        ATTENDED.assign(weights=1.0),
        ATTENDED.head(0),
    ],
    ids=["an image too few", "twice", "another image", "sums", "no numbers", "uneven", "no lists", "nothing"],
)
def test_invalid_attention_is_reported(tmp_path: Path, damaged):
    problem = damage(of_one(tmp_path, attention=damaged), run())
    assert re.search(f"{run().id}/{ATTENTION}: .*; delete .*{run().id} ", problem)


@pytest.mark.parametrize("text", ["", "{", "7", '{"epoch": "one"}', '{"lr": 0.1}', '{"epoch": 1, "lr": [1]}'])
def test_damaged_curve_is_reported(tmp_path: Path, text: str):
    (finish(tmp_path, run()) / METRICS).write_text(text)
    finish(tmp_path, run(seed=1))
    records = load_records(RunStore(tmp_path).states([run(), run(seed=1)]))
    assert re.search(f"{run().id}/{METRICS}: .*; delete .*{run().id} ", damage(records, run()))
    assert len(records.done()) == 1


@pytest.mark.parametrize("lost", ["origins", "durations_s", "selected_epoch"])
def test_record_without_a_field_is_reported(tmp_path: Path, lost: str):
    file = finish(tmp_path, run()) / RECORD
    record = json.loads(file.read_text())
    del record[lost]
    file.write_text(json.dumps(record))
    assert f"{run().id}/{RECORD}: '{lost}' " in damage(load_records(RunStore(tmp_path).states([run()])), run())


def test_missing_predictions_are_reported(tmp_path: Path):
    (finish(tmp_path, run()) / PREDICTIONS).unlink()
    assert PREDICTIONS in damage(load_records(RunStore(tmp_path).states([run()])), run())


def test_runs_behind_a_url_load_like_local_ones(tmp_path: Path):
    import fsspec

    runs = [run(seed=seed) for seed in range(3)]
    for each in runs:
        finish(tmp_path, each, attention=ATTENDED)
    fsspec.filesystem("memory").put(str(tmp_path), "/records-pool", recursive=True)
    near, far = (
        load_records(RunStore(tmp_path).states(runs)),
        load_records(RunStore("memory://records-pool").states(runs)),
    )
    assert far.runs.equals(near.runs)
    assert far.curves.equals(near.curves)
    assert list(far.attention) == list(near.attention) == [each.id for each in runs]
    assert all(far.predictions[each.id].equals(near.predictions[each.id]) for each in runs)


def test_without_trained_runs_only_the_table_of_runs_has_rows(tmp_path: Path):
    records = load_records(RunStore(tmp_path / "nothing").states([run()]))
    assert records.runs["state"].tolist() == ["missing"]
    assert records.done().empty
    assert records.curves.empty
    assert records.predictions_of("alexnet", "photos") == records.attention == records.records == {}
