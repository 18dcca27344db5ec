"""The names of levels, values and generated variants."""

import re
from collections.abc import Mapping
from typing import Any

from emotune.config.types import as_in_study

__all__ = ["level_in_name", "level_name", "value_in_name"]


def level_name(level: Any) -> str:
    """The name of a level as YAML reads it, for which yes and no are true and false.

    >>> level_name(False), level_name("two"), level_name(0.50)
    ('no', 'two', '0.5')
    """
    return {True: "yes", False: "no"}[level] if isinstance(level, bool) else as_in_study(level)


def level_in_name(factor: str, level: str) -> str:
    """A level in the name of a variant, together with its factor if it says nothing alone.

    >>> [level_in_name("attention", level) for level in ("yes", "no", "0.5", "tanh")]
    ['attention', 'no-attention', 'attention-0.5', 'tanh']
    """
    if level in ("yes", "no"):
        return factor if level == "yes" else f"no-{factor}"
    return value_in_name(f"{factor}-{level}" if re.fullmatch(r"[\d.e+-]+", level) else level)


def value_in_name(value: Any) -> str:
    """The value of an option in the name of a variant.

    >>> [value_in_name(value) for value in (0.001, "timm:resnet18", {"name": "dual", "attention": "none"}, True)]
    ['0.001', 'timm-resnet18', 'dual-none', 'true']
    """
    text = "-".join(map(as_in_study, value.values())) if isinstance(value, Mapping) else as_in_study(value)
    return re.sub(r"[^a-z0-9_.-]+", "-", text.lower()).strip("-.")
