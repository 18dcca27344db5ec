"""Every command that is printed means, to the real parser, what was given."""

import re
import shlex
from pathlib import Path

import pytest

from emotune.cli import shard_options
from emotune.cli.ablate_options import parse, reproducing_command
from emotune.config.ablate_command import PROGRAM, SUBCOMMANDS
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.manifest import read_manifest

RUN = "tanh-faces-s0-01234567"
GIVEN = [
    [],
    ["my.yaml"],
    ["studies of mine/it's.yaml", "--seeds", "5", "--aa"],
    ["my.yaml", "--model-cards", "--runs", "s3://lab/runs", "--report", "where I look"],
    ["--runs", "pool; rm -r *", "--report", "a\nb"],
    ["./status", "--seeds", "1"],
    ["./new", "--aa"],
    ["--", "-odd/my.yaml"],
    ["my.yaml", "--runs=-pool", "--report=--seeds"],
    ["my.yaml", "--workers", "2", "--executor", "local", "--stall-minutes", "3", "--runs", "runs"],
]


def arguments(command: str) -> list[str]:
    assert command.startswith(PROGRAM)
    return shlex.split(command.removeprefix(PROGRAM))


def meant(options) -> tuple:
    return options.study and str(Path(options.study)), options.seeds, options.aa, options.runs, options.report


@pytest.mark.parametrize("given", GIVEN, ids=" ".join)
@pytest.mark.parametrize("card", [True, False])
def test_a_printed_command_parses_to_the_given_options(given, card):
    options = parse(given)
    command = reproducing_command(options, model_cards=card)
    again = parse(arguments(str(command)))
    assert (again.command, meant(again), bool(again.model_cards)) == ("run", meant(options), card)
    rerun = parse(arguments(command.rerun(RUN)))
    assert (rerun.command, meant(rerun), bool(rerun.model_cards)) == ("rerun", meant(options), card)
    assert rerun.names == [RUN]


def test_default_options_are_not_printed():
    command = reproducing_command(parse(["--aa"]), model_cards=False)
    assert (str(command), command.rerun(RUN)) == (f"{PROGRAM} --aa", f"{PROGRAM} rerun {RUN} --aa")


def test_runs_can_be_named_without_a_study():
    options = parse(["rerun", RUN, "other-faces-s1-01234567", "--yes"])
    assert (options.study, options.names) == (None, [RUN, "other-faces-s1-01234567"])
    options = parse(["rerun", "--failed"])
    assert (options.study, options.names) == (None, [])
    assert parse(["status"]).study is None


def test_options_of_the_report_are_valid_for_all_commands_that_write_one():
    given = ["--model-cards", "--report", "r", "--seeds", "2", "--aa", "--runs", "p"]
    assert parse(["my.yaml", *given]).model_cards is True
    assert parse(["rerun", "my.yaml", "--failed", *given]).model_cards is True
    assert parse(["rerun", "my.yaml", "--failed", "--no-model-cards"]).model_cards is False
    assert set(SUBCOMMANDS) == {"new", "status", "rerun", "prune"}
    for verb in ("status", "rerun", "prune"):
        options = parse([verb, "my.yaml", "--seeds", "2", "--aa", "--runs", "p"])
        assert (options.seeds, options.aa, options.runs) == (2, True, "p")


def test_the_command_that_makes_missing_shards_can_be_pasted(tmp_path: Path):
    folder = tmp_path / "two words"
    with pytest.raises(InputError) as caught:
        read_manifest(Folder(str(folder)))
    command = re.search("`python -m emotune.shard (.*)`", str(caught.value))[1]
    assert shard_options.command_line().parse_args(shlex.split(command)).out == str(folder)
