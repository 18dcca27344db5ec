"""Export a study's finished runs to other tools, as `python -m emotune.export` does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from rich.console import Console

from emotune.config.ablate_command import DEFAULT_RUNS
from emotune.config.study import Study
from emotune.core.errors import InputError

if TYPE_CHECKING:
    from emotune.exporters.content import StudyContent
    from emotune.exporters.destination import Destination
    from emotune.exporters.files import ExportedFile

__all__ = ["TOOLS", "ExportOptions", "ExportOutcome", "Tool", "export_study"]

Tool = Literal["mlflow", "wandb", "trackio", "tensorboard", "hub"]
TOOLS: tuple[Tool, ...] = get_args(Tool)


@dataclass(frozen=True)
class ExportOptions:
    """How a study is exported. What a tool has no use for is refused.

    Attributes:
        report: The folder of the report, whose files are exported; ``{name}`` stands for the study's name.
        project: The name of MLflow's experiment, or of the project of W&B or trackio. Default: the study's name.
        out: The folder to write to: event files (default: ``tensorboard/{name}``), the folder for the hub (default:
            ``hub/{name}``), W&B's runs (default: the working directory, in ``wandb``), or trackio's store (default:
            trackio's own).
        tracking_uri: The address of MLflow's server or store. Default: MLflow's own, ``$MLFLOW_TRACKING_URI``.
        entity: The user or team of W&B to whom the project belongs.
        offline: Whether runs for W&B are only written to disk, from where ``wandb sync`` uploads them.
        repo: The repository on the hub, ``user/name``, to which the folder is uploaded. Default: no upload.
        public: Whether a repository that is made on the hub is public.
        licence: The licence of the weights for the hub, as ``cc-by-4.0``. Default: that of emotune for synthetic
            images; for others *other*, as the licence of the images may bind.
        weights: Whether trained weights are exported. Default: to the hub only.
        allow_thumbnails: Whether report files that show photographs are exported.
        dry_run: Whether to say only what would be exported. The folder for the hub is written, but not uploaded.
    """

    report: str = "reports/{name}"
    project: str | None = None
    out: str | None = None
    tracking_uri: str | None = None
    entity: str | None = None
    offline: bool = False
    repo: str | None = None
    public: bool = False
    licence: str | None = None
    weights: bool | None = None
    allow_thumbnails: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class ExportOutcome:
    """The outcome of `export_study`: run ids by what happened to them, and lines to read.

    Attributes:
        written: The runs that were new, or whose record, results or files had changed.
        unchanged: The runs that were there already.
        left_out: A line for each state of runs that are not exported, because they are not finished or damaged.
        notes: Lines on files that were left out, and on what is to be done next.
        damaged: The number of finished runs whose files are damaged.
    """

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    damaged: int = 0


def export_study(
    study: Study | str | Path,
    to: Tool,
    runs: str | Path = DEFAULT_RUNS,
    options: ExportOptions | None = None,
    console: Console | None = None,
) -> ExportOutcome:
    """Exports a study's finished runs, each with parameters, curves, results and files, and the study itself.

    The same call continues an interrupted export, writes nothing twice, and replaces what has changed since.

    Args:
        study: A study, or the path of its file.
        to: The tool.
        runs: The folder or URL in which the runs have their directories.
        options: How to export it.
        console: Where progress is shown. Default: standard output.

    Raises:
        InputError: the study, its runs or an option cannot be used, or the tool's package is not installed.
        UnavailableError: the tool cannot be reached or is in use; runs are as they were, the same call continues.
    """
    from emotune.core.text import listed
    from emotune.runs.directory import State

    options, console = options or ExportOptions(), console or Console()
    _check(to, options)
    content, notes = _content(study, to, runs, options)
    damaged = sum(one.state is State.DAMAGED for one in content.left_out)
    left_out = tuple(content.left_out_lines())
    if not content.runs:
        raise InputError(
            f"{content.name}: no run has finished in {runs}, so there is nothing to export"
            f"{': ' + listed(left_out) if left_out else ''}; run the study first"
        )
    if options.dry_run and to != "hub":
        notes += _planned(content, to)
        return ExportOutcome((), (), left_out, tuple(notes), damaged)
    written, unchanged = list[str](), list[str]()
    with _destination(content, to, options) as destination:
        there = destination.fingerprints()
        for run in content.runs:
            if there.get(run.id) == run.fingerprint:
                unchanged.append(run.id)
                continue
            note = destination.write_run(run)
            written += [] if note else [run.id]
            notes += [note] if note else []
            verb = "left" if note else "updated" if run.id in there else "exported"
            console.print(f"{verb} {run.name}", highlight=False, markup=False, soft_wrap=True)
        notes += destination.write_study(content)
    return ExportOutcome(tuple(written), tuple(unchanged), left_out, tuple(notes), damaged)


def _content(
    study: Study | str | Path, to: Tool, runs: str | Path, options: ExportOptions
) -> tuple["StudyContent", list[str]]:
    """The content of an export, and notes on the rest."""
    from emotune.api.tuning_stage import require_choices
    from emotune.execution.plan.resolved_study import resolve_study
    from emotune.exporters.content import gather
    from emotune.exporters.files import study_files
    from emotune.report.contrast_table import contrast_table
    from emotune.report.dataset_info import dataset_info
    from emotune.report.results import compute_results

    resolved = resolve_study(study, runs)
    require_choices(resolved)
    plan = resolved.plan()
    results = compute_results(resolved.study, plan, resolved.tests, resolved.tuning)
    contrasts = contrast_table(results.other_analyses).to_csv(index=False).encode() if results.other_analyses else b""
    report = Path(options.report.replace("{name}", resolved.study.name))
    datasets = [dataset_info(ref) for ref in {run.dataset.name: run.dataset for run in plan.runs}.values()]
    if to == "tensorboard":
        return gather(resolved, results, (), weights=False), []  # there is no place for files
    found = study_files(resolved.study, report, datasets, contrasts, allow_thumbnails=options.allow_thumbnails)
    weights = to == "hub" if options.weights is None else options.weights
    return gather(resolved, results, found.files, weights=weights), list(found.notes)


def _destination(content: "StudyContent", to: Tool, options: ExportOptions) -> "Destination":
    name, project = content.name, options.project or content.name
    match to:
        case "mlflow":
            from emotune.exporters.to_mlflow import MlflowDestination

            return MlflowDestination(name, project, options.tracking_uri)
        case "tensorboard":
            from emotune.exporters.to_tensorboard import TensorBoardDestination

            return TensorBoardDestination(options.out or f"tensorboard/{name}")
        case "wandb":
            from emotune.exporters.to_wandb import WandbDestination

            return WandbDestination(name, project, options.entity, options.out or ".", offline=options.offline)
        case "trackio":
            from emotune.exporters.to_trackio import TrackioDestination

            return TrackioDestination(name, project, options.out)
        case "hub":
            from emotune.exporters.to_hub import HubDestination

            return HubDestination(
                name, options.out or f"hub/{name}", options.repo, options.licence,
                public=options.public, upload=not options.dry_run,
            )  # fmt: skip


USED_BY: dict[str, tuple[Tool, ...]] = {
    "project": ("mlflow", "wandb", "trackio"),
    "out": ("wandb", "trackio", "tensorboard", "hub"),
    "tracking_uri": ("mlflow",),
    "entity": ("wandb",),
    "offline": ("wandb",),
    "repo": ("hub",),
    "public": ("hub",),
    "licence": ("hub",),
}
"""The tools that have a use for an option; others are for all."""


def _check(to: Tool, options: ExportOptions) -> None:
    if to not in TOOLS:
        raise InputError(f"--to {to}: is not one of {', '.join(TOOLS)}")
    if "://" in options.report:
        raise InputError(f"--report {options.report}: is a URL; copy the report to a folder and name that")
    defaults = ExportOptions()
    for name, tools in USED_BY.items():
        if to not in tools and getattr(options, name) != getattr(defaults, name):
            option = {"repo": "repo-id", "licence": "license"}.get(name, name.replace("_", "-"))
            raise InputError(f"--{option}: has no effect with --to {to}, only with {' or '.join(tools)}; leave it out")


def _planned(content: "StudyContent", to: Tool) -> list[str]:
    """Lines on what would be exported."""
    lines = [f"would export {len(content.runs)} runs of {content.name} to {to}:"]
    for run in content.runs:
        parts = (f"{len(run.parameters)} parameters", f"{len(run.curves)} epochs", f"{len(run.metrics)} results")
        lines.append(f"  {run.name}: {', '.join(parts)}, {_files(run.files)}")
    lines.append(f"  {content.name}: {len(content.metrics)} results, {_files(content.files)}")
    return lines


def _files(files: "Sequence[ExportedFile]") -> str:
    return ", ".join(f"{file.name} ({file.size:,} bytes)" for file in files)
