"""Runs for Weights & Biases: a group for a study, with a run for the study itself and one for each of its runs.

Runs are written to disk in W&B's offline format, each of them whole, and then uploaded by W&B's own ``wandb sync``: an
upload that fails has lost nothing, and the next one goes on. W&B gives an id that was deleted to no other run, and adds
to the curves of one that is there; so ids are made of a run's content, and a run whose record has changed gets another.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from emotune.core.errors import InputError, UnavailableError
from emotune.core.storage import Folder
from emotune.exporters.content import RunContent, StudyContent, curve_metrics
from emotune.exporters.destination import installed, masked, one_writer
from emotune.exporters.files import ExportedFile, write_files

__all__ = ["WandbDestination"]

QUIET = {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}
"""Environment variables that are set unless they are."""
LEDGER = "emotune-exports.json"
"""The file in W&B's folder that tells what was exported, so that runs that were uploaded and cleaned stay known."""
AT_ONCE = 50
"""Runs that one process uploads."""
REACH_S = 10.0
"""Seconds in which W&B's server must answer."""
UPLOADED = ".wandb.synced"
"""The suffix of the file by which W&B marks a run as uploaded."""


class Entry(TypedDict):
    """The entry of a run in the ledger: its fingerprint, its id in W&B, and whether it was uploaded."""

    fingerprint: str
    id: str
    uploaded: bool


