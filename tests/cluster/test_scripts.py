"""The shell scripts of `cluster` have none of the mistakes that ShellCheck finds, and say what they need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from machines import CHECKOUT

SCRIPTS = (".ci/slurm", "cluster/iam/make.sh", "cluster/slurm.sh")
BATCH = CHECKOUT / "cluster" / "slurm.sh"


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([f"{sys.prefix}/bin", os.environ["PATH"]])
    settings = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    settings |= {"PATH": path, "PYTHONPATH": str(CHECKOUT)} | environment
    return subprocess.run(command, env=settings, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_finds_nothing(script: str):
    found = run("shellcheck", str(CHECKOUT / script))
    assert found.returncode == 0, found.stdout + found.stderr


def test_shellcheck_finds_a_mistake(tmp_path: Path):
    wrong = tmp_path / "wrong.sh"
    wrong.write_text("#!/bin/bash\nrm $1\n")
    assert "SC2086" in run("shellcheck", str(wrong)).stdout


def test_the_batch_script_refuses_to_run_outside_of_slurm():
    refused = run("bash", str(BATCH), "few.yaml")
    assert refused.returncode == 2
    assert "sbatch" in refused.stdout


def test_the_batch_script_refuses_an_environment_without_emotune(tmp_path: Path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    setup = tmp_path / "setup.sh"
    setup.write_text(f"PATH={tmp_path}:$PATH\n")
    refused = run("bash", str(BATCH), "few.yaml", SLURM_JOB_ID="1", EMOTUNE_SETUP=str(setup))
    assert refused.returncode == 2
    assert str(python) in refused.stdout and "EMOTUNE_SETUP" in refused.stdout
    missing = run("bash", str(BATCH), "few.yaml", SLURM_JOB_ID="1", EMOTUNE_SETUP=str(tmp_path / "nothing"))
    assert missing.returncode == 2
    assert "EMOTUNE_SETUP" in missing.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_the_checks_end_at_once_where_the_disk_has_too_little_space(tmp_path: Path):
    mounted = 'mount -t tmpfs -o size=64M none "$TMPDIR" && exec timeout 60 .ci/run'
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", mounted]
    refused = subprocess.run(command, cwd=CHECKOUT, env=os.environ | {"TMPDIR": str(tmp_path)}, capture_output=True,
                             text=True, check=False)  # fmt: skip
    assert refused.returncode == 1
    assert f"0 GB of disk are free in {tmp_path}," in refused.stdout
    assert all(word in refused.stderr for word in ("13 GB", str(tmp_path), "TMPDIR="))
