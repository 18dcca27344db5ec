"""Who follows runs while they are trained: the interface that executors call, and several observers as one."""

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol, Self

from emotune.runs.directory import Status
from emotune.runs.progress import RunProgress

__all__ = ["RunObserver", "RunObservers"]


class RunObserver(Protocol):
    """Follows runs while they are trained; a context manager."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def on_progress(self, progress: RunProgress) -> None:
        """Is called when a run has made progress."""

    def on_end(self, run_id: str, status: Status) -> None:
        """Is called when a run has ended; its state is RUNNING where another process trains it."""


class RunObservers:
    """Several observers, called one after another.

    Args:
        observers: The observers, in the order in which they are called; they are entered with this object.
        entered: Further observers, whose contexts somebody else entered.
    """

    def __init__(self, observers: Sequence[RunObserver], entered: Sequence[RunObserver] = ()) -> None:
        self._own, self._observers, self._entered = observers, [*observers, *entered], ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as entered:
            for observer in self._own:
                entered.enter_context(observer)
            self._entered = entered.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.__exit__(kind, error, trace)

    def on_progress(self, progress: RunProgress) -> None:
        """Tells all observers how far a run is."""
        for observer in self._observers:
            observer.on_progress(progress)

    def on_end(self, run_id: str, status: Status) -> None:
        """Tells all observers how a run ended."""
        for observer in self._observers:
            observer.on_end(run_id, status)
