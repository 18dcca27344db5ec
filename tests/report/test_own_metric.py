"""A metric of the user's own: computed once without training, reported like any other, never executed by a plan."""

import io
import json
import shutil
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from reading import STUDY, Tags
from rich.console import Console

from emotune import load_results, run_study
from emotune.ablate import main
from emotune.execution.run.session import ExecutionOptions
from emotune.runs.directory import PREDICTIONS

OWN = """
with open({marker!r}, "a") as file:
    file.write("imported\\n")

def worst_recall(frame, k=1):
    with open({marker!r}, "a") as file:
        file.write(f"{{len(frame)}}\\n")
    right = frame["label"] == frame["predicted"]
    return 100 * right.groupby(frame["label"]).mean().nsmallest(k).mean()
"""
METRIC = 'metric: {code: metrics.py:worst_recall, unit: "%", min_effect: 5, options: {k: 3}}\n'


class Place:
    """A study with a metric of its own, whose runs have been trained for another one."""

    def __init__(self, folder: Path, finished, data: Path) -> None:
        self.folder, self.pool = folder, str(folder / "runs")
        shutil.copytree(finished[2], self.pool)
        self.marker = folder / "executed"
        self.source = OWN.format(marker=str(self.marker))
        (folder / "metrics.py").write_text(self.source)
        self.write(STUDY.format(data=data))

    def write(self, study: str, metric: str = METRIC) -> None:
        self.study = study
        (self.folder / "few.yaml").write_text(study + metric)

    def ablate(self, *arguments: str, code: int = 0) -> None:
        study, report = str(self.folder / "few.yaml"), str(self.folder / "report")
        if arguments == ("status",):
            words = ["status", study]
        else:
            words = [study, "--report", report, "--executor", "local", *arguments]
        assert main([*words, "--runs", self.pool]) == code

    def executed(self) -> int:
        """How often the metric has been executed since this was last asked."""
        lines = self.marker.read_text().splitlines() if self.marker.exists() else []
        self.marker.unlink(missing_ok=True)
        assert ("imported" in lines) == bool(lines)
        return sum(line != "imported" for line in lines)

    def folders(self) -> list[str]:
        return sorted(path.name for path in Path(self.pool).glob("*-s[0-9]-*"))

    def compute(self) -> dict[str, float]:
        """What the API computes; it writes no report here."""
        study, console = self.folder / "few.yaml", Console(file=io.StringIO())
        options = ExecutionOptions(executor="local")
        assert run_study(study, self.pool, report=None, options=options, console=console).complete
        return load_results(study, self.pool).runs.set_index("run")["own_worst_recall"].to_dict()

    def table(self) -> pd.DataFrame:
        return pd.read_csv(self.folder / "report" / "runs.csv").set_index("run")

    def values(self) -> dict[str, float]:
        """Those of the report."""
        return self.table()["own_worst_recall"].to_dict()

    def expected(self, k: int) -> dict[str, float]:
        """The values, computed here."""
        values = {}
        for run in Path(self.pool).glob("*/" + PREDICTIONS):
            frame = pd.read_parquet(run)
            predicted = frame.filter(like="logit_").idxmax(axis=1).str.removeprefix("logit_")
            recalls = (predicted == frame["target"]).groupby(frame["target"]).mean()
            values[run.parent.name] = 100 * recalls.nsmallest(k).mean()
        return values

    def untouched(self) -> dict[str, bytes]:
        """The records of all runs, by their folder."""
        return {path.parent.name: path.read_bytes() for path in sorted(Path(self.pool).glob("*/record.json"))}


@pytest.fixture
def place(finished, tmp_path: Path, small_shards: Path) -> Place:
    return Place(tmp_path, finished, small_shards)


