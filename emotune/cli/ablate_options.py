"""The options of `python -m emotune.ablate`."""

import argparse
import math
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emotune.cli.arguments import CommandLine, local_path, path_or_url
from emotune.cli.help_text import HelpFormatter, examples, table
from emotune.cli.study_options import STUDY, add_extent, add_report, add_runs
from emotune.config.ablate_command import SUBCOMMANDS, AblateCommand
from emotune.config.load import load_study, shipped_study
from emotune.config.other_data import OtherData
from emotune.config.run import RUN_ID
from emotune.config.study import Study
from emotune.core.errors import InputError
from emotune.core.typed_command import typed_command

__all__ = [
    "QUICKSTART",
    "chosen_study",
    "command_line",
    "override",
    "parse",
    "reproducing_command",
    "subcommands",
    "typed_words",
]

QUICKSTART = "quickstart"
"""The study of a command that names none."""

MINIMA = {"seeds": 1, "workers": 1, "gpus_per_worker": 0, "cache_gb": 0, "stall_minutes": 0, "wait": 0}
"""The smallest value of each numeric option; 1 stands for any positive number."""

COMMANDS = {
    "new [FILE] --data DATA": "write a commented study for your own data",
    "status [STUDY]": "show the progress of all runs, from any machine that reaches them",
    "rerun [STUDY] [RUN …]": "train only failed, diverged or named runs",
    "prune [STUDY …]": "remove runs that no study refers to, after asking",
    "COMMAND --help": "show the options of a command",
}
EXIT_CODES = (
    "exit codes: 0 all runs are done; 1 some failed, diverged, are being trained by another process, or have no value "
    "of the study's own metric; 2 the input is invalid (nothing was trained); 75 the cluster was lost, the same "
    "command continues; 130 interrupted"
)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parses the command line; ``command`` is ``run`` or one of `SUBCOMMANDS`, ``words`` is what was parsed."""
    options = _parse(arguments)
    options.words = tuple(arguments)
    return options


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    commands = subcommands()
    if arguments and arguments[0] in commands:
        parser = commands[arguments[0]]()
        options = parser.parse_intermixed_args(arguments[1:])
        options.command = arguments[0]
        first = options.study if options.command == "rerun" else None
        if first and RUN_ID.fullmatch(first) and "/" not in first:  # it names a run, of the quickstart
            options.study, options.names = None, [first, *options.names]
        return options
    parser = command_line()
    options = parser.parse_args(arguments)
    options.command = "run"
    looks_only = "--plan" if options.plan else "--time-steps" if options.time_steps else ""
    if looks_only and options.report_only:
        parser.error(f"argument {looks_only}: not allowed with argument --report-only")
    return options


def subcommands() -> dict[str, Callable[[], CommandLine]]:
    """The function that makes the parser of each of `SUBCOMMANDS`."""
    return dict(zip(SUBCOMMANDS, (_new, _status, _rerun, _prune), strict=True))


def typed_words(options: argparse.Namespace, without: Collection[str]) -> str:
    """The command that the user typed, without some of its flags."""
    words = shlex.join(word for word in options.words if word not in without)
    return f"{typed_command('ablate')} {words}".rstrip()


def chosen_study(options: argparse.Namespace, file: str | None) -> Study:
    """The study in a file (default: the quickstart) with what the options say instead.

    Raises:
        InputError: the file or an option cannot be used.
    """
    study = load_study(Path(file) if file else shipped_study(QUICKSTART), aa=options.aa)
    return override(study, options)


def override(study: Study, options: argparse.Namespace) -> Study:
    """The study with the seeds, resources and further data sets to test on that the command line gives.

    Raises:
        InputError: an option is out of its range.
    """
    given = {name: value for name, value in vars(options).items() if value is not None}
    for name, minimum in MINIMA.items():
        if name in given and not minimum <= given[name] < math.inf:
            wanted = "a positive number" if minimum else "zero or more"
            raise InputError(f"--{name.replace('_', '-')} {given[name]}: give {wanted}")
    if study.looks and given.get("seeds", study.seeds) != study.seeds:
        raise InputError(
            f"--seeds {given['seeds']}: the study is judged at {', '.join(map(str, study.looks))} seeds; change up_to "
            "and looks in its file, or leave the option out"
        )
    resources = {name: given[name] for name in ("workers", "gpus_per_worker", "cache_gb") if name in given}
    try:
        chosen = replace(study.resources, **resources)
    except ValidationError as error:
        raise InputError("\n".join(f"resources: {item.get('ctx', {})['error']}" for item in error.errors())) from None
    others = tuple(OtherData(data=one) for one in given.get("test_on", ()))
    added = tuple(one for one in others if one not in study.test_on)
    return replace(study, seeds=given.get("seeds", study.seeds), resources=chosen, test_on=(*study.test_on, *added))


def reproducing_command(options: argparse.Namespace, *, model_cards: bool) -> AblateCommand:
    """The command that makes the same report again.

    Args:
        options: The options of the command that makes it now, or of `status`.
        model_cards: Whether the report has model cards, which may have been asked for earlier.
    """
    return AblateCommand(
        options.study,
        options.seeds,
        options.aa,
        model_cards,
        options.runs,
        getattr(options, "report", None),
        tuple(options.test_on or ()),
    )


def _parser(command: str, operands: str, description: str, shown: Mapping[str, str], before: str = "") -> CommandLine:
    """The parser of a command.

    Args:
        command: The command's name; empty for that which trains.
        operands: The operands, as usage shows them.
        description: A sentence on what the command does.
        shown: A remark on each example, by its words after the command's name.
        before: The help between options and examples.
    """
    prog = f"{typed_command('ablate')} {command}".rstrip()
    shown = {f"{prog} {words}".rstrip(): text for words, text in shown.items()}
    return CommandLine(
        prog=prog, description=description, usage=f"%(prog)s {operands} [options]",
        epilog=f"{before}{examples(shown)}", formatter_class=HelpFormatter,
    )  # fmt: skip


def command_line() -> CommandLine:
    """The parser of the command that trains."""
    parser = _parser(
        "",
        "[STUDY]",
        "Trains the missing runs of an ablation study and writes its report. The same command continues an "
        "interrupted study, trains only the new runs of a longer one, and does nothing for a finished one.",
        {
            "": "the quickstart, a few minutes on two cores",
            "new my.yaml --data DATA": "a study of your own shards",
            "my.yaml --plan": "what is missing, why, and how long it takes",
            "my.yaml": "train what is missing, write reports/my",
            "my.yaml --seeds 10": "train only the seeds that are new",
            "status my.yaml": "how far it is, from any machine",
        },
        before=f"commands:\n{table(COMMANDS)}\n\n{EXIT_CODES}\n\n",
    )
    what = _what(parser, STUDY)
    what.add_argument("--plan", action="store_true",
                      help="print the missing runs, why, and the expected time, and stop; changes nothing")  # fmt: skip
    what.add_argument("--time-steps", action="store_true",
                      help="print the plan; time 20 steps of each variant that was never timed")  # fmt: skip
    _where(parser)
    _how_to_run(parser)
    report = _report(parser)
    report.add_argument("--report-only", action="store_true", help="write the report of the finished runs and stop")
    return parser


def _what(parser: argparse.ArgumentParser, *operands: Mapping[str, Any]) -> argparse._ArgumentGroup:
    """The group of arguments that say what is trained and tested, of which operands are the first."""
    what = parser.add_argument_group("what to run")
    for operand in operands:
        what.add_argument(**operand)
    add_extent(
        what.add_argument,
        "also run an A/A control, the baseline with other initial weights and dropout masks, to measure the noise "
        "floor",
        "also test the finished runs on another data set",
    )
    return what


def _where(parser: argparse.ArgumentParser) -> None:
    add_runs(parser.add_argument_group("where").add_argument)


def _how_to_run(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("how to run")
    how.add_argument("--executor", choices=["ray", "local"], default="ray",
                     help="ray: as many runs at once as fit; local: one after another, without Ray")  # fmt: skip
    how.add_argument("--workers", type=int, metavar="N", help="number of workers per run; overrides the study")
    how.add_argument("--gpus-per-worker", type=float, metavar="G",
                     help="number of GPUs per worker; overrides the study")  # fmt: skip
    how.add_argument("--cache-gb", type=float, metavar="GB",
                     help="disk space for decoded images on each machine; overrides the study")  # fmt: skip
    how.add_argument("--stall-minutes", type=float, default=15.0, metavar="MIN",
                     help="minutes without progress after which a run is restarted (default: 15)")  # fmt: skip
    how.add_argument("--wait", type=float, default=10.0, metavar="MIN",
                     help="minutes to wait for the resources that a run needs (default: 10)")  # fmt: skip


def _report(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    report = parser.add_argument_group("report")
    add_report(report.add_argument)
    report.add_argument("--model-cards", action=argparse.BooleanOptionalAction,
                        help="also write a model card for each variant, cards/VARIANT.md, now and whenever the report "
                        "is written again; --no-model-cards removes them")  # fmt: skip
    report.add_argument("--tensorboard", type=path_or_url, metavar="DIR",
                        help="also write TensorBoard event files, a folder for each run")  # fmt: skip
    return report


def _new() -> CommandLine:
    parser = _parser(
        "new",
        "[FILE] --data DATA",
        "Writes a commented study for a data set, and prints its plan. It runs as it is, and is meant to be edited: "
        "epochs, metric, variants and contrasts suit the number of images, and what they are labelled with. A file "
        "that exists is replaced only after asking.",
        {
            "--data DATA": "a file named after the data set",
            "my.yaml --data s3://lab/photos": "a file of your choice, shards behind a URL",
        },
    )
    what = parser.add_argument_group("what to write")
    what.add_argument("file", nargs="?", type=local_path, metavar="FILE", help="the file (default: NAME_OF_DATA.yaml)")
    what.add_argument("--data", required=True, type=path_or_url, metavar="DATA",
                      help="the folder or URL of the shards, as `shard` has written them")  # fmt: skip
    what.add_argument("--yes", action="store_true", help="replace an existing file without asking")
    _where(parser)
    return parser


def _status() -> CommandLine:
    parser = _parser(
        "status",
        "[STUDY]",
        "Shows the progress of a study's runs, the process that trains each one, and the reasons of failures. "
        "It only reads files, so it can be used at any time, from any machine that reaches the runs.",
        {
            "my.yaml": "the runs of a study",
            "my --runs s3://lab/runs": "of a study that somebody else has begun, by its name",
            "my.yaml --json": "for a program",
        },
    )
    registered = "a study file, or the name of a registered study; default: the quickstart"
    _what(parser, {**STUDY, "help": registered})
    _where(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _rerun() -> CommandLine:
    parser = _parser(
        "rerun",
        "[STUDY] [RUN …]",
        "Trains only the given runs. Failed runs continue from their checkpoint. Diverged and finished runs start "
        "again, and their files are removed after asking.",
        {
            "my.yaml --failed": "only those that failed",
            "my.yaml tanh-photos-s0-1a2b3c4d": "one of them from its beginning, after asking",
        },
    )
    named = {"dest": "names", "nargs": "*", "metavar": "RUN", "help": "names of runs, as printed by status"}
    what = _what(parser, STUDY, named)
    what.add_argument("--failed", action="store_true", help="all failed runs")
    what.add_argument("--diverged", action="store_true", help="all diverged runs")
    what.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    _where(parser)
    _how_to_run(parser)
    _report(parser)
    return parser


def _prune() -> CommandLine:
    parser = _parser(
        "prune",
        "[STUDY …]",
        "Lists the studies of all users that were run here, and the runs that none of them refers to, with size and "
        "age, and removes these runs after asking. If study files are given, earlier versions of them that the same "
        "user ran on the same machine are forgotten. Runs and studies in use are never touched.",
        {
            "my.yaml": "forget earlier versions of a study, and remove the runs that only they had",
            "--forget my-1a2b3c4d": "forget a study, named as in the list",
        },
    )
    what = _what(parser, {**STUDY, "dest": "studies", "nargs": "*", "help": "study files in their current version"})
    what.add_argument("--forget", action="append", default=[], metavar="NAME",
                      help="forget a study, named as in the list (my-1a2b3c4d); can be repeated")  # fmt: skip
    what.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    _where(parser)
    return parser
