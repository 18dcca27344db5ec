"""A study built in Python as the text of a study file."""

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import yaml

from emotune.config.design.factors import factor_contrasts
from emotune.config.user_code import UserCode

if TYPE_CHECKING:
    from emotune.config.study import Study

__all__ = ["study_yaml"]


def study_yaml(study: "Study") -> str:
    """The text of an equivalent study file."""
    variants = {
        name: {f"model.{key}": value for key, value in _changes(model, {"name": model.name}).items()}
        | {f"train.{key}": value for key, value in _changes(train, {}).items()}
        for name, (model, train) in study.variants.items()
    }
    implied = factor_contrasts(study.factors)
    parts: dict[str, Any] = {
        "question": study.question,
        "datasets": [_changes(one, {"data": one.data}) for one in study.datasets],
        "baseline": study.baseline,
        "variants": variants,
        "seeds": {"up_to": study.seeds, "looks": list(study.looks)} if study.looks else study.seeds,
        "contrasts": [one.to_yaml() for one in study.contrasts if one not in implied],
        "metric": {key: value for key, value in _changes(study.metric, {}).items() if value is not None},
        "resources": _changes(study.resources, {}),
        "aa": study.aa is not None,
    }
    if study.factors:
        parts["factors"] = {f: {level: list(v) for level, v in levels.items()} for f, levels in study.factors.items()}
    if study.task:
        parts["task"] = study.task
    if study.tune:
        parts["tune"] = study.tune.to_yaml()
    if study.references:
        parts["references"] = list(study.references)
    if study.test_on:
        parts["test_on"] = [_changes(one, {"data": one.data}) for one in study.test_on]
    return yaml.safe_dump(parts, sort_keys=False, allow_unicode=True)


def _changes(config: Any, always: dict[str, Any]) -> dict[str, Any]:
    """The fields of a config that differ from their defaults, as YAML has them."""
    values = {one.name: getattr(config, one.name) for one in fields(config) if getattr(config, one.name) != one.default}
    return always | {key: _as_in_yaml(value) for key, value in values.items()}


def _as_in_yaml(value: Any) -> Any:
    """The value with YAML's lists and mappings in the place of tuples, configs, and mappings that cannot be changed."""
    if isinstance(value, UserCode):
        return asdict(value)
    if is_dataclass(value):
        own = {one.name: getattr(value, one.name) for one in fields(value) if one.name == "name"}
        return _changes(value, own)
    if isinstance(value, Mapping):
        return {key: _as_in_yaml(item) for key, item in value.items()}
    return [_as_in_yaml(item) for item in value] if isinstance(value, tuple) else value
