"""What is said of a run that failed. The first line is what is shown of it: the error, or its cause and the remedy."""

import errno
import traceback
from collections.abc import Iterator

__all__ = ["failure_text", "out_of_memory_text"]

TRACEBACK_LINES = 19
"""A report shows 20 lines, the first of which says most."""
UNWRITABLE = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES})
CPU_MEMORY = "can't allocate memory"
"""In what torch says when there is none on a CPU; it has no class of its own for that."""


def failure_text(error: BaseException, folder: object) -> str:
    """The error's own first line, or its cause and the remedy where they are known; then the traceback's end.

    Args:
        error: That the run ended with.
        folder: Of the run, for errors that do not say what cannot be written.
    """
    trace = "\n".join("".join(traceback.format_exception(error)).strip().splitlines()[-TRACEBACK_LINES:])
    chain = list(_chain(error))
    own = "".join(traceback.format_exception_only(error)).strip().splitlines()[0].strip()
    if any(_is_out_of_memory(one) for one in chain):
        head = out_of_memory_text(own)
    elif unwritable := next((one for one in chain if isinstance(one, OSError) and one.errno in UNWRITABLE), None):
        head = (
            f"{unwritable.filename or folder}: cannot be written ({unwritable.strerror}); make room or allow writing "
            "there, or name another pool (--runs), and give the same command again"
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


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_out_of_memory(error: BaseException) -> bool:
    """By name: this module imports neither torch nor Ray."""
    named = any(kind.__name__ in ("OutOfMemoryError", "MemoryError") for kind in type(error).__mro__)
    return named or (isinstance(error, RuntimeError) and CPU_MEMORY in str(error))
