"""The program `emotune`, started as a user starts it: the verbs are those of the modules, in the user's spelling."""

import subprocess
import sys
from pathlib import Path

import pytest
from program import console_script

from emotune.cli.program import VERBS, verbs
from emotune.core.version import VERSION

HEAVY = {"torch", "torchvision", "ray", "pandas", "webdataset", "matplotlib", "seaborn", "scipy"}
STUDY = """
question: Is a network of a module beside it found?
datasets: [scenes]
model: {code: "nets_of_ours:Tiny"}
baseline: a
variants: {a: {}}
"""
NETS = """
from torch import nn


class Tiny(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.output = nn.Linear(3, classes)

    def forward(self, images):
        return self.output(images.mean((2, 3)))
"""


@pytest.fixture
def starts(tmp_path: Path) -> dict[str, list[str]]:
    """The two ways to start the program, by what its messages call it."""
    return {"emotune": [str(console_script(tmp_path))], "python -m emotune": [sys.executable, "-m", "emotune"]}


def run(command: list[str], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False,
                          stdin=subprocess.DEVNULL)  # fmt: skip


def test_alone_it_shows_its_verbs_and_the_help_of_each_names_what_was_typed(starts, tmp_path: Path):
    for typed, start in starts.items():
        alone = run(start, tmp_path)
        assert (alone.returncode, alone.stderr) == (0, "")
        assert alone.stdout == run(start, tmp_path, "--help").stdout
        assert alone.stdout.startswith(f"usage: {typed} ")
        for verb in verbs():
            assert f"\n  {verb} " in alone.stdout
            said = run(start, tmp_path, verb, "--help")
            assert (said.returncode, said.stderr) == (0, "")
            assert said.stdout.startswith(f"usage: {typed} {verb} ")


def test_the_version_is_that_of_the_package(starts, tmp_path: Path):
    assert {run(start, tmp_path, "--version").stdout for start in starts.values()} == {f"emotune {VERSION}\n"}


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("ablat",), 2, '"ablate"'),
        (("my.yaml", "--plan"), 2, "emotune ablate my.yaml --plan"),
        (("--versio",), 2, "--version"),
        (("ablate", "--pln"), 2, "emotune ablate: error"),
        (("ablate", "missing.yaml"), 2, "emotune ablate: missing.yaml"),
        (("shard", "verify", "."), 2, "emotune shard folder IMAGES"),
        (("predict", "runs/none", "a.jpg"), 2, "emotune predict: "),
    ],
)
def test_mistakes_end_with_the_code_of_the_verb_and_the_spelling_of_the_user(
    words, code, named, starts, tmp_path: Path
):
    said = run(starts["emotune"], tmp_path, *words)
    assert (said.returncode, said.stdout) == (code, "")
    assert named in said.stderr
    assert "python -m" not in said.stderr


def test_a_study_finds_a_module_of_the_working_directory_as_with_python_m(starts, tmp_path: Path):
    (tmp_path / "my.yaml").write_text(STUDY)
    (tmp_path / "nets_of_ours.py").write_text(NETS)
    plans = [run(start, tmp_path, "ablate", "my.yaml", "--plan", "--executor", "local") for start in starts.values()]
    assert [plan.returncode for plan in plans] == [0, 0], plans[0].stderr
    assert plans[0].stdout == plans[1].stdout.replace("python -m emotune", "emotune")


def test_nothing_heavy_is_imported_before_a_verb_needs_it(tmp_path: Path):
    program = (
        f"import sys; from emotune.__main__ import main; main([]);sys.exit(', '.join({HEAVY} & set(sys.modules)) or 0)"
    )
    said = run([sys.executable, "-c", program], tmp_path)
    assert (said.returncode, said.stderr) == (0, "")


def test_every_verb_is_a_module_with_a_main_and_no_other_is_listed():
    assert set(verbs()) <= set(VERBS)
    assert {"ablate", "shard", "predict"} <= set(verbs())
