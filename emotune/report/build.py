"""Builds a study's report: one self-contained HTML page, with Markdown, LaTeX, figures and tables as files beside it.

The report is a pure function of the run directories: the same runs give the same bytes, apart from the date.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from emotune.analysis.architecture import read_architectures
from emotune.analysis.feature_importance import feature_importance
from emotune.analysis.tuning import TuningStage
from emotune.config.ablate_command import AblateCommand
from emotune.config.other_data import TransferTest
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.study import Study
from emotune.core.errors import InputError
from emotune.core.sample_noun import speaking_of
from emotune.report import latex, phrasing
from emotune.report.context import page_context, sections
from emotune.report.contrast_table import CONTRASTS_FILE, contrast_table
from emotune.report.dataset_info import DatasetInfo, dataset_info
from emotune.report.example_images import attention_examples, disagreeing_images
from emotune.report.figures.index import draw_figures
from emotune.report.figures.svg import PIXELS_PER_INCH, inline, svg_of
from emotune.report.freshness import ReportWriter, claim_folder
from emotune.report.importance import IMPORTANCE_FILE, importance_file
from emotune.report.model_cards import model_card_contexts
from emotune.report.results import StudyResults, compute_results
from emotune.report.template_words import TemplateWords
from emotune.report.transfer_report import TRANSFER_CONTRASTS_FILE, TRANSFER_FILE, transfer_contrast_table
from emotune.report.worst_images import worst_of_variants
from emotune.runs.directory import code_file
from emotune.runs.store import RunStates

__all__ = ["build_report"]


def build_report(
    study: Study, states: RunStates, out: Path, command: AblateCommand, tests: Sequence[TransferTest] = (),
    *, is_growing: bool = False, tuning: TuningStage | None = None,
) -> Path:  # fmt: skip
    """Writes the report of a study, complete or not.

    Args:
        study: The study.
        states: Its runs, and what their store has of them.
        out: The folder of the report. Files of an earlier report are replaced or removed, all others are left alone.
        command: The command that reproduces the study; if it asks for model cards, ``cards/<variant>.md`` are written.
        tests: The tests of its runs on other data sets.
        is_growing: Whether the study is being trained and the report will be written again: its page says so, and
            reloads itself.
        tuning: The tuning that chose the options of the runs; None if the study tunes nothing.

    Returns:
        The path of the page.

    Raises:
        InputError: the runs cannot be read, the metric is not defined for the classes, or the folder has the report of
            another study.
        OSError: the report cannot be written.
    """
    with speaking_of({run.dataset.frames for run in states.runs}):
        return _build(study, states, out, command, tests, is_growing=is_growing, tuning=tuning)


def _build(
    study: Study, states: RunStates, out: Path, command: AblateCommand, tests: Sequence[TransferTest],
    *, is_growing: bool, tuning: TuningStage | None,
) -> Path:  # fmt: skip
    """Writes the report in the noun of the data's samples; arguments and errors are those of `build_report`."""
    refs = {run.dataset.name: run.dataset for run in states.runs}
    datasets = [dataset_info(ref) for ref in refs.values()]
    for data in datasets:
        if data.manifest and not data.dimensions:
            study.metric.check_classes(data.name, data.classes)
    try:
        results = compute_results(study, states, tests, tuning)
        networks = read_architectures(states.store, study, states.runs)
        images = disagreeing_images(results, refs), worst_of_variants(results, refs)
        context = page_context(results, datasets, networks, *images, command)
    except OSError as error:  # otherwise it would be reported as an error of writing, a full disk for example
        raise InputError(
            f"{error.filename or states.store}: cannot be read for the report ({error.strerror or error}); the runs "
            "are unchanged: make it readable, then run the same command with --report-only"
        ) from error
    claim_folder(out, study)
    with ReportWriter(out, study, cards=command.model_cards) as files:
        context |= {"is_growing": is_growing, "own_code": _own_code(states.runs), "store": states.store}
        context["figures"] = _draw(results, datasets, refs, files)
        context["sections"] = sections(context, context["figures"])
        _write_tables(results, datasets, files)
        environment = _environment(study)
        for template, name in (("table.tex", "table.tex"), ("report.md", "report.md"), ("report.html", "index.html")):
            files.write(name, environment.get_template(template).render(context).encode())
        for variant, card in model_card_contexts(results, context).items() if command.model_cards else ():
            files.write(f"cards/{variant}.md", environment.get_template("card.md").render(card).encode())
    return out / "index.html"


def _own_code(runs: Iterable[RunConfig]) -> dict[str, str]:
    """The user's code that runs execute, as ``FILE:NAME``, and the file of a run's directory that keeps its text."""
    return {code.code: code_file(name) for run in runs for name, code in run.user_code.items()}


def _draw(
    results: StudyResults, datasets: Sequence[DatasetInfo], refs: Mapping[str, DatasetRef], files: ReportWriter
) -> dict[str, dict[str, str]]:
    """Writes every figure as SVG and PNG; gives ``svg``, ``narrow`` and ``caption`` by the names of figures."""
    titles = {d.name: f"{d.name} (synthetic images)" if d.synthetic else d.name for d in datasets}
    page_figures: dict[str, dict[str, str]] = {}
    for entry in draw_figures(results, titles, attention_examples(results, refs)):
        svg = svg_of(entry.figure)
        files.write(f"{entry.name}.svg", svg.encode())
        files.write(f"{entry.name}.png", _png(entry.figure))
        narrow = ""
        if entry.narrow:
            narrow = inline(svg_of(entry.narrow), f"{entry.name}-narrow", entry.alt, narrow=True)
        page_figures[entry.name] = {
            "svg": Markup(inline(svg, entry.name, entry.alt)), "narrow": Markup(narrow), "caption": entry.caption
        }  # fmt: skip
    return page_figures


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.set_layout_engine("none")  # the layout was computed for the SVG
    figure.savefig(buffer, format="png", dpi=PIXELS_PER_INCH)
    return buffer.getvalue()


def _write_tables(results: StudyResults, datasets: Sequence[DatasetInfo], files: ReportWriter) -> None:
    """Writes the table of all runs as CSV and Parquet; as CSV, that of the declared contrasts and of features."""
    table = results.records.runs.copy()
    synthetic = {data.name for data in datasets if data.synthetic}
    table.insert(table.columns.tolist().index("dirty") + 1, "synthetic", table["dataset"].isin(synthetic))
    files.write("runs.csv", table.to_csv(index=False).encode())
    buffer = io.BytesIO()
    table.convert_dtypes().to_parquet(buffer, index=False)
    files.write("runs.parquet", buffer.getvalue())
    if results.transfer:
        files.write(TRANSFER_FILE, results.transfer.runs.to_csv(index=False).encode())
        files.write(TRANSFER_CONTRASTS_FILE, transfer_contrast_table(results.transfer).to_csv(index=False).encode())
    if results.other_analyses:
        files.write(CONTRASTS_FILE, contrast_table(results.other_analyses).to_csv(index=False).encode())
    if features := feature_importance(results.records, list(results.study.variants), results.datasets):
        files.write(IMPORTANCE_FILE, importance_file(features).to_csv(index=False).encode())


def _environment(study: Study) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("emotune.report"), autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, extensions=[TemplateWords],
    )  # fmt: skip
    environment.filters |= {
        "mean_and_interval": phrasing.mean_and_interval,
        "metric": study.metric.scale.format,
        "md": phrasing.escape_markdown,
        "tex": latex.escape,
        "tex_numbers": latex.escape_with_numbers,
    }
    return environment
