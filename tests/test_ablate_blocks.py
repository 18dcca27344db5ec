"""The model of blocks in a study, by the command as a user runs it, into the report."""

import contextlib
import io
import json
from pathlib import Path

import pytest

from emotune.ablate import main

STUDY = """
question: Do blocks help?
datasets: [{data}]
model: {{width: 0.0625}}
train: {{epochs: 1, batch_size: 16, lr: 0.005}}
baseline: alexnet
variants:
  alexnet: {{model.name: alexnet}}
  whole: {{model: {{name: blocks, step: 32, words: 30, topics: 6, levels: [1]}}}}
  blocks: {{model: {{name: blocks, step: 32, words: 30, topics: 6, aggregation: mi_svm}}}}
seeds: 2
contrasts: [blocks - whole]
"""


@pytest.fixture
def place(tmp_path: Path, small_shards: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "few.yaml").write_text(STUDY.format(data=small_shards))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_blocks_are_planned_run_and_reported(place: Path) -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["few.yaml", "--plan"]) == 0
        assert main(["few.yaml", "--executor", "local"]) == 0
        before = {path: path.stat().st_mtime_ns for path in place.glob("runs/*/record.json")}
        assert main(["few.yaml", "--executor", "local"]) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    records = [json.loads(path.read_text()) for path in before]
    of_blocks = [record for record in records if record["model"] == "blocks"]
    assert len(records) == 6
    assert len(of_blocks) == 4
    assert all(record["reading"] == "features" and record["fitted"]["c"] > 0 for record in of_blocks)
    assert sum("rounds" in record["fitted"] for record in of_blocks) == 2
    report = (place / "reports" / "few" / "report.md").read_text()
    assert "blocks - whole" in report
    assert "model.aggregation mean → mi_svm" in report
