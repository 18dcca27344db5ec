"""Why a run is missing: the options in which it differs from the most similar run in the folder of runs.

The id of a run shows only *that* something differs; the ``config.json`` of earlier runs shows what.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import MISSING, asdict, fields, is_dataclass
from difflib import unified_diff
from typing import Any

from emotune.config.backbone import BackboneConfig
from emotune.config.division import Division
from emotune.config.python_source import source_digest
from emotune.config.run import FORMAT_VERSION, RUN_ID, RunConfig, model_label, run_stem
from emotune.config.types import as_in_study, escape_control_characters
from emotune.config.user_code import UserCode
from emotune.config.zero_shot import ArchitectureFile
from emotune.execution.plan.plan import Plan
from emotune.runs.directory import CONFIG, State

__all__ = ["NEW", "NEW_SEED", "NOT_TRIED", "changes", "code_change", "nearest_changes", "reasons"]

NEW, NEW_SEED, NOT_TRIED = "new", "new seed", "not tried yet"
MOST_DIFF_LINES = 40
"""The number of lines that a plan shows of a change of the user's code."""
READERS = 16
"""Number of files that are read at the same time: behind a URL the round trip counts."""


def reasons(plan: Plan) -> dict[str, str]:
    """Why each missing run of the plan is missing, by the run's id.

    Args:
        plan: The plan of the study.

    Raises:
        InputError: A ``config.json`` is damaged.
    """
    missing = [run for run in plan.runs if plan.statuses[run.id].state is State.MISSING]
    others = set(plan.store.folder.names()) - plan.statuses.keys() if missing else set()
    by_stem = _by_stem(others)
    candidates = {run.id: [name for stem in _stems(run) for name in by_stem.get(stem, ())] for run in missing}
    names = sorted({name for names in candidates.values() for name in names})
    with ThreadPoolExecutor(READERS) as readers:
        read = readers.map(lambda name: (plan.store.folder / name).read_json(CONFIG), names)
        configs = dict(zip(names, read, strict=True))
    begun = {(r.variant, r.dataset.name) for r in plan.runs if plan.statuses[r.id].state is not State.MISSING}
    reasons_by_run = {}
    for run in missing:
        differences = nearest_changes(run, [configs[name] for name in candidates[run.id] if configs[name]])
        more = NOT_TRIED if run.tuning else NEW_SEED
        new = more if (run.variant, run.dataset.name) in begun else NEW
        reasons_by_run[run.id] = ", ".join(differences) or new
    return reasons_by_run


def nearest_changes(run: RunConfig, earlier: Iterable[Mapping[str, Any]]) -> list[str]:
    """The differences between a run and the most similar earlier run; of equally similar ones, the newest.

    Args:
        run: The run that is missing.
        earlier: The contents of ``config.json`` of earlier runs; one with another model, data set or seed does not
            count.

    Returns:
        A phrase for each difference; empty if no earlier run counts.
    """
    found = [(changes(run, config), config.get("time", 0.0)) for config in earlier if _is_comparable(run, config)]
    return min(found, key=lambda one: (len(one[0]), -one[1]), default=([], 0.0))[0]


def changes(run: RunConfig, earlier: Mapping[str, Any]) -> list[str]:
    """The differences between a run and an earlier one, ``train.lr 0.01 → 0.02`` for example.

    Args:
        run: The run that is missing.
        earlier: The content of the earlier run's ``config.json``.
    """
    differences = _data_changes(run, earlier) + _options("model", run.model, earlier["model"])
    train, weights = dict(earlier["train"]), earlier.get("weights")
    if run.weights and weights:
        if run.weights.digest != weights["digest"]:
            differences.append("weights changed")
        train["init"] = run.train.init  # the location of the weights does not matter
    differences += _options("train", run.train, train)
    differences += _options("input", run.input, earlier.get("input", {}))
    sources = _sources("model", earlier["model"]) | _sources("train", train)
    for name in ("select", "select_by", "test_curve", "replicate"):
        before, now = earlier.get(name, getattr(RunConfig, name)), getattr(run, name)
        if before != now:
            option = name if name == "replicate" else f"metric.{name}"
            differences.append(f"{option} {as_in_study(before)} → {as_in_study(now)}")
    if (written := earlier["format"]) != FORMAT_VERSION:
        differences.append(f"results format {written} → {FORMAT_VERSION}")
    for name, code in run.user_code.items():
        if name in sources and not _is_same_code(sources[name], code.source):
            differences.append(code_change(name, sources[name], code))
    return differences


def _sources(part: str, options: Mapping[str, Any]) -> dict[str, str]:
    """The texts of the user's code in a part of an earlier run's config, by the names of `RunConfig.user_code`."""
    if part == "model":
        owner = options["backbone"] if isinstance(options.get("backbone"), dict) else options
        return {"model": owner["source"]} if owner.get("source") else {}
    return {name: value["source"] for name, value in options.items() if isinstance(value, dict) and "source" in value}


def _is_same_code(before: str, now: str) -> bool:
    """Whether two texts are the same apart from comments, docstrings and formatting."""
    try:
        return source_digest(before) == source_digest(now)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # for another version of Python, or damaged
        return before == now


