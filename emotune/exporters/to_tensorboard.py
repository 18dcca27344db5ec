"""Runs for TensorBoard: a folder of event files for each, as ``--tensorboard`` of `emotune.ablate` writes them."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.read.epoch_order import steps_per_epoch
from emotune.execution.monitor.tensorboard import EVENT_FILES, write_finished_run
from emotune.exporters.content import RunContent, StudyContent
from emotune.exporters.destination import one_writer

__all__ = ["TensorBoardDestination"]

MARK = "emotune.json"
"""The file beside the event files of an export: the run, its fingerprint if the export was whole, and their names."""


class TensorBoardDestination:
    """A folder in which runs have folders of event files; TensorBoard has no place for a study's own files.

    A folder with event files of another origin, those of a run that is being trained for example, is left as it is.

    Args:
        folder: The folder.

    Raises:
        InputError: it is a URL, or cannot be written to.
    """

    def __init__(self, folder: str) -> None:
        if "://" in folder:
            raise InputError(f"--out {folder}: is a URL; give a folder of this machine")
        self._folder = Path(folder)
        self._stack, self._kept = contextlib.ExitStack(), list[str]()

    def __enter__(self) -> "TensorBoardDestination":
        self._stack.enter_context(one_writer(str(self._folder.absolute())))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            Folder(str(self._folder)).require_writable()
        except (OSError, InputError) as error:
            self._stack.close()
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"--out {self._folder}: {reason}; give a folder that can be written to") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fingerprints(self) -> Mapping[str, str]:
        """The fingerprints of the runs that have a folder here, by run id."""
        marks = [_mark(path.parent) for path in self._folder.glob(f"*/{MARK}")]
        return {mark["run"]: mark["fingerprint"] for mark in marks if mark.get("fingerprint")}

    def write_run(self, run: RunContent) -> str:
        """Writes the event file of a run, and removes that of an earlier export."""
        folder = self._folder / run.name
        before: list[str] = _mark(folder).get("files", [])
        if any(path.name not in before for path in folder.glob(EVENT_FILES)):
            return f"{folder}: has event files of ablate --tensorboard, which are left as they are"
        for path in self._folder.glob(f"*/{MARK}"):  # its variant may have had another name
            if path.parent != folder and _mark(path.parent).get("run") == run.id:
                _remove(path.parent)
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=self._folder) as temporary:
            steps = steps_per_epoch(run.train_images, run.config.train.batch_size)
            write_finished_run(Path(temporary), run.curves, steps, run.parameters, run.metrics)
            (new,) = Path(temporary).iterdir()
            _write_mark(folder, run.id, "", [*before, new.name])
            for name in before:
                (folder / name).unlink(missing_ok=True)
            shutil.move(new, folder / new.name)
            _write_mark(folder, run.id, run.fingerprint, [new.name])
        return ""

    def write_study(self, study: StudyContent) -> list[str]:
        """Says how to look at the runs."""
        return [f"TensorBoard: tensorboard --logdir {self._folder}"]


def _mark(folder: Path) -> dict[str, Any]:
    try:
        mark = json.loads((folder / MARK).read_bytes())
        return {
            "run": str(mark["run"]),
            "fingerprint": str(mark["fingerprint"]),
            "files": list(map(str, mark["files"])),
        }
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _write_mark(folder: Path, run_id: str, fingerprint: str, files: list[str]) -> None:
    Folder(str(folder)).write_json(MARK, {"run": run_id, "fingerprint": fingerprint, "files": files})


def _remove(folder: Path) -> None:
    """Removes what an export wrote into a folder, and the folder if nothing else is in it."""
    for name in [*_mark(folder).get("files", []), MARK]:
        if Path(name).name == name:
            (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
