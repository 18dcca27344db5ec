"""Model cards: `--model-cards`."""

import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from reading import COMMAND, STUDY
from scipy import stats

from emotune.ablate import main
from emotune.core.storage import Folder
from emotune.data.manifest import read_manifest
from emotune.report.build import build_report
from emotune.runs.directory import PREDICTIONS, RECORD
from emotune.runs.store import RunStore

ONE = """
baseline: tanh
variants: {{tanh: {{model.name: attention, model.score: tanh}}}}
seeds: 1
contrasts: []
"""
"""The end of a study of one run of the finished ones, whose reports are drawn soon."""


@pytest.fixture(scope="module")
def cards(reported) -> dict[str, str]:
    """The text of each card by variant."""
    return {path.stem: path.read_text() for path in (reported[2] / "cards").iterdir()}


def right(finished, variant: str) -> list[pd.DataFrame]:
    """Per seed: the target of each test image, and whether it was classified correctly."""
    _, runs, pool = finished
    frames = []
    for run in runs:
        if run.variant == variant:
            frame = pd.read_parquet(f"{pool}/{run.id}/{PREDICTIONS}")
            logits = frame.filter(like="logit_")
            predicted = logits.columns[logits.to_numpy().argmax(1)].str.removeprefix("logit_")
            frames.append(pd.DataFrame({"target": frame["target"], "right": predicted == frame["target"]}))
    return frames


def numbers(text: str) -> list[str]:
    return re.findall(r"\d+(?:\.\d+)?", text)


def t_interval(values: list[float]) -> list[str]:
    """The numbers of a mean with its interval, and the bounds at which that is truncated."""
    if len(set(values)) == 1:
        return [f"{values[0]:.1f}", str(len(values))]
    mean, half = np.mean(values), stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    if half == 0:
        return [f"{mean:.1f}", str(len(values))]
    bounds = [end for end, beyond in (("0.0", mean < half), ("100.0", mean + half > 100)) if beyond]
    return [f"{mean:.1f}", f"{max(mean - half, 0):.1f}", f"{min(mean + half, 100):.1f}", *bounds]


def row(card: str, first: str) -> list[str]:
    """The cells of the table's row that begins so."""
    (line,) = (line for line in card.splitlines() if line.startswith(f"| {first}"))
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_every_variant_with_finished_runs_has_a_card(finished, cards):
    assert set(cards) == set(finished[0].variants)


@pytest.mark.parametrize("variant", ["alexnet", "attention", "tanh"])
def test_metrics_and_recalls_are_those_of_the_predictions_with_t_intervals(finished, cards, variant):
    frames = right(finished, variant)
    assert numbers(row(cards[variant], "accuracy, %")[1]) == t_interval([100 * f["right"].mean() for f in frames])
    for label, of_class in frames[0].groupby("target"):
        recalls = [100 * f.loc[f["target"] == label, "right"].mean() for f in frames]
        cells = row(cards[variant], f"{label} ")
        assert [numbers(cell) for cell in cells[2:]] == [[str(len(of_class))], t_interval(recalls)]


def test_data_sets_are_described_from_their_manifest(finished, cards):
    _, runs, _ = finished
    manifest = read_manifest(Folder(runs[0].dataset.location))
    for text in (manifest.source, manifest.licence, manifest.content_hash):
        assert text in cards["tanh"].replace("\\", "")
    label = manifest.classes[0]
    assert row(cards["tanh"], f"{label} ")[1] == str(manifest.counts["train"][label])
    assert "synthetic-images" in cards["tanh"]
    assert "Mechanical Turk" not in cards["tanh"]


def test_a_card_lists_options_and_run_folders(finished, cards):
    card = cards["tanh"]
    assert "score tanh" in card
    assert "epochs 1, batch_size 8" in card
    for run in finished[1]:
        assert (f"`{run.id}`" in card) == (run.variant == "tanh")
    assert f"`{COMMAND}`" in card


def test_verdicts_are_in_the_cards_of_both_sides_only(cards):
    counts = {v: len(re.findall(r"^- .*2 paired seeds", card, re.MULTILINE)) for v, card in cards.items()}
    assert counts == {"alexnet": 1, "attention": 1, "tanh": 0}


def test_front_matter_is_yaml_and_the_question_is_escaped(cards):
    _, front, text = cards["attention"].split("---\n", 2)
    assert yaml.safe_load(front)["metrics"] == ["accuracy"]
    assert r"Does attention \<really> help?" in text


def test_tables_have_as_many_cells_in_each_row(cards):
    for card in cards.values():
        tables = re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE)
        assert len(tables) == 2
        for table in tables:
            assert len({line.count(" | ") for line in table.splitlines()}) == 1, table


def test_one_seed_has_no_interval(finished, tmp_path):
    study, runs, pool = finished
    build_report(replace(study, seeds=1), RunStore(pool).states([r for r in runs if r.seed == 0]), tmp_path, COMMAND)
    assert "(n = 1)" in row((tmp_path / "cards/tanh.md").read_text(), "accuracy, %")[1]


def test_a_variant_without_finished_runs_has_no_card_and_its_old_one_is_removed(finished, reported, tmp_path):
    study, runs, pool = finished
    shutil.copytree(reported[2], tmp_path / "out")
    empty = tmp_path / "pool"
    for run in runs:
        if run.variant != "tanh":
            (empty / run.id).mkdir(parents=True)
            for name in Folder(f"{pool}/{run.id}").names():
                (empty / run.id / name).write_bytes(Folder(f"{pool}/{run.id}").read(name))
    build_report(study, RunStore(empty).states(runs), tmp_path / "out", COMMAND)
    assert {path.stem for path in (tmp_path / "out/cards").iterdir()} == {"alexnet", "attention"}
    assert (empty / runs[0].id / RECORD).exists()


def test_a_loss_is_marked_as_lower_is_better(of_loss):
    card = (of_loss[2] / "cards/attention.md").read_text()
    assert re.search(r"\bnats\b.*\blower\b.*\b95 %", card)


def test_cards_are_updated_until_somebody_removes_them(finished, small_shards, tmp_path, monkeypatch):
    shutil.copytree(finished[2], tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    text = (STUDY.partition("baseline")[0] + ONE).format(data=small_shards)
    (tmp_path / "few.yaml").write_text(text)
    out = tmp_path / "reports/few"

    def ablate(*options: str) -> list[str]:
        """The cards that are there after the command."""
        assert main(["few.yaml", "--executor", "local", *options]) == 0
        return sorted(path.stem for path in out.glob("cards/*.md"))

    assert ablate() == []
    assert ablate("--model-cards") == ["tanh"]
    assert "--model-cards" in (out / "report.md").read_text()
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.*")}
    cards = ablate()
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.*")} == written
    assert cards == ["tanh"]
    (tmp_path / "few.yaml").write_text(text.replace("really", "truly"))
    assert ablate() == cards
    assert "truly" in (out / "cards/tanh.md").read_text()
    assert main(["rerun", "few.yaml", "--failed"]) == 0, "there are none"
    assert ablate("--no-model-cards") == []
    assert ablate("--report-only") == []
    assert ablate("--model-cards") == cards
    shutil.rmtree(out / "cards")
    assert ablate("--report-only") == []