class WandbDestination:
    """A project of W&B.

    Args:
        study: The study's name.
        project: The project's name.
        entity: The user or team to whom the project belongs; None: the user's default.
        folder: The folder in which W&B has its folder ``wandb``.
        offline: Whether nothing is uploaded.

    Raises:
        InputError: wandb is not installed, the folder cannot be written to, or W&B is disabled.
    """

    def __init__(self, study: str, project: str, entity: str | None, folder: str, *, offline: bool) -> None:
        if "://" in folder:
            raise InputError(f"--out {folder}: is a URL; give a folder of this machine")
        mode = os.environ.get("WANDB_MODE", "online")
        if mode == "disabled":
            raise InputError("WANDB_MODE=disabled: nothing would be exported; remove it from the environment")
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        self._wandb = installed("wandb", "wandb")
        self._study, self._project, self._entity = study, project, entity
        self._folder = Path(folder, "wandb").absolute()  # W&B's process may have begun in another folder
        self._offline = offline or mode in ("offline", "dryrun")
        self._stack, self._ledger = contextlib.ExitStack(), dict[str, Entry]()

    def __enter__(self) -> "WandbDestination":
        with self._stack:
            self._stack.enter_context(one_writer(str(self._folder.absolute())))
            Folder(str(self._folder)).require_writable()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._ledger = Folder(str(self._folder)).read_json(LEDGER) or {}
            for entry in self._ledger.values():  # a user may have called wandb sync
                entry["uploaded"] |= self._was_uploaded(entry)
            Folder(str(self._folder)).write_json(LEDGER, self._ledger)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fingerprints(self) -> Mapping[str, str]:
        """The fingerprints of the runs that were uploaded or are on the disk as a whole, by run id."""
        own = self._key("")
        return {
            key.removeprefix(own): entry["fingerprint"] for key, entry in self._ledger.items()
            if key.startswith(own) and (entry["uploaded"] or self._folders(entry["id"]))
        }  # fmt: skip

    def write_run(self, run: RunContent) -> str:
        """Writes a run to the disk, in the place of an earlier version that was not uploaded."""
        config = {**run.parameters, "emotune.run_id": run.id, "emotune.study": self._study}
        return self._write(
            run.id, run.fingerprint, run.name, "run", config, run.curves, run.selected_epoch, run.metrics, run.files
        )

    def write_study(self, study: StudyContent) -> list[str]:
        """Writes the study's own run, and uploads what was not uploaded."""
        notes = []
        if self.fingerprints().get("") != study.fingerprint:
            notes = [
                self._write("", study.fingerprint, study.name, "study", study.tags, (), 0, study.metrics, study.files)
            ]
        pending = {key: entry for key, entry in self._ledger.items() if key.startswith(self._key(""))
                   and not entry["uploaded"] and self._folders(entry["id"])}  # fmt: skip
        if self._offline:
            command = f"wandb sync {self._folder}/offline-run-*"
            return [*filter(None, notes), f"W&B: {len(pending)} runs on disk to upload: {command}"]
        if pending:
            self._upload(pending)
        return [*filter(None, notes), f"W&B: project {self._project}, group {self._study}"]

    def _write(
        self, run_id: str, fingerprint: str, name: str, kind: str, config: Mapping[str, Any],
        curves: Sequence[Mapping[str, float]], selected_epoch: int, results: Mapping[str, float],
        files: Sequence[ExportedFile],
    ) -> str:  # fmt: skip
        key, before = self._key(run_id), self._ledger.get(self._key(run_id))
        digest = hashlib.sha256(f"{self._study} {fingerprint}".encode()).hexdigest()[:8]
        entry: Entry = {"fingerprint": fingerprint, "id": f"{run_id or self._study}-{digest}", "uploaded": False}
        for one in (before, entry):  # of an earlier version, or of an export that was interrupted
            for folder in self._folders(one["id"]) if one and not one["uploaded"] else ():
                shutil.rmtree(folder)
        settings = self._wandb.Settings(
            mode="offline", console="off", silent=True, x_disable_stats=True, x_disable_meta=True, disable_git=True,
            disable_code=True, save_code=False, x_save_requirements=False, quiet=True,
        )  # fmt: skip
        run = self._wandb.init(
            project=self._project, entity=self._entity, id=entry["id"], name=name, group=self._study, job_type=kind,
            config=dict(config), dir=str(self._folder.parent), settings=settings, reinit="create_new",
        )  # fmt: skip
        try:
            for epoch in curves:
                run.log(curve_metrics(epoch), step=int(epoch["epoch"]))
            run.summary.update({**results, **({"selected_epoch": selected_epoch} if selected_epoch else {})})
            for path in write_files(Path(run.dir), files):
                run.save(str(path), base_path=run.dir, policy="end")
        finally:
            run.finish()
        self._ledger[key] = entry
        Folder(str(self._folder)).write_json(LEDGER, self._ledger)
        if before and before["uploaded"]:
            address = "/".join(filter(None, [self._entity, self._project, before["id"]]))
            return f"{name}: has changed since it was uploaded; delete its earlier version in W&B: {address}"
        return ""

    def _upload(self, pending: Mapping[str, Entry]) -> None:
        """Uploads runs that are on the disk.

        Raises:
            UnavailableError: W&B cannot be reached, or does not accept them.
        """
        missing = f"{len(pending)} runs are in {self._folder} and not uploaded"
        base_url = str(self._wandb.setup().settings.base_url)
        try:
            urllib.request.urlopen(base_url, timeout=REACH_S).close()
        except urllib.error.HTTPError:
            pass  # it has answered
        except (OSError, ValueError) as error:
            raise UnavailableError(f"{base_url}: W&B cannot be reached ({masked(error)}); {missing}") from None
        keys = list(pending)
        for first in range(0, len(keys), AT_ONCE):
            some = {key: self._folders(pending[key]["id"])[0] for key in keys[first : first + AT_ONCE]}
            command = [sys.executable, "-m", "wandb", "sync", "--yes", *map(str, some.values())]
            ended = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
            for key in some:
                self._ledger[key]["uploaded"] = self._was_uploaded(self._ledger[key])
            Folder(str(self._folder)).write_json(LEDGER, self._ledger)
            if not all(self._ledger[key]["uploaded"] for key in some):
                said = masked(ended.stderr.rpartition("Error: ")[2] or ended.stdout)
                raise UnavailableError(f"{base_url}: W&B has not taken all runs ({said}); {missing}")

    def _folders(self, wandb_id: str) -> list[Path]:
        return sorted(self._folder.glob(f"offline-run-*-{wandb_id}"))

    def _was_uploaded(self, entry: Entry) -> bool:
        return any(any(folder.glob(f"*{UPLOADED}")) for folder in self._folders(entry["id"]))

    def _key(self, run_id: str) -> str:
        """The ledger's name of a run; that of the study itself for an empty id."""
        return f"{self._entity or ''}/{self._project}/{self._study}/{run_id}"
