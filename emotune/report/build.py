"""Writes a study's report: one HTML page with everything inline, and beside it figures and tables as files.

A pure function of the run directories: the same runs give the same bytes, but for the one date that is stated.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from emotune.analysis.architecture import read_architectures
from emotune.analysis.seeds import Summary
from emotune.config.ablate_command import AblateCommand
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.study import Study
from emotune.core.errors import InputError
from emotune.report import latex, phrasing
from emotune.report.context import dataset_context, page_context, sections
from emotune.report.example_images import attention_examples, disagreeing_images
from emotune.report.figures.index import draw_figures
from emotune.report.figures.svg import inline, svg_of
from emotune.report.freshness import ReportWriter, claim_folder
from emotune.report.model_cards import model_card_contexts
from emotune.report.results import StudyResults, compute_results

__all__ = ["build_report"]

PNG_DPI = 200


def build_report(study: Study, runs: Sequence[RunConfig], pool: str, out: Path, command: AblateCommand) -> Path:
    """Writes the report of what is there, complete or not.

    Args:
        study: The study.
        runs: Its runs.
        pool: Where their directories are.
        out: The report's folder; files of an earlier report are replaced, or removed; others are left alone.
        command: That reproduces the study; if it asks for cards, ``cards/<variant>.md`` is written, too.

    Returns:
        The page.

    Raises:
        InputError: the runs cannot be read, the metric says nothing about these classes, or the folder has another
            study's report.
        OSError: the report cannot be written.
    """
    refs = {run.dataset.name: run.dataset for run in runs}
    datasets = [dataset_context(ref) for ref in refs.values()]
    for data in datasets:
        if data["known"]:
            study.metric.check_classes(data["name"], data["classes"])
    try:
        results = compute_results(study, runs, pool)
        networks = read_architectures(pool, study, runs)
        context = page_context(results, datasets, networks, pool, command) | {
            "flips": disagreeing_images(results, refs)
        }
    except OSError as error:  # of writing, it would be taken for a full disk
        raise InputError(
            f"{error.filename or pool}: cannot be read for the report ({error.strerror or error}); the runs are as "
            "they were: see to it that this can be read, and give the same command with --report-only"
        ) from error
    claim_folder(out, study)
    with ReportWriter(out, study, cards=command.model_cards) as files:
        context["figures"] = _draw(results, datasets, refs, files)
        context["sections"] = sections(context, context["figures"])
        _write_tables(results, datasets, files)
        environment = _environment(study)
        for template, name in (("table.tex", "table.tex"), ("report.md", "report.md"), ("report.html", "index.html")):
            files.write(name, environment.get_template(template).render(context).encode())
        for variant, card in model_card_contexts(results, context).items() if command.model_cards else ():
            files.write(f"cards/{variant}.md", environment.get_template("card.md").render(card).encode())
    return out / "index.html"


def _draw(
    results: StudyResults, datasets: Sequence[Mapping[str, Any]], refs: Mapping[str, DatasetRef], files: ReportWriter
) -> dict[str, dict[str, str]]:
    """Writes every figure as SVG and PNG; returns those of the page, by name: ``svg``, ``caption``."""
    titles = {d["name"]: f"{d['name']} (synthetic images)" if d["synthetic"] else d["name"] for d in datasets}
    drawn = {}
    for each in draw_figures(results, titles, attention_examples(results, refs)):
        svg = svg_of(each.figure)
        files.write(f"{each.name}.svg", svg.encode())
        files.write(f"{each.name}.png", _png(each.figure))
        drawn[each.name] = {"svg": Markup(inline(svg, each.name, each.alt)), "caption": each.caption}
    return drawn


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.set_layout_engine("none")  # where all is has been found for the SVG
    figure.savefig(buffer, format="png", dpi=PNG_DPI)
    return buffer.getvalue()


def _write_tables(results: StudyResults, datasets: Sequence[Mapping[str, Any]], files: ReportWriter) -> None:
    """The table of all runs, as CSV and Parquet."""
    table = results.records.runs.copy()
    synthetic = {data["name"] for data in datasets if data["synthetic"]}
    table.insert(table.columns.get_loc("dirty") + 1, "synthetic", table["dataset"].isin(synthetic))
    files.write("runs.csv", table.to_csv(index=False).encode())
    buffer = io.BytesIO()
    table.convert_dtypes().to_parquet(buffer, index=False)
    files.write("runs.parquet", buffer.getvalue())


def _environment(study: Study) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("emotune.report"), autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    metric, scale = study.metric, study.metric.scale
    environment.filters |= {
        "spread": lambda summary: phrasing.mean_and_interval(summary, scale),
        "spread_in": phrasing.mean_and_interval,
        "md": phrasing.escape_markdown,
        "difference": lambda summary: phrasing.difference_sentence(summary, metric),
        "interval": lambda summary: phrasing.interval(summary, metric),
        "p": lambda p: "–" if p is None else phrasing.p_value(p).removeprefix("= "),
        "range": lambda o, low="low", high="high": phrasing.interval(
            Summary(0, o.mean, None, getattr(o, low), getattr(o, high)), metric
        ),
        "written": lambda value: "–" if value is None or pd.isna(value) else scale.format(value),
        "signed": lambda value: "–" if value is None or pd.isna(value) else metric.format_signed(value),
        "digits": lambda value, form="%.2f": "–" if value is None or pd.isna(value) else form % value,
        "amount": lambda value: f"{value:,.0f}" if value >= 100 else f"{value:.3g}",
        "tex": latex.escape,
        "texnumber": latex.number,
    }
    return environment
