"""Work that goes on in threads while the reader of its results does something else.

Both functions end their threads when they are exhausted, closed or fail, and never wait on a full queue. They leave
their source to the caller, who closes it (`contextlib.closing`) after them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["parallel_map", "prefetch"]

Item, Result = TypeVar("Item"), TypeVar("Result")


def prefetch(items: Iterable[Item], ahead: int) -> Iterator[Item]:
    """The items, up to ``ahead`` of them made by a background thread before they are asked for.

    An error that making one raises is raised where that item would have come.
    """
    source, end = iter(items), object()
    pool = ThreadPoolExecutor(1)
    try:
        waiting = deque(pool.submit(next, source, end) for _ in range(ahead))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, source, end))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)


def parallel_map(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """``work`` of each item, in their order; at most twice as many are under way as there are threads."""
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