def test_a_metric_is_computed_once_without_training_and_anew_after_an_edit(place: Place, capsys):
    records = place.untouched()
    place.ablate("--plan")
    place.ablate("status")
    place.ablate("--report-only")
    assert place.executed() == 0, "neither a plan nor status nor a report executes code"
    assert pd.Series(place.values()).isna().all() and place.table()["accuracy"].notna().all()
    assert "emotune.ablate" in (written := capsys.readouterr().out) and "worst recall" in written
    page = (place.folder / "report" / "index.html").read_text()
    assert "6 of 6" in Tags(page).text and "few.yaml --runs" in Tags(page).text

    first, tried = place.compute(), place.executed()
    assert first == pytest.approx(place.expected(3))
    assert tried == 6 + 2, "once for each run, after two tries on made-up predictions"
    assert place.compute() == first and place.executed() == 0, "nothing is missing"

    edited = place.source.replace("return 100 * right", "return 100 - 100 * right")
    (place.folder / "metrics.py").write_text(edited)
    capsys.readouterr()
    place.ablate("--plan")
    written = capsys.readouterr().out
    assert "+    return 100 - 100 * right" in written and "-    return 100 * right" in written
    assert "6 done, 0 to do" in " ".join(written.split()) and place.executed() == 0
    assert place.compute() == pytest.approx({run: 100 - value for run, value in first.items()})
    assert place.executed() == tried

    (place.folder / "metrics.py").write_text(f"# undone\n{place.source}")
    assert place.compute() == first and place.executed() == 0
    assert place.untouched() == records
    assert len(list(Path(place.pool).glob("*/metric-*.json"))) == 2 * len(records)


def test_a_report_has_verdicts_and_tables_in_the_metric(place: Place):
    place.ablate("--model-cards")
    page = (place.folder / "report" / "index.html").read_text()
    text = " ".join(Tags(page.partition('<section id="reproduce"')[0]).text.split())
    means = pd.Series(place.expected(3)).groupby(place.table()["variant"]).mean()
    difference = f"{means['attention'] - means['alexnet']:+.1f}"
    for written in (text, (place.folder / "report" / "report.md").read_text()):
        assert "worst recall" in written and f"{difference.replace('+0.0', '0.0')} points" in written
        assert "nan" not in written.split() and "metrics.py:worst_recall" in written
    assert 'id="images"' in page and 'id="figure-uncertainty"' not in page
    assert (place.folder / "report" / "own_worst_recall-scenes.png").is_file()
    assert "worst recall" in (place.folder / "report" / "table.tex").read_text()
    card = (place.folder / "report" / "cards" / "attention.md").read_text()
    assert f"{means['attention']:.1f}" in card and "balanced accuracy" in card
    assert list(place.table().columns)[-1] == "own_worst_recall"
    data = json.loads(page.partition('id="comparison-data">')[2].partition("</script>")[0])
    assert (data["metrics"][data["study_metric"]]["title"], len(data["metrics"])) == ("worst recall", 9)


def test_a_run_that_the_metric_fails_for_is_named_and_does_not_count(place: Place, capsys):
    run = next(iter(place.untouched()))
    accuracy = json.loads(place.untouched()[run])["accuracy"]
    failing = f"    if abs(100 * right.mean() - {accuracy}) < 1e-6:\n        return float('nan')\n    return 100"
    (place.folder / "metrics.py").write_text(place.source.replace("    return 100", failing))
    place.ablate(code=1)
    errors = capsys.readouterr().err
    assert f"{run}: metric.code: metrics.py:worst_recall" in errors and "nan" in errors
    values = place.values()
    assert pd.isna(values[run]) and sum(map(pd.notna, values.values())) > 0
    assert "has no worst recall" in Tags((place.folder / "report" / "index.html").read_text()).text


def test_a_metric_that_cannot_work_is_refused_before_anything_is_trained(place: Place, capsys):
    (place.folder / "metrics.py").write_text(place.source.replace('frame["label"]', 'frame["lable"]'))
    place.write(place.study.replace("lr: 0.05", "lr: 0.04"))
    records, folders = place.untouched(), place.folders()
    place.ablate(code=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert "metric.code: metrics.py:worst_recall" in line and "line 8" in line and "lable" in line
    assert place.untouched() == records and place.folders() == folders
    place.write(place.study.replace("lr: 0.04", "lr: 0.05"))
    place.ablate(code=2)
    assert "made-up" in capsys.readouterr().err
    (place.folder / "metrics.py").write_text(
        f"import os\n{place.source}    os._exit(7)\n".replace("    return", "    #")
    )
    place.ablate(code=2)
    assert "exit code 7" in capsys.readouterr().err


@pytest.mark.slow
def test_values_behind_a_url_are_shared(place: Place, s3: str):
    fsspec.filesystem("s3").put(place.pool, f"{s3}/own-metric", recursive=True)
    expected, place.pool = place.expected(3), f"{s3}/own-metric"
    assert place.compute() == pytest.approx(expected) and place.executed() > 0
    assert place.compute() == pytest.approx(expected) and place.executed() == 0
