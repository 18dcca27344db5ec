"""The options of `python -m emotune.export`."""

import argparse
from collections.abc import Sequence

from emotune.api.export_study import TOOLS, ExportOptions
from emotune.cli.arguments import CommandLine, path_or_url
from emotune.config.ablate_command import DEFAULT_RUNS

__all__ = ["export_options", "parse"]

EPILOG = """examples:
  python -m emotune.export my.yaml --to mlflow --tracking-uri http://127.0.0.1:5000
  python -m emotune.export my.yaml --to wandb --offline
  python -m emotune.export my.yaml --to trackio
  python -m emotune.export my.yaml --to tensorboard --out events
  python -m emotune.export my.yaml --to hub --repo-id USER/NAME --dry-run

exit codes: 0 all finished runs are exported; 1 the files of a finished run are damaged, or the output cannot
be written; 2 the input is invalid; 75 the tool cannot be reached or is in use, the same command continues;
130 interrupted
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = CommandLine(
        prog="python -m emotune.export", usage="%(prog)s [STUDY] --to TOOL [options]",
        description="Exports the finished runs of a study to another tool, each once: parameters, curves, results and\n"
        "files, and the study itself as their parent. The same command continues an interrupted export, adds the\n"
        "runs that have finished since, and replaces what has changed. Nothing is trained or changed.",
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("study", nargs="?", type=path_or_url, metavar="STUDY",
        help="a study file (.yaml); default: the quickstart that comes with emotune")  # fmt: skip
    add("--to", required=True, choices=TOOLS, help="the tool, which pip install 'emotune[TOOL]' installs; tensorboard "
        "needs nothing")  # fmt: skip
    add(
        "--runs",
        type=path_or_url,
        default=DEFAULT_RUNS,
        metavar="URL",
        help="the folder or URL of all runs (default: runs)",
    )
    add("--report", type=path_or_url, metavar="DIR", help="the folder of the report (default: reports/STUDY)")
    add(
        "--weights",
        action=argparse.BooleanOptionalAction,
        help="export trained weights, too (default: to the hub only)",
    )
    add("--allow-thumbnails", action="store_true",
        help="export report files that show photographs, too, if licence and people depicted permit it")  # fmt: skip
    add("--dry-run", action="store_true",
        help="print what would be sent and stop; the folder for the hub is written, but not uploaded")  # fmt: skip
    add("--out", type=path_or_url, metavar="DIR", help="the folder to write to (default: tensorboard/STUDY, hub/STUDY; "
        "wandb in the working directory; trackio's own store)")  # fmt: skip
    add("--project", metavar="NAME", help="experiment (mlflow) or project (wandb, trackio); default: the study's name")
    of_tools = parser.add_argument_group("options of one tool")
    add = of_tools.add_argument
    add(
        "--tracking-uri",
        metavar="URI",
        help="mlflow: server or store (default: $MLFLOW_TRACKING_URI, or a sqlite file)",
    )
    add("--entity", metavar="NAME", help="wandb: the user or team to whom the project belongs")
    add("--offline", action="store_true", help="wandb: only write runs to disk, from where wandb sync uploads them")
    add("--repo-id", dest="repo", metavar="USER/NAME", help="hub: the repository to upload to (default: no upload)")
    add("--public", action="store_true", help="hub: make a new repository public (default: private)")
    add("--license", dest="licence", metavar="ID", help="hub: the licence of the weights, such as cc-by-4.0")
    of_study = parser.add_argument_group("options that the study was run with")
    add = of_study.add_argument
    add("--seeds", type=int, metavar="N", help="number of seeds per variant; overrides the study")
    add("--aa", action="store_true", help="the A/A control belongs to the study; same as aa: true in it")
    add("--test-on", action="append", type=path_or_url, metavar="DATA", help="another data set of their tests; can be "
        "repeated")  # fmt: skip
    return parser.parse_args(arguments)


def export_options(options: argparse.Namespace) -> ExportOptions:
    """How to export, as the command line says."""
    names = ("project", "out", "tracking_uri", "entity", "offline", "repo", "public", "licence", "weights",
             "allow_thumbnails", "dry_run")  # fmt: skip
    given = {name: getattr(options, name) for name in names}
    return ExportOptions(**given) if options.report is None else ExportOptions(report=options.report, **given)
