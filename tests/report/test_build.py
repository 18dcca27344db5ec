import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from reading import STUDY, Tags, incomplete, relist

from emotune.ablate import main
from emotune.analysis.load import load_records
from emotune.analysis.metrics import scalar_metrics
from emotune.analysis.residuals import pooled_spread
from emotune.analysis.seeds import summarise
from emotune.analysis.verdict import Verdict
from emotune.config.ablate_command import AblateCommand
from emotune.config.load import load_study
from emotune.config.metric import SCALES, Metric
from emotune.config.scale import with_minus
from emotune.config.study import Study
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.manifest import Problem
from emotune.data.sources.class_folders import ClassFolders
from emotune.report.build import build_report
from emotune.report.context import VERDICT_MARKS
from emotune.report.phrasing import mean_and_interval
from emotune.runs.directory import PREDICTIONS, RunDirectory
from emotune.runs.store import RunStore


def test_page_shows_the_accuracy_of_every_seed(finished, reported):
    study, page, out = reported
    table = pd.read_csv(out / "runs.csv")
    assert len(table) == len(study.variants) * study.seeds
    for row in table.to_dict("records"):
        predictions = pd.read_parquet(Path(finished[2]) / row["run"] / PREDICTIONS)
        logits = predictions.filter(like="logit_")
        right = logits.idxmax(axis=1).str.removeprefix("logit_") == predictions["target"]
        assert row["accuracy"] == pytest.approx(100 * right.mean())
        assert f"{row['accuracy']:.1f}" in page


def test_page_and_markdown_show_verdict_difference_interval_n_and_p(reported):
    _, page, out = reported
    for text in (Tags(page).text, (out / "report.md").read_text()):
        assert re.search(r"[+−-]\d+\.\d points\b.*\b95 %\D*[+−-]\d+\.\d\D*[+−-]\d+\.\d\D* 2 ", text)
        assert re.search(r"p (=|<) \d", text)
        assert "not assessed" in text, "it learns nothing in an epoch"
        assert "tanh - alexnet" in text, "an undeclared difference is exploratory"
        assert str(AblateCommand("few.yaml")) in text


def test_runs_csv_has_every_metric_and_the_page_their_means(finished, reported):
    study, page, out = reported
    table = pd.read_csv(out / "runs.csv")
    assert ",".join(table.columns) == (
        "run,variant,dataset,seed,state,detail,accuracy,test_images,parameters,train_s,images_per_s,workers,"
        "interruptions,commit,dirty,synthetic,"  # what scripts may rely on; new ones come after
        "balanced_accuracy,macro_f1,top2_accuracy,polarity_accuracy,nll,brier,ece,forward_flops,"
        "selected_epoch,best_test_accuracy,predicted_classes_digest"
    )
    for row in table.to_dict("records"):
        predictions = pd.read_parquet(Path(finished[2]) / row["run"] / PREDICTIONS)
        assert {name: row[name] for name in SCALES} == pytest.approx(scalar_metrics(predictions))
    means = table.groupby("variant")[list(SCALES)].mean()
    for variant in study.variants:
        cells = [f"{means.loc[variant, name]:.{scale.decimals}f}" for name, scale in SCALES.items()]
        assert f"| {variant} | scenes | {' | '.join(cells)} |" in (out / "report.md").read_text()
        assert "".join(f'<td class="n">{cell}</td>' for cell in cells) in re.sub(' data-label="[^"]*"', "", page)


def test_report_uses_the_unit_and_direction_of_the_metric(reported, of_loss):
    _, page, out = of_loss
    table = pd.read_csv(out / "runs.csv").pivot(index="seed", columns="variant", values="nll")
    mean = (table["attention"] - table["alexnet"]).mean()
    text = " ".join(Tags(page.partition('<section id="questions"')[0]).text.split())
    for written in (text, (out / "report.md").read_text().split("\n## ")[1]):  # who learned is asked of accuracy, too
        assert re.search(rf"{re.escape(with_minus(f'{mean:+.3f}'))} nats\b.*\blower\b.*\b95 %", written)
        assert "points" not in written
    assert SCALES["nll"].title in text.lower()
    assert (out / "nll-scenes.png").is_file()
    assert (reported[2] / "accuracy-scenes.png").is_file()
    assert not (out / "accuracy-scenes.png").exists(), "another metric's plot is stale"


