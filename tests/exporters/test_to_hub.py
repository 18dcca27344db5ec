"""The folder for the hub: its card is read by huggingface_hub, its runs by emotune, and no photograph is in it."""

import json
import math
from pathlib import Path

import pytest
from exported_study import ACCURACIES, Exported
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard import metadata_load
from scipy import stats

from emotune.core.errors import InputError, UnavailableError
from emotune.core.storage import Folder
from emotune.runs.directory import CONFIG, RECORD, WEIGHTS


def files(folder: str = "hub/width") -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def test_the_front_matter_has_licence_tags_and_an_index_with_intervals(exported: Exported):
    exported.finish(exported.failed)
    outcome = exported.to("hub", dry_run=True)
    assert "nothing was uploaded" in outcome.notes[-1]
    metadata = metadata_load("hub/width/README.md")
    assert metadata is not None and metadata["license"] == "apache-2.0"
    assert {"emotune", "emotion", "image-classification", "synthetic-images"} <= set(metadata["tags"])
    data = ModelCard.load("hub/width/README.md").data
    assert isinstance(data, ModelCardData) and data.model_name == "width"
    assert data.to_dict() == ModelCardData(**metadata).to_dict()
    results = {one.metric_args["variant"]: one for one in data.eval_results or []}
    assert results.keys() == ACCURACIES.keys()
    for variant, values in ACCURACIES.items():
        result, mean = results[variant], sum(values) / 2
        half = stats.t.ppf(0.975, 1) * abs(values[0] - values[1]) / math.sqrt(2) / math.sqrt(2)
        assert (result.task_type, result.dataset_type, result.metric_type) == (
            "image-classification",
            "scenes",
            "accuracy",
        )
        assert result.metric_value == mean and result.metric_args["n"] == 2
        assert result.metric_args["interval"] == pytest.approx([mean - half, mean + half], abs=1e-3)
        assert f"{mean:.1f} ({mean - half:.1f} to {mean + half:.1f})" in (result.metric_name or "")
    text = Path("hub/width/README.md").read_text()
    assert all(run.id in text for run in exported.resolved.runs)


def test_a_licence_can_be_given(exported: Exported):
    exported.to("hub", licence="cc-by-nc-4.0")
    assert metadata_load("hub/width/README.md")["license"] == "cc-by-nc-4.0"


def test_the_folder_has_every_finished_run_without_folders_of_the_machine(exported: Exported):
    run = exported.finished[0]
    folder = exported.resolved.store.folder / run.id
    folder.write(WEIGHTS, b"weights")
    exported.edit(run, lambda record: record["initialisation"].update(location=f"{exported.folder}/alexnet.pth"))
    config = folder.read_json(CONFIG)
    folder.write_json(CONFIG, {**config, "dataset": {**config["dataset"], "location": f"{exported.folder}/scenes"}})
    exported.to("hub")
    of_runs = {f"runs/{one.id}/{name}" for one in exported.finished
               for name in (CONFIG, RECORD, "metrics.jsonl", "predictions.parquet")}  # fmt: skip
    own = {"README.md", "study.yaml", ".emotune-export.json", f"runs/{run.id}/{WEIGHTS}"}
    assert files() == of_runs | own
    there = Folder(f"hub/width/runs/{run.id}")
    assert there.read_json(RECORD)["initialisation"]["location"] == "alexnet.pth"
    assert there.read_json(CONFIG)["dataset"]["location"] == "scenes"
    assert not any(str(exported.folder).encode() in Path("hub/width", name).read_bytes() for name in files())


def test_what_has_changed_is_replaced_and_what_is_gone_is_removed(exported: Exported):
    exported.to("hub")
    first, second, third = exported.finished
    exported.edit(first, lambda record: record.update(images_per_s=123.0))
    (exported.resolved.store.folder / third.id).remove()
    outcome = exported.to("hub")
    assert (outcome.written, outcome.unchanged) == ((first.id,), (second.id,))
    assert json.loads(Path("hub/width/runs", first.id, RECORD).read_text())["images_per_s"] == 123
    assert {path.name for path in Path("hub/width/runs").iterdir()} == {first.id, second.id}


def test_only_files_of_the_export_are_sent(exported: Exported):
    exported.to("hub")
    Path("hub/width/photo.jpg").write_bytes(b"private")
    outcome = exported.to("hub", dry_run=True, repo="anna/width")
    listed = {note.rpartition(" (")[0] for note in outcome.notes if note.endswith(" bytes)")}
    assert listed == files() - {"photo.jpg", ".emotune-export.json"}
    assert "anna/width" in Path("hub/width/README.md").read_text()


def test_places_that_cannot_be_used_are_refused(exported: Exported):
    for options, named in (
        ({"out": "s3://bucket/x"}, "--out s3://bucket/x: "),
        ({"out": "."}, "--out .: "),
        ({"repo": "no such name!"}, "--repo-id no such name!: "),
    ):
        with pytest.raises(InputError, match=named.replace(".", r"\.")):
            exported.to("hub", **options)
    exported.to("hub", out="mine")
    exported.file = exported.file.rename(exported.folder / "other.yaml")
    with pytest.raises(InputError, match="width"):
        exported.to("hub", out="mine")


def test_a_hub_that_is_down_is_told_and_the_folder_stays(exported: Exported, monkeypatch: pytest.MonkeyPatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_secret_of_anna")
    with pytest.raises(UnavailableError) as caught:
        exported.to("hub", repo="anna/width")
    assert "anna/width" in str(caught.value) and "hf_secret" not in str(caught.value)
    assert {"README.md", "study.yaml"} < files()
    assert not any(b"hf_secret" in Path("hub/width", name).read_bytes() for name in files())
