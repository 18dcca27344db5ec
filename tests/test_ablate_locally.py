"""The command without Ray: its networks are those of Ray, and it continues after Ctrl-C."""

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from disturbed import SHORTER, UNTIL_STOPPED, Disturbed, Fault
from same_result import require_same

pytestmark = pytest.mark.slow

LOCAL = ("--executor", "local", "--workers", "1")


@pytest.fixture(scope="module")
def locally(tmp_path_factory: pytest.TempPathFactory, small_shards: Path) -> Iterator[Disturbed]:
    """A study that the local executor has trained, without faults."""
    with closing(Disturbed(tmp_path_factory.mktemp("local"), small_shards, SHORTER)) as study:
        ended = study.ablate(*LOCAL)
        assert ended.code == 0, ended
        yield study


def test_ray_with_two_workers_and_the_local_executor_train_the_same_networks(
    locally: Disturbed, undisturbed: Disturbed
):
    for variant in SHORTER:
        ours, theirs = locally.record(variant), undisturbed.record(variant)
        assert (ours["workers"], theirs["workers"]) == (1, 2)
        assert ours["reading"] == theirs["reading"] == "decoded"
        ours, theirs = (pd.read_parquet(of.file(variant, "predictions.parquet")) for of in (locally, undisturbed))
        assert ours["sample_id"].tolist() == theirs["sample_id"].tolist()
        columns = [column for column in ours if column.startswith("logit_")]
        assert (ours[columns] - theirs[columns]).abs().max().max() < 0.05, "equal but for rounding"


def test_after_ctrl_c_the_same_command_continues_to_the_same_result(
    locally: Disturbed, tmp_path: Path, small_shards: Path
):
    """Without Ray; with it: execution/faults/test_fault_commands.py."""
    with closing(Disturbed(tmp_path, small_shards)) as study:
        study.strike(Fault(UNTIL_STOPPED, "alexnet", rank=0))
        command = study.start(*LOCAL)
        study.struck("alexnet")
        command.process.send_signal(signal.SIGINT)
        ended = command.end()
        assert ended.code == 130, ended
        assert "Interrupted" in ended.err and "Traceback" not in ended.err
        again = study.ablate(*LOCAL)
        assert again.code == 0, again
        assert study.interruptions() == {"alexnet": 1, "attention": 0}
        require_same(study, locally)