def test_plan_states_the_detectable_effect_in_the_metric_of_the_study(finished, tmp_path: Path, capsys):
    study, runs, pool = finished
    (tmp_path / "loss.yaml").write_text(study.source + "metric: {name: nll, min_effect: 0.05}\n")
    assert main([str(tmp_path / "loss.yaml"), "--runs", pool, "--plan"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    spread = pooled_spread(
        load_records(RunStore(pool).states(runs)).done().to_dict("records"), runs[0].dataset.name, "nll"
    )
    assert re.search(rf"\b{spread.sd:.3f} nats\D* {spread.df}\b", output)
    assert re.search(r"Warning: .*0\.05 nats", output)


@pytest.mark.parametrize("name", ["brier", "polarity_accuracy"])
def test_a_study_can_compare_other_metrics(finished, tmp_path: Path, name: str):
    study, runs, pool = finished
    page = build_report(
        replace(study, metric=Metric(name=name, min_effect=0.5)), RunStore(pool).states(runs), tmp_path, AblateCommand()
    )
    text = Tags(page.read_text().partition('<section id="reproduce"')[0]).text
    assert SCALES[name].title in text
    assert not re.search(r"\bnan\b", text)


def test_missing_and_failed_runs_are_listed_and_only_complete_pairs_count(finished, tmp_path: Path):
    study, runs, pool = finished
    more = load_study_with(study, seeds=4).runs([runs[0].dataset])
    failed = next(run for run in more if run.seed == 2 and run.variant == "attention")
    directory = RunDirectory(pool, failed)
    directory.begin()
    directory.fail("RuntimeError: the cat sat on the <keyboard>\nTraceback")
    page = build_report(
        load_study_with(study, seeds=4), RunStore(pool).states(more), tmp_path, AblateCommand("few.yaml", runs=pool)
    ).read_text()
    assert incomplete(page) == (6, 12)
    assert "the cat sat on the &lt;keyboard&gt;" in page
    assert "seed 2 (" in page
    assert "2 paired seeds" in page
    assert f"emotune.ablate rerun few.yaml {failed.id} --runs {pool}" in page


def load_study_with(study: Study, seeds: int) -> Study:
    return replace(study, seeds=seeds)


def test_report_without_finished_runs(finished, tmp_path: Path):
    study, runs, _ = finished
    page = build_report(study, RunStore(tmp_path / "empty").states(runs), tmp_path / "out", AblateCommand()).read_text()
    assert incomplete(page) == (0, 6)
    assert not re.search(r"<figure|\bnan\b", page)


def test_damaged_runs_are_listed_and_the_others_reported(finished, tmp_path: Path):
    study, runs, pool = finished
    shutil.copytree(pool, tmp_path / "runs")
    doubled, lost = (tmp_path / "runs" / run.id / PREDICTIONS for run in runs[:2])
    frame = pd.read_parquet(doubled)
    pd.concat([frame, frame.head(1)]).to_parquet(doubled)
    lost.unlink()
    page = build_report(study, RunStore(tmp_path / "runs").states(runs), tmp_path / "out", AblateCommand("few.yaml"))
    text = " ".join(Tags(page.read_text()).text.split())
    assert incomplete(page.read_text()) == (len(runs) - 2, len(runs))
    for file in (doubled, lost):
        assert PREDICTIONS in text
        assert f"rerun few.yaml {file.parent.name}" in text
    assert pd.read_csv(tmp_path / "out" / "runs.csv")["state"].tolist().count("damaged") == 2


def test_infinite_loss_and_identical_predictions_in_every_file(finished, tmp_path: Path):
    study, runs, pool = finished
    shutil.copytree(pool, tmp_path / "runs")
    (variant, _) = study.contrasts[0].pair
    of = {(run.variant, run.seed): tmp_path / "runs" / run.id / PREDICTIONS for run in runs}
    frame = pd.read_parquet(of[variant, 0])
    target = frame["target"].iloc[0]
    frame.loc[0, f"logit_{target}"] = -np.inf
    frame.to_parquet(of[variant, 0])
    relist(of[variant, 0].parent)
    of_loss = replace(study, metric=Metric(name="nll", min_effect=0.05))
    out = build_report(of_loss, RunStore(tmp_path / "runs").states(runs), tmp_path / "loss", AblateCommand()).parent
    page = (out / "index.html").read_text()
    text, data = (out / "report.md").read_text(), re.search(r'id="comparison-data">(.*?)</script>', page, re.S)[1]
    assert "+∞ nats" in text and "nan" not in text
    json.loads(data, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert '"Infinity"' in data
    assert r"$+\infty$" in (out / "table.tex").read_text() and "nan" not in (out / "table.tex").read_text()
    losses = pd.read_csv(out / "runs.csv").set_index("run")["nll"]
    assert losses[of[variant, 0].parent.name] == np.inf
    assert pd.read_parquet(out / "runs.parquet")["nll"].max() == np.inf

    for (_, seed), file in of.items():  # every network says what the baseline's says
        shutil.copy(Path(pool) / of[study.baseline, seed].parent.name / PREDICTIONS, file)
        relist(file.parent)
    out = build_report(study, RunStore(tmp_path / "runs").states(runs), tmp_path / "same", AblateCommand()).parent
    text = (out / "report.md").read_text()
    assert text.count("○ not assessed") == len(study.contrasts)
    assert f"{VERDICT_MARKS[Verdict.UNRESOLVED]} unresolved" not in text
    for file in of.values():  # and now in every seed
        shutil.copy(Path(pool) / of[study.baseline, 0].parent.name / PREDICTIONS, file)
        relist(file.parent)
    out = build_report(study, RunStore(tmp_path / "runs").states(runs), tmp_path / "seedless", AblateCommand()).parent
    (accuracy,) = set(pd.read_csv(out / "runs.csv")["accuracy"])
    means = mean_and_interval(summarise([accuracy] * study.seeds), SCALES["accuracy"])
    assert (out / "report.md").read_text().count(means) >= len(study.variants)


def test_polarity_metric_is_rejected_for_labels_without_polarity(image_folder: Path, tmp_path: Path):
    for old, new in (("awe", "joy"), ("amusement", "surprise")):
        (image_folder / old).rename(image_folder / new)
    for other in ("contentment", "excitement"):
        shutil.rmtree(image_folder / other)
    data = tmp_path / "faces"
    write_shards(ClassFolders(image_folder, labels="ekman").listing(), Folder(str(data)))
    (tmp_path / "few.yaml").write_text(STUDY.format(data=data) + "metric: {name: polarity_accuracy}\n")
    study = load_study(tmp_path / "few.yaml")
    with pytest.raises(InputError, match=r"^metric\.name: .*\bpolarity_accuracy\b.*\bsurprise\b"):
        build_report(
            study,
            RunStore(tmp_path / "runs").states(study.runs(resolve_datasets(study.datasets))),
            tmp_path / "report",
            AblateCommand(),
        )
    arguments = [str(tmp_path / "few.yaml"), "--runs", str(tmp_path / "runs"), "--plan"]
    assert main(arguments) == 2, "and its plan, before anything is spent"


def test_excluded_images_are_counted_by_problem_and_class(image_folder, tmp_path):
    drawn = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (72, 96, 3), np.uint8)).save(drawn, "PNG")
    placeholder = drawn.getvalue()  # like no image of the folder
    for number, label in enumerate(("awe", "awe", "fear", "anger", "sadness", "sadness")):
        (image_folder / label / f"gone-{number}.png").write_bytes(placeholder)
    (image_folder / "fear" / "page.jpg").write_bytes(b"<html>")
    data = tmp_path / "photos"
    write_shards(ClassFolders(image_folder).listing(), Folder(str(data)))
    (tmp_path / "dirty.yaml").write_text(STUDY.format(data=f"{{data: {data}, part: well}}"))
    study = load_study(tmp_path / "dirty.yaml")
    page = build_report(
        study,
        RunStore(tmp_path / "runs").states(study.runs(resolve_datasets(study.datasets))),
        tmp_path / "report",
        AblateCommand(),
    )
    rows = [
        re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in re.findall(r"<tr>(.*?)</tr>", page.read_text(), re.S)
    ]
    classes = ("amusement", "anger", "awe", "contentment", "disgust", "excitement", "fear", "sadness")
    found = {row[0]: dict(zip(("all", *classes), row[1:], strict=True)) for row in rows if len(row) == 10}
    assert {c: n for c, n in found[Problem.PLACEHOLDER].items() if n != "·"} == {
        "all": "6", "anger": "1", "awe": "2", "fear": "1", "sadness": "2",
    }  # fmt: skip
    assert {c: n for c, n in found[Problem.UNDECODABLE].items() if n != "·"} == {"all": "1", "fear": "1"}
    assert "<i>well</i> part" in page.read_text()
    text = (page.parent / "report.md").read_text()
    assert re.search(rf"\b6 [a-z ]*: {Problem.PLACEHOLDER}; 1 [a-z ]*: {Problem.UNDECODABLE}", text)
