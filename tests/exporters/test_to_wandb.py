"""W&B's own client writes offline runs; their files are read back with its protocol buffers."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from exported_study import Exported

from emotune.core.errors import InputError, UnavailableError
from emotune.exporters.destination import one_writer
from emotune.exporters.to_wandb import WandbDestination

wandb = pytest.importorskip("wandb", reason="needs the extra wandb")
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own settings of W&B, and no server."""
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "settings"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WANDB_BASE_URL", NOWHERE)


def records(folder: Path) -> Iterator[Any]:
    """The records of an offline run, which are in LevelDB's log format: fragments in blocks of 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.glob("*.wandb")
    data, at, whole = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # the only or last fragment
            yield Record.FromString(whole)
            whole = b""


class OfflineRun:
    """What an offline run has for W&B's server."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.history, self.summary, self.config, self.files = folder, [], {}, {}, set()
        self.exit_code = None
        for record in records(folder):
            match record.WhichOneof("record_type"):
                case "run":
                    self.run = record.run
                    self.config |= self._values(record.run.config.update)
                case "history":
                    self.history.append(self._values(record.history.item))
                case "summary":
                    self.summary |= self._values(record.summary.update)
                case "files":
                    self.files |= {file.path for file in record.files.files}
                case "exit":
                    self.exit_code = record.exit.exit_code

    @staticmethod
    def _values(items: Any) -> dict[str, Any]:
        return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def offline_runs() -> list[OfflineRun]:
    return [OfflineRun(folder) for folder in sorted(Path("wandb").glob("offline-run-*"))]


def by_run() -> dict[str, OfflineRun]:
    return {run.config["emotune.run_id"]: run for run in offline_runs() if run.run.job_type == "run"}


def test_runs_and_their_study_are_a_group_of_offline_runs(exported: Exported):
    outcome = exported.to("wandb", offline=True, project="mine", entity="team")
    assert set(outcome.written) == {run.id for run in exported.finished}
    runs = by_run()
    assert runs.keys() == set(outcome.written) and len(offline_runs()) == 4
    for run in exported.finished:
        found = runs[run.id]
        assert (found.run.project, found.run.entity, found.run.run_group) == ("mine", "team", "width")
        assert found.run.display_name.startswith(run.variant) and found.exit_code == 0
        assert (found.config["train.lr"], found.config["train.batch_size"], found.config["seed"]) == (
            0.02,
            20,
            run.seed,
        )
        assert [(row["_step"], row["train/loss"]) for row in found.history] == [(1, 2.0), (2, 1.0)]
        assert found.summary["cost/parameters"] == 1000 and found.summary["test/accuracy"] in (40, 42, 50)
        assert found.files >= {"config.json", "record.json", "metrics.jsonl", "predictions.parquet"}
        assert (found.folder / "files" / "predictions.parquet").stat().st_size > 1000
    (study,) = [run for run in offline_runs() if run.run.job_type == "study"]
    assert study.summary["contrast/scenes/wide - narrow/accuracy/mean"] == 10
    assert study.config["baseline"] == "narrow" and "study.yaml" in study.files


def test_what_is_there_is_not_written_again_even_if_it_was_uploaded_and_cleaned(exported: Exported):
    exported.to("wandb", offline=True)
    before = sorted(Path("wandb").glob("offline-run-*"))
    again = exported.to("wandb", offline=True)
    assert len(again.unchanged) == 3 and not again.written and sorted(Path("wandb").glob("offline-run-*")) == before
    for folder in before:  # as `wandb sync` marks what it has uploaded
        (file,) = folder.glob("*.wandb")
        file.with_name(f"{file.name}.synced").touch()
    assert "0 runs" in exported.to("wandb", offline=True).notes[-1]
    for folder in before:
        folder.rename(exported.folder / folder.name)  # as `wandb clean`
    exported.finish(exported.failed)
    more = exported.to("wandb", offline=True)
    assert more.written == (exported.failed.id,) and len(more.unchanged) == 3


def test_a_changed_record_gets_a_new_id_and_replaces_what_was_not_uploaded(exported: Exported):
    exported.to("wandb", offline=True)
    run, other = exported.finished[:2]
    before = by_run()
    (file,) = before[other.id].folder.glob("*.wandb")
    file.with_name(f"{file.name}.synced").touch()
    for one in (run, other):
        exported.edit(one, lambda record: record.update(images_per_s=123.0))
    outcome = exported.to("wandb", offline=True)
    after = by_run()
    assert after[run.id].run.run_id != before[run.id].run.run_id and not before[run.id].folder.exists()
    assert after[run.id].summary["cost/images_per_s"] == 123
    assert any(before[other.id].run.run_id in note for note in outcome.notes)


def test_an_interrupted_export_is_continued(exported: Exported, monkeypatch: pytest.MonkeyPatch):
    import emotune.exporters.to_wandb as module

    write_files, calls = module.write_files, []

    def interrupted(folder, files):
        calls.append(folder)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return write_files(folder, files)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "write_files", interrupted)
        exported.to("wandb", offline=True)
    outcome = exported.to("wandb", offline=True)
    assert len(outcome.unchanged) == 1 and len(outcome.written) == 2
    assert len(offline_runs()) == 4 and len(by_run()) == 3


def test_a_server_that_is_down_is_told_and_nothing_is_lost(exported: Exported, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_API_KEY", "f" * 40)
    with pytest.raises(UnavailableError) as caught:
        exported.to("wandb")
    assert NOWHERE in str(caught.value) and "f" * 40 not in str(caught.value)
    assert len(offline_runs()) == 4
    assert not any(b"f" * 40 in path.read_bytes() for path in exported.folder.rglob("*") if path.is_file())
    with pytest.raises(UnavailableError):  # the next one tries again, and writes no run again
        exported.to("wandb")
    assert len(offline_runs()) == 4
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert len(exported.to("wandb").unchanged) == 3


def test_disabled_urls_and_a_second_writer_are_refused(exported: Exported, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InputError, match="s3://bucket/x"):
        WandbDestination("width", "width", None, "s3://bucket/x", offline=True)
    with one_writer(str(Path("wandb").absolute())), pytest.raises(UnavailableError):
        exported.to("wandb", offline=True)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with pytest.raises(InputError, match="WANDB_MODE"):
        exported.to("wandb")
