"""The options that commands on a study share: which study and runs, and what the study has beyond its file."""

import argparse
from collections.abc import Callable
from typing import Any

from emotune.cli.arguments import path_or_url
from emotune.config.ablate_command import DEFAULT_RUNS

__all__ = ["STUDY", "add_extent", "add_report", "add_runs"]

STUDY: dict[str, Any] = {
    "dest": "study",
    "type": path_or_url,
    "nargs": "?",
    "metavar": "STUDY",
    "help": "a study file (.yaml); default: the quickstart that comes with emotune",
}
"""The operand that names a study, as arguments of ``add_argument``."""

Add = Callable[..., argparse.Action]


def add_extent(add: Add, control: str, other_data: str) -> None:
    """Adds the options that extend a study: seeds, the A/A control, and other data sets.

    Args:
        add: ``add_argument`` of a parser or of a group.
        control: The command's use of the A/A control, as its help says it.
        other_data: Its use of another data set, likewise.
    """
    add("--seeds", type=int, metavar="N", help="number of seeds per variant; overrides the study")
    add("--aa", action="store_true", help=f"{control}; same as aa: true in the study")
    add("--test-on", action="append", type=path_or_url, metavar="DATA",
        help=f"{other_data}; can be repeated; same as test_on in the study")  # fmt: skip


def add_runs(add: Add) -> None:
    """Adds the option that names the folder of all runs."""
    add("--runs", type=path_or_url, default=DEFAULT_RUNS, metavar="URL",
        help="the folder or URL of all runs (default: runs)")  # fmt: skip


def add_report(add: Add) -> None:
    """Adds the option that names the folder of the report."""
    add("--report", type=path_or_url, metavar="DIR", help="the folder of the report (default: reports/STUDY)")
