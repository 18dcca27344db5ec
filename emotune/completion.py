"""`emotune completion SHELL`: a script that completes the program's verbs, options and files in a shell."""

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from emotune.cli import ablate_options
from emotune.cli.arguments import CommandLine, exits_on_broken_pipe, local_path, path_or_url
from emotune.cli.help_text import HelpFormatter, examples
from emotune.config.ablate_command import SUBCOMMANDS
from emotune.core.errors import InputError, print_error
from emotune.core.typed_command import CONSOLE_SCRIPT, error_prefix, typed_command

__all__ = ["main"]

SHELLS = ("bash", "zsh")


@exits_on_broken_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        0: the script is printed; 2: shtab, which writes it, is not installed; 141: nobody reads the output any more.
    """
    options = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    if find_spec("shtab") is None:
        needed = InputError("shtab writes the script and is not installed: pip install 'emotune[completion]'")
        print_error(error_prefix("completion"), needed)
        return 2
    import shtab

    print(shtab.complete(_program(options.shell), shell=options.shell))
    return 0


def _parser() -> CommandLine:
    prog = typed_command("completion")
    shown = {
        f'eval "$({prog} bash)"': "for this session of bash",
        f"{prog} bash > ~/.local/share/bash-completion/completions/emotune": "for all sessions",
        f"{prog} zsh > ~/.zfunc/_emotune": "where ~/.zfunc is in fpath",
    }
    parser = CommandLine(
        prog=prog, usage="%(prog)s SHELL", epilog=examples(shown), formatter_class=HelpFormatter,
        description="Prints a script with which a shell completes verbs, options and files. It starts no Python.",
    )  # fmt: skip
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    return parser


def _program(shell: str) -> CommandLine:
    """The whole program as one parser, which the modules otherwise share out."""
    import shtab

    from emotune import predict
    from emotune.cli import export_options, program, shard_options

    made = {
        "ablate": ablate_options.command_line,
        "shard": shard_options.command_line,
        "predict": predict.command_line,
        "export": export_options.command_line,
        "completion": _parser,
    }
    whole = program.parser()
    whole.prog = CONSOLE_SCRIPT
    inner = whole.add_subparsers(dest="command")
    for verb, text in program.verbs().items():
        inner.add_parser(verb, help=text)
        inner.choices[verb] = made[verb]()
    _add_ablate_verbs(inner.choices["ablate"])
    _complete_files(whole, shtab.FILE)
    _offer_verbs_beside_studies(inner.choices["ablate"], shell)
    return whole


def _add_ablate_verbs(parser: argparse.ArgumentParser) -> None:
    """Makes the verbs of `ablate`, which it takes instead of a study, subcommands of its parser."""
    verbs = parser.add_subparsers(dest="verb")
    for verb, make in ablate_options.subcommands().items():
        inner = make()
        verbs.add_parser(verb, help=inner.description)
        verbs.choices[verb] = inner


def _offer_verbs_beside_studies(parser: argparse.ArgumentParser, shell: str) -> None:
    """Lets the first operand of `ablate` complete to a file or a verb."""
    study = next(action for action in parser._actions if action.dest == "study")
    if shell == "bash":
        verbs = " ".join(SUBCOMMANDS)
        study.complete = {  # type: ignore[attr-defined]
            "bash": "_emotune_study_file",
            "preamble": {"bash": f'_emotune_study_file() {{\n  compgen -W "{verbs}" -- "$1"\n  compgen -f -- "$1"\n}}'},
        }
    else:
        study.help = argparse.SUPPRESS  # the other script cannot have both, and completes verbs


def _complete_files(parser: argparse.ArgumentParser, file: Any) -> None:
    """Lets each argument that is a path complete to files."""
    for action in parser._actions:  # argparse has no public list of them
        if action.type in (path_or_url, local_path):
            action.complete = file  # type: ignore[attr-defined]
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                _complete_files(inner, file)


if __name__ == "__main__":
    sys.exit(main())
