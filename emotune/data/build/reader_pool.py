"""Processes that read images, ended in good order whatever happens to the command that started them."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process

__all__ = ["reader_pool"]


@contextmanager
def reader_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that read images; what they have not begun is dropped when something goes wrong here."""
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with_parent) as pool:
        _start(pool, workers)
        try:
            yield pool
        except BaseException:
            # Waits, because only an executor that is alive cancels: Ctrl-C within a submission leaves a future that no
            # process will ever see, and Python would wait for it at its end.
            pool.shutdown(cancel_futures=True)
            raise


def _start(pool: ProcessPoolExecutor, workers: int) -> None:
    """Starts the reading processes, which Ctrl-C in a terminal shall not reach: this one ends them in good order."""
    if threading.current_thread() is not threading.main_thread():
        return  # signals are the main thread's
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which processes started now inherit
    try:
        for started in [pool.submit(os.getpid) for _ in range(workers)]:
            started.result()
    finally:
        signal.signal(signal.SIGINT, before)


def _end_with_parent() -> None:
    """Ends a reading process when the command that started it was killed: it would wait for work for ever."""

    def watch() -> None:
        parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
