"""Texts of --help on terminals of any width: no word is broken, no line is longer than the terminal."""

import pytest

from emotune import predict
from emotune.cli import ablate_options, export_options, program, shard_options
from emotune.cli.help_text import examples, table

PARSERS = {
    "emotune": program.parser,
    "ablate": ablate_options.command_line,
    **ablate_options.subcommands(),
    "shard": shard_options.command_line,
    "predict": predict.command_line,
    "export": export_options.command_line,
}


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
@pytest.mark.parametrize("make", PARSERS.values(), ids=PARSERS)
def test_help_breaks_no_word_at_any_width(make, columns: int, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    words = set(make().format_help().split())
    monkeypatch.setenv("COLUMNS", str(columns))
    narrow = make().format_help()
    assert set(narrow.split()) == words
    paragraphs = [line for line in narrow.splitlines() if not line.startswith("usage:")]
    too_long = [line for line in paragraphs if len(line) > columns and " " in line.strip()]
    assert not [line for line in too_long if not line.startswith("  ")], "only a command is never wrapped"


def test_a_table_has_its_second_column_below_the_first_where_there_is_no_room():
    rows = {"a": "one two three four five six seven", "longer name": "eight"}
    assert table(rows, 80).splitlines() == [
        "  a            one two three four five six seven",
        "  longer name  eight",
    ]
    narrow = table(rows, 34).splitlines()
    assert narrow[0] == "  a"
    assert " ".join(line.strip() for line in narrow[1:3]) == rows["a"]
    assert max(map(len, narrow)) <= 34
    assert examples({"emotune": "help"}).splitlines() == ["examples:", "  emotune  help"]
