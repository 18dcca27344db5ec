"""A process of its own for one job, such as one that executes the user's code: it gets the job, and sends the result.

It is not one of multiprocessing's, which would run the user's script once more where that has no ``__main__`` guard.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from types import MappingProxyType, TracebackType
from typing import Any, Self

from emotune.core.errors import InputError

__all__ = ["ChildProcess", "results", "serve"]

END_TIMEOUT_S = 5.0
"""Seconds in which a process can end in good order before it is killed."""
IDLE_S = 10.0
"""Seconds without a message of any process after which `results` calls a function."""
PROGRAM = "import sys; from {module} import main; main(int(sys.argv[1]))"


class ChildProcess:
    """A process that does one job. A context manager: the process ends with it.

    Args:
        module: The module whose ``main`` gets the number of a pipe and passes it to `serve`.
        job: An object that describes the job, which can be pickled.
        what: The work as a verb and its object, for messages: ``prepares the runs``.
        environment: The variables of the process's environment that differ from those of this one.
    """

    def __init__(
        self, module: str, job: object, what: str, environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._what = what
        self._receiver, sender = Pipe(duplex=False)
        with sender:  # closed here, so that the end of the process is the end of what can be received
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM.format(module=module), str(sender.fileno())], stdin=subprocess.PIPE,
                pass_fds=[sender.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
            )  # fmt: skip
        assert self._process.stdin is not None
        with (
            contextlib.suppress(BrokenPipeError),
            self._process.stdin as stdin,
        ):  # it has ended: see `result`
            stdin.write(pickle.dumps(job))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def result(self, show: Callable[[str], None] = lambda line: None) -> Any:
        """Waits for the result.

        Args:
            show: A function that is called with the lines of text that the process sends before.

        Raises:
            InputError: the process sent it instead of a result.
            RuntimeError: the process ended without a result.
        """
        while isinstance(message := self.message(), str):
            show(message)
        return message

    def message(self) -> Any:
        """The next line of text, or the result; the errors are those of `result`."""
        try:
            message = self._receiver.recv()
        except EOFError:
            code = self._process.wait()
            raise RuntimeError(f"the process that {self._what} ended with exit code {code}") from None
        if isinstance(message, InputError):
            raise message
        return message

    def fileno(self) -> int:
        """The descriptor of the pipe, by which one can wait for messages of several processes."""
        return self._receiver.fileno()

    def end(self) -> None:
        """Ends the process; another thread that waits for its result gets a RuntimeError."""
        self._process.terminate()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Ends the process, and closes the pipe to it."""
        self.end()
        self._receiver.close()


def results(
    processes: Sequence[ChildProcess],
    show: Callable[[str], None] = lambda line: None,
    idle: Callable[[], None] = lambda: None,
) -> list[Any]:
    """The results of processes that work at the same time, in their order; the errors are those of `result`.

    Args:
        processes: The processes.
        show: A function that is called with the lines of text that any of them sends before its result.
        idle: A function that is called whenever none of them has sent anything for 10 seconds.
    """
    by_pipe, found = {process.fileno(): process for process in processes}, dict[int, Any]()
    while working := [pipe for pipe in by_pipe if pipe not in found]:
        ready = wait(working, IDLE_S)
        if not ready:
            idle()
        for pipe in ready:
            assert isinstance(pipe, int)
            if isinstance(message := by_pipe[pipe].message(), str):
                show(message)
            else:
                found[pipe] = message
    return [found[pipe] for pipe in by_pipe]


def serve(descriptor: int, work: Callable[[Any, Callable[[Any], None]], None]) -> None:
    """Does a job in the child process: it is read from stdin, and ``work`` gets it and a function that sends.

    Args:
        descriptor: The number of the pipe.
        work: The work; it sends lines of text, and at last the result, which is no text, or an `InputError`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this process
    job = pickle.load(sys.stdin.buffer)
    with contextlib.suppress(BrokenPipeError), Connection(descriptor, readable=False) as sender:
        work(job, sender.send)
