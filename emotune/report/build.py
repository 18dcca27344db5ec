"""Writes a study's report: one HTML file with everything inline, and beside it PNGs, ``runs.csv`` and ``report.md``."""

import base64
import io
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from emotune.analysis.metrics import confusion, constant_predictions, scalar_metrics
from emotune.analysis.records import Records, load_records
from emotune.analysis.statistics import Comparison, Summary, Verdict, compare, explore, summarise
from emotune.data.datasets import is_ready, manifest_of
from emotune.data.manifest import SPLITS
from emotune.metric_config import SCALES
from emotune.report import words
from emotune.report.figures import accuracy, classes, contrasts, curves
from emotune.report.style import STYLE, variant_colours
from emotune.run import RunConfig
from emotune.run_directory import State, Status
from emotune.storage import Folder
from emotune.study import Contrast, Study

__all__ = ["build_report"]

PNG_DPI = 200
OURS = re.compile(rf"(contrasts|({'|'.join(SCALES)}|curves|confusion)-.+)\.png")


def build_report(study: Study, runs: Sequence[RunConfig], pool: str, out: Path, command: str) -> Path:
    """Writes the report of what is there, complete or not.

    Args:
        study: The study.
        runs: Its runs.
        pool: Where their directories are.
        out: The report's folder; files of an earlier report are replaced.
        command: That reproduces the study.

    Returns:
        The page.

    Raises:
        InputError: a file of a finished run is missing or damaged, or the metric says nothing about these classes.
    """
    known = [_dataset(run) for run in {run.dataset.name: run for run in runs}.values()]
    for data in known:
        if data["known"]:
            study.metric.require_sense(data["name"], data["classes"])
    records = load_records(runs, pool)
    comparisons = compare(records.runs.to_dict("records"), study.contrasts, _names(runs), study.seeds, study.metric)
    synthetic = {data["name"] for data in known if data["synthetic"]}
    drawn = _draw(study, records, comparisons, _names(runs), synthetic)
    context = {"datasets": known} | _context(study, runs, records, comparisons, command)
    folder = Folder(str(out))
    for stale in {path.name for path in out.glob("*.png") if OURS.fullmatch(path.name)}:
        folder.delete(stale)
    context["figures"] = {}
    for name, figure in drawn.items():
        folder.write(f"{name}.png", _render(figure, "png"))
        data = base64.b64encode(_render(figure, "svg")).decode()
        context["figures"][name] = f"data:image/svg+xml;base64,{data}"
    table = records.runs.copy()
    table.insert(table.columns.get_loc("dirty") + 1, "synthetic", table["dataset"].isin(synthetic))
    folder.write("runs.csv", table.to_csv(index=False).encode())
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("emotune.report"), autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    templates.filters |= {"spread": words.spread, "difference": words.difference}
    folder.write("report.md", templates.get_template("report.md").render(context).encode())
    folder.write("index.html", templates.get_template("report.html").render(context).encode())
    return out / "index.html"


def _names(runs: Sequence[RunConfig]) -> list[str]:
    return list(dict.fromkeys(run.dataset.name for run in runs))


def _draw(
    study: Study,
    records: Records,
    comparisons: Sequence[Comparison],
    datasets: Sequence[str],
    synthetic: set[str],
) -> dict[str, Figure]:
    """The figures by file name; none where no run is finished."""
    done = records.done()
    colours = variant_colours(list(study.variants))
    drawn: dict[str, Figure] = {}
    if any(comparison.summary.n for comparison in comparisons):
        drawn["contrasts"] = contrasts.forest(comparisons, study.metric, {})
    for dataset in datasets:
        mine = done[done["dataset"] == dataset]
        if mine.empty:
            continue
        predictions = {
            variant: [records.predictions[run] for run in mine.loc[mine["variant"] == variant, "run"]]
            for variant in study.variants
            if (mine["variant"] == variant).any()
        }
        title = f"{dataset} (synthetic pictures)" if dataset in synthetic else dataset
        first = next(iter(predictions.values()))[0]
        constant = scalar_metrics(constant_predictions(first))[study.metric.name]
        summaries = _summaries(study, mine)
        by_variant = accuracy.by_seed(title, mine, study.metric, summaries, constant, colours)
        drawn[f"{study.metric.name}-{dataset}"] = by_variant
        epochs = records.curves[records.curves["run"].isin(mine["run"])]
        drawn[f"curves-{dataset}"] = curves.learning_curves(title, epochs, colours)
        counts = {variant: sum(confusion(run) for run in runs) for variant, runs in predictions.items()}
        shares = {variant: 100 * table.div(table.sum(axis=1), axis=0) for variant, table in counts.items()}
        drawn[f"confusion-{dataset}"] = classes.confusions(title, shares, {v: len(r) for v, r in predictions.items()})
    return drawn


