"""Merging the options that all variants of a study share with those that a variant changes by dotted keys.

A key may lead into an option that has options of its own: ``model.head.score``, ``train.loss.options.gamma``. Such an
option can be given as a name or as code alone, ``head: attention``, which stands for ``{name: attention}``.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

from emotune.config.backbone import BackboneConfig, is_library_name
from emotune.config.heads import HEAD_CLASSES
from emotune.config.losses import LOSS_CLASSES, TARGET_CLASSES
from emotune.config.model import MODEL_CLASSES, AlexNetConfig, ModelConfig, PaperNetworkConfig
from emotune.config.network import BaselineConfig
from emotune.config.train import VIEW_OPTIONS, TrainConfig
from emotune.config.user_code import UserCode
from emotune.config.validation import valid_keys
from emotune.core.errors import closest, suggest

__all__ = [
    "check_path", "config_class", "dotted", "implied_name", "is_changed", "merge", "set_option", "unused_options",
]  # fmt: skip

Options = dict[str, Any]
PAPER = "paper"
"""The kind of emotune's networks, which share options. Every other model is of a kind of its own, its name."""
KEYS: Mapping[str, Set[str]] = MappingProxyType({
    PAPER: {key for kind in MODEL_CLASSES if issubclass(kind, PaperNetworkConfig) for key in valid_keys(kind)},
    **{kind.name: set(valid_keys(kind)) for kind in MODEL_CLASSES if not issubclass(kind, PaperNetworkConfig)},
})  # fmt: skip
"""The options of each kind of models."""
WITH_OPTIONS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "model": ("backbone", "head", "input", "names", "options", "tune"),
        "train": ("augment", "loss", "optimizer_options", "targets"),
    }
)
"""The options that have options of their own."""
NAMED: Mapping[str, Sequence[type[Any]]] = MappingProxyType(
    {"head": HEAD_CLASSES, "loss": LOSS_CLASSES, "targets": TARGET_CLASSES}
)
"""The classes of the options that can be given as a name or as ``{name: …}`` with options."""
TOWERS: Sequence[str] = get_args(get_type_hints(AlexNetConfig)["backbone"])
"""The backbones of `AlexNetConfig`, whose option of that name is another one than that of `BackboneConfig`."""


def implied_name(model: Mapping[str, Any]) -> str:
    """The ``name`` of a model that is given without it."""
    if "code" in model:
        return "code"
    return "alexnet" if _is_tower(model.get("backbone", TOWERS[0])) else "backbone"


def config_class(part: str, merged: Mapping[str, Options]) -> type[Any]:
    """The config class of a part of a variant; of a model with an unknown name, the first class."""
    if part == "train":
        return TrainConfig
    name = merged["model"]["name"]
    return next((kind for kind in MODEL_CLASSES if kind.name == name), MODEL_CLASSES[0])


def is_changed(part: str, key: str, text: str, changed: Iterable[tuple[str, str]]) -> bool:
    """Whether a mistake follows from what a variant changes, and not from shared options alone.

    Args:
        part: The part, ``model`` or ``train``.
        key: The dotted key of the mistake within the part; empty for a mistake of several options.
        text: The message, which has the names of options that do not fit together.
        changed: The parts and dotted keys that the variant gives.
    """
    keys = [path for one, path in changed if one == part]
    if key:
        return any(path == key or path.startswith(f"{key}.") or key.startswith(f"{path}.") for path in keys)
    options = {path.partition(".")[0] for path in keys}
    return any(option in text or option in valid_keys(UserCode) for option in options)


