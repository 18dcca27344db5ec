"""Iterators whose items are computed by background threads.

Both functions end their threads when they are exhausted, closed or fail, and never wait on a full queue. The caller
closes their source (`contextlib.closing`) after them.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["parallel_map", "prefetch"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(items: Iterable[Item], ahead: int) -> Generator[Item, None, None]:
    """Yields the items; a background thread computes up to ``ahead`` of them in advance.

    An error while an item is computed is raised at that item's place.
    """
    source = iter(items)
    pool = ThreadPoolExecutor(1)
    try:
        waiting = deque(pool.submit(_next, source) for _ in range(ahead))
        while batch := waiting.popleft().result():
            waiting.append(pool.submit(_next, source))
            yield from batch
    finally:
        pool.shutdown(cancel_futures=True)


def parallel_map(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Generator[Result, None, None]:
    """Yields ``work(item)`` for each item, in order; at most two items per thread are in progress."""
    if threads == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) == 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _next(source: Iterator[Item]) -> list[Item]:
    """The next item in a list; an empty list at the end. A thread cannot raise StopIteration into a generator."""
    for item in source:
        return [item]
    return []
