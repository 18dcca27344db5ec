"""The commands of the pages on the command line and on trackers are run as they stand there, in their order."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from documents import DOCS, commands
from exported_study import Exported
from PIL import Image
from program import console_script

from emotune.config.labels import MIKELS

NO_HUB = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": "hf_none"}
"""A hub that is down, so that nothing can be uploaded."""


def run(command: str, folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """The exit code of a command in bash, and what it printed."""
    programs = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    variables = os.environ | {"PATH": programs, "OMP_NUM_THREADS": "1"} | environment
    shell = ["bash", "-euo", "pipefail", "-c", command]
    done = subprocess.run(shell, cwd=folder, env=variables, check=False, text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=600)  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def of_page(name: str) -> list[str]:
    """The commands of a tutorial, without those that install packages."""
    return [command for command in commands(DOCS / "tutorials" / name) if not command.startswith("pip install")]


@pytest.mark.slow
def test_those_on_trackers_export_a_study_and_upload_to_no_hub_that_is_down(tmp_path: Path):
    exported = Exported(tmp_path, str(tmp_path / "runs"))
    exported.file.rename(tmp_path / "my.yaml")
    here = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db", "TRACKIO_DIR": str(tmp_path / "trackio")} | NO_HUB
    ran = [command for command in of_page("export.md") if command.startswith("python -m emotune.export ")]
    for command in ran:
        if "trackio" in command and importlib.util.find_spec("trackio") is None:
            continue
        uploads = "--repo-id" in command and "--dry-run" not in command
        code, said = run(command, tmp_path, here)
        assert code == (75 if uploads else 0), f"{command}\n{said}"
    assert len(ran) == 7
    for written in ("mlflow.db", "wandb", "tensorboard/my", "hub/my/README.md"):
        assert (tmp_path / written).exists(), written


def photographs(folder: Path) -> None:
    """Writes 20 images of each of Mikels' emotions, in a folder for each."""
    rng = np.random.default_rng(0)
    for label in MIKELS:
        (folder / label).mkdir(parents=True)
        for k in range(20):
            Image.fromarray(rng.integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(folder / label / f"{k}.jpg")


def shorten(study: Path) -> None:
    """Makes a new study as small as can be: one epoch, one seed, a quarter of the width."""
    text = study.read_text()
    for long, short in (("width: 0.25", "width: 0.0625"), ("epochs: 60", "epochs: 1"), ("seeds: 5", "seeds: 1")):
        assert text.count(long) == 1, long
        text = text.replace(long, short)
    study.write_text(text)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_those_on_the_command_line_lead_from_photographs_to_a_report(tmp_path: Path):
    console_script(tmp_path)
    photographs(tmp_path / "PHOTOS")
    named = ("python -m emotune.ablate", "emotune ablate")  # without a study they would train the quickstart
    ran = [command for command in of_page("command_line.md") if command not in named]
    for command in ran:
        trains = command == "emotune ablate my.yaml"
        if trains:
            shorten(tmp_path / "my.yaml")
        code, said = run(command + " --executor local" * trains, tmp_path, {})
        assert code == 0, f"{command}\n{said}"
    assert (tmp_path / "reports" / "my" / "index.html").is_file()
    assert {"emotune --version", "emotune completion zsh", "emotune ablate status my.yaml --json"} <= set(ran)
