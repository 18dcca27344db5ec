"""The commands and options of docs/tutorials/slurm.md are those of `cluster/slurm.sh` and of emotune."""

import re
import shlex
from pathlib import Path

import pytest

from emotune.cli.ablate_options import parse

CHECKOUT = Path(__file__).parents[2]
SCRIPT = "cluster/slurm.sh"
PAGE = (CHECKOUT / "docs" / "tutorials" / "slurm.md").read_text()
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
"""Each is one line."""


@pytest.mark.parametrize("command", [c for c in COMMANDS if SCRIPT in c], ids=" ".join)
def test_options_behind_the_script_are_those_of_emotune(command: list[str]):
    place = command.index(SCRIPT)
    assert parse(command[place + 1 :]).study == "my.yaml"
    assert command[0] == "sbatch" and all(word.startswith("--") for word in command[1:place])


@pytest.mark.parametrize("command", [c for c in COMMANDS if "emotune.ablate" in c], ids=" ".join)
def test_options_of_emotune_are_known(command: list[str]):
    assert parse(command[command.index("emotune.ablate") + 1 :]).study == "my.yaml"


def test_variables_and_signals_of_the_page_are_those_of_the_script():
    script = (CHECKOUT / SCRIPT).read_text()
    assert set(re.findall(r"^\| `(EMOTUNE_\w+)` \|", PAGE, re.MULTILINE)) == set(re.findall(r"\bEMOTUNE_\w+", script))
    sent = {word.partition("=")[2] for command in COMMANDS for word in command if word.startswith("--signal=")}
    assert sent == {"USR1", "USR2"} <= set(re.findall(r"^trap '.*' (\w+)", script, re.MULTILINE))
