"""Why a run is missing: how it differs from the nearest one in the pool, in the words of a study.

The identity of a run says only *that* something differs; its earlier ``config.json`` says what.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import MISSING, asdict, fields
from typing import Any

from emotune.config.run import FORMAT_VERSION, RUN_ID, RunConfig
from emotune.core.storage import Folder
from emotune.execution.plan.plan import Plan
from emotune.runs.directory import CONFIG, State

__all__ = ["NEW", "NEW_SEED", "changes", "nearest_changes", "reasons"]

NEW, NEW_SEED = "new", "new seed"
READERS = 16
"""Files read at a time: what counts behind a URL is the way there and back."""


def reasons(plan: Plan, pool: str) -> dict[str, str]:
    """By id, why each missing run of the plan is missing.

    Args:
        plan: What is to do.
        pool: Where run directories are.

    Raises:
        InputError: a config there is damaged.
    """
    missing = [run for run in plan.runs if plan.statuses[run.id].state is State.MISSING]
    others = set(Folder(pool).names()) - plan.statuses.keys() if missing else set()
    by_stem = _by_stem(others)
    candidates = {run.id: [name for stem in _stems(run) for name in by_stem.get(stem, ())] for run in missing}
    read = sorted({name for names in candidates.values() for name in names})
    with ThreadPoolExecutor(READERS) as readers:
        configs = dict(zip(read, readers.map(lambda name: (Folder(pool) / name).read_json(CONFIG), read), strict=True))
    begun = {(r.variant, r.dataset.name) for r in plan.runs if plan.statuses[r.id].state is not State.MISSING}
    found = {}
    for run in missing:
        changed = nearest_changes(run, [configs[name] for name in candidates[run.id] if configs[name]])
        found[run.id] = ", ".join(changed) or (NEW_SEED if (run.variant, run.dataset.name) in begun else NEW)
    return found


def nearest_changes(run: RunConfig, earlier: Iterable[Mapping[str, Any]]) -> list[str]:
    """What differs between a run and the nearest of earlier ones: that with the fewest differences, then the newest.

    Args:
        run: That is missing.
        earlier: Contents of ``config.json``; those of other models, data sets and seeds do not count, nor do those of
            other variants where a run of an earlier format says its variant's name.

    Returns:
        A phrase per difference; none if no earlier run counts.
    """
    found = [(changes(run, config), config.get("time", 0.0)) for config in earlier if _same_place(run, config)]
    return min(found, key=lambda one: (len(one[0]), -one[1]), default=([], 0.0))[0]


def changes(run: RunConfig, earlier: Mapping[str, Any]) -> list[str]:
    """What differs between a run and the content of an earlier one's ``config.json``: ``train.lr 0.01 → 0.02``."""
    data, found = earlier["dataset"], []
    if data["content_hash"] != run.dataset.content_hash:
        found.append("data: content changed")
    if (part := data.get("part", "all")) != run.dataset.part:
        found.append(f"part {part} → {run.dataset.part}")
    if run.train.order == earlier["train"].get("order") == "shards" and data.get("cut") != run.dataset.cut:
        found.append("data: cut into other shards")
    found += _options("model", run.model, earlier["model"])
    train, weights = dict(earlier["train"]), earlier.get("weights")
    if run.weights and weights:
        if run.weights.digest != weights["digest"]:
            found.append("weights changed")
        train["init"] = run.train.init  # where the weights lie is not what they are
    found += _options("train", run.train, train)
    for name in ("select", "test_curve", "replicate"):
        before, now = earlier.get(name, getattr(RunConfig, name)), getattr(run, name)
        found += (
            [f"{'' if name == 'replicate' else 'metric.'}{name} {_written(before)} → {_written(now)}"]
            if before != now
            else []
        )
    if (written := earlier.get("format")) not in (None, FORMAT_VERSION):
        found.append(f"results format {written} → {FORMAT_VERSION}")
    elif not found:  # nothing else is in a run's identity
        found.append(f"results format: an earlier one → {FORMAT_VERSION}")
    return found


def _same_place(run: RunConfig, config: Mapping[str, Any]) -> bool:
    """Whether a config is of the run's model (of earlier formats: variant), seed and data set, whatever part of it."""
    if not config.keys() >= {"seed", "dataset", "model", "train"}:
        return False
    name, part = config["dataset"]["name"], config["dataset"].get("part", "all")
    same = config["variant"] == run.variant if "variant" in config else config["model"].get("name") == run.model.name
    return same and config["seed"] == run.seed and (_whole(name, part) == _whole(run.dataset.name, run.dataset.part))


def _whole(name: str, part: str) -> str:
    """A data set's name without that of the part, which `emotune.data.datasets.resolve.resolve_datasets` adds."""
    return name if part == "all" else name.removesuffix(f"-{part}")


def _stems(run: RunConfig) -> list[str]:
    """Names of the run's directory, but for the digest, on any part of its data set, now and in earlier formats."""
    whole = _whole(run.dataset.name, run.dataset.part)
    owners = dict.fromkeys((run.model.name, run.variant))
    return [f"{owner}-{whole}{part}-s{run.seed}" for owner in owners for part in ("", "-well", "-noisy")]


def _by_stem(names: Iterable[str]) -> dict[str, list[str]]:
    """Names of run directories by all but the digest."""
    found: dict[str, list[str]] = {}
    for name in names:
        if RUN_ID.fullmatch(name):
            found.setdefault(name[:-9], []).append(name)
    return found


def _options(part: str, config: Any, earlier: Mapping[str, Any]) -> list[str]:
    """Options that differ. One that the earlier run did not know had its default; so had one of another network."""
    now = asdict(config)
    defaults = {f.name: f.default for f in fields(config) if f.default is not MISSING}
    names = ["name", *now] if "name" in now else list(now)
    if earlier.get("name") == now.get("name"):
        names += [name for name in earlier if name not in now]  # an option that has been given up since
    found = []
    for name in dict.fromkeys(names):
        before, after = _plain(earlier.get(name, defaults.get(name))), _plain(now.get(name))
        if before != after:
            found.append(f"{part}.{name} {_written(before)} → {_written(after)}")
    return found


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _written(value: Any) -> str:
    """As a study has it."""
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
