"""Process pool for reading images, which ends cleanly on Ctrl-C, on errors and when its parent is killed."""

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
    """A pool of so many processes; after an error, jobs that have not begun are cancelled."""
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_exit_with_parent) as pool:
        _start(pool, workers)
        try:
            yield pool
        except BaseException:
            # This waits for running jobs, because only an executor that is alive cancels. Ctrl-C during a submission
            # leaves a future that no process will ever see, for which Python would wait when it exits.
            pool.shutdown(cancel_futures=True)
            raise


def _start(pool: ProcessPoolExecutor, workers: int) -> None:
    """Starts the processes so that they ignore Ctrl-C in a terminal: this process ends them in good order."""
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread may set signal handlers
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # processes that are started now inherit this
    try:
        for started in [pool.submit(os.getpid) for _ in range(workers)]:
            started.result()
    finally:
        signal.signal(signal.SIGINT, before)


def _exit_with_parent() -> None:
    """Starts a thread that ends this process when its parent is killed; otherwise it would wait for jobs for ever."""

    def watch() -> None:
        if parent := parent_process():
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