def _summaries(study: Study, done: pd.DataFrame) -> dict[str, Summary]:
    return {v: summarise(done.loc[done["variant"] == v, study.metric.name].tolist()) for v in study.variants}


def _context(
    study: Study, runs: Sequence[RunConfig], records: Records, comparisons: Sequence[Comparison], command: str
) -> dict[str, Any]:
    """Everything that the templates say."""
    done, datasets = records.done(), _names(runs)
    declared = {(c.variant, c.reference) for c in study.contrasts}
    others = [
        Contrast(variant, study.baseline)
        for variant in study.variants
        if variant != study.baseline and (variant, study.baseline) not in declared
    ]
    return {
        "study": study,
        "scale": study.metric.scale,
        "metrics": SCALES,
        "answers": [
            {
                "verdict": str(c.verdict or Verdict.UNRESOLVED),
                "contrast": str(c.contrast),
                "text": words.answer(c, study.metric, datasets),
            }
            for c in comparisons
        ],
        "comparisons": comparisons,
        "exploratory": explore(records.runs.to_dict("records"), others, datasets, study.seeds, study.metric),
        "variants": [
            {"dataset": dataset, **row} for dataset in datasets for row in _variant_rows(study, records, dataset)
        ],
        "unfinished": [
            {"run": row["run"], "state": row["state"], "detail": Status(row["state"], row["detail"]).reason}
            for row in records.runs[records.runs["state"] != State.DONE].to_dict("records")
        ],
        "runs": records.runs.to_dict("records"),
        "readings": _readings(records),
        "done": len(done),
        "command": command,
        "origin": _origin(records),
        "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    }


def _readings(records: Records) -> dict[str, int]:
    """How many finished runs read their training pictures in each way."""
    ways = [record.get("reading", "cached") for record in records.records.values()]
    return dict(Counter(way if isinstance(way, str) else " and then ".join(way) for way in ways))


def _dataset(run: RunConfig) -> dict[str, Any]:
    ref = run.dataset
    known = {"name": ref.name, "hash": ref.content_hash, "part": ref.part}
    if not is_ready(ref):
        synthetic = ref.location == "scenes"
        return known | {"known": False, "synthetic": synthetic, "left_out": {}}
    manifest = manifest_of(ref)
    return known | {
        "known": True,
        "synthetic": manifest.synthetic,
        "source": manifest.source,
        "licence": manifest.licence,
        "counts": {split: sum(manifest.count(split, c, ref.part) for c in manifest.classes) for split in SPLITS},
        "classes": manifest.classes,
        "left_out": manifest.left_out,
        "health": manifest.health,
    }


def _variant_rows(study: Study, records: Records, dataset: str) -> list[dict[str, Any]]:
    """Per variant: its metric in every seed and their summary, means of all metrics, parameters, what it cost."""
    done = records.done()
    done = done[done["dataset"] == dataset]
    summaries = _summaries(study, done)
    rows = []
    for variant in study.variants:
        mine = done[done["variant"] == variant].sort_values("seed")
        known = not mine.empty
        values = dict(zip(mine["seed"], mine[study.metric.name], strict=True))
        rows.append(
            {
                "variant": variant,
                "seeds": [(seed, values.get(seed)) for seed in range(study.seeds)],
                "summary": summaries[variant],
                "means": {name: scale.written(mine[name].mean()) for name, scale in SCALES.items()} if known else {},
                "parameters": int(mine["parameters"].iloc[0]) if known else None,
                "gflops": float(mine["forward_flops"].iloc[0]) / 1e9 if known else None,
                "train_s": float(mine["train_s"].mean()) if known else None,
                "images_per_s": float(mine["images_per_s"].mean()) if known else None,
            }
        )
    return rows


def _origin(records: Records) -> dict[str, Any]:
    """Commits, versions and machines of the finished runs; more than one of a kind is worth knowing."""
    found = list(records.records.values())

    def distinct(values: list[str]) -> list[str]:
        return sorted(set(values))

    origins = [origin for record in found for origin in record["origins"]]
    gits = [origin["git"] for origin in origins if origin["git"]]
    return {
        "commits": distinct([f"{git['commit'][:10]}{' (with changes)' if git['dirty'] else ''}" for git in gits]),
        "versions": distinct([", ".join(f"{k} {v}" for k, v in origin["versions"].items()) for origin in origins]),
        "hardware": distinct([_machine(r) for r in found]),
        "interruptions": sum(r["interruptions"] for r in found),
    }


def _machine(record: dict[str, Any]) -> str:
    hardware = record["hardware"]
    device = hardware["gpu"] or f"{hardware['cpus']} × {hardware['machine']} CPU, {hardware['threads']} thread(s)"
    return f"{device}, {record['workers']} worker(s)"


def _render(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    # Without a date and with fixed ids the same numbers give the same file.
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format=kind, dpi=PNG_DPI, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()
