"""A user's file is run from its text, and errors show the user's lines."""

import sys
import traceback
from pathlib import Path

import pytest

from emotune.core.errors import InputError
from emotune.core.user_module import load_function, load_object, user_errors

TEXT = """
from dataclasses import dataclass

@dataclass
class Size:
    side: "int"

def fail():
    return 1 / 0  # the user's line
"""


def test_objects_of_a_text_are_usable_and_errors_show_its_lines():
    assert load_object(TEXT, "sizes.py", "Size")(side=3).side == 3
    with pytest.raises(InputError) as caught, user_errors("it fails", "sizes.py"):
        load_object(TEXT, "sizes.py", "fail")()
    assert all(part in str(caught.value) for part in ("it fails", "sizes.py, line 9", "ZeroDivisionError"))
    assert "# the user's line" in "".join(traceback.format_exception(caught.value))
    with pytest.raises(InputError, match="SystemExit"), user_errors("it ends", "sizes.py"):
        sys.exit(3)
    with pytest.raises(InputError, match="int"):
        load_function("three = 3\n", "numbers.py", "three", {})


def test_two_versions_of_a_file_live_in_one_process():
    first, second = (load_object(f"def number():\n    return {n}\n", "numbers.py", "number") for n in (1, 2))
    assert (first(), second()) == (1, 2)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("import no_such_package_here", ["nets.py, line 1", "no_such_package_here"]),
        ("x = 1\nraise OSError('not today')", ["nets.py, line 2", "OSError", "not today"]),
        ("def other(): pass", ['"wanted"']),
        ("import sys\nsys.exit(0)", ["nets.py, line 2", "SystemExit"]),
    ],
)
def test_a_text_that_cannot_be_run_is_an_input_error_with_the_line(text: str, parts: list[str]):
    with pytest.raises(InputError) as caught:
        load_object(text, "nets.py", "wanted")
    assert all(part in str(caught.value) for part in parts)


def test_a_module_of_a_package_may_import_its_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "neighbours_of_test").mkdir()
    (tmp_path / "neighbours_of_test" / "__init__.py").touch()
    (tmp_path / "neighbours_of_test" / "one.py").write_text("ONE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "from .one import ONE\ndef two():\n    return ONE + ONE\n"
    assert load_object(text, "neighbours_of_test.two", "two")() == 2
    assert "neighbours_of_test.two" not in sys.modules
