"""The files that are exported: those of runs, the study's text, and its report without photographs."""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emotune.config.run import RunConfig
from emotune.config.study import Study
from emotune.core.errors import InputError
from emotune.core.storage import Folder, to_json_bytes
from emotune.core.typed_command import typed_command
from emotune.exporters.parameters import without_folders
from emotune.report.dataset_info import DatasetInfo
from emotune.report.freshness import check_owner, report_file_names
from emotune.runs.directory import CONFIG, FITTED, METRICS, PREDICTIONS, RECORD, WEIGHTS, code_file

__all__ = ["ExportedFile", "StudyFiles", "run_files", "study_files", "write_files"]

PAGE, OVERLAYS = "index.html", "overlays-"
PHOTOGRAPHS = re.compile(rb"data:image/(jpeg|webp)|figure-overlays-")
"""The marks of a page that shows photographs: its other pictures are drawings."""


@dataclass(frozen=True)
class ExportedFile:
    """A file to export.

    Attributes:
        name: Its name, with ``/`` below a folder.
        size: Its bytes.
        read: Gives its content.
        digest: The sha256 of its content if it was read already; else empty: it belongs to a record, and does not
            change without it.
    """

    name: str
    size: int
    read: Callable[[], bytes] = field(repr=False, compare=False)
    digest: str = ""

    @property
    def identity(self) -> tuple[str, int, str]:
        """Name, size and digest: one of them differs if the file or its content is another."""
        return self.name, self.size, self.digest


@dataclass(frozen=True)
class StudyFiles:
    """The files of a study itself.

    Attributes:
        files: The files.
        notes: Files that are not among them, with the reason, a line each.
    """

    files: Sequence[ExportedFile]
    notes: Sequence[str]


def run_files(folder: Folder, run: RunConfig, *, weights: bool) -> tuple[list[ExportedFile], float]:
    """The files of a finished run, and the time at which it ended, in seconds since 1970; 0 if that is not known.

    Config and record name no folders of a machine. There are no images among the files.

    Args:
        folder: The run's folder.
        run: The run.
        weights: Whether trained weights are among them.
    """
    there = folder.files()
    files = [_in_memory(name, _without_folders(folder, name)) for name in (CONFIG, RECORD) if name in there]
    names = [METRICS, PREDICTIONS, *map(code_file, run.user_code)] + [WEIGHTS, FITTED] * weights
    files += [_in_folder(folder, name, there[name][0]) for name in names if name in there]
    return files, there.get(RECORD, (0, 0.0))[1]


def study_files(
    study: Study, report: Path, datasets: Iterable[DatasetInfo], contrasts: bytes, *, allow_thumbnails: bool
) -> StudyFiles:
    """The text of a study, and the files of its report, below ``report/``.

    Args:
        study: The study.
        report: The folder of its report, if there is one.
        datasets: Its data sets.
        contrasts: The table of its contrasts as of now, from which an outdated report differs.
        allow_thumbnails: Whether photographs in the report may be exported.

    Raises:
        InputError: the folder has the report of another study.
    """
    check_owner(report, study)
    files, notes = [_in_memory("study.yaml", study.source.encode())], []
    names = [name for name in report_file_names(report) if (report / name).is_file()]
    if not names:
        notes.append(f"{report}: has no report of this study, so none is exported; --report DIR names its folder")
    elif (report / "contrasts.csv").is_file() and (report / "contrasts.csv").read_bytes() != contrasts:
        notes.append(
            f"{report}: the report is older than the runs; {typed_command('ablate')} … --report-only renews it"
        )
    synthetic = all(one.synthetic for one in datasets)
    left = [] if synthetic or allow_thumbnails else [n for n in names if _shows_photographs(report / n)]
    if left:
        notes.append(
            f"{report}: {', '.join(left)} show{'s' * (len(left) == 1)} photographs and "
            f"{'is' if len(left) == 1 else 'are'} left out; --allow-thumbnails exports them, if licence and the people "
            "depicted permit it"
        )
    for name in names:
        if name not in left:
            files.append(_on_disk(f"report/{name}", report / name))
    return StudyFiles(files, notes)


def write_files(folder: Path, files: Sequence[ExportedFile]) -> list[Path]:
    """Writes files into a folder of this machine; gives their paths."""
    paths = []
    for file in files:
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.read())
        paths.append(path)
    return paths


def _shows_photographs(file: Path) -> bool:
    return file.name.startswith(OVERLAYS) or (
        file.suffix in (".html", ".svg", ".md") and PHOTOGRAPHS.search(file.read_bytes()) is not None
    )


def _without_folders(folder: Folder, name: str) -> bytes:
    value = folder.read_json(name)
    if value is None:
        raise InputError(f"{folder / name}: has disappeared; run the same command again")
    return to_json_bytes(without_folders(value))


def _in_memory(name: str, data: bytes) -> ExportedFile:
    return ExportedFile(name, len(data), lambda: data, hashlib.sha256(data).hexdigest())


def _on_disk(name: str, path: Path) -> ExportedFile:
    return ExportedFile(name, path.stat().st_size, path.read_bytes, hashlib.sha256(path.read_bytes()).hexdigest())


def _in_folder(folder: Folder, name: str, size: int) -> ExportedFile:
    def read() -> bytes:
        data = folder.read(name)
        if data is None:
            raise InputError(f"{folder / name}: has disappeared; run the same command again")
        return data

    return ExportedFile(name, size, read)
