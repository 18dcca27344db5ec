"""Environment variables are as they were after the context, also after an error in it."""

import os
import subprocess

import pytest

from emotune.core.environment import environment


def test_variables_are_set_and_removed_for_processes_that_start_meanwhile_and_restored_after_an_error(monkeypatch):
    monkeypatch.setenv("EMOTUNE_A", "before")
    monkeypatch.setenv("EMOTUNE_B", "before")
    monkeypatch.delenv("EMOTUNE_C", raising=False)
    before = dict(os.environ)
    with pytest.raises(KeyError), environment({"EMOTUNE_A": "now", "EMOTUNE_B": None, "EMOTUNE_C": "new"}):
        printed = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout.splitlines()
        assert sorted(line for line in printed if line.startswith("EMOTUNE_")) == sorted(
            f"{name}={value}" for name, value in os.environ.items() if name.startswith("EMOTUNE_")
        )
        assert {"EMOTUNE_A=now", "EMOTUNE_C=new"} <= set(printed) and "EMOTUNE_B" not in os.environ
        raise KeyError
    assert dict(os.environ) == before
