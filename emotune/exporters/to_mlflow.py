"""Runs for MLflow: an experiment for a study, a parent run for the study itself, and a child run for each of its runs.

MLflow changes no parameter of a run and adds to its curves, so a run whose record has changed becomes a new child,
which takes the place of the old one. A child carries its fingerprint only when it is whole; others are removed by the
next export, and so are copies that two exports at the same time have made.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emotune.core.errors import InputError, UnavailableError
from emotune.core.location import mask_credentials
from emotune.core.version import VERSION
from emotune.exporters.content import RunContent, StudyContent, curve_metrics
from emotune.exporters.destination import installed, masked, one_writer
from emotune.exporters.files import ExportedFile, write_files

__all__ = ["MlflowDestination"]

QUIET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Environment variables that are set unless they are: by default an address that is down is tried for minutes."""
BATCH = 900
"""Metrics in one request; MLflow takes 1000."""
PARAMETERS = 100
"""Parameters in one request, as many as MLflow takes."""
LONGEST = 6000
"""Characters of a parameter's value."""
RUN, FINGERPRINT, STUDY, KIND = "emotune.run_id", "emotune.fingerprint", "emotune.study", "emotune.kind"
PARENT, NOTE = "mlflow.parentRunId", "mlflow.note.content"


class MlflowDestination:
    """An experiment of an MLflow tracking server or store.

    Args:
        study: The study's name.
        experiment: The experiment's name.
        tracking_uri: The server's or store's address; None: MLflow's own, which is ``$MLFLOW_TRACKING_URI`` or
            ``sqlite:///mlflow.db``.

    Raises:
        InputError: MLflow is not installed.
    """

    def __init__(self, study: str, experiment: str, tracking_uri: str | None = None) -> None:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        mlflow = installed("mlflow", "mlflow")
        self._study, self._experiment = study, experiment
        self._uri = tracking_uri or str(mlflow.get_tracking_uri())
        self._stack, self._mlflow = contextlib.ExitStack(), mlflow
        self._client: Any = None
        self._experiment_id = self._parent = ""

    def __enter__(self) -> "MlflowDestination":
        with self._stack:
            self._stack.enter_context(one_writer(f"{self._uri} {self._experiment}"))
            with self._reached():
                self._client = self._mlflow.MlflowClient(self._uri)
                found = self._client.get_experiment_by_name(self._experiment)
                if found is not None and found.lifecycle_stage == "deleted":
                    raise InputError(
                        f"--to mlflow: the experiment {self._experiment} has been deleted; restore it (mlflow "
                        "experiments restore), or name another one (--project)"
                    )
                self._experiment_id = found.experiment_id if found else self._client.create_experiment(self._experiment)
                self._parent = self._find_parent()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fingerprints(self) -> Mapping[str, str]:
        """The fingerprints of the child runs, by run id."""
        with self._reached():
            return {run.data.tags[RUN]: run.data.tags[FINGERPRINT] for run in self._children()
                    if FINGERPRINT in run.data.tags}  # fmt: skip

    def write_run(self, run: RunContent) -> str:
        """Writes a child run and removes its earlier versions, whose notes and tags it takes over."""
        with self._reached():
            old = self._children(f" and tags.`{RUN}` = '{run.id}'")
            began = int(1000 * (run.ended - run.train_s)) if run.ended else None
            new = self._client.create_run(
                self._experiment_id, start_time=began, run_name=run.name,
                tags={**_users_tags(old), PARENT: self._parent, RUN: run.id, STUDY: self._study, KIND: "run"},
            ).info.run_id  # fmt: skip
            self._log_parameters(new, run.parameters)
            self._log_metrics(new, [*_curve_points(run, began or 0), *self._results(run)])
            self._log_files(new, run.files)
            self._client.set_terminated(new, "FINISHED", int(1000 * run.ended) if run.ended else None)
            self._client.set_tag(new, FINGERPRINT, run.fingerprint)
            for one in old:
                self._client.delete_run(one.info.run_id)
        return ""

    def write_study(self, study: StudyContent) -> list[str]:
        """Writes tags, results and files of the parent run, if they have changed, and removes what does not belong."""
        with self._reached():
            parent = self._client.get_run(self._parent)
            self._remove_extra_children({run.id: run.fingerprint for run in study.runs})
            if parent.data.tags.get(FINGERPRINT) != study.fingerprint:
                for name, value in study.tags.items():
                    self._client.set_tag(self._parent, f"emotune.{_key(name)}", value)
                self._client.set_tag(self._parent, "emotune.version", VERSION)
                if NOTE not in parent.data.tags:
                    self._client.set_tag(self._parent, NOTE, study.question)
                now = {_key(name): value for name, value in study.metrics.items()}
                changed = {name: value for name, value in now.items() if parent.data.metrics.get(name) != value}
                self._log_metrics(self._parent, [(name, value, 0, len(study.runs)) for name, value in changed.items()])
                self._log_files(self._parent, study.files)
                self._client.set_terminated(self._parent, "FINISHED")
                self._client.set_tag(self._parent, FINGERPRINT, study.fingerprint)
        shown = mask_credentials(self._uri)
        look = [] if self._uri.startswith("http") else [f"mlflow ui --backend-store-uri {shown}"]
        return [f"MLflow: experiment {self._experiment}, parent run {self._parent} in {shown}", *look]

    def _find_parent(self) -> str:
        """The id of the study's run; the oldest, if two exports have each made one."""
        own = f"tags.`{STUDY}` = '{self._study}' and tags.`{KIND}` = 'study'"
        found = self._client.search_runs([self._experiment_id], own, order_by=["attributes.start_time ASC"])
        if found:
            return str(found[0].info.run_id)
        tags = {STUDY: self._study, KIND: "study"}
        return str(self._client.create_run(self._experiment_id, run_name=self._study, tags=tags).info.run_id)

    def _children(self, condition: str = "") -> list[Any]:
        own = f"tags.`{PARENT}` = '{self._parent}' and tags.`{KIND}` = 'run'{condition}"
        found, token = [], None
        while True:
            page = self._client.search_runs([self._experiment_id], own, max_results=1000, page_token=token)
            found += page
            if not (token := page.token):
                return found

    def _remove_extra_children(self, wanted: Mapping[str, str]) -> None:
        """Removes incomplete and repeated versions of the study's runs; those of runs that are not done now stay."""
        kept = set[str]()
        for run in self._children():
            run_id = run.data.tags[RUN]
            is_whole = FINGERPRINT in run.data.tags
            if not is_whole or (run_id in wanted and (run_id in kept or run.data.tags[FINGERPRINT] != wanted[run_id])):
                self._client.delete_run(run.info.run_id)
            else:
                kept.add(run_id)

    def _results(self, run: RunContent) -> list[tuple[str, float, int, int]]:
        ended = int(1000 * run.ended)
        return [(name, value, ended, run.selected_epoch) for name, value in run.metrics.items()]

    def _log_parameters(self, run_id: str, values: Mapping[str, Any]) -> None:
        params = [self._mlflow.entities.Param(_key(k), str(v)[:LONGEST]) for k, v in values.items()]
        for first in range(0, len(params), PARAMETERS):
            self._client.log_batch(run_id, params=params[first : first + PARAMETERS])

    def _log_metrics(self, run_id: str, points: Sequence[tuple[str, float, int, int]]) -> None:
        metrics = [self._mlflow.entities.Metric(_key(name), *point) for name, *point in points]
        for first in range(0, len(metrics), BATCH):
            self._client.log_batch(run_id, metrics=metrics[first : first + BATCH])

    def _log_files(self, run_id: str, files: Sequence[ExportedFile]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            if write_files(Path(folder), files):
                self._client.log_artifacts(run_id, folder)

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        """Turns MLflow's errors into those of a command."""
        try:
            yield
        except self._mlflow.exceptions.MlflowException as error:
            remote = "://" in self._uri and not self._uri.startswith(("sqlite:", "file:"))
            kind = UnavailableError if remote else InputError
            raise kind(f"{mask_credentials(self._uri)}: MLflow cannot use it: {masked(error)}") from None


def _curve_points(run: RunContent, began: int) -> list[tuple[str, float, int, int]]:
    """The points of a run's curves: name, value, time in milliseconds, and epoch."""
    spacing = 1000 * run.train_s / max(len(run.curves), 1)
    return [
        (name, value, int(began + spacing * (number + 1)), int(epoch["epoch"]))
        for number, epoch in enumerate(run.curves) for name, value in curve_metrics(epoch).items()
    ]  # fmt: skip


def _users_tags(runs: Sequence[Any]) -> dict[str, str]:
    """The tags and the note that a user has given earlier versions of a run."""
    return {
        key: value for run in runs for key, value in run.data.tags.items()
        if key == NOTE or not key.startswith(("emotune.", "mlflow."))
    }  # fmt: skip


def _key(name: str) -> str:
    r"""A name with the characters that MLflow allows.

    >>> _key("contrast/scenes/a * b - c/p")
    'contrast/scenes/a _ b - c/p'
    """
    return re.sub(r"[^\w\-. /]", "_", name)[:250]
