"""The files beside the page: figures, tables, LaTeX; and the removal of stale ones."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from reading import report

from emotune.config.ablate_command import AblateCommand
from emotune.report.build import build_report
from emotune.report.latex import escape
from emotune.runs.store import RunStore


def test_every_figure_is_also_an_svg_and_a_png(reported):
    _, page, out = reported
    names = set(re.findall(r'<figure id="figure-([^"]+)">', page))
    assert {"contrasts", "uncertainty", "accuracy-scenes", "curves-scenes", "confusion-scenes"} < names
    assert {path.stem for path in out.glob("*.png")} == {path.stem for path in out.glob("*.svg")} == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in out.glob("*.png"))


def test_parquet_and_csv_hold_the_same_table(reported):
    _, _, out = reported
    csv, parquet = pd.read_csv(out / "runs.csv"), pd.read_parquet(out / "runs.parquet")
    assert list(csv) == list(parquet)
    assert csv["run"].tolist() == parquet["run"].tolist()
    assert csv["nll"].tolist() == pytest.approx(parquet["nll"].tolist())
    assert parquet["test_images"].dtype == "Int64"


def test_latex_tables_have_all_columns(reported):
    study, _, out = reported
    tables = re.findall(r"\\begin{table}.*?\\end{table}", (out / "table.tex").read_text(), re.S)
    assert len(tables) == 2
    for table in tables:
        assert table.count("{") == table.count("}")
        columns = len(re.search(r"\\begin{tabular}{(\w+)}", table)[1])
        body = re.search(r"\\toprule(.*)\\bottomrule", table, re.S)[1]
        rows = [line for line in body.splitlines() if line.strip() and "midrule" not in line]
        assert all(len(re.findall(r"(?<!\\)&", row)) == columns - 1 and row.endswith(r"\\") for row in rows)
    variants, contrasts = (" ".join(table.split()) for table in tables)
    assert "Synthetic images." in variants
    assert all(rf"{variant}" in variants for variant in study.variants)
    assert r"$\pm$1 point" in contrasts
    assert re.search(r"attention \$-\$ alexnet & scenes & 2 & \$[+-]\d+\.\d\$ & \$[+-]\d+\.\d\$ to \$[+-]", contrasts)


def test_latex_special_characters_are_escaped():
    special = escape(r"a_b & 50% {x} #1 $y$ ~^\ –")
    assert special == (r"a\_b \& 50\% \{x\} \#1 \$y\$ \textasciitilde{}\textasciicircum{}\textbackslash{} --")
    assert escape("猫 é") == "? é"


def test_stale_files_are_removed_and_user_files_kept(finished, reported, tmp_path: Path):
    study, runs, _ = finished
    shutil.copytree(reported[2], tmp_path, dirs_exist_ok=True)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "curves-mine.png").write_bytes(b"mine")
    (tmp_path / "confusion-scenes.svg").write_text("retouched")
    build_report(study, RunStore(tmp_path / "empty").states(runs), tmp_path, AblateCommand())
    left = {path.name for path in tmp_path.iterdir() if path.suffix in (".png", ".svg", ".txt")}
    assert left == {"notes.txt", "curves-mine.png", "confusion-scenes.svg"}


def test_the_next_report_cleans_up_an_interrupted_one(finished, tmp_path: Path, monkeypatch):
    study, runs, _ = finished
    with monkeypatch.context() as patch:
        patch.setattr("emotune.report.build._png", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            report(finished, tmp_path)
    assert list(tmp_path.glob("*.svg"))
    build_report(study, RunStore(tmp_path / "empty").states(runs), tmp_path, AblateCommand())
    assert not list(tmp_path.glob("*.svg"))
