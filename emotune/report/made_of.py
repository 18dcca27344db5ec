"""Whether a report is still what would be written: what it is made of, and whether its files are as they were left.

Light: a finished study asks it each time, before anything that draws is imported.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import emotune
from emotune.data.datasets import is_ready, manifest_of
from emotune.run import RunConfig
from emotune.run_directory import Status
from emotune.storage import Folder
from emotune.study import Study

__all__ = ["is_up_to_date", "made_of", "seal"]

SEAL = ".made-of.json"
"""Beside the page: the digest of what it was made of, and the sha256 of each file."""
CODE = (".py", ".html", ".md", ".css")


def made_of(
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
        (Folder(pool) / "studies" / study.name).read("networks.json"),
        *_code(),
    ):
        data = part.encode() if isinstance(part, str) else part or b""
        digest.update(f"{len(data)} ".encode() + data)
    return digest.hexdigest()


def is_up_to_date(out: Path, digest: str) -> bool:
    """Whether the report in a folder was made of just this, and nobody has changed or removed a file since."""
    try:
        seal = json.loads((out / SEAL).read_bytes())
        return seal["made_of"] == digest and all(_sha256(out / name) == known for name, known in seal["files"].items())
    except (OSError, ValueError, LookupError, TypeError):
        return False


def seal(out: Path, digest: str) -> None:
    """Writes down what the report in a folder was made of."""
    files = {path.name: _sha256(path) for path in sorted(out.iterdir()) if path.is_file() and path.name != SEAL}
    Folder(str(out)).write_json(SEAL, {"made_of": digest, "files": files})


def _code() -> list[bytes]:
    root = Path(emotune.__file__).parent
    return [path.read_bytes() for path in sorted(root.rglob("*")) if path.suffix in CODE]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
