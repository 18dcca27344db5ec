"""A small study of written runs, and its exports."""

import json
from pathlib import Path

from written_runs import write_run

from emotune.api.export_study import ExportOptions, ExportOutcome, export_study
from emotune.core.storage import Folder
from emotune.execution.plan.resolved_study import ResolvedStudy, resolve_study
from emotune.runs.directory import METRICS, RECORD

STUDY = """
question: Does width help?
datasets: [scenes]
model: {name: alexnet, width: 0.125}
train: {epochs: 2, batch_size: 20, lr: 0.02}
baseline: narrow
variants:
  narrow: {}
  wide: {model.width: 0.25}
seeds: 2
contrasts: [wide - narrow]
"""
ACCURACIES = {"narrow": (40.0, 42.0), "wide": (50.0, 51.0)}


class Exported:
    """A study of four runs, of which three are finished and one has failed, and its exports."""

    def __init__(self, folder: Path, runs: str) -> None:
        self.folder, self.file, self.runs = folder, folder / "width.yaml", runs
        self.file.write_text(STUDY)
        self.resolved: ResolvedStudy = resolve_study(self.file, runs)
        self.finished, self.failed = self.resolved.runs[:3], self.resolved.runs[3]
        for run in self.finished:
            self.finish(run)
        lease = self.resolved.store.directory(self.failed).begin()
        self.resolved.store.directory(self.failed).fail("RuntimeError: out of luck\nas always")
        lease.release()

    def finish(self, run) -> None:
        """Writes a finished run with a curve of two epochs."""
        self.resolved.store.directory(run).begin().release()
        write_run(self.resolved.store, run, ACCURACIES[run.variant][run.seed])
        folder = self.resolved.store.folder / run.id
        lines = [{"epoch": e, "lr": 0.02 / e, "train_loss": 2.0 / e, "train_accuracy": 10.0 * e, "val_loss": 2.5 / e,
                  "val_accuracy": 20.0 * e, "train_s_so_far": 15.0 * e} for e in (1, 2)]  # fmt: skip
        data = "".join(json.dumps(line) + "\n" for line in lines).encode()
        folder.write(METRICS, data)
        self.edit(run, lambda record: record["files"].update({METRICS: len(data)}))

    def edit(self, run, change) -> None:
        """Changes a run's record."""
        folder: Folder = self.resolved.store.folder / run.id
        record = folder.read_json(RECORD)
        change(record)
        folder.write_json(RECORD, record)

    def to(self, tool, **options) -> ExportOutcome:
        """Exports the study."""
        return export_study(self.file, tool, self.runs, ExportOptions(**options))
