"""The message of a failed run: its first line is the error, or its cause and what to do about it."""

import errno
import traceback
from collections.abc import Iterator

__all__ = ["failure_text", "out_of_memory_text"]

TRACEBACK_LINES = 19
"""A report shows 20 lines: the message and so many lines of the traceback."""
UNWRITABLE = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES})
CPU_OUT_OF_MEMORY = "can't allocate memory"
"""A part of torch's message when a CPU has no memory left; torch has no exception class for that."""


def failure_text(error: BaseException, folder: object) -> str:
    """The message of a failed run: the error's first line, or its cause and remedy if known; then the traceback.

    Args:
        error: The error that ended the run.
        folder: The run's folder, named where the error does not say which file cannot be written.
    """
    trace = "\n".join("".join(traceback.format_exception(error)).strip().splitlines()[-TRACEBACK_LINES:])
    chain = list(_chain(error))
    first_line = "".join(traceback.format_exception_only(error)).strip().splitlines()[0].strip()
    if any(_is_out_of_memory(one) for one in chain):
        head = out_of_memory_text(first_line)
    elif unwritable := next((one for one in chain if isinstance(one, OSError) and one.errno in UNWRITABLE), None):
        head = (
            f"{unwritable.filename or folder}: cannot be written ({unwritable.strerror}); free disk space, fix the "
            "permissions, or name another folder (--runs), then rerun the same command"
        )
    else:
        head = first_line
    return f"{head}\n{trace}"


def out_of_memory_text(message: str) -> str:
    """A line that says what to do when memory runs out.

    Args:
        message: The message of the error.
    """
    message = " ".join(message.split())[:200]
    return (
        "out of memory: give each worker a smaller share of a batch (raise resources.accumulate), or train fewer runs "
        f"at a time (raise resources.cpus_per_worker or gpus_per_worker) ({message})"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and the errors that caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; classes are compared by name, so as not to import torch or Ray."""
    named = any(kind.__name__ in ("OutOfMemoryError", "MemoryError") for kind in type(error).__mro__)
    return named or (isinstance(error, RuntimeError) and CPU_OUT_OF_MEMORY in str(error))
