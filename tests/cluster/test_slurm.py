"""`cluster/slurm.sh` on a real Slurm: a job that is preempted continues, and tasks of an array share out the runs."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from disturbed import EPOCHS, STEPS, UNTIL_STOPPED, Disturbed, Fault
from machines import CHECKOUT, until
from same_result import require_same
from slurm import Slurm, missing

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]

SCRIPT = CHECKOUT / "cluster" / "slurm.sh"
BOTH = ("alexnet", "attention")
ENDED = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory, small_shards: Path) -> Iterator[Slurm]:
    with Slurm(tmp_path_factory.mktemp("slurm") / "shared") as slurm:
        shutil.copytree(small_shards, slurm.folder / "data")
        yield slurm


@pytest.fixture
def study(slurm: Slurm, request: pytest.FixtureRequest) -> Iterator[Disturbed]:
    """A study in the shared folder, in which a run is held at a step."""
    with closing(Disturbed(slurm.folder / request.node.name, slurm.folder / "data")) as study:
        yield study


@pytest.fixture
def log(slurm: Slurm, study: Disturbed) -> Iterator[Callable[[str], None]]:
    """Notes what happens when; what jobs say, with the time, is below it."""
    began = time.monotonic()

    def note(what: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s: {what}")

    yield note
    for path in sorted(study.folder.glob("slurm-*.out")):
        print(f"{path.name}:\n{path.read_text()}")


def submit(slurm: Slurm, study: Disturbed, *arguments: str) -> str:
    """Submits a job of the script in the study's folder; returns its number."""
    settings = {
        "PYTHONPATH": os.pathsep.join([str(study.site), str(CHECKOUT)]),
        "EMOTUNE_CACHE": str(slurm.folder / "cache"),
    }
    options = ("--parsable", f"--chdir={study.folder}", "--time=30")
    return slurm.run("sbatch", *options, *arguments, **settings).strip()


def wait_for(slurm: Slurm, study: Disturbed, what: str, found: Callable[[], object], seconds: float) -> None:
    def said() -> str:
        outputs = [*study.folder.glob("*.out"), *study.folder.glob("emotune-ray-*.log")]
        return "\n".join([slurm.said(), *(f"{path.name}:\n{path.read_text()}" for path in sorted(outputs))])

    until(what, found, seconds, said, every_s=0.5)


def test_a_preempted_job_of_two_nodes_loses_no_step_and_ends_with_the_result_of_an_undisturbed_study(
    slurm: Slurm, study: Disturbed, log: Callable[[str], None], tmp_path: Path
):
    study.strike(Fault(UNTIL_STOPPED, "attention", rank=0, step=2 * STEPS - 2))
    job = submit(slurm, study, "--nodes=2", "--cpus-per-task=1", str(SCRIPT), "few.yaml")
    output = study.folder / f"slurm-{job}.out"
    held = study.site / "struck-attention.0"
    wait_for(slurm, study, "a run on both nodes", held.exists, 200)
    log("a run is in the middle of its second epoch, a rank on each node")
    slurm.run("sbatch", "--partition=urgent", "--nodes=2", "--output=/dev/null", "--wrap=sleep 1")
    wait_for(slurm, study, "Slurm's signal", lambda: "signal USR1" in output.read_text(), 30)
    log("another job preempts this one, and Slurm sends USR1")
    wait_for(slurm, study, "another start", lambda: slurm.job(job)["Restarts"] == "1", 60)
    log("the run has written a checkpoint, the job is back in the queue")
    wait_for(slurm, study, "the end", lambda: slurm.job(job)["JobState"] in ENDED, 120)
    log("the job has ended")
    said = output.read_text()
    assert slurm.job(job)["JobState"] == "COMPLETED", said
    assert study.interruptions() == {"alexnet": 0, "attention": 1}
    assert study.steps() == {(name, rank): EPOCHS * STEPS for name in BOTH for rank in (0, 1)}, "none was taken twice"
    assert "report" in said
    for node in slurm.nodes:
        assert not [line for line in node.processes().values() if "ray" in line], "nothing of Ray is left"
        assert f"emotune-{job}" not in node.run("ls", "/tmp")

    with closing(Disturbed(tmp_path / "undisturbed", slurm.folder / "data")) as undisturbed:
        without_report = "from emotune import run_study; run_study('few.yaml', report=None)"
        ended = undisturbed.begin([sys.executable, "-c", without_report]).end()
        assert ended.code == 0, ended
        require_same(study, undisturbed)


def test_tasks_of_an_array_share_the_runs_of_one_folder_and_one_that_is_sent_back_continues(
    slurm: Slurm, study: Disturbed, log: Callable[[str], None]
):
    study.strike(Fault(UNTIL_STOPPED, "alexnet", rank=0, step=2 * STEPS - 2))
    alone = ("--workers", "1", "--executor", "local")
    job = submit(slurm, study, "--array=1-2", "--cpus-per-task=1", str(SCRIPT), "few.yaml", *alone)

    def states() -> list[str]:
        return [slurm.job(f"{job}_{task}")["JobState"] for task in (1, 2)]

    wait_for(slurm, study, "a run", lambda: study.is_done("attention"), 150)
    log("one task has trained a run; the other one is in the middle of the other run")
    wait_for(slurm, study, "the end of one task", lambda: sorted(states()) == ["COMPLETED", "RUNNING"], 60)
    log("the task without a run has ended with success")
    held = f"{job}_{states().index('RUNNING') + 1}"
    output = study.folder / f"slurm-{held}.out"
    slurm.run("scancel", "--signal=USR1", "--batch", held)
    wait_for(slurm, study, "the signal", lambda: "signal USR1" in output.read_text(), 30)
    wait_for(slurm, study, "another start", lambda: slurm.job(held)["Restarts"] == "1", 60)
    log("the other task got USR1; its run has written a checkpoint, it is back in the queue")
    wait_for(slurm, study, "the end of both", lambda: set(states()) <= set(ENDED), 120)
    log("it has ended, too")
    assert states() == ["COMPLETED"] * 2, output.read_text()
    assert sorted(slurm.job(f"{job}_{task}")["Restarts"] for task in (1, 2)) == ["0", "1"]
    assert study.steps() == {(name, 0): EPOCHS * STEPS for name in BOTH}, "no run was trained twice, nor any step"
    assert study.interruptions() == {"alexnet": 1, "attention": 0}
