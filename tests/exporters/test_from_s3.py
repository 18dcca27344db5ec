"""Runs on S3 are exported as their copy on a disk is: the same fingerprints, the same files."""

import json
from pathlib import Path
from typing import Any

import fsspec
import pytest
from exported_study import Exported

from emotune import export
from emotune.runs.directory import RECORD, WEIGHTS

pytestmark = [
    pytest.mark.slow,
    # Of MLflow's tables, with sqlalchemy 2.1.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning"),
]
FINGERPRINT, RUN_ID = "emotune.fingerprint", "emotune.run_id"


@pytest.fixture
def on_s3(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exported:
    """Runs on S3, of which one has weights and began with a file on S3; their copy is in the folder ``copy``."""
    monkeypatch.chdir(tmp_path)
    exported = Exported(tmp_path, f"{s3}/{tmp_path.name}/runs")
    run = exported.finished[0]
    (exported.resolved.store.folder / run.id).write(WEIGHTS, b"weights")
    exported.edit(run, lambda record: record["initialisation"].update(location=f"{s3}/weights/alexnet.pth"))
    fsspec.filesystem("s3").get(exported.runs, str(tmp_path / "copy"), recursive=True)
    assert {path.parent.name for path in Path("copy").glob(f"*/{RECORD}")} == {one.id for one in exported.finished}
    return exported


def exports(exported: Exported, runs: str, *options: str) -> None:
    """Runs the command as a user does."""
    assert export.main([str(exported.file), "--runs", runs, *options]) == 0


def files(folder: str) -> dict[str, bytes]:
    paths = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def in_mlflow(uri: str, folder: Path) -> dict[str, dict[str, Any]]:
    """The fingerprint, parameters, values and files of every run in a store, by its id; of the study by its name."""
    import mlflow

    client: Any = mlflow.MlflowClient(uri)
    found = {}
    for run in client.search_runs([client.get_experiment_by_name("width").experiment_id]):
        name = run.data.tags.get(RUN_ID, "width")
        place = folder / name
        place.mkdir(parents=True)
        client.download_artifacts(run.info.run_id, "", str(place))
        found[name] = {"fingerprint": run.data.tags[FINGERPRINT], "parameters": run.data.params,
                       "values": run.data.metrics, "files": files(str(place))}  # fmt: skip
    return found


def test_the_folder_for_the_hub_is_the_same(on_s3: Exported):
    exports(on_s3, on_s3.runs, "--to", "hub", "--out", "of_s3")
    exports(on_s3, "copy", "--to", "hub", "--out", "of_copy")
    ours = files("of_s3")
    assert ours == files("of_copy")
    assert ours[f"runs/{on_s3.finished[0].id}/{WEIGHTS}"] == b"weights"
    assert set(json.loads(ours[".emotune-export.json"])["runs"]) == {run.id for run in on_s3.finished}
    assert not any(b"s3://" in data for data in ours.values()), "names no bucket"


def test_the_runs_in_mlflow_are_the_same_and_the_copy_has_nothing_new(on_s3: Exported, tmp_path: Path):
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    of_s3, of_copy = (f"sqlite:///{tmp_path}/{name}.db" for name in ("of_s3", "of_copy"))
    exports(on_s3, on_s3.runs, "--to", "mlflow", "--tracking-uri", of_s3)
    exports(on_s3, "copy", "--to", "mlflow", "--tracking-uri", of_copy)
    ours = in_mlflow(of_s3, tmp_path / "files_of_s3")
    assert ours == in_mlflow(of_copy, tmp_path / "files_of_copy")
    assert ours.keys() == {"width", *(run.id for run in on_s3.finished)}
    assert {"record.json", "predictions.parquet"} < ours[on_s3.finished[1].id]["files"].keys()
    on_s3.runs = "copy"
    outcome = on_s3.to("mlflow", tracking_uri=of_s3)
    assert not outcome.written and set(outcome.unchanged) == {run.id for run in on_s3.finished}
    assert in_mlflow(of_s3, tmp_path / "files_afterwards") == ours