def code_change(name: str, before: str, code: UserCode, whose: str = "of the earlier run") -> str:
    """A line that says which code has changed, and its unified diff.

    Args:
        name: The purpose of the code.
        before: Its earlier text.
        code: The code as it is now.
        whose: The origin of the earlier text, in words.
    """
    names = {"fromfile": f"{code.file} ({whose})", "tofile": code.file}
    lines = list(unified_diff(before.splitlines(), code.source.splitlines(), **names, lineterm="", n=1))
    rest = len(lines) - MOST_DIFF_LINES
    lines = [escape_control_characters(line.expandtabs(4)) for line in lines]
    shown = [*lines[:MOST_DIFF_LINES], *([f"… {rest} more lines"] if rest > 0 else [])]
    return "\n    ".join([f"code of {name} changed:", *shown])


def _data_changes(run: RunConfig, earlier: Mapping[str, Any]) -> list[str]:
    data, differences = earlier["dataset"], []
    if data["content_hash"] != run.dataset.content_hash:
        differences.append("data: content changed")
    if (part := data.get("part", "all")) != run.dataset.part:
        differences.append(f"part {part} → {run.dataset.part}")
    if (before := _division_of(data)) != run.dataset.division:
        differences.append(f"split {_split_name(before)} → {_split_name(run.dataset.division)}")
    if run.train.order == earlier["train"].get("order") == "shards" and data.get("cut") != run.dataset.cut:
        differences.append("data: cut into other shards")
    return differences


def _split_name(division: Division | None) -> str:
    return division.name if division else "of the shards"


def _is_comparable(run: RunConfig, config: Mapping[str, Any]) -> bool:
    """Whether a config has the run's model, seed and purpose, and its data set or a part of it."""
    if not config.keys() >= {"seed", "dataset", "model", "train", "format"}:
        return False
    dataset = config["dataset"]
    return (
        config["model"].get("name") == run.model.name
        and config["seed"] == run.seed
        and config.get("tuning", False) == run.tuning
        and _whole(dataset["name"], dataset.get("part", "all"), _division_of(dataset))
        == _whole(run.dataset.name, run.dataset.part, run.dataset.division)
    )


def _whole(name: str, part: str, division: Division | None) -> str:
    """The name of a data set without those of a part and of a division, which
    `emotune.data.datasets.resolve.resolve_datasets` adds.
    """
    name = name.removesuffix(f"-{division.name}") if division else name
    return name if part == "all" else name.removesuffix(f"-{part}")


def _division_of(dataset: Mapping[str, Any]) -> Division | None:
    return Division(**dataset["division"]) if dataset.get("division") else None


def _stems(run: RunConfig) -> list[str]:
    """The names that comparable runs' directories may have, without the digest."""
    division = run.dataset.division
    whole = _whole(run.dataset.name, run.dataset.part, division)
    ends = ["", *([f"-{division.name}"] if division else [])]
    names = [f"{whole}{part}{end}" for part in ("", "-well", "-noisy") for end in ends]
    return [run_stem(model_label(run.model), name, run.seed, tuning=run.tuning) for name in names]


def _by_stem(names: Iterable[str]) -> dict[str, list[str]]:
    """The names of run directories, by the name without the digest."""
    by_stem: dict[str, list[str]] = {}
    for name in names:
        if match := RUN_ID.fullmatch(name):
            by_stem.setdefault(match["stem"], []).append(name)
    return by_stem


def _options(part: str, config: Any, earlier: Mapping[str, Any]) -> list[str]:
    """The options that differ. An option that is missing in the earlier run, or in its model, had its default."""
    now, earlier = _plain(asdict(config)), _plain(earlier)
    defaults = _defaults(config)
    names = ["name", *now] if "name" in now else list(now)
    if (earlier.get("name"), earlier.get("head")) == (now.get("name"), now.get("head")):
        names += [name for name in earlier if name not in now]  # an option that no longer exists
    differences = []
    for name in dict.fromkeys(names):
        before, after = _as_in_json(earlier.get(name, defaults.get(name))), _as_in_json(now.get(name))
        if before != after:
            differences.append(f"{part}.{name} {as_in_study(before)} → {as_in_study(after)}")
    return differences


def _defaults(config: Any) -> dict[str, Any]:
    """The defaults of a config's options, and those of the head, the loss and the targets that it has."""
    defaults = {f.name: f.default for f in fields(config) if f.default is not MISSING}
    for name in ("loss", "targets"):
        if is_dataclass(value := getattr(config, name, None)) and not isinstance(value, UserCode):
            defaults |= {f"{name}.{f.name}": f.default for f in fields(value) if f.name != "name"}
    if isinstance(config, BackboneConfig):
        head = {f.name: f.default for f in fields(config.head)}
        defaults |= _plain({"head": head}) | {"head": BackboneConfig.head.name}
    return defaults


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without the texts of the user's code, and with each option of that code by itself; also of a head, a loss
    and targets.

    ``model.input`` is left out, because a run has its whole input, which results from it.
    """
    plain: dict[str, Any] = {}
    for name, value in options.items():
        if name == "input":
            continue
        if isinstance(value, Mapping) and (name == "head" or (name in ("loss", "targets") and "name" in value)):
            plain |= {name: value["name"]} | {f"{name}.{key}": one for key, one in value.items() if key != "name"}
            continue
        if isinstance(value, dict) and set(value) == {"file", "content"}:
            plain[name] = str(ArchitectureFile(**value))
        elif isinstance(value, dict) and "code" in value:
            plain |= {f"{name}.{key}" if key != "code" else name: inner for key, inner in _plain(value).items()}
        elif "code" in options and name == "options":
            plain |= {f"options.{key}": inner for key, inner in (value or {}).items()}
        elif not ("code" in options and name == "source"):
            plain[name] = value
    return plain


def _as_in_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_in_json(item) for key, item in value.items()}
    return [_as_in_json(item) for item in value] if isinstance(value, list | tuple) else value
