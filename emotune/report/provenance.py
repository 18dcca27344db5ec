"""What it takes to get the same numbers again: code, versions, machines, and what runs noted about themselves."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from emotune.analysis.load import Records
from emotune.core.storage import Folder

__all__ = ["provenance"]


def provenance(records: Records, pool: str) -> dict[str, Any]:
    """Where the finished runs are from; more than one of a kind is worth knowing.

    Returns:
        ``commits``, ``hardware``, ``numerics``, ``initialisation``, ``selections``: with the number of
        runs; ``versions``: by package, all that were used; ``diffs``: by the first digits of their hash, texts;
        ``interruptions``: after which runs were continued.
    """
    found = list(records.records.values())
    origins = [origin for record in found for origin in record["origins"]]
    versions: dict[str, set[str]] = {}
    for one in origins:
        for package, version in one["versions"].items():
            versions.setdefault(package, set()).add(version)
    return {
        "commits": _counted(_commit(origin["git"]) for origin in origins),
        "versions": {package: ", ".join(sorted(used)) for package, used in versions.items()},
        "hardware": _counted(map(_machine, found)),
        "numerics": _counted(_plain(record.get("numerics", {})) for record in found),
        "initialisation": _counted(_plain(record.get("initialisation", {})) for record in found),
        "selections": _counted(record.get("selection", "last epoch") for record in found),
        "diffs": _diffs(records.records, pool),
        "interruptions": sum(record["interruptions"] for record in found),
    }


def _diffs(records: Mapping[str, Mapping[str, Any]], pool: str) -> dict[str, str]:
    """What was changed in the code beyond its commit; each once."""
    diffs: dict[str, str] = {}
    for run, record in records.items():
        for one in record["origins"]:
            digest = ((one["git"] or {}).get("diff") or "")[:8]
            if re.fullmatch("[0-9a-f]{8}", digest) and digest not in diffs:
                text = (Folder(pool) / run).read(f"origin-{digest}.diff")
                diffs[digest] = "(the file is missing)" if text is None else text.decode(errors="replace")
    return dict(sorted(diffs.items()))


def _counted(values: Iterable[str]) -> dict[str, int]:
    """How many runs have each, the most frequent first."""
    counts = Counter(value for value in values if value)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _commit(git: Mapping[str, Any] | None) -> str:
    if not git:
        return ""
    commit = f"{git['commit'] or 'unknown'}"[:10]
    if why := git.get("unknown"):
        return f"{commit}, whether with changes is unknown ({why})"
    return f"{commit}{' with changes' if git['dirty'] else ''}"


def _machine(record: Mapping[str, Any]) -> str:
    hardware, workers = record["hardware"], record["workers"]
    device = hardware["gpu"] or f"{hardware['cpus']} × {hardware['machine']} CPU, {hardware['threads']} thread(s)"
    return f"{device}, {workers} worker{'s' if workers > 1 else ''}"


def _plain(value: Any) -> str:
    """A few settings in a line: ``precision float32, threads 1``; of a run continued with others, all of them."""
    if isinstance(value, list):
        return " and then ".join(map(_plain, value))
    if not isinstance(value, Mapping):
        return str(value)
    return ", ".join(f"{key} {v if isinstance(v, str | int | float) else json.dumps(v)}" for key, v in value.items())
