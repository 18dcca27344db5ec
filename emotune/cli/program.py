"""The program `emotune`: its verbs, and what it says about them."""

import shlex
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from emotune.cli.arguments import CommandLine
from emotune.cli.help_text import HelpFormatter, examples, table
from emotune.core.errors import suggest
from emotune.core.typed_command import typed_command
from emotune.core.version import VERSION

__all__ = ["parser", "unknown_command", "verbs"]

VERBS = {
    "shard": "convert images, or links to images, to shards that studies read",
    "ablate": "plan and train a study, and write its report; also: status, rerun, prune",
    "predict": "classify images with the network of a finished run, or export it to ONNX",
    "export": "copy finished runs to a tracker or a model hub",
    "completion": "print a script that completes the above in bash or zsh",
}
"""The verbs in the order in which a user needs them. Each is a module of this name with a function ``main``."""


def verbs() -> dict[str, str]:
    """A line on each verb of this installation."""
    return {verb: text for verb, text in VERBS.items() if find_spec(f"emotune.{verb}") is not None}


def parser() -> CommandLine:
    """The parser of the program without its verbs, which have parsers of their own."""
    prog = typed_command("").strip().removesuffix(".")
    shown = {f"{prog} {words}": text for words, text in {
        "ablate": "the quickstart: synthetic images, a few minutes on two cores",
        "shard folder PHOTOS --out DATA": "shards of your own images, a folder for each class",
        "ablate my.yaml --plan": "what a study would train, and how long that takes",
        "ablate --help": "the options of a command",
    }.items()}  # fmt: skip
    found = CommandLine(
        prog=prog,
        usage="%(prog)s COMMAND …",
        description="Ablation studies of image-emotion classifiers, reported with honest statistics.",
        epilog=f"commands:\n{table(verbs())}\n\n{examples(shown)}",
        formatter_class=HelpFormatter,
    )
    found.add_argument("--version", action="version", version=f"emotune {VERSION}")
    return found


def unknown_command(words: Sequence[str]) -> str:
    """The message about a command line whose first word is no verb, which says what was probably meant."""
    first = words[0]
    if Path(first).suffix in (".yaml", ".yml"):
        return f'"{first}" is not a command; to run a study: {typed_command("ablate")} {shlex.join(words)}'
    return f'"{first}" is not a command{suggest(first, verbs())}'
