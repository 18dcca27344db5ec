"""The provenance of a study's numbers: commits, package versions, hardware, and settings that runs recorded."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emotune.analysis.load import Records
from emotune.runs.declarations import Declaration

__all__ = ["Provenance", "declared_text", "provenance"]


@dataclass(frozen=True)
class Provenance:
    """Where a study's finished runs come from. Counts are numbers of runs, the most frequent first.

    Attributes:
        commits: The number of runs, or parts of runs, that each commit of emotune trained.
        versions: All versions of each package that were used, by package.
        hardware: The number of runs on each kind of machine.
        numerics: The number of runs with each setting of precision and threads.
        initialisation: The number of runs with each initialisation.
        selection_rules: The number of runs with each rule of model selection; without models that have no epochs.
        diffs: Uncommitted changes to the code, by the first eight digits of their hash.
        interruptions: The number of times that runs were interrupted and resumed.
    """

    commits: Mapping[str, int]
    versions: Mapping[str, str]
    hardware: Mapping[str, int]
    numerics: Mapping[str, int]
    initialisation: Mapping[str, int]
    selection_rules: Mapping[str, int]
    diffs: Mapping[str, str]
    interruptions: int


MOST_LISTED = 6
"""The length up to which a list is shown whole."""

NUMERICS = {
    "tf32": "matrix products in TF32",
    "autocast": "mixed with bfloat16",
    "deterministic": "deterministic operations",
    "compiled": "compiled steps",
}
"""What is said of settings that are in use."""


def provenance(records: Records) -> Provenance:
    """Where the finished runs come from.

    Args:
        records: The study's runs.
    """
    finished = list(records.records.values())
    origins = [origin for record in finished for origin in record["origins"]]
    versions: dict[str, set[str]] = {}
    for origin in origins:
        for package, version in origin["versions"].items():
            versions.setdefault(package, set()).add(version)
    return Provenance(
        commits=_count(_commit(origin["git"]) for origin in origins),
        versions={package: ", ".join(sorted(used)) for package, used in versions.items()},
        hardware=_count(map(_machine, finished)),
        numerics=_count(_numerics_text(record.get("numerics", {})) for record in finished),
        initialisation=_count(_initialisation_text(record.get("initialisation", {})) for record in finished),
        selection_rules=_count(
            record.get("selection", "last epoch")
            for record in finished
            if record.get("last_epoch", {}).get("lr", 0) is not None
        ),
        diffs=_diffs(records),
        interruptions=sum(record["interruptions"] for record in finished),
    )


def _diffs(records: Records) -> dict[str, str]:
    """The uncommitted changes with which runs were trained, each once."""
    diffs: dict[str, str] = {}
    for run, record in records.records.items():
        for origin in record["origins"]:
            git = origin["git"]
            digest = ((git and git.get("diff")) or "")[:8]
            if re.fullmatch("[0-9a-f]{8}", digest) and digest not in diffs:
                text = (records.store.folder / run).read(f"origin-{digest}.diff")
                diffs[digest] = "(the file is missing)" if text is None else text.decode(errors="replace")
    return dict(sorted(diffs.items()))


def _count(values: Iterable[str]) -> dict[str, int]:
    """The number of times that each value occurs, the most frequent first; empty values are ignored."""
    counts = Counter(value for value in values if value)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _commit(git: Mapping[str, Any] | None) -> str:
    """The commit, and whether the code had uncommitted changes; empty if it was not in a repository."""
    if not git:
        return ""
    commit = f"{git['commit'] or 'unknown'}"[:10]
    if reason := git.get("unknown"):
        return f"{commit}, uncommitted changes unknown ({reason})"
    return f"{commit}{' with uncommitted changes' if git['dirty'] else ''}"


def _machine(record: Mapping[str, Any]) -> str:
    hardware, workers = record["hardware"], record["workers"]
    threads = f"{hardware['threads']} thread{'s' if hardware['threads'] != 1 else ''}"
    device = hardware["gpu"] or f"{hardware['cpus']} × {hardware['machine']} CPU, {threads}"
    return f"{device}, {workers} worker{'s' if workers > 1 else ''}"


def _numerics_text(value: Any) -> str:
    """How runs were computed, in words, without what was not used; of a resumed run that changed, one after another."""
    if isinstance(value, list):
        return " and then ".join(map(_numerics_text, value))
    words = [f"precision {value['precision']}"] if "precision" in value else []
    words += [text for key, text in NUMERICS.items() if value.get(key)]
    parts = value.get("accumulate", 1)
    return ", ".join(words + [f"each worker's share of a batch in {parts} pieces"] * (parts > 1))


def _initialisation_text(value: Mapping[str, Any]) -> str:
    """Where the initial weights are from and how images are normalised, in words; empty if nothing was recorded."""
    if not value:
        return ""
    words = "weights drawn at random"
    if "location" in value:
        words = f"weights from {value['location']}"
        more = [f"sha256 {value['digest']}"] * ("digest" in value) + [f"format {value['layout']}"] * ("layout" in value)
        words += f" ({', '.join(more)})" if more else ""
        words += f", loaded: {_names_text(value['loaded'])}" if value.get("loaded") else ""
        words += f", drawn at random: {_names_text(value['new'])}" if value.get("new") else ""
    if normalisation := value.get("normalisation"):
        mean, std = (", ".join(map(str, normalisation[key])) for key in ("mean", "std"))
        words += f"; normalisation of red, green and blue: minus {mean}, divided by {std}"
    return words + (f"; {value['note']}" if value.get("note") else "")


def _names_text(names: Sequence[str]) -> str:
    """Names in a line; of many, such as all parameters of a backbone, the number and both ends."""
    if len(names) > MOST_LISTED:
        return f"{len(names)} parameters ({names[0]} to {names[-1]})"
    return ", ".join(names)


def declared_text(declared: Declaration | None) -> str:
    """When a study was first declared as it is now: ``2026-05-01, before the first result``; empty if it is not known.

    Args:
        declared: The declaration.
    """
    if declared is None:
        return ""
    if declared.ended is None:
        return f"{declared.when}, by a study that is older than declarations"
    ended = f"after {declared.ended} of {declared.runs} runs" if declared.ended else "before the first result"
    return f"{declared.when}, {ended}"
