"""Nodes that Ray drains, because a cloud takes back a spot instance or somebody wants to empty the node.

Ray starts nothing more on such a node, and kills what is left on it at its deadline.
"""

import contextlib
import time

from ray._private.state import state  # Ray Train asks it as well; there is no public way

__all__ = ["DrainWatcher"]

LOOK_EVERY_S = 2.0


class DrainWatcher:
    """Asks Ray now and then which nodes are being drained."""

    def __init__(self) -> None:
        self._looked_at, self._draining = float("-inf"), frozenset[str]()

    def draining_nodes(self) -> frozenset[str]:
        """The ids of the nodes that are being drained."""
        if time.monotonic() - self._looked_at > LOOK_EVERY_S:
            self._looked_at = time.monotonic()
            with contextlib.suppress(Exception):  # a head that does not answer is noticed elsewhere
                self._draining = frozenset(state.get_draining_nodes())
        return self._draining
