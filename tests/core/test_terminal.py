"""Output fits terminals of any width and kind, and has no control characters where it is not a terminal."""

import io
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from terminals import environment, in_terminal

from emotune.core.terminal import can_link, file_link, print_table

HEADERS = ("variant", "data set", "epoch", "loss", "val", "images by class")
ROWS = [
    ("attention-by-branches", "photographs-of-places", "12/20", "1.04", "31.5 %", "awe 12, fear 3"),
    ("alexnet", "fi", "reading 4,000/5,558", "–", "–", "anger 120, amusement 7, contentment 1, sadness 2"),
]
PROGRAM = """
import time
from pathlib import Path
from rich.text import Text
from emotune.core.terminal import file_link, make_console, print_next
from emotune.execution.monitor.waiting import waiting_for
console = make_console()
with waiting_for(console, "checking networks") as show:
    time.sleep(0.3)
    show("half of them")
console.print("[red]" + "a word " * 30 + "[/]")
console.print(Text.assemble("Report: ", file_link(console, Path("a folder/index.html"))), soft_wrap=True)
print_next(console, "emotune ablate my.yaml --runs " + "x" * 60)
"""
COMMAND = [sys.executable, "-c", PROGRAM]
COLOUR, LINK, CURSOR = "\x1b[31m", "\x1b]8;", "\x1b[?25l"


def table(**options) -> Table:
    made = Table(*HEADERS, box=None, pad_edge=False, **options)
    for row in ROWS:
        made.add_row(*row)
    return made


def printed(width: int, **options) -> str:
    out = io.StringIO()
    print_table(Console(file=out, width=width), table(**options), wrapping="images by class")
    return out.getvalue()


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 120, 300])
@pytest.mark.parametrize("options", [{}, {"title": "of all runs"}], ids=["plain", "titled"])
def test_a_table_breaks_no_word_and_loses_no_column_at_any_width(width: int, options: dict):
    said = printed(width, **options)
    assert max(map(cell_len, (line.rstrip() for line in said.splitlines()))) <= width
    words = {word for row in [HEADERS, *ROWS] for cell in row for word in cell.split()}
    assert words | set(options.get("title", "").split()) <= set(said.split())
    assert (len(said.splitlines()) == 3 + len(options)) == (width == 300)


def test_a_footer_is_a_row_of_a_narrow_table(width: int = 30):
    made = table(show_footer=True)
    made.columns[0].footer, made.columns[3].footer = "all", "1.04"
    out = io.StringIO()
    print_table(Console(file=out, width=width), made)
    assert "loss 1.04" in " ".join(out.getvalue().split("variant all\n")[1].split())


def test_an_address_names_the_file_from_anywhere_whatever_its_name(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("index.html", "two words & ü %41/#1?.html"):
        url = str(file_link(Console(file=io.StringIO()), Path(name)))
        assert re.fullmatch(r"file:///[\w./%~-]+", url, re.ASCII)
        assert unquote(urlparse(url).path) == str(tmp_path / name)


@pytest.mark.parametrize(
    ("variables", "links"),
    [
        ({"VTE_VERSION": "7006"}, True),
        ({"VTE_VERSION": "4205"}, False),
        ({"TERM_PROGRAM": "vscode"}, True),
        ({"TERM_PROGRAM": "Apple_Terminal"}, False),
        ({"TERM": "xterm-kitty", "CI": "true"}, False),
        ({"VTE_VERSION": "7006", "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, False),
        ({"TERM": "linux"}, False),
        ({}, False),
    ],
)
def test_only_a_terminal_that_shows_links_of_this_machine_gets_one(variables: dict, links: bool):
    assert can_link(variables) is links


def piped(**variables: str) -> str:
    return subprocess.run(COMMAND, capture_output=True, text=True, check=True, env=environment(**variables)).stdout


def test_a_file_gets_whole_lines_without_control_characters():
    lines = piped(VTE_VERSION="7006", COLUMNS="40").splitlines()
    assert len(lines) == 4
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", "".join(lines))
    assert lines[2].startswith("Report: file:///") and lines[2].endswith("/a%20folder/index.html")


def test_force_color_colours_a_file_and_animates_nothing():
    said = piped(FORCE_COLOR="1", VTE_VERSION="7006")
    assert COLOUR in said and len(said.splitlines()) == 4
    assert set(re.findall(r"\x1b.", said)) == {"\x1b["}
    assert not re.search(r"\x1b\[[^m]*[A-Zln-z?]", said), "only colours, no movement"


def test_a_terminal_is_animated_coloured_and_linked_as_far_as_it_can_be(tmp_path: Path):
    def shown(**variables: str) -> str:
        code, said = in_terminal(COMMAND, tmp_path, 40, variables=variables)
        assert code == 0
        return said

    usual = shown(VTE_VERSION="7006")
    assert COLOUR in usual and LINK in usual and CURSOR in usual
    without = shown(NO_COLOR="1")
    assert COLOUR not in without and LINK not in without and CURSOR in without
    dumb = shown(TERM="dumb", VTE_VERSION="7006")
    assert "\x1b" not in dumb and "Checking networks." in dumb
    prose = dumb.split("Report:")[0].splitlines()
    assert len(prose) > 5 and max(map(len, prose)) <= 40
    assert "file:///" in dumb and dumb.splitlines()[-1].endswith("x" * 60)
