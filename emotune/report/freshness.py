"""Report folders: the study that owns one, the fingerprint of the report's inputs, and the digests of its files.

A finished study checks here whether its report is up to date, so this module imports nothing that draws.
"""

import contextlib
import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self, TypedDict

from emotune.analysis.architecture import read_architectures
from emotune.analysis.tuning import TuningStage
from emotune.config.other_data import TransferTest
from emotune.config.study import Study
from emotune.core.errors import InputError, UnwritableError, describe_os_error
from emotune.core.storage import Folder, to_json_bytes
from emotune.data.datasets.location import is_ready, manifest_of
from emotune.runs.declarations import current_declaration, read_declarations
from emotune.runs.metric_values import value_bytes
from emotune.runs.store import RunStates
from emotune.runs.tested import bytes_of_tests

__all__ = [
    "ReportWriter",
    "check_owner",
    "claim_folder",
    "has_model_cards",
    "input_fingerprint",
    "is_up_to_date",
    "report_file_names",
    "write_fingerprint",
]

FINGERPRINT_FILE = ".fingerprint.json"
"""The file beside the page with the fingerprint of the report's inputs, the sha256 of each of its files, the study, and
whether model cards belong to the report.
"""
REPORT_FILE = re.compile(r"(cards/)?[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names of files that a report can have; other names in a fingerprint file are ignored."""
CARDS = "cards/"
CODE = (".py", ".html", ".md", ".css", ".js", ".tex")


class StudyReference(TypedDict):
    """The study that owns a report folder.

    Attributes:
        name: The study's name.
        file: The path of its file relative to the folder; empty for a study without a file.
        source: The sha256 of the file's text.
    """

    name: str
    file: str
    source: str


class FingerprintFile(TypedDict):
    """The content of `FINGERPRINT_FILE`.

    Attributes:
        fingerprint: The digest of the report's inputs; empty while the report is incomplete.
        written: The sha256 of each file of the report, by name.
        study: The study that owns the folder; None if it has no report.
        cards: Whether model cards belong to the report.
    """

    fingerprint: str
    written: dict[str, str]
    study: StudyReference | None
    cards: bool


def input_fingerprint(
    study: Study, states: RunStates, command: str, tests: Sequence[TransferTest] = (), tuning: TuningStage | None = None
) -> str:
    """A digest of everything a report depends on: study, runs, their values and tests, data, command, emotune's code.

    Args:
        study: The study, with the overrides of the command line.
        states: Its runs, and what their store has of them. Curves and predictions never change after the record.
        command: The command that reproduces the study.
        tests: The tests of its runs on other data sets.
        tuning: The tuning that chose the options of the runs; None if the study tunes nothing.
    """
    runs, statuses, store = states.runs, states.statuses, states.store
    datasets = {run.dataset.name: run.dataset for run in runs}.values()
    digest = hashlib.sha256()
    parts: tuple[str | bytes, ...] = (
        repr(study),
        store.url,
        command,
        *(f"{run.id} {statuses[run.id].state} {statuses[run.id].detail}" for run in runs),
        *(json.dumps(record, sort_keys=True) for record in states.records.values()),
        *(f"{ref!r} {manifest_of(ref) if is_ready(ref) else ''}" for ref in datasets),
        json.dumps(read_architectures(store, study, runs)),
        *value_bytes(states, study.metric),
        *bytes_of_tests(states, tests),
        *_declared(study, states),
        *_tuning(tuning),
        *_package_sources(),
    )
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(f"{len(data)} ".encode() + data)
    return digest.hexdigest()


def _tuning(tuning: TuningStage | None) -> Iterator[str]:
    """The tuning runs, and the runs with the declared options if a report compares them."""
    if tuning is not None:
        for states in filter(None, (tuning.states, tuning.declared_states())):
            yield from (f"{run_id} {status.state}" for run_id, status in states.statuses.items())
            yield from (json.dumps(record, sort_keys=True) for record in states.records.values())


def _declared(study: Study, states: RunStates) -> Iterator[str]:
    """The declarations of studies of this name up to the study's own; later ones change nothing in its report."""
    own = current_declaration(study, states).digest
    for one in read_declarations(states.store, study.name):
        yield f"{one.digest} {one.ended}"
        if one.digest == own:
            return


class ReportWriter:
    """Writes the files of a report; at the end of the context, stale files of an earlier report are removed.

    Only files that the earlier report wrote and nobody has changed since are removed; all others are the user's. Of a
    report that was copied without its fingerprint file, as from a repository, these are the figures in its page.

    Args:
        out: The report's folder.
        study: The study.
        cards: Whether model cards belong to the report.
    """

    def __init__(self, out: Path, study: Study, *, cards: bool) -> None:
        self._folder, self._out = Folder(str(out)), out
        self._before = _read_fingerprint_file(out)["written"] or _figures_of_page(out)
        self._study, self._cards = _study_reference(study, out), cards
        self._now: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def write(self, name: str, data: bytes) -> None:
        """Writes a file of the report."""
        with unwritable_report_errors(self._out):
            self._folder.write(name, data, flush=False)
        self._now[name] = hashlib.sha256(data).hexdigest()
        self._record(self._before | self._now)  # after an interruption, the next report knows every file

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            for name in self._before.keys() - self._now.keys():
                with unwritable_report_errors(self._out):
                    if _sha256(self._out / name) == self._before[name]:
                        self._folder.delete(name)
            self._record(self._now)

    def _record(self, files: Mapping[str, str]) -> None:
        """Writes the fingerprint file of an unfinished report."""
        content: FingerprintFile = {
            "fingerprint": "", "written": dict(sorted(files.items())), "study": self._study, "cards": self._cards
        }  # fmt: skip
        with unwritable_report_errors(self._out):
            self._folder.write(FINGERPRINT_FILE, to_json_bytes(content), flush=False)


@contextlib.contextmanager
def unwritable_report_errors(out: Path) -> Iterator[None]:
    """Raises errors of writing as `UnwritableError`, which tells them from errors of reading."""
    try:
        yield
    except OSError as error:
        raise UnwritableError(
            f"{out}: the report cannot be written ({describe_os_error(error)}); free disk space, or name "
            "another folder (--report)"
        ) from None


def is_up_to_date(out: Path, digest: str) -> bool:
    """Whether the report in a folder has this fingerprint, and nobody has changed or removed any of its files."""
    content = _read_fingerprint_file(out)
    return content["fingerprint"] == digest and all(
        _sha256(out / name) == sha256 for name, sha256 in content["written"].items()
    )


def write_fingerprint(out: Path, digest: str) -> None:
    """Records the fingerprint of the inputs of the report in a folder."""
    with unwritable_report_errors(out):
        Folder(str(out)).write_json(FINGERPRINT_FILE, {**_read_fingerprint_file(out), "fingerprint": digest})


def claim_folder(out: Path, study: Study) -> None:
    """Makes a folder the report folder of a study, unless it has the report of another one.

    A study is the same if its file is the same, whatever was edited in it, or if the text of its file is the same.

    Raises:
        InputError: the folder has the report of another study.
    """
    with unwritable_report_errors(out):
        reference = _study_reference(study, out)
        empty: FingerprintFile = {"fingerprint": "", "written": {}, "study": reference, "cards": False}
        Folder(str(out)).create(FINGERPRINT_FILE, to_json_bytes(empty))
    check_owner(out, study)


def check_owner(out: Path, study: Study) -> None:
    """Checks that a folder does not have the report of another study, see `claim_folder`; writes nothing.

    Raises:
        InputError: it has.
    """
    reference = _study_reference(study, out)
    other = _read_fingerprint_file(out)["study"]
    if (
        other
        and other["source"] != reference["source"]
        and (other["file"] != reference["file"] or not reference["file"])
    ):
        owner = Path(os.path.normpath(out.absolute() / other["file"])) if other["file"] else other["name"]
        instead = shlex.join(["--report", f"{out}-{Path(study.file).parent.name or 'other'}"])
        raise InputError(
            f"{out}: has the report of another study, {owner}; name another folder ({instead}), or delete this one"
        )


def has_model_cards(out: Path) -> bool:
    """Whether model cards belong to the report in a folder: they were requested once, and nobody has removed them."""
    content = _read_fingerprint_file(out)
    cards = [name for name in content["written"] if name.startswith(CARDS)]
    return content["cards"] and (not cards or any((out / name).is_file() for name in cards))


def report_file_names(out: Path) -> list[str]:
    """The names of the files that a report wrote into a folder, sorted; none without a report made there."""
    return sorted(_read_fingerprint_file(out)["written"])


def _study_reference(study: Study, out: Path) -> StudyReference:
    """How a fingerprint file refers to a study: by a path relative to the folder, so that copies of both match."""
    file = Path(os.path.relpath(study.file, out.resolve())).as_posix() if study.file else ""
    return {"name": study.name, "file": file, "source": hashlib.sha256(study.source.encode()).hexdigest()}


def _read_fingerprint_file(out: Path) -> FingerprintFile:
    """The content of a folder's fingerprint file; if it is missing or damaged, that of a folder without a report."""
    try:
        value = json.loads((out / FINGERPRINT_FILE).read_bytes())
        written = {name: str(digest) for name, digest in value["written"].items() if REPORT_FILE.fullmatch(name)}
        reference = value.get("study")
        study: StudyReference | None = None
        if reference:
            study = StudyReference(
                name=str(reference["name"]), file=str(reference["file"]), source=str(reference["source"])
            )
        cards = value.get("cards") is True
        return {"fingerprint": str(value["fingerprint"]), "written": written, "study": study, "cards": cards}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {"fingerprint": "", "written": {}, "study": None, "cards": False}


def _figures_of_page(out: Path) -> dict[str, str]:
    """The sha256 of the files of the figures that the page in a folder shows, by name."""
    page = out / "index.html"
    names = re.findall(r'<figure id="figure-([^"]+)">', page.read_text(errors="replace")) if page.is_file() else []
    files = [f"{name}.{kind}" for name in names for kind in ("png", "svg") if REPORT_FILE.fullmatch(name)]
    return {file: sha256 for file in files if (sha256 := _sha256(out / file))}


def _package_sources() -> list[bytes]:
    root = Path(__file__).parents[1]
    return [path.read_bytes() for path in sorted(root.rglob("*")) if path.suffix in CODE]


def _sha256(path: Path) -> str | None:
    """The sha256 of a file; None if it does not exist."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
