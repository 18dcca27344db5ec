"""Results that are computed once on a machine and kept in its cache folder, such as fits that no seed changes.

A result is named after the content of everything that it is computed from, the code of the baselines and the versions
of the libraries, so that nothing has to be told when it is out of date. Of several processes that want the same result
at the same time, one computes it and the others wait. A process that is killed leaves nothing that is used, and a
result that is damaged is computed anew. Files are pickles; only those of the own cache folder are read. The least
recently read results are removed when all of them together are too large.
"""

import hashlib
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from emotune.core.cache_dir import cache_folder
from emotune.models import baselines
from emotune.runs import predictions

__all__ = ["kept_result"]

FOLDER = "fitted"
MOST_BYTES = 2_000_000_000
"""The most bytes that results may fill in all; a support vector machine on all hand-made features has some 60 MB."""
LOOK_EVERY_S = 1.0
"""Seconds between two looks for a result that another process computes."""
LIBRARIES = ("numpy", "scipy", "scikit-learn")
"""The packages that compute results."""

T = TypeVar("T")


def kept_result(content: list[Any], compute: Callable[[], T], on_wait: Callable[[], None]) -> T:
    """The result of a computation, as it is read from the cache folder, into which it is written if it is missing.

    Args:
        content: Everything that the result depends on: texts, numbers and arrays.
        compute: The computation. What it raises is passed on, and nothing is kept.
        on_wait: A function that is called from time to time while another process computes the result, and may raise
            an error to stop.
    """
    import joblib  # late: it comes with scikit-learn

    folder = cache_folder() / FOLDER
    key = str(joblib.hash([_code(), *content]))
    memory = joblib.Memory(folder, verbose=0)
    packed: Any = memory.cache(_packed, ignore=["compute"])
    with _alone(folder / f"{key[:2]}.lock", on_wait):
        checksum, data = packed(key, compute)
        if hashlib.sha256(data).hexdigest() != checksum:
            packed.call_and_shelve(key, compute).clear()
            checksum, data = packed(key, compute)
        memory.reduce_size(bytes_limit=MOST_BYTES)
    return pickle.loads(data)


def _packed(key: str, compute: Callable[[], Any]) -> tuple[str, bytes]:
    """The pickled result of a computation after its checksum; joblib keeps it by the key."""
    data = pickle.dumps(compute(), protocol=5)
    return hashlib.sha256(data).hexdigest(), data


@contextmanager
def _alone(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Holds a lock, which its owner's death frees."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    while True:
        try:
            lock.acquire(timeout=LOOK_EVERY_S)
            break
        except Timeout:
            on_wait()
    try:
        yield
    finally:
        lock.release()


@cache
def _code() -> str:
    """A digest of the code of all baselines and their measures, and of the versions of the packages that compute."""
    files = [*sorted(Path(baselines.__file__ or "").parent.rglob("*.py")), Path(predictions.__file__ or "")]
    parts = [*(f"{name} {version(name)}".encode() for name in LIBRARIES), *(file.read_bytes() for file in files)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
