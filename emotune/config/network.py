"""The base of all configurations of networks."""

from pydantic.dataclasses import dataclass

from emotune.config.types import FORBID_UNKNOWN_KEYS

__all__ = ["NetworkConfig"]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class NetworkConfig:
    """A network, which is trained in steps; other models are fitted at once."""
