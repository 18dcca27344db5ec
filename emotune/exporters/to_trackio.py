"""Runs for trackio, in its store on this machine: a group of a project for a study, with a run for the study itself.

A run has its own name only when it is whole: until then its name ends in `PARTIAL`, and the next export removes it.
"""

import contextlib
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emotune.core.environment import environment
from emotune.core.errors import InputError
from emotune.exporters.content import RunContent, StudyContent, curve_metrics
from emotune.exporters.destination import installed, masked, one_writer
from emotune.exporters.files import ExportedFile, write_files

__all__ = ["TrackioDestination"]

PARTIAL = " (being exported)"
ELSEWHERE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_WEBHOOK_URL")
"""Environment variables by which trackio would write to another machine."""


class TrackioDestination:
    """A project in a store of trackio.

    Args:
        study: The study's name.
        project: The project's name.
        folder: The store's folder; None: trackio's own, which is ``$TRACKIO_DIR`` or below ``~/.cache/huggingface``.

    Raises:
        InputError: trackio is not installed, or uses another folder in this process already.
    """

    def __init__(self, study: str, project: str, folder: str | None = None) -> None:
        if folder and "://" in folder:
            raise InputError(f"--out {folder}: is a URL; give a folder of this machine")
        with environment({"TRACKIO_DIR": str(Path(folder).absolute())} if folder else {}):
            self._trackio = installed("trackio", "trackio")  # reads the variable once
        self._folder = Path(installed("trackio.utils", "trackio").TRACKIO_DIR)
        if folder and self._folder != Path(folder).absolute():
            raise InputError(
                f"--out {folder}: this process has used trackio's store in {self._folder}; start another one"
            )
        self._study, self._project = study, project
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "TrackioDestination":
        with self._stack:
            self._stack.enter_context(one_writer(f"{self._folder} {self._project}"))
            self._stack.enter_context(environment(dict.fromkeys(ELSEWHERE)))
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fingerprints(self) -> Mapping[str, str]:
        """The fingerprints of the study's runs that are whole, by run id."""
        with self._used():
            return {run_id: run.config["emotune.fingerprint"] for run_id, run in self._own_runs()
                    if not run.name.endswith(PARTIAL)}  # fmt: skip

    def write_run(self, run: RunContent) -> str:
        """Writes a run, in the place of an earlier version."""
        last = int(run.curves[-1]["epoch"]) if run.curves else 0
        rows = {int(epoch["epoch"]): curve_metrics(epoch) for epoch in run.curves}
        rows[last] = {**rows.get(last, {}), **run.metrics, "selected_epoch": run.selected_epoch}
        self._write(run.id, run.fingerprint, run.name, run.parameters, rows, run.files)
        return ""

    def write_study(self, study: StudyContent) -> list[str]:
        """Writes the study's own run, if it has changed."""
        if self.fingerprints().get("") != study.fingerprint:
            rows = {len(study.runs): dict(study.metrics)}
            self._write("", study.fingerprint, study.name, study.tags, rows, study.files)
        there = f"trackio: project {self._project} in {self._folder}"
        store = "" if self._folder == Path.home() / ".cache/huggingface/trackio" else f"TRACKIO_DIR={self._folder} "
        return [there, f'{store}trackio show --project "{self._project}"']

    def _own_runs(self) -> list[tuple[str, Any]]:
        """The study's runs in the store, each with its run id, which is empty for the study itself."""
        try:
            runs = list(self._trackio.Api().runs(self._project))
        except ValueError:  # the project does not exist
            return []
        configs = [(run, run.config or {}) for run in runs]
        return [(str(config.get("emotune.run_id")), run) for run, config in configs
                if config.get("emotune.study") == self._study]  # fmt: skip

    def _write(
        self, run_id: str, fingerprint: str, name: str, config: Mapping[str, Any],
        rows: Mapping[int, Mapping[str, float]], files: Sequence[ExportedFile],
    ) -> None:  # fmt: skip
        own = {"emotune.study": self._study, "emotune.run_id": run_id, "emotune.fingerprint": fingerprint}
        if self._project != self._study and run_id:
            name = f"{self._study} {name}"
        with self._used():
            for found, run in self._own_runs():
                if found == run_id and run.name.endswith(PARTIAL):
                    run.delete()
            new = self._trackio.init(
                project=self._project, name=name + PARTIAL, group=self._study, config={**config, **own},
                auto_log_gpu=False, auto_log_cpu=False, embed=False,
            )  # fmt: skip
            try:
                for step, row in rows.items():
                    self._trackio.log(dict(row), step=step)
                if files:
                    self._log_files(new, run_id or self._study, files)
            finally:
                self._trackio.finish()
            versions = [run for found, run in self._own_runs() if found == run_id]
            for run in versions:
                if not run.name.endswith(PARTIAL):
                    run.delete()
            for run in versions:
                if run.name.endswith(PARTIAL):
                    run.rename(name)

    def _log_files(self, run: Any, name: str, files: Sequence[ExportedFile]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            artifact = self._trackio.Artifact(name, type="study" if name == self._study else "run")
            for path, file in zip(write_files(Path(folder), files), files, strict=True):
                artifact.add_file(str(path), name=file.name)
            run.log_artifact(artifact, overwrite=True)

    @contextlib.contextmanager
    def _used(self) -> Iterator[None]:
        """Keeps what trackio prints, and turns its errors into those of a command."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except (RuntimeError, ValueError, OSError) as error:
            raise InputError(f"--to trackio: {self._folder}: {masked(error)}") from None
