"""MLflow's own client reads from a real sqlite store what was exported to it."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from exported_study import Exported

from emotune.core.errors import InputError, UnavailableError
from emotune.exporters.to_mlflow import MlflowDestination

mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow")
# Of MLflow's tables, with sqlalchemy 2.1.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")


class Store:
    """A sqlite store, and what is in it."""

    def __init__(self, folder: Path) -> None:
        self.uri = f"sqlite:///{folder}/mlflow.db"
        self.client: Any = mlflow.MlflowClient(self.uri)

    def runs(self, kind: str = "run", experiment: str = "width", **view: Any) -> list[Any]:
        found = self.client.get_experiment_by_name(experiment)
        return self.client.search_runs([found.experiment_id], f"tags.`emotune.kind` = '{kind}'", **view)

    def by_run(self) -> dict[str, Any]:
        return {run.data.tags["emotune.run_id"]: run for run in self.runs()}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without runs: MLflow takes seconds to make its tables."""
    folder = tmp_path_factory.mktemp("mlflow")
    Store(folder).client.search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def store(empty: Path, tmp_path: Path) -> Store:
    shutil.copy(empty, tmp_path)
    return Store(tmp_path)


def test_runs_have_parameters_curves_results_and_files_below_one_parent(exported: Exported, store: Store):
    outcome = exported.to("mlflow", tracking_uri=store.uri)
    assert set(outcome.written) == {run.id for run in exported.finished}
    (parent,) = store.runs("study")
    children = store.by_run()
    assert children.keys() == {run.id for run in exported.finished}
    for run in exported.finished:
        child = children[run.id]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.info.status == "FINISHED" and child.info.run_name.startswith(run.variant)
        params = child.data.params
        assert (params["train.lr"], params["train.batch_size"], params["train.epochs"]) == ("0.02", "20", "2")
        assert (params["model.width"], params["seed"]) == (str(run.model.width), str(run.seed))
        assert (params["variant"], params["dataset"], params["train.optimizer"]) == (run.variant, "scenes", "sgd")
        history = store.client.get_metric_history(child.info.run_id, "train/loss")
        assert [(point.step, point.value) for point in history] == [(1, 2.0), (2, 1.0)]
        assert child.data.metrics["val/accuracy"] == 40 and child.data.metrics["cost/parameters"] == 1000
        assert child.data.metrics["test/accuracy"] in (40, 42, 50)
        files = {one.path for one in store.client.list_artifacts(child.info.run_id)}
        assert files == {"config.json", "record.json", "metrics.jsonl", "predictions.parquet"}
    assert parent.data.metrics["contrast/scenes/wide - narrow/accuracy/mean"] == 10
    assert parent.data.metrics["runs"] == 3 and parent.data.tags["emotune.finished_runs"] == "3 of 4"
    assert {one.path for one in store.client.list_artifacts(parent.info.run_id)} == {"study.yaml"}


def test_what_is_there_is_not_written_again_and_what_is_new_is_added(exported: Exported, store: Store):
    exported.to("mlflow", tracking_uri=store.uri)
    ids = {run.info.run_id for run in store.runs()}
    again = exported.to("mlflow", tracking_uri=store.uri)
    assert not again.written and len(again.unchanged) == 3
    assert {run.info.run_id for run in store.runs()} == ids
    exported.finish(exported.failed)
    more = exported.to("mlflow", tracking_uri=store.uri)
    assert more.written == (exported.failed.id,) and not more.left_out
    assert len(store.runs()) == 4 and ids < {run.info.run_id for run in store.runs()}
    (parent,) = store.runs("study")
    history = store.client.get_metric_history(parent.info.run_id, "runs")
    assert [(point.step, point.value) for point in history] == [(3, 3.0), (4, 4.0)]


def test_a_changed_record_takes_the_place_of_the_old_one_and_keeps_what_a_user_has_noted(
    exported: Exported, store: Store
):
    exported.to("mlflow", tracking_uri=store.uri)
    run = exported.finished[0]
    old = store.by_run()[run.id].info.run_id
    store.client.set_tag(old, "reviewed", "yes")
    store.client.set_tag(old, "mlflow.note.content", "odd")
    exported.edit(run, lambda record: record.update(images_per_s=123.0))
    assert exported.to("mlflow", tracking_uri=store.uri).written == (run.id,)
    assert len(store.runs()) == 3
    new = store.by_run()[run.id]
    assert new.info.run_id != old and new.data.metrics["cost/images_per_s"] == 123
    assert (new.data.tags["reviewed"], new.data.tags["mlflow.note.content"]) == ("yes", "odd")


def test_an_interrupted_export_is_continued(exported: Exported, store: Store, monkeypatch: pytest.MonkeyPatch):
    second, write_files = exported.finished[1], MlflowDestination._log_files
    calls: list[str] = []

    def interrupted(self, run_id, files):
        calls.append(run_id)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write_files(self, run_id, files)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MlflowDestination, "_log_files", interrupted)
        exported.to("mlflow", tracking_uri=store.uri)
    assert len(store.runs()) == 2 and "emotune.fingerprint" not in store.by_run()[second.id].data.tags
    outcome = exported.to("mlflow", tracking_uri=store.uri)
    assert len(outcome.unchanged) == 1 and len(outcome.written) == 2
    assert len(store.runs()) == 3 and all("emotune.fingerprint" in run.data.tags for run in store.runs())


def test_copies_by_a_second_machine_are_removed(exported: Exported, store: Store):
    exported.to("mlflow", tracking_uri=store.uri)
    run = store.runs()[0]
    tags = {key: value for key, value in run.data.tags.items() if key.startswith(("emotune.", "mlflow.parent"))}
    store.client.create_run(run.info.experiment_id, tags=tags)
    assert len(store.runs()) == 4
    exported.to("mlflow", tracking_uri=store.uri)
    assert len(store.by_run()) == len(store.runs()) == 3


def test_two_studies_in_one_experiment_have_a_parent_each(exported: Exported, store: Store):
    exported.to("mlflow", tracking_uri=store.uri, project="all")
    exported.file = exported.file.rename(exported.folder / "other.yaml")
    exported.to("mlflow", tracking_uri=store.uri, project="all")
    assert {run.info.run_name for run in store.runs("study", "all")} == {"width", "other"}
    assert len(store.runs("run", "all")) == 6


def test_an_address_that_is_down_and_a_deleted_experiment_are_told(
    exported: Exported, store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "very-secret")
    with pytest.raises(UnavailableError) as caught:
        exported.to("mlflow", tracking_uri="http://anna:very-secret@127.0.0.1:9")
    assert "http://***@127.0.0.1:9" in str(caught.value) and "very-secret" not in str(caught.value)
    exported.to("mlflow", tracking_uri=store.uri)
    store.client.delete_experiment(store.client.get_experiment_by_name("width").experiment_id)
    with pytest.raises(InputError, match="width"):
        exported.to("mlflow", tracking_uri=store.uri)


def test_another_export_at_the_same_time_is_refused(exported: Exported, store: Store):
    with contextlib.ExitStack() as stack:
        stack.enter_context(MlflowDestination("width", "width", store.uri))
        with pytest.raises(UnavailableError):
            exported.to("mlflow", tracking_uri=store.uri)
    assert exported.to("mlflow", tracking_uri=store.uri).written
