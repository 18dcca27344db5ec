"""The reference of a study file's options: tables made of the dataclasses that check it, and of their docstrings."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from docstrings import attributes, cell, prose
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from emotune.config.heads import HEAD_CLASSES
from emotune.config.input_spec import InputOptions
from emotune.config.load import StudyFile
from emotune.config.losses import LOSS_CLASSES, TARGET_CLASSES
from emotune.config.metric import Metric, MetricCode
from emotune.config.model import MODEL_CLASSES
from emotune.config.other_data import OtherData
from emotune.config.resources import Resources
from emotune.config.run import Selection
from emotune.config.seeds import SeedOptions
from emotune.config.train import AugmentationCode, LossCode, TrainConfig
from emotune.config.tuning import Tuning

__all__ = ["CLASSES", "HEAD_CLASSES", "LOSS_CLASSES", "MODEL_CLASSES", "PARTS", "TARGET_CLASSES", "rows", "table"]

CLASSES = (StudyFile, Selection, SeedOptions, OtherData, TrainConfig, Metric, Tuning, Resources, InputOptions)

NOT_GIVEN = {"source"}
"""Fields that a study file does not give: the text of the user's own file, which is read."""
SHORT = {"datasets": "list of text, mapping", "test_on": "list of text, mapping", "seeds": "whole number, mapping"}
"""The values of options for whose mapping a single value can stand, which a validator reads."""
WORDS = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true, false", "null": "none"}


def rows(kind: type) -> Iterator[tuple[str, str, str, str]]:
    """Name, values, default and text of each option of a dataclass."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # defaults that JSON cannot express
        schema = TypeAdapter(kind).json_schema()
    texts = attributes(kind)
    names = [one.name for one in fields(kind) if one.name not in NOT_GIVEN and one.name in schema["properties"]]
    for name in sorted(names, key=lambda name: name != "name"):
        values = schema["properties"][name]
        if values.get("const") is None:  # the name of a model is its heading
            words = _values(values, schema.get("$defs", {}))
            yield (
                name,
                SHORT.get(name, words) if "mapping" in words else words,
                _default(kind, name),
                texts.get(name, ""),
            )


def table(kind: type) -> str:
    """The options of a dataclass as a table in Markdown, which is stacked on narrow screens; empty if it has none."""
    lines = [f"| `{name}` | {cell(values)} | {default} | {cell(text)} |" for name, values, default, text in rows(kind)]
    head = ["| option | values | default | |", "| - | - | - | - |"]
    return "\n".join(['<div class="options" markdown="1">\n', *head, *lines, "\n</div>"]) if lines else ""


def _values(schema: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """The values that a JSON schema allows, in words."""
    if "$ref" in schema:
        return _of_options(schema["$ref"], known)
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return ", ".join(dict.fromkeys(_values(one, known) for one in several))
    if choices := schema.get("enum") or [one for one in [schema.get("const")] if one is not None]:
        return ", ".join(f"`{value}`" for value in choices)
    kind, inner = schema.get("type"), schema.get("additionalProperties")
    if kind == "array":
        return f"list of {_values(schema.get('items') or {'anyOf': schema.get('prefixItems', [])}, known)}"
    if kind == "object":
        return f"mapping to {_values(inner, known)}" if isinstance(inner, dict) and inner else "mapping"
    return WORDS.get(str(kind), "any") + _range(schema)


def _of_options(reference: str, known: Mapping[str, Any]) -> str:
    """The ways to write a dataclass: the name that chooses it, the place of the user's own code, or a mapping."""
    properties = known[reference.rsplit("/", 1)[1]].get("properties", {})
    if name := properties.get("name", {}).get("const"):
        return f"`{name}`"
    if "code" in properties and "name" not in properties:
        return "`FILE.py:NAME`"
    return "mapping" if properties else "any"


def _range(schema: Mapping[str, Any]) -> str:
    keys = (("minimum", "from"), ("ge", "from"), ("exclusiveMinimum", "above"), ("gt", "above"), ("maximum", "to"),
            ("le", "to"), ("exclusiveMaximum", "below"), ("lt", "below"))  # fmt: skip
    return "".join(f" {word} {schema[key]:g}" for key, word in keys if key in schema)


def _default(kind: type, name: str) -> str:
    (one,) = [one for one in fields(kind) if one.name == name]
    value: Any = one.default
    if isinstance(value, FieldInfo):
        value = value.get_default(call_default_factory=True, validated_data={})
    elif value is MISSING and one.default_factory is not MISSING:
        value = one.default_factory()
    if value is MISSING or repr(value) == "PydanticUndefined":
        return "needed"
    return _written(value)


def _written(value: Any) -> str:
    """A default as a study file has it."""
    if value is None or value == "" or (isinstance(value, Sequence | Mapping) and not value):
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    if isinstance(value, list | tuple):
        return f"`[{', '.join(f'{one:g}' if isinstance(one, float) else str(one) for one in value)}]`"
    if isinstance(value, str | int):
        return f"`{value}`"
    return f"`{value.name}`" if getattr(value, "name", None) and not isinstance(value, Metric) else "–"


def _named(kinds: Sequence[type], level: str = "###") -> str:
    """A section for each class that an option chooses by its name."""
    return "\n\n".join(f"{level} `{kind.name}`\n\n{prose(kind)}\n\n{table(kind)}".rstrip() for kind in kinds)


def _described(kind: type) -> str:
    return f"{prose(kind)}\n\n{table(kind)}".strip()


PARTS: dict[str, Callable[[], str]] = {
    "study": lambda: table(StudyFile),
    "selection": lambda: table(Selection),
    "seeds": lambda: table(SeedOptions),
    "train": lambda: _described(TrainConfig),
    "metric": lambda: _described(Metric),
    "metric-code": lambda: prose(MetricCode),
    "resources": lambda: _described(Resources),
    "other-data": lambda: table(OtherData),
    "tune": lambda: _described(Tuning),
    "models": lambda: _named(MODEL_CLASSES),
    "heads": lambda: _named(HEAD_CLASSES),
    "input": lambda: table(InputOptions),
    "losses": lambda: _named(LOSS_CLASSES),
    "targets": lambda: _named(TARGET_CLASSES),
    "loss-code": lambda: prose(LossCode),
    "augmentation-code": lambda: prose(AugmentationCode),
}
"""What a mark in a page stands for."""
