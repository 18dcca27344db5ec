"""A connection to Ray: the cluster that RAY_ADDRESS names, or a local Ray of our own for the time being."""

import contextlib
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

from emotune.config.resources import Resources
from emotune.core.errors import InputError
from emotune.core.host import available_cpus, worker_environment
from emotune.core.process_tree import Process, descendants, kill_and_wait
from emotune.execution.run.lost_cluster import LostClusterError, watching

__all__ = ["ray_connection"]

OBJECT_STORE_BYTES = 100 * 2**20
"""Of a local Ray: nothing but configs and progress passes through it."""

ATTEMPTS = 2
"""At connecting, where Ray says that something was not there in time."""
SLOW = "timed out"
MOST_BYTES = 38
"""Of the name of a folder for temporary files in which a local Ray can have its sockets."""
SHORT = ("/tmp", "/var/tmp", "/dev/shm")

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # a single node on 127.0.0.1, not on all interfaces
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_raylet_start_wait_time_s": "60",  # Ray's own 30 are too few where others work, too
    "RAY_AIR_NEW_OUTPUT": "0",  # our own progress lines are enough
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours: `interruption`
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # the run directories are the database, Tune's own state is not
}


@contextmanager
def ray_connection(resources: Resources) -> Iterator[None]:
    """Connects to Ray, and parts from it.

    Ray reads its settings from the environment when it is imported, so they stay in it; what the user set is kept.

    Args:
        resources: What each run gets.

    Raises:
        InputError: no cluster answers, or this machine, the only one there is, has fewer GPUs than a run asks for.
        LostClusterError: Ray does not start in time.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    cluster = bool(os.environ.get("RAY_ADDRESS"))
    if not cluster and "RAY_AUTH_MODE" not in os.environ:
        # A token of its own keeps other users of this machine out, and leaves no file behind.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import ray

    with _short_folder(cluster) as folder:
        try:
            with _own_signals():
                _connect(cluster, resources, folder)
            if not cluster:
                _check_gpus(resources, ray.cluster_resources())
            with watching(ray.get_runtime_context().gcs_address, local=not cluster, ended=lambda: _remove(folder)):
                try:
                    yield
                finally:
                    _part(cluster)
        finally:
            _part(cluster)


def _part(cluster: bool, spared: Sequence[Process] = ()) -> None:
    """Leaves Ray, and ends all that this process has started but what is ``spared``; once more, it does nothing."""
    import ray

    kept = {*spared, *(one for root in spared for one in descendants(root.pid))}
    started = [] if cluster else [one for one in descendants(os.getpid()) if one not in kept]
    ray.shutdown()
    kill_and_wait(started)  # such as are stopped or hang


@contextmanager
def _short_folder(cluster: bool) -> Iterator[str | None]:
    """For the files of a local Ray, where those for temporary files are too deep for its sockets; else None.

    The kernel knows sockets by at most 107 bytes, and Ray's own part has up to 69 of them.

    Raises:
        InputError: there is no other place.
    """
    usual = str(Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()).absolute())
    if cluster or len(os.fsencode(usual)) <= MOST_BYTES:
        yield None
        return
    folder = None
    for place in SHORT:
        with contextlib.suppress(OSError):
            folder = tempfile.mkdtemp(prefix="emotune-", dir=place)  # for this user alone
            break
    if folder is None:
        raise InputError(
            f"TMPDIR={usual}: too long a name for Ray's sockets (at most {MOST_BYTES} bytes), and nothing can be "
            f"written to {', '.join(SHORT)}; name a shorter one"
        )
    try:
        yield folder
    finally:
        _remove(folder)


def _remove(folder: str | None) -> None:
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Takes the handlers back that Ray replaces, in Python and beneath it."""
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
        begin = partial(ray.init, log_to_driver=False, logging_level="ERROR")
    else:
        begin = partial(
            ray.init,
            address="local",  # else Ray would join whatever cluster was started on this machine
            num_cpus=available_cpus(),
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=OBJECT_STORE_BYTES,
            **({"_temp_dir": folder} if folder else {}),
        )
    with _environment({} if cluster else worker_environment(resources.cpus_per_worker)):  # Ray's processes inherit it
        others = descendants(os.getpid())  # what makes images ready meanwhile
        for attempt in range(ATTEMPTS):
            try:
                begin()
                return
            except Exception as error:  # Ray has no class of its own for most of what may happen
                _part(cluster, others)
                if attempt + 1 < ATTEMPTS and SLOW in str(error):
                    continue
                raise _not_started(cluster, error) from None


def _not_started(cluster: bool, error: Exception) -> BaseException:
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
    if SLOW in str(error):
        return LostClusterError(f"Ray did not start in time, {ATTEMPTS} times; this machine may be too busy ({said})")
    if cluster:
        return InputError(
            f"RAY_ADDRESS={os.environ['RAY_ADDRESS']}: no Ray cluster answers there ({said}); start it, or unset "
            "RAY_ADDRESS to use this machine alone"
        )
    return InputError(f"Ray cannot be started on this machine ({said}); --executor local trains without it")


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _check_gpus(resources: Resources, there: dict[str, float]) -> None:
    """A run that does not fit on the only machine there is would wait for ever."""
    asked, gpus = resources.workers * resources.gpus_per_worker, there.get("GPU", 0)
    if asked > gpus:
        raise InputError(
            f"resources: a run asks for {asked:g} GPUs, this machine has {gpus:g}; ask for less (--gpus-per-worker 0), "
            "or name a cluster in RAY_ADDRESS"
        )