def merge(
    shared: Mapping[str, Options], changes: Mapping[Any, Any], where: str, problems: list[str]
) -> tuple[dict[str, Options], Set[tuple[str, str]]]:
    """The options of a variant, and those among them that the variant itself gives, as parts and dotted keys.

    Args:
        shared: The options that all variants share, as ``model`` and ``train``.
        changes: The variant's options, by dotted keys or as ``model`` and ``train``.
        where: The variant's key, for messages.
        problems: The list to which mistakes are appended.
    """
    merged = {part: dict(options) for part, options in shared.items()}
    changed: dict[tuple[str, str], None] = {}  # in their order
    paths = [(key.split("."), value) for key, value in dotted(changes, where, problems).items()]
    for path, value in sorted(paths, key=lambda one: (len(one[0]), one[0][-1] != "name")):  # what contains others first
        part, *keys = path
        try:
            check_path(part, keys, merged)
            merged[part] = set_option(merged[part], keys, value)
        except ValueError as error:
            problems.append(f'{where}: "{".".join(path)}"{error}')
        else:
            changed[part, ".".join(keys)] = None
    options = {key.partition(".")[0] for part, key in changed if part == "model"}
    merged["model"] = _of_its_kind(shared["model"], merged["model"], options)
    kind = config_class("model", merged)
    if issubclass(kind, BaselineConfig):
        name = merged["model"]["name"]
        given = {key.partition(".")[0] for part, key in changed if part == "train"}
        if shared["model"]["name"] != name:  # what no model has is reported for the others
            merged["model"] = {key: value for key, value in merged["model"].items() if key in KEYS[name] | options}
        merged["model"] = _of_one_origin(merged["model"], options)
        effective = kind.train_options(merged["model"])
        problems += [f'{where}: train.{key}: "{name}" is not trained in steps: it would change nothing'
                     for key in given if key not in effective]  # fmt: skip
        merged["train"] = _of_a_baseline(effective, merged["train"], given)
    return merged, changed.keys()


def dotted(changes: Mapping[Any, Any], where: str, problems: list[str]) -> dict[str, Any]:
    """A variant's options by dotted keys, for which ``model: {head: mean}`` is another way to write them.

    Args:
        changes: The variant's options.
        where: The variant's key, for messages.
        problems: The list to which mistakes are appended.
    """
    given: list[tuple[str, Any]] = []
    for key, value in changes.items():
        if key in WITH_OPTIONS and isinstance(value, dict):
            given += [(f"{key}.{option}", one) for option, one in value.items()]
        else:
            given.append((str(key), value))
    times = Counter(key for key, _ in given)
    problems += [f"{where}: {key} is given twice; keep one" for key, count in times.items() if count > 1]
    return dict(given)


def unused_options(shared: Options, models: Sequence[ModelConfig]) -> list[str]:
    """A line for each shared option of models that no variant's model has."""
    kind = _family(shared["name"])
    kinds = {_family(model.name) for model in models}
    problems = []
    for key in shared.keys() - {"name"}:
        owners = {one for one in KEYS if _has(one, key, shared[key])}
        if key in ("code", "backbone") and owners and kind not in owners:
            problems.append(
                f'model: both name "{shared["name"]}" and {key} are given; keep one, and give the other in a variant'
            )
        if owners and not owners & kinds:
            own = "code" in kinds and kinds.isdisjoint((PAPER, BackboneConfig.name))
            hint = f"; give options of your code as model.options.{key}" if own else ""
            hint = "; no variant has model.code" if owners == {"code"} else hint
            problems.append(f"model.{key}: no variant's model has this option: it would change nothing{hint}")
    heads = {key for model in models if isinstance(model, BackboneConfig) for key in valid_keys(model.head)}
    if heads and isinstance(shared.get("head"), dict):
        problems += [
            f"model.head.{key}: no variant's head has this option: it would change nothing{suggest(key, sorted(heads))}"
            for key in shared["head"].keys() - heads
        ]
    return sorted(problems)


def check_path(part: str, keys: Sequence[str], merged: Mapping[str, Options]) -> None:
    """Raises a ValueError, with the end of a message, if there is no place for an option of this name."""
    if part not in merged or not keys or not all(keys):
        raise ValueError(f" is not of the form model.OPTION or train.OPTION{_belongs([part, *keys], merged)}")
    if len(keys) > 1 and keys[0] not in WITH_OPTIONS[part]:
        near = closest(keys[0], WITH_OPTIONS[part])
        hint = f"; did you mean {'.'.join([part, near, *keys[1:]])}?" if near else _belongs([part, *keys], merged)
        raise ValueError(f": {part}.{keys[0]} has no options of its own{hint}")


