"""The version of emotune."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
