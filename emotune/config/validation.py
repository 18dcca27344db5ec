"""Messages about mistakes in a study: the key, the mistake, and the nearest valid key."""

from collections.abc import Hashable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import ValidationError

from emotune.config.heads import HEAD_CLASSES
from emotune.config.input_spec import InputOptions
from emotune.config.metric import Metric
from emotune.config.model import MODEL_CLASSES, CodeConfig
from emotune.config.network import NetworkConfig
from emotune.config.other_data import OtherData
from emotune.config.pydantic_words import in_plain_words
from emotune.config.resources import Resources
from emotune.config.run import Selection
from emotune.config.seeds import SeedOptions
from emotune.config.tuning import EXAMPLE, Tuning
from emotune.config.user_code import UserCode
from emotune.core.errors import suggest

__all__ = ["UniqueKeyLoader", "describe_validation_error", "format_problem", "valid_keys"]

REMEDIES: Mapping[tuple[Any, str], str] = MappingProxyType(
    {(Tuning, "over"): f"; give options with their values, as in {EXAMPLE}"}
)
"""The example that follows the message on a missing key, by its dataclass and name."""
OWNERS = MappingProxyType({
    "metric": Metric, "resources": Resources, "datasets": Selection, "input": InputOptions, "seeds": SeedOptions,
    "test_on": OtherData, "tune": Tuning,
})  # fmt: skip
"""The dataclasses of the keys that have keys of their own."""


def describe_validation_error(error: ValidationError, kind: Any) -> list[tuple[str, str]]:
    """The mistakes of a part of a study: for each the dotted key within the part, and a message.

    Args:
        error: The error of pydantic.
        kind: The dataclass of the part.
    """
    mistakes: list[tuple[str, str]] = []
    for item in error.errors(include_url=False):
        location = [str(part) for part in item["loc"]]
        if location and location[0] == getattr(kind, "name", None):
            location = location[1:]  # pydantic puts a model's name before its keys
        owner = OWNERS.get(location[0], kind) if len(location) > 1 else kind
        if len(location) > 1 and location[0] == "head":  # and the name of a head before its keys
            name = location.pop(1)
            owner = next(head for head in HEAD_CLASSES if head.name == name)
        key, context = ".".join(location), item.get("ctx", {})
        if item["type"] == "unexpected_keyword_argument":
            hint = _of_another_kind(key, owner) or suggest(location[-1], _offered(owner))
            mistakes.append((key, f"unknown key{hint}"))
        elif item["type"] in ("union_tag_invalid", "union_tag_not_found"):
            names = [kind.name for kind in MODEL_CLASSES]
            name = context.get("tag", item["input"].get("name"))
            offered = suggest(name, names).replace("valid:", "this version has only")
            mistakes.append(("name", f'no model "{name}"{offered}'))
        elif item["type"] == "missing":
            mistakes.append((key, f"missing{REMEDIES.get((owner, location[-1]), '')}"))
        else:
            mistakes.append((key, in_plain_words(item)))
    return mistakes


def _of_another_kind(key: str, owner: Any) -> str:
    """The advice on an option that only networks with a library's backbone have; empty for others."""
    if key not in ("head", "tune") or not (isinstance(owner, type) and issubclass(owner, NetworkConfig)):
        return ""
    if owner is not CodeConfig:
        return f"; model.{key} needs model.backbone, such as torchvision:resnet18"
    return "; a whole network of one's own has none: give your code as model.backbone, to which a head is added"


def _offered(kind: Any) -> list[str]:
    """The keys that a message offers; the text of the user's code is not given in a study."""
    return [key for key in valid_keys(kind) if not (key == "source" and issubclass(kind, UserCode))]


def format_problem(key: str, text: str) -> str:
    """The message with its key in front, if it has one."""
    return f"{key}: {text}" if key else text


def valid_keys(kind: Any) -> list[str]:
    """The valid keys of a part of a study, given its dataclass."""
    return [f.name for f in fields(kind)]


class UniqueKeyLoader(yaml.SafeLoader):
    """A YAML loader that rejects duplicate keys, of which YAML would silently keep only the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in keys:
                raise yaml.constructor.ConstructorError(
                    None, None, f'the key "{key}" appears twice', key_node.start_mark
                )
            if isinstance(key, Hashable):
                keys.add(key)
        return super().construct_mapping(node, deep=deep)
