"""Nodes that are about to go: Ray drains them, because a cloud takes a spot machine back or somebody wants it empty.

Ray starts nothing more on such a node, and ends what is left on it at its deadline.
"""

import contextlib
import time

from ray._private.state import state  # what Ray Train asks; there is no public way

__all__ = ["DrainWatcher"]

LOOK_EVERY_S = 2.0


class DrainWatcher:
    """Says which nodes are about to go; asks Ray now and then."""

    def __init__(self) -> None:
        self._looked, self._draining = float("-inf"), frozenset[str]()

    def nodes(self) -> frozenset[str]:
        """Ray's names of them."""
        if time.monotonic() - self._looked > LOOK_EVERY_S:
            self._looked = time.monotonic()
            with contextlib.suppress(Exception):  # where the head does not answer, that is noticed elsewhere
                self._draining = frozenset(state.get_draining_nodes())
        return self._draining
