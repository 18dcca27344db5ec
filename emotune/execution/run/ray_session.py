"""The connection to Ray: the cluster that RAY_ADDRESS names, or a local Ray that is started and stopped here."""

import contextlib
import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from emotune.config.resources import Resources
from emotune.core.environment import environment
from emotune.core.errors import InputError
from emotune.core.host import available_cpus, worker_environment
from emotune.core.process_tree import Process, descendants, kill_and_wait
from emotune.execution.run.lost_cluster import LostClusterError, is_reachable, watch_head

__all__ = ["lost_head_explained", "ray_connection"]

OBJECT_STORE_BYTES = 100 * 2**20
"""Size of a local Ray's object store, which holds nothing but configs and progress."""

ATTEMPTS = 2
"""Number of attempts to connect, where Ray says that it timed out."""
TIMED_OUT = "timed out"
SOCKET_FOLDER_BYTES = 38
"""Maximum length of the name of a folder for temporary files in which a local Ray can put its sockets."""
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # a single node on 127.0.0.1, not on all interfaces
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_prestart_worker_first_driver": "0",  # Tune sets a variable for its actors, so that they could not use
    "RAY_enable_worker_prestart": "0",  # processes that were started before
    "RAY_raylet_start_wait_time_s": "60",  # Ray's own 30 are too few on a busy machine
    "RAY_AIR_NEW_OUTPUT": "0",  # our own progress lines are enough
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # `emotune.execution.run.signals` has one
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # the run directories are the database; Tune's own state is not used
}


@contextmanager
def ray_connection(resources: Resources, command: str = "ablate") -> Iterator[None]:
    """A block during which this process is connected to Ray.

    Ray reads its settings from the environment when it is imported, so they stay set afterwards; variables that the
    user has set are kept.

    Args:
        resources: The resources of each run.
        command: The name of the command, for messages.

    Raises:
        InputError: No cluster answers, or this machine, if there is no cluster, has fewer GPUs than a run needs.
        LostClusterError: Ray does not start in time.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    cluster = bool(os.environ.get("RAY_ADDRESS"))
    if not cluster and "RAY_AUTH_MODE" not in os.environ:
        # A token keeps other users of this machine out, and leaves no file behind.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import ray

    with _short_folder(cluster) as folder:
        try:
            with _python_signal_handlers():
                _connect(cluster, resources, folder)
            if not cluster:
                _require_gpus(resources, ray.cluster_resources())
            address = ray.get_runtime_context().gcs_address
            with watch_head(address, local=not cluster, command=command, on_exit=lambda: _remove(folder)):
                try:
                    yield
                finally:
                    _disconnect(cluster)
        finally:
            _disconnect(cluster)


@contextmanager
def lost_head_explained() -> Iterator[None]:
    """A block in which whatever Ray raises when its head is gone becomes a `LostClusterError`."""
    import ray

    head = ray.get_runtime_context().gcs_address
    try:
        yield
    except Exception as error:
        if is_reachable(head):
            raise
        message = (" ".join(str(error).split()) or type(error).__name__)[:200]
        raise LostClusterError(f"Ray's head at {head} does not answer any more ({message})") from None


def _disconnect(cluster: bool, spared: Sequence[Process] = ()) -> None:
    """Disconnects from Ray, and kills the processes that this one has started; a second call does nothing.

    Args:
        cluster: Whether this process is connected to a cluster, of which it has started nothing.
        spared: Processes that are not killed, nor are their descendants.
    """
    import ray

    kept = {*spared, *(one for root in spared for one in descendants(root.pid))}
    started = [] if cluster else [one for one in descendants(os.getpid()) if one not in kept]
    ray.shutdown()
    kill_and_wait(started)  # some may be stopped or hang


@contextmanager
def _short_folder(cluster: bool) -> Iterator[str | None]:
    """A folder for a local Ray's files if the usual folder's name is too long for its sockets; else None.

    The kernel limits the name of a socket to 107 bytes, of which Ray uses up to 69.

    Raises:
        InputError: No other folder can be written to.
    """
    usual = str(Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()).absolute())
    if cluster or len(os.fsencode(usual)) <= SOCKET_FOLDER_BYTES:
        yield None
        return
    folder = None
    for place in SHORT_FOLDERS:
        with contextlib.suppress(OSError):
            folder = tempfile.mkdtemp(prefix="emotune-", dir=place)  # only this user can open it
            break
    if folder is None:
        raise InputError(
            f"TMPDIR={usual}: the name is too long for Ray's sockets (at most {SOCKET_FOLDER_BYTES} bytes), and none "
            f"of {', '.join(SHORT_FOLDERS)} can be written to; name a folder with a shorter path"
        )
    try:
        yield folder
    finally:
        _remove(folder)


def _remove(folder: str | None) -> None:
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _python_signal_handlers() -> Iterator[None]:
    """A block after which the signal handlers from before are restored; Ray replaces them, also those below Python."""
    main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM) if main}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _connect(cluster: bool, resources: Resources, folder: str | None) -> None:
    import ray

    if cluster:
        init = partial(ray.init, log_to_driver=False, logging_level=logging.ERROR)
    else:
        temporary: dict[str, Any] = {"_temp_dir": folder} if folder else {}
        init = partial(
            ray.init,
            address="local",  # otherwise Ray would join any cluster that runs on this machine
            num_cpus=available_cpus(),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=OBJECT_STORE_BYTES,
            **temporary,
        )
    with environment({} if cluster else worker_environment(resources.cpus_per_worker)):  # Ray's processes inherit it
        others = descendants(os.getpid())  # the process that prepares the images meanwhile
        for attempt in range(ATTEMPTS):
            try:
                init()
                return
            except Exception as error:  # Ray has no class of its own for most errors
                _disconnect(cluster, others)
                if attempt + 1 < ATTEMPTS and TIMED_OUT in str(error):
                    continue
                raise _connection_error(cluster, error) from None


def _connection_error(cluster: bool, error: Exception) -> BaseException:
    message = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
    if TIMED_OUT in str(error):
        return LostClusterError(
            f"Ray did not start in time in {ATTEMPTS} attempts; this machine may be too busy ({message})"
        )
    if cluster:
        return InputError(
            f"RAY_ADDRESS={os.environ['RAY_ADDRESS']}: no Ray cluster answers there ({message}); start it, or unset "
            "RAY_ADDRESS to use this machine alone"
        )
    return InputError(f"Ray cannot be started on this machine ({message}); --executor local works without it")


def _require_gpus(resources: Resources, available: Mapping[str, float]) -> None:
    """Raises an error for a run that does not fit on the only machine, since it would wait for ever."""
    needed, gpus = resources.workers * resources.gpus_per_worker, available.get("GPU", 0)
    if needed > gpus:
        raise InputError(
            f"resources: a run needs {needed:g} GPUs, but this machine has {gpus:g}; ask for fewer "
            "(--gpus-per-worker 0), or name a cluster in RAY_ADDRESS"
        )
