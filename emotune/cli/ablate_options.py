"""The options of `python -m emotune.ablate`."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace

from pydantic import ValidationError

from emotune.cli.arguments import CommandLine, path_or_url
from emotune.config.ablate_command import DEFAULT_RUNS, PROGRAM, SUBCOMMANDS, AblateCommand
from emotune.config.run import RUN_ID
from emotune.config.study import Study
from emotune.core.errors import InputError

__all__ = ["override", "parse", "reproducing_command"]

MINIMA = {"seeds": 1, "workers": 1, "gpus_per_worker": 0, "cache_gb": 0, "stall_minutes": 0, "wait": 0}
"""The smallest value of each numeric option; 1 stands for any positive number."""

MORE = """commands:
  status [STUDY]           what is going on in its runs, from any terminal or machine that reaches the pool
  rerun [STUDY] [RUN …]    take up failed, diverged or named runs, and no others
  prune [STUDY …]          remove runs that no study refers to; asks first
  COMMAND --help           says more

exit codes: 0 all runs are done; 1 some failed, diverged or are in other hands; 2 the input cannot be used
(nothing was spent); 75 the cluster was lost, the same command goes on; 130 interrupted
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, with ``command``: ``run``, ``status``, ``rerun`` or ``prune``."""
    commands = dict(zip(SUBCOMMANDS, (_status, _rerun, _prune), strict=True))
    if arguments and arguments[0] in commands:
        parser = commands[arguments[0]]()
        options = parser.parse_intermixed_args(arguments[1:])
        options.command = arguments[0]
        first = options.study if options.command == "rerun" else None
        if first and RUN_ID.fullmatch(first) and "/" not in first:  # a run's name; the study is the quickstart
            options.study, options.names = None, [first, *options.names]
        return options
    parser = _run()
    options = parser.parse_args(arguments)
    options.command = "run"
    if options.time_steps and options.report_only:
        parser.error("argument --time-steps: not allowed with argument --report-only")
    return options


def override(study: Study, options: argparse.Namespace) -> Study:
    """The study with the seeds and resources that the command line gives instead of the study's.

    Raises:
        InputError: an option is out of its range.
    """
    given = {name: value for name, value in vars(options).items() if value is not None}
    for name, minimum in MINIMA.items():
        if name in given and not minimum <= given[name] < math.inf:
            wanted = "a positive number" if minimum else "zero or more"
            raise InputError(f"--{name.replace('_', '-')} {given[name]}: give {wanted}")
    resources = {name: given[name] for name in ("workers", "gpus_per_worker", "cache_gb") if name in given}
    try:
        chosen = replace(study.resources, **resources)
    except ValidationError as error:
        raise InputError("\n".join(f"resources: {item.get('ctx', {})['error']}" for item in error.errors())) from None
    return replace(study, seeds=given.get("seeds", study.seeds), resources=chosen)


def reproducing_command(options: argparse.Namespace, *, model_cards: bool) -> AblateCommand:
    """The command that makes the same report again.

    Args:
        options: The options of the command that makes it now.
        model_cards: Whether the report has model cards, which may have been asked for earlier.
    """
    return AblateCommand(options.study, options.seeds, options.aa, model_cards, options.runs, options.report)


def _parser(command: str, operands: str, description: str, **more: str) -> argparse.ArgumentParser:
    parser = CommandLine(
        prog=f"{PROGRAM} {command}".rstrip(), description=description, usage=f"%(prog)s {operands} [options]",
        formatter_class=argparse.RawDescriptionHelpFormatter, **more,
    )  # fmt: skip
    parser.add_argument("--runs", type=path_or_url, default=DEFAULT_RUNS, metavar="URL",
                        help="the pool of runs: a folder or URL (default: runs)")  # fmt: skip
    parser.add_argument("--aa", action="store_true",
                        help="also the baseline under other initial weights and dropout masks: how much nothing makes "
                        "differ; as aa: true in the study")  # fmt: skip
    return parser


def _run() -> argparse.ArgumentParser:
    parser = _parser(
        "",
        "[STUDY]",
        "Runs what is missing of an ablation study and writes its report. The same command continues an\n"
        "interrupted study, runs only the new part of a longer one, and leaves a finished one as it is.",
        epilog=MORE,
    )
    parser.add_argument("study", nargs="?", type=path_or_url,
                        help="a study file (.yaml); default: the quickstart that comes with emotune")  # fmt: skip
    _how_to_run(parser)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--plan", action="store_true",
                      help="print what is to do, why, and how long it takes, and stop; changes nothing")  # fmt: skip
    only.add_argument("--report-only", action="store_true", help="write the report of what is there and stop")
    parser.add_argument("--time-steps", action="store_true",
                        help="the plan, with the time of variants never timed from 20 steps of each")  # fmt: skip
    return parser


def _how_to_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--report", type=path_or_url, metavar="DIR", help="where the report goes (default: reports/STUDY)"
    )
    parser.add_argument("--model-cards", action=argparse.BooleanOptionalAction,
                        help="also write a model card per variant, cards/VARIANT.md, and keep them up to date from "
                        "then on; --no-model-cards removes them")  # fmt: skip
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds per variant, instead of the study's")
    parser.add_argument("--workers", type=int, metavar="N", help="workers per run, instead of the study's")
    parser.add_argument("--gpus-per-worker", type=float, metavar="G", help="instead of the study's")
    parser.add_argument("--cache-gb", type=float, metavar="GB",
                        help="what decoded images may fill on each machine, instead of the study's")  # fmt: skip
    parser.add_argument("--executor", choices=["ray", "local"], default="ray",
                        help="ray: as many runs at a time as fit; local: one after another, without Ray")  # fmt: skip
    parser.add_argument("--stall-minutes", type=float, default=15.0, metavar="MIN",
                        help="without progress for so long, a run is stopped and continued (default: 15)")  # fmt: skip
    parser.add_argument("--wait", type=float, default=10.0, metavar="MIN",
                        help="how long to wait for the cluster to have what a run asks for (default: 10)")  # fmt: skip
    parser.add_argument(
        "--tensorboard", type=path_or_url, metavar="DIR", help="also write event files, a folder per run"
    )


def _status() -> argparse.ArgumentParser:
    parser = _parser(
        "status",
        "[STUDY]",
        "Says what is going on in a study's runs: who trains what and how far it is, what failed and why.\n"
        "Only reads files, so it may be asked at any time, from any machine that reaches the pool.",
    )
    parser.add_argument("study", nargs="?", type=path_or_url,
                        help="a study file, or the name of a study that was run in this pool (default: the "
                        "quickstart)")  # fmt: skip
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds per variant, instead of the study's")
    parser.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _rerun() -> argparse.ArgumentParser:
    parser = _parser(
        "rerun",
        "[STUDY] [RUN …]",
        "Takes up only the runs that are asked for. Failed ones go on from their checkpoint; diverged and finished\n"
        "ones begin anew, which removes what they left behind: it asks first.",
    )
    parser.add_argument("study", nargs="?", type=path_or_url, help="a study file (.yaml); default: the quickstart")
    parser.add_argument("names", nargs="*", metavar="RUN", help="names of runs, as status has them")
    parser.add_argument("--failed", action="store_true", help="those that failed")
    parser.add_argument("--diverged", action="store_true", help="those that diverged, from their beginning")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    _how_to_run(parser)
    return parser


def _prune() -> argparse.ArgumentParser:
    parser = _parser(
        "prune",
        "[STUDY …]",
        "Lists the studies that were run in the pool, by whomever, and the runs that none of them refers to, with\n"
        "size and age: removes these runs after asking. Earlier versions of a file that is named here, run by the\n"
        "same user on the same machine, no longer count, and are forgotten. What is at work is never touched.",
    )
    parser.add_argument(
        "studies", nargs="*", type=path_or_url, metavar="STUDY", help="study files, as they should count"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds per variant, instead of the studies'")
    parser.add_argument("--forget", action="append", default=[], metavar="NAME",
                        help="forget a study, named as in the list (my-1a2b3c4d); may be repeated")  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser
