"""The commands as the user types them here, for messages that name one: ``emotune ablate`` or another spelling.

Texts that are kept, such as a report, name ``python -m emotune.ablate`` however they came about.
"""

import sys
from pathlib import Path

__all__ = ["CONSOLE_SCRIPT", "error_prefix", "typed_command"]

CONSOLE_SCRIPT = "emotune"
"""The name of the program that pip installs."""


def typed_command(verb: str) -> str:
    """The start of a command in the spelling with which this process was started.

    It is ``emotune VERB`` for the installed program, ``python -m emotune VERB``, or else ``python -m emotune.VERB``,
    which works everywhere.

    Args:
        verb: The command, such as ``ablate``.
    """
    started = Path(sys.argv[0] if sys.argv else "")
    if started.name.removesuffix(".exe") == CONSOLE_SCRIPT:
        return f"{CONSOLE_SCRIPT} {verb}"
    if (started.parent.name, started.name) == (CONSOLE_SCRIPT, "__main__.py"):
        return f"python -m {CONSOLE_SCRIPT} {verb}"
    return f"python -m {CONSOLE_SCRIPT}.{verb}"


def error_prefix(verb: str) -> str:
    """The beginning of a command's messages on stderr: ``emotune ablate`` or ``emotune.ablate``, as it was started."""
    return typed_command(verb).removeprefix("python -m ")
