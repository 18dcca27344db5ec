"""The options of `python -m emotune.export`."""

import argparse
from collections.abc import Sequence

from emotune.api.export_study import TOOLS, ExportOptions
from emotune.cli.arguments import CommandLine, path_or_url
from emotune.cli.help_text import HelpFormatter, examples, table
from emotune.cli.study_options import STUDY, add_extent, add_report, add_runs
from emotune.core.typed_command import typed_command

__all__ = ["command_line", "export_options", "parse"]

CODES = {
    "0": "all finished runs are exported",
    "1": "the files of a finished run are damaged, or the output cannot be written",
    "2": "the input is invalid; nothing was exported",
    "75": "the tool cannot be reached or is in use; the same command continues",
    "130": "interrupted; the same command continues",
}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    return command_line().parse_args(arguments)


def command_line() -> CommandLine:
    """The parser of the command."""
    prog = typed_command("export")
    shown = {
        f"{prog} my.yaml --to mlflow": "runs below a parent run, in mlflow.db or where $MLFLOW_TRACKING_URI says",
        f"{prog} my.yaml --to wandb --offline": "runs on disk, which wandb sync uploads",
        f"{prog} my.yaml --to tensorboard": "curves and hyperparameters, for tensorboard --logdir",
        f"{prog} my.yaml --to hub --dry-run": "the folder of a model repository, with its card",
    }
    codes = f"exit codes:\n{table(CODES)}"
    parser = CommandLine(
        prog=prog, usage="%(prog)s [STUDY] --to TOOL [options]", formatter_class=HelpFormatter,
        description="Exports the finished runs of a study to another tool, each once: parameters, curves, results and "
        "files, and the study as their parent. The same command continues an interrupted export, adds runs that have "
        "finished since, and replaces what has changed. It trains nothing and changes no run.",
        epilog=f"{examples(shown)}\n\n{codes}",
    )  # fmt: skip
    _what(parser)
    add = parser.add_argument_group("where").add_argument
    add_runs(add)
    add_report(add)
    add("--out", type=path_or_url, metavar="DIR",
        help="the folder to write to (default: tensorboard/STUDY and hub/STUDY; the working directory for wandb; "
        "trackio's own store)")  # fmt: skip
    add("--project", metavar="NAME",
        help="the experiment of mlflow, or the project of wandb or trackio (default: the study's name)")  # fmt: skip
    _of_one_tool(parser)
    return parser


def _what(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("what to export").add_argument
    add(**STUDY)
    add("--to", required=True, choices=TOOLS, help="the tool; pip install 'emotune[TOOL]' installs what it needs")
    add("--dry-run", action="store_true",
        help="print what would be exported and stop; the folder for the hub is written, but not uploaded")  # fmt: skip
    add("--weights", action=argparse.BooleanOptionalAction, help="with trained weights (default: to the hub only)")
    add("--allow-thumbnails", action="store_true",
        help="with report files that show photographs, if their licence and the people depicted permit it")  # fmt: skip
    add_extent(add, "with the runs of the A/A control", "with the tests on another data set")


def _of_one_tool(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("options of one tool").add_argument
    add("--tracking-uri", metavar="URI", help="mlflow: the server or store (default: MLflow's own)")
    add("--entity", metavar="NAME", help="wandb: the user or team to whom the project belongs")
    add("--offline", action="store_true", help="wandb: only write the runs to disk")
    add("--repo-id", dest="repo", metavar="USER/NAME", help="hub: the repository to upload to (default: no upload)")
    add("--public", action="store_true", help="hub: a repository that is made is public (default: private)")
    add("--license", dest="licence", metavar="ID", help="hub: the licence of the weights, such as cc-by-4.0")


def export_options(options: argparse.Namespace) -> ExportOptions:
    """How to export, as the command line says."""
    names = ("project", "out", "tracking_uri", "entity", "offline", "repo", "public", "licence", "weights",
             "allow_thumbnails", "dry_run")  # fmt: skip
    given = {name: getattr(options, name) for name in names}
    return ExportOptions(**given) if options.report is None else ExportOptions(report=options.report, **given)
