"""trackio reads what was exported to a store of its own; in processes of their own, as it reads its folder once."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from exported_study import Exported

pytest.importorskip("trackio", reason="needs the extra trackio, which the tested versions of Pillow do not allow")
LOOK = """
import json, sys, trackio
from trackio.sqlite_storage import SQLiteStorage
found = []
for run in trackio.Api().runs(sys.argv[1]):
    logs = [{k: v for k, v in row.items() if k != "timestamp"} for row in SQLiteStorage.get_logs(sys.argv[1], run.name)]
    found.append({"name": run.name, "config": run.config, "logs": logs})
print(json.dumps(found))
"""


def export(exported: Exported, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "emotune.export", "width.yaml", "--to", "trackio", "--out", "store", *words]
    ended = subprocess.run(command, cwd=exported.folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended


def runs(exported: Exported, monkeypatch: pytest.MonkeyPatch, project: str = "width") -> dict[str, Any]:
    monkeypatch.setenv("TRACKIO_DIR", str(exported.folder / "store"))
    command = [sys.executable, "-c", LOOK, project]
    ended = subprocess.run(command, cwd=exported.folder, capture_output=True, text=True, check=True)
    found = json.loads(ended.stdout.splitlines()[-1])
    assert len({run["name"] for run in found}) == len(found)
    return {run["config"]["emotune.run_id"]: run for run in found}


@pytest.mark.slow
def test_runs_and_their_study_are_a_group_that_later_exports_bring_up_to_date(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TRACKIO_SPACE_ID", "nobody/nothing")  # would write to another machine
    assert export(exported).stdout.splitlines()[-1] == "3 runs exported, 0 unchanged"
    there = runs(exported, monkeypatch)
    assert there.keys() == {run.id for run in exported.finished} | {""}
    for run in exported.finished:
        found = there[run.id]
        assert (found["config"]["train.lr"], found["config"]["variant"]) == (0.02, run.variant)
        assert [(row["step"], row["train/loss"]) for row in found["logs"]] == [(1, 2.0), (2, 1.0)]
        assert found["logs"][-1]["cost/parameters"] == 1000 and found["config"]["_Group"] == "width"
    assert there[""]["logs"][-1]["contrast/scenes/wide - narrow/accuracy/mean"] == 10

    exported.edit(exported.finished[0], lambda record: record.update(images_per_s=123.0))
    exported.finish(exported.failed)
    assert export(exported).stdout.splitlines()[-1] == "2 runs exported, 2 unchanged"
    there = runs(exported, monkeypatch)
    assert len(there) == 5
    assert there[exported.finished[0].id]["logs"][-1]["cost/images_per_s"] == 123
    assert there[""]["logs"][-1]["runs"] == 4


@pytest.mark.slow
def test_what_an_interrupted_export_left_is_replaced(exported: Exported, monkeypatch: pytest.MonkeyPatch):
    program = (
        "import sys; from emotune.exporters import to_trackio as t; from emotune.export import main\n"
        "def stop(self, run, name, files): raise KeyboardInterrupt\n"
        "t.TrackioDestination._log_files = stop; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "width.yaml", "--to", "trackio", "--out", "store"]
    assert subprocess.run(command, cwd=exported.folder, capture_output=True, check=False).returncode == 130
    assert Path(exported.folder, "store").is_dir()
    export(exported)
    assert len(runs(exported, monkeypatch)) == 4
