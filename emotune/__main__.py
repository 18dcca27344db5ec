"""`emotune VERB …` and `python -m emotune VERB …`: all commands as one program."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from emotune.cli.arguments import exits_on_broken_pipe
from emotune.cli.program import parser, unknown_command, verbs

__all__ = ["main"]


@exits_on_broken_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the verb that is the first argument; without any argument prints the help.

    Args:
        arguments: The arguments of the program; None for those of the process.

    Returns:
        The exit code of the verb, such as `emotune.ablate.main`'s; 2 for one that does not exist.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words and words[0] in verbs():
        _look_for_modules_here()
        # Late, and by its name: no verb waits for another's imports, and one that is not installed is not listed.
        return int(importlib.import_module(f"emotune.{words[0]}").main(words[1:]))
    program = parser()
    if not words:
        program.print_help()
        return 0
    if not words[0].startswith("-"):
        program.error(unknown_command(words))
    program.parse_args(words)
    return 0


def _look_for_modules_here() -> None:
    """Makes modules of the working directory importable, such as ``nets:Tiny`` in a study, as ``python -m`` does."""
    here = str(Path.cwd())
    if not sys.flags.safe_path and not {"", here} & set(sys.path):
        sys.path.insert(0, here)


if __name__ == "__main__":
    sys.exit(main())
