"""The report of recorded runs, which pins numbers and wording; golden/golden.yaml states how the runs were recorded."""

import re
from pathlib import Path

import pandas as pd

from emotune.config.ablate_command import AblateCommand
from emotune.config.load import load_study
from emotune.data.datasets.resolve import resolve_datasets
from emotune.report.build import build_report
from emotune.report.contrast_table import CONTRASTS_FILE, closing_lines
from emotune.runs.store import RunStore

GOLDEN = Path(__file__).parent / "golden"
VERDICTS = ["not assessed", "not assessed", "unresolved"]
DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")


def test_the_recorded_runs_give_the_stored_report(tmp_path: Path):
    study = load_study(GOLDEN / "golden.yaml")
    runs = study.runs(resolve_datasets([str(GOLDEN / "data")]))
    build_report(
        study, RunStore(GOLDEN / "runs").states(runs), tmp_path, AblateCommand("golden.yaml", runs=str(GOLDEN / "runs"))
    )
    assert [line.partition(":")[0] for line in closing_lines(tmp_path, study.metric)] == VERDICTS
    assert pd.read_csv(tmp_path / CONTRASTS_FILE)["verdict"].tolist() == VERDICTS
    assert (tmp_path / "table.tex").read_text().count("& not assessed") == 2
    written = (tmp_path / "report.md").read_text().replace(str(GOLDEN / "runs"), "POOL")
    new, dates = DATE.subn("DATE", written)
    assert dates == 1
    (tmp_path / "new.md").write_text(new)
    stored = (GOLDEN / "report.md").read_text()
    assert new == stored, (
        f"if the change is intended, review it and copy {tmp_path / 'new.md'} to {GOLDEN / 'report.md'}"
    )
