"""Tests of `emotune.execution.monitor.status`."""

from io import StringIO
from pathlib import Path

from rich.console import Console

from emotune.config.model import AlexNetConfig
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.train import TrainConfig
from emotune.core.sample_noun import speaking_of
from emotune.execution.monitor.status import print_status, study_status
from emotune.runs.directory import METRICS, RunDirectory
from emotune.runs.progress import RunProgress
from emotune.runs.registered_study import NamedRun
from emotune.runs.store import RunStore


def test_a_continued_run_that_reads_images_says_how_many_and_keeps_its_epoch(tmp_path: Path):
    dataset = DatasetRef(name="own", location="own", content_hash="own")
    run = RunConfig(variant="wide", dataset=dataset, seed=1, model=AlexNetConfig(), train=TrainConfig())
    directory = RunDirectory(str(tmp_path), run)
    directory.folder.write(METRICS, b'{"epoch": 3, "train_loss": 0.5, "val_accuracy": 61.0}\n')
    with directory.leased() as lease:
        lease.report(RunProgress(run.id, 0, 10, 0.0, phase="reading", evaluated=1200, to_read=5000))
        lease.renew()
        status = study_status([NamedRun.of(run)], RunStore(str(tmp_path)))
        (entry,) = status["running"]
        assert {name: entry.get(name) for name in ("phase", "images_read", "images_to_read", "epoch", "step")} == {
            "phase": "reading", "images_read": 1200, "images_to_read": 5000, "epoch": 3, "step": None,
        }  # fmt: skip
        shown = StringIO()
        print_status(Console(file=shown, width=120), "own", status)
        assert "1,200/5,000" in shown.getvalue()
        lease.report(RunProgress(run.id, 4, 10, 0.35, step=35, steps=100))
        lease.renew()
        status = study_status([NamedRun.of(run)], RunStore(str(tmp_path)))
        (entry,) = status["running"]
        assert (entry["epoch"], entry["step"], "images_read" in entry) == (4, 35, False)
        clips = StringIO()
        with speaking_of([8]):
            print_status(Console(file=clips, width=120), "own", status)
        assert ("clips/s" in clips.getvalue(), "clips/s" in shown.getvalue()) == (True, False)
