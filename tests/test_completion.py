"""`emotune completion`: what a real shell offers."""

import shutil
import subprocess
from pathlib import Path

import pytest

from emotune.cli.program import verbs
from emotune.completion import SHELLS, main

ASK = """
source ./script
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_shtab_emotune
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def offered(tmp_path: Path, capsys):
    """A function that gives what bash offers after some words, of which the last one is being typed."""
    assert main(["bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / "stars.yaml").touch()

    def ask(words: str) -> set[str]:
        said = subprocess.run(["bash", "--norc", "-c", ASK.format(words=words)], cwd=tmp_path, capture_output=True,
                              text=True, check=True, timeout=60)  # fmt: skip
        return set(said.stdout.split())

    return ask


def test_bash_completes_verbs_options_values_and_files(offered):
    assert offered('emotune ""') == set(verbs())
    assert offered("emotune ablate sta") == {"status", "stars.yaml"}
    assert offered("emotune ablate --pl") == {"--plan"}
    assert offered("emotune ablate status --j") == {"--json"}
    assert offered("emotune ablate new --da") == {"--data"}
    assert offered("emotune ablate --executor l") == {"local"}
    assert offered("emotune shard f") >= {"folder", "fi-links", "findingemo"}
    assert offered("emotune shard csv sta") == {"stars.yaml"}
    assert offered("emotune completion z") == {"zsh"}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_valid_in_its_shell(shell: str, tmp_path: Path, capsys):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert main([shell]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    found = subprocess.run([shell, "-n", "script"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