def set_option(options: Options, keys: Sequence[str], value: Any) -> Options:
    """The options with the one to which the keys lead; a head of another name keeps what that head has, too.

    Raises:
        ValueError: an option on the way has no options of its own.
    """
    key, *rest = keys
    if not rest:
        return options | {key: value}
    inner = options.get(key, {})
    kinds = NAMED.get(key, ())
    if isinstance(inner, str) and not is_library_name(inner) and (":" in inner or _is_named(kinds, inner)):
        inner = {"code" if ":" in inner else "name": inner}
    if not isinstance(inner, dict):
        raise ValueError(f": {key} is {inner}, which has no options")
    if kinds and rest == ["name"]:
        kept = next(
            (valid_keys(kind) for kind in kinds if kind.name == value), ["name"] if key != "head" else list(inner)
        )
        inner = {one: inner[one] for one in inner if one in kept}
    return options | {key: set_option(inner, rest, value)}


def _is_named(kinds: Sequence[type[Any]], name: str) -> bool:
    """Whether a name has options; of heads any name is taken to have them, so that a wrong one is reported as such."""
    return kinds is HEAD_CLASSES or any(kind.name == name for kind in kinds)


def _of_its_kind(shared: Options, merged: Options, given: Set[str]) -> Options:
    """A variant's model with its name, and without what is shared for networks of another kind.

    Args:
        shared: The model that the variants share.
        merged: The same with the variant's own options.
        given: The keys that the variant gives.
    """
    name = merged["name"]
    if "name" not in given:
        if "code" in given:
            name = "code"
        elif "backbone" in given and (_family(shared["name"]) == PAPER) != _is_tower(merged["backbone"]):
            name = implied_name({"backbone": merged["backbone"]})
    own = _family(name)
    foreign = {
        key for key, value in merged.items()
        if not _has(own, key, value) and any(_has(one, key, value) for one in KEYS)
    }  # fmt: skip
    return {key: value for key, value in merged.items() if key not in foreign - given} | {"name": name}


def _of_one_origin(model: Options, given: Set[str]) -> Options:
    """A baseline without the shared backbone if the variant gives features, and the other way round."""
    of_backbone = {"backbone", "pooling", "input"}
    left_out = of_backbone if "features" in given else {"features"} if "backbone" in given else set()
    return {key: value for key, value in model.items() if key in given or key not in left_out}


def _of_a_baseline(effective: Sequence[str], train: Options, given: Set[str]) -> Options:
    """The options of training without those that are shared for networks: how views are drawn, if there is one view.

    Args:
        effective: The options that have an effect on the baseline.
        train: The options of the variant.
        given: The keys that the variant itself gives.
    """
    shared = set(effective) - (set(VIEW_OPTIONS) if train.get("views", 1) == 1 else set())
    return {key: value for key, value in train.items() if key in shared | given & set(effective)}


def _family(name: Any) -> str:
    return name if isinstance(name, str) and name in KEYS else PAPER


def _has(family: str, key: str, value: Any) -> bool:
    """Whether models of a kind have an option; a backbone is either one of AlexNet's or one of another network."""
    return key in KEYS[family] and (key != "backbone" or _is_tower(value) == (family == PAPER))


def _is_tower(backbone: Any) -> bool:
    """Whether a backbone is, or was probably meant to be, one of `AlexNetConfig`."""
    return isinstance(backbone, str) and ":" not in backbone and closest(backbone, TOWERS) is not None


def _belongs(path: Sequence[str], merged: Mapping[str, Options]) -> str:
    """A suggestion for an option that is written without its part or under another one."""
    option = path[-1]
    keys = [f"{part}.{option}" for part in ("model", "train") if option in valid_keys(config_class(part, merged))]
    if config_class("model", merged) is BackboneConfig:
        keys += [f"model.head.{option}" for kind in HEAD_CLASSES if option in valid_keys(kind)]
    return f"; did you mean {keys[0]}?" if keys else ""
