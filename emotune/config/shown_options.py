"""The options of a config as plans, tables and model cards show them."""

from dataclasses import fields, is_dataclass
from typing import Any

from emotune.config.backbone import LastStages
from emotune.config.baselines import LogisticConfig
from emotune.config.model import ModelConfig
from emotune.config.network import BaselineConfig
from emotune.config.python_source import source_digest
from emotune.config.run import difference_to_defaults
from emotune.config.train import TrainConfig
from emotune.config.types import as_in_study
from emotune.config.user_code import UserCode
from emotune.config.zero_shot import ArchitectureFile

__all__ = ["effective_training", "shown_options"]


def shown_options(config: Any) -> dict[str, Any]:
    """The options of a config by their dotted keys, such as ``head.score``.

    An option that has options is shown by its name, and ``input`` by what it changes. For the text of a user's file
    stands its digest.
    """
    options: dict[str, Any] = {}
    for one in fields(config):
        options |= _shown(one.name, getattr(config, one.name))
    if isinstance(config, UserCode):
        del options["options"]
        options |= {f"options.{name}": value for name, value in config.options.items()}
        options["source"] = source_digest(config.source)[:8]
    if isinstance(config, LogisticConfig) and config.features:
        del options["pooling"]  # of a backbone
    return options


def effective_training(model: ModelConfig, train: TrainConfig) -> dict[str, Any]:
    """The options of training that have an effect on a model, as of `shown_options`: of a network all of them."""
    options = shown_options(train)
    if not isinstance(model, BaselineConfig):
        return options
    kept = model.train_options(difference_to_defaults(model))
    return {key: value for key, value in options.items() if key in kept}


def _shown(name: str, value: Any) -> dict[str, Any]:
    """The options that an option has, by their dotted keys, and itself."""
    if isinstance(value, UserCode | ArchitectureFile):
        return {name: str(value)}
    if isinstance(value, LastStages):
        return {name: as_in_study({"last": value.last})}
    if not is_dataclass(value):
        return {name: value}
    inner = {one.name: getattr(value, one.name) for one in fields(value)}
    own = {name: inner.pop("name")} if "name" in inner else {}
    return own | {f"{name}.{key}": option for key, option in inner.items() if own or option is not None}
