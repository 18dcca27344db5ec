"""A connection to Ray: the cluster that RAY_ADDRESS names, or a local Ray of our own for the time being."""

import os
import secrets
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from emotune.errors import InputError
from emotune.machine import available_cpus, worker_environment
from emotune.processes import descendants, end
from emotune.resources import Resources

__all__ = ["ray_connection"]

OBJECT_STORE_BYTES = 100 * 2**20
"""Of a local Ray: nothing but configs and progress passes through it."""

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # a single node on 127.0.0.1, not on all interfaces
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
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
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    cluster = bool(os.environ.get("RAY_ADDRESS"))
    if not cluster and "RAY_AUTH_MODE" not in os.environ:
        # A token of its own keeps other users of this machine out, and leaves no file behind.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import ray

    try:
        with _own_signals():
            _connect(cluster, resources)
        if not cluster:
            _check_gpus(resources, ray.cluster_resources())
        yield
    finally:
        started = [] if cluster else descendants(os.getpid())
        ray.shutdown()
        end(started)  # such as are stopped or hang


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


def _connect(cluster: bool, resources: Resources) -> None:
    import ray

    if not cluster:
        with _environment(worker_environment(resources.cpus_per_worker)):  # which processes of Ray inherit
            ray.init(
                address="local",  # else Ray would join whatever cluster was started on this machine
                num_cpus=available_cpus(),
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
                object_store_memory=OBJECT_STORE_BYTES,
            )
        return
    try:
        ray.init(log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError) as error:
        raise InputError(
            f"RAY_ADDRESS={os.environ['RAY_ADDRESS']}: no Ray cluster answers there ({error}); start it, or "
            "unset RAY_ADDRESS to use this machine alone"
        ) from None


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
