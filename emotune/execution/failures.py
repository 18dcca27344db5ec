"""What is said of a run that failed. The first line is what is shown of it: the error, or its cause and the remedy."""

import errno
import traceback
from collections.abc import Iterator

from emotune.run_directory import RunDirectory, State, Status

__all__ = ["failure_text", "out_of_memory_text", "record_failure"]

TRACEBACK_LINES = 30
UNWRITABLE = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES})
CPU_MEMORY = "can't allocate memory"
"""In what torch says when there is none on a CPU; it has no class of its own for that."""


def failure_text(error: BaseException) -> str:
    """The error's own first line, or its cause and the remedy where they are known; then the traceback's end."""
    trace = "\n".join("".join(traceback.format_exception(error)).strip().splitlines()[-TRACEBACK_LINES:])
    chain = list(_chain(error))
    own = "".join(traceback.format_exception_only(error)).strip().splitlines()[0].strip()
    if any(_is_out_of_memory(one) for one in chain):
        head = out_of_memory_text(own)
    elif unwritable := next((one for one in chain if isinstance(one, OSError) and one.errno in UNWRITABLE), None):
        where = f"{unwritable.filename or 'the folder'}: " if unwritable.filename else ""
        head = (
            f"cannot write: {where}{unwritable.strerror}; make room or allow writing there, or name another pool "
            "(--runs), and run the same command again"
        )
    else:
        head = own
    return f"{head}\n{trace}"


def out_of_memory_text(what: str) -> str:
    """A line that says what to do about it."""
    what = " ".join(what.split())[:200]
    return (
        "out of memory: give each worker a smaller share of a batch (raise resources.accumulate), or have fewer runs "
        f"at a time (raise resources.cpus_per_worker or gpus_per_worker) ({what})"
    )


def record_failure(directory: RunDirectory, status: Status) -> Status:
    """Writes down that the run failed or diverged; where that cannot be done, the status returned says so."""
    try:
        directory.fail(status.detail, diverged=status.state is State.DIVERGED)
    except Exception as error:  # every kind of storage has its own; the study goes on
        own = "".join(traceback.format_exception_only(error)).strip()
        return Status(
            status.state, f"{status.detail}\n{directory.folder}: the failure could not be written down ({own})"
        )
    return status


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_out_of_memory(error: BaseException) -> bool:
    """By name: this module imports neither torch nor Ray."""
    named = any(kind.__name__ in ("OutOfMemoryError", "MemoryError") for kind in type(error).__mro__)
    return named or (isinstance(error, RuntimeError) and CPU_MEMORY in str(error))
