"""Whose report is in a folder, and whether it is still what would be written: what it is made of, and whether its files
are as they were left.

Light: a finished study asks it each time, before anything that draws is imported.
"""

import contextlib
import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from emotune.analysis.architecture import read_architectures
from emotune.config.run import RunConfig
from emotune.config.study import Study
from emotune.core.errors import InputError, UnwritableError, describe_os_error
from emotune.core.storage import Folder, to_json_bytes
from emotune.data.datasets.location import is_ready, manifest_of
from emotune.runs.directory import Status

__all__ = ["ReportWriter", "claim_folder", "has_model_cards", "input_fingerprint", "is_up_to_date", "write_fingerprint"]

FINGERPRINT_FILE = ".fingerprint.json"
"""Beside the page: the digest of what it was made of, the sha256 of each file of the report, whose report it is, and
whether model cards belong to it.
"""
REPORT_FILE = re.compile(r"(cards/)?[A-Za-z0-9][A-Za-z0-9._-]*")
"""Of a report; what else stands in a seal is none of ours, and stays."""
CARDS = "cards/"
CODE = (".py", ".html", ".md", ".css", ".js", ".tex")


def input_fingerprint(
    study: Study,
    runs: Sequence[RunConfig],
    statuses: Mapping[str, Status],
    records: Sequence[Mapping[str, Any]],
    pool: str,
    command: str,
) -> str:
    """A digest of all that a report is made of: study, runs, data sets, command, and emotune's own code.

    Args:
        study: The study, with what the command line said instead.
        runs: Its runs.
        statuses: Their states, by id.
        records: ``record.json`` of the finished ones; curves and predictions were written before, and never change.
        pool: Where their directories are.
        command: That reproduces the study.
    """
    datasets = {run.dataset.name: run.dataset for run in runs}.values()
    digest = hashlib.sha256()
    for part in (
        repr(study),
        pool,
        command,
        *(f"{run.id} {statuses[run.id].state} {statuses[run.id].detail}" for run in runs),
        *(json.dumps(record, sort_keys=True) for record in records),
        *(f"{ref!r} {manifest_of(ref) if is_ready(ref) else ''}" for ref in datasets),
        json.dumps(read_architectures(pool, study, runs)),
        *_package_sources(),
    ):
        data = part.encode() if isinstance(part, str) else part
        digest.update(f"{len(data)} ".encode() + data)
    return digest.hexdigest()


class ReportWriter:
    """The files of a report while it is written: on leaving, what an earlier report left and this has not is removed.

    Only what that report wrote, and nobody has changed since; all else in the folder is the user's.
    """

    def __init__(self, out: Path, study: Study, *, cards: bool) -> None:
        self._folder, self._out = Folder(str(out)), out
        self._before = _read_fingerprint_file(out)["written"]
        self._of = {"study": _study_reference(study, out), "cards": cards}
        self._now: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def write(self, name: str, data: bytes) -> None:
        """Writes a file of the report."""
        with unwritable_report_errors(self._out):
            self._folder.write(name, data, flush=False)
        self._now[name] = hashlib.sha256(data).hexdigest()
        self._note(self._before | self._now)  # so that of an interrupted report the next one knows every file

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            for name in self._before.keys() - self._now.keys():
                with unwritable_report_errors(self._out):
                    if _sha256(self._out / name) == self._before[name]:
                        self._folder.delete(name)
            self._note(self._now)

    def _note(self, files: Mapping[str, str]) -> None:
        seal = to_json_bytes({"fingerprint": "", "written": dict(sorted(files.items()))} | self._of)
        with unwritable_report_errors(self._out):
            self._folder.write(FINGERPRINT_FILE, seal, flush=False)


@contextlib.contextmanager
def unwritable_report_errors(out: Path) -> Iterator[None]:
    """Tells what cannot be written from what cannot be read."""
    try:
        yield
    except OSError as error:
        raise UnwritableError(
            f"{out}: the report cannot be written ({describe_os_error(error)}); make room, or name another "
            "folder (--report)"
        ) from None


def is_up_to_date(out: Path, digest: str) -> bool:
    """Whether the report in a folder was made of just this, and nobody has changed or removed a file of it since."""
    seal = _read_fingerprint_file(out)
    return seal["fingerprint"] == digest and all(
        _sha256(out / name) == known for name, known in seal["written"].items()
    )


def write_fingerprint(out: Path, digest: str) -> None:
    """Writes down what the report in a folder was made of."""
    with unwritable_report_errors(out):
        Folder(str(out)).write_json(FINGERPRINT_FILE, _read_fingerprint_file(out) | {"fingerprint": digest})


def claim_folder(out: Path, study: Study) -> None:
    """Makes a folder that of a study's report: of the same file, whatever was edited in it, or of a file with the same
    text, wherever it is. A folder that an earlier version of emotune wrote says nothing of that, and is taken.

    Raises:
        InputError: the report of another study is there.
    """
    own = _study_reference(study, out)
    with unwritable_report_errors(out):
        Folder(str(out)).create(
            FINGERPRINT_FILE, to_json_bytes({"fingerprint": "", "written": {}, "study": own, "cards": False})
        )
    other = _read_fingerprint_file(out)["study"]
    if other and other["source"] != own["source"] and (other["file"] != own["file"] or not own["file"]):
        of = Path(os.path.normpath(out.absolute() / other["file"])) if other["file"] else other["name"]
        instead = shlex.join(["--report", f"{out}-{Path(study.file).parent.name or 'other'}"])
        raise InputError(
            f"{out}: holds the report of another study, {of}; name another folder ({instead}), or remove that one"
        )


def has_model_cards(out: Path) -> bool:
    """Whether model cards belong to the report in a folder: they were asked for once, and nobody has removed them."""
    found = _read_fingerprint_file(out)
    known = [name for name in found["written"] if name.startswith(CARDS)]
    return found["cards"] and (not known or any((out / name).is_file() for name in known))


def _study_reference(study: Study, out: Path) -> dict[str, str]:
    """What a seal says of a study: its file as seen from the folder, so that copies of both stay together."""
    file = Path(os.path.relpath(study.file, out.resolve())).as_posix() if study.file else ""
    return {"name": study.name, "file": file, "source": hashlib.sha256(study.source.encode()).hexdigest()}


def _read_fingerprint_file(out: Path) -> dict[str, Any]:
    """The seal of the report in a folder; that of none where it has none, or a damaged one."""
    try:
        found = json.loads((out / FINGERPRINT_FILE).read_bytes())
        written = {name: str(digest) for name, digest in found["written"].items() if REPORT_FILE.fullmatch(name)}
        study = {key: str(found["study"][key]) for key in ("name", "file", "source")} if found.get("study") else {}
        cards = found.get("cards", any(name.startswith(CARDS) for name in written))
        return {"fingerprint": str(found["fingerprint"]), "written": written, "study": study, "cards": cards is True}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {"fingerprint": "", "written": {}, "study": {}, "cards": False}


def _package_sources() -> list[bytes]:
    root = Path(__file__).parents[1]
    return [path.read_bytes() for path in sorted(root.rglob("*")) if path.suffix in CODE]


def _sha256(path: Path) -> str | None:
    """Of a file; None where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
