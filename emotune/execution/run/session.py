"""A session trains the runs of a study, in this process or on Ray: prepare, run, close."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Literal, Self

from rich.console import Console

from emotune.config.other_data import TransferTest
from emotune.config.run import RunConfig
from emotune.core.sample_noun import worded
from emotune.execution.checks.prepare import Preparation
from emotune.execution.monitor.observer import RunObserver
from emotune.execution.monitor.waiting import waiting_for
from emotune.execution.plan.adaptive import look_lines
from emotune.execution.plan.plan import Plan, reopen_damaged
from emotune.execution.plan.resolved_study import ResolvedStudy
from emotune.execution.plan.transfer_plan import transfer_plan
from emotune.runs.directory import State, Status
from emotune.runs.progress import RunProgress
from emotune.runs.store import RunStore

__all__ = ["ExecutionOptions", "Executor", "Session"]

ROUNDS = 3
"""How often one command takes up a run that other processes, or lost machines, leave unfinished."""

Executor = Literal["ray", "local"]


@dataclass(frozen=True)
class ExecutionOptions:
    """How runs are trained; nothing of it changes their results.

    Attributes:
        executor: *ray* trains as many runs at a time as fit; *local* one after another, without Ray.
        stall_minutes: The minutes without progress after which a run is stopped and continued (Ray).
        wait_minutes: The minutes to wait for a cluster to have what a run asks for (Ray).
        tensorboard: The folder to which TensorBoard's event files are written, if they are wanted.
    """

    executor: Executor = "ray"
    stall_minutes: float = 15.0
    wait_minutes: float = 10.0
    tensorboard: str | None = None


class Session:
    """Trains runs of a study. A context manager: all processes that it started end with it.

    Args:
        resolved: The study and its runs.
        options: How to train.
        console: Where progress is shown.
        stopping: Asked again and again; once it says so, runs end after their step with a checkpoint.
        followers: Observers of all runs of the session besides the progress display, entered by the caller.
    """

    def __init__(
        self,
        resolved: ResolvedStudy,
        options: ExecutionOptions,
        console: Console,
        stopping: Callable[[], bool],
        followers: Sequence[RunObserver] = (),
    ) -> None:
        self._resolved, self._options, self._console, self._stopping = resolved, options, console, stopping
        self._followers = followers
        self._stack = ExitStack()
        self._train: Callable[..., None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def is_prepared(self) -> bool:
        """Whether runs can be trained."""
        return self._train is not None

    def continue_with(self, resolved: ResolvedStudy) -> None:
        """Goes on with other runs of the study, on the same data and with the same networks."""
        self._resolved = resolved

    def close(self) -> None:
        """Disconnects from Ray and ends what was started."""
        self._stack.close()

    def prepare(self, runs: Sequence[RunConfig], *, save_architecture: bool = True) -> None:
        """Checks networks, weights and shards, and decodes images, while Ray starts.

        Args:
            runs: The runs that will be trained.
            save_architecture: Whether the registry keeps how the networks differ.

        Raises:
            InputError: a network, a shard or weights cannot be used, or the cluster is not as it must be.
        """
        preparation = self._stack.enter_context(
            Preparation(self._resolved, runs, self._options.executor, save_architecture=save_architecture)
        )
        self.connect()
        with waiting_for(self._console, worded("checking networks and images")) as show:
            lines = preparation.wait(show)
        for line in lines:
            self._console.print(line, highlight=False)

    def run(
        self, runs: Sequence[RunConfig], store: RunStore | None = None, steps: int | None = None,
        tests: Mapping[str, Sequence[TransferTest]] | None = None, followers: Sequence[RunObserver] | None = None,
    ) -> None:  # fmt: skip
        """Trains the runs, whatever becomes of each: their directories say it.

        Args:
            runs: The runs, begun in this order.
            store: Another place for their directories than the study's.
            steps: The number of steps after which each run is left, to time them; None: until it is done.
            tests: The tests on other data sets that are made with each of the runs, by its id, in place of training it.
            followers: Observers in the place of those of the session.
        """
        from emotune.execution.monitor.display import ProgressDisplay
        from emotune.execution.monitor.observer import RunObservers
        from emotune.execution.monitor.tensorboard import TensorBoardWriter

        if self._train is None:
            raise RuntimeError("a session is prepared before it runs")
        tensorboard = self._options.tensorboard
        events = [TensorBoardWriter(tensorboard, runs)] if tensorboard and not steps and tests is None else []
        console = Console(quiet=True) if steps else self._console  # that timed runs are left undone is no news
        with RunObservers(
            [ProgressDisplay(console, runs), *events], self._followers if followers is None else followers
        ) as observers:
            self._train(
                runs, store or self._resolved.store, observers, self._resolved.study.resources,
                stopping=self._stopping, steps=steps, tests=tests,
            )  # fmt: skip

    def run_until_done(self, plan: Plan, ids: Collection[str]) -> Plan:
        """Trains those of the plan's runs until none is left to do; returns the plan after it.

        Another process may die meanwhile and leave its runs to this one, so that the plan is made again. With adaptive
        seeds it then has the runs of the next look, if the runs of this one have ended.

        Args:
            plan: The state of the study's runs.
            ids: The ids of the runs that may be trained.
        """
        begun: Counter[str] = Counter()
        failed: set[str] = set()
        while runs := [r for r in plan.to_do if r.id in ids and r.id not in failed and begun[r.id] < ROUNDS]:
            begun.update(run.id for run in runs)
            reopen_damaged(plan, runs)
            self.run(runs)
            before, plan = plan, self._resolved.plan()
            if plan.looks_reached > before.looks_reached:
                for line in look_lines(plan):
                    self._console.print(line, highlight=False, markup=False, soft_wrap=True)
            if self._stopping():
                break
            failed |= {run.id for run in runs if plan.statuses[run.id].state is State.FAILED}
        return plan

    def run_tests(self, plan: Plan, ids: Collection[str]) -> list[str]:
        """Makes the missing tests of finished runs on other data sets.

        Args:
            plan: The state of the study's runs.
            ids: The ids of the runs whose tests may be made.

        Returns:
            A line for each run of which a test failed, which says why.
        """
        missing = transfer_plan(plan, self._resolved.tests, ids).missing
        names = dict.fromkeys(test.name for _, tests in missing for test in tests)
        self._console.print(
            f"Testing {len(missing)} finished runs on {', '.join(names)}.", highlight=False, markup=False,
            soft_wrap=True,
        )  # fmt: skip
        failures = _Failures()
        self.run([run for run, _ in missing], tests={run.id: tests for run, tests in missing}, followers=[failures])
        return failures.lines

    def connect(self) -> None:
        """Chooses what trains and tests; connects this process to Ray for as long as the session lasts."""
        if self._options.executor == "local":
            from emotune.execution.run.local import run_locally

            self._train = run_locally
            return
        from emotune.execution.run.ray_session import ray_connection

        resources = self._resolved.study.resources
        self._stack.enter_context(ray_connection(resources))
        from emotune.execution.run.ray_executor import run_on_ray  # imports Ray, which the connection has set up

        if os.environ.get("RAY_ADDRESS"):
            from emotune.execution.run.node_checks import check_nodes, require_cluster

            with waiting_for(self._console, "checking the cluster") as show:
                require_cluster(resources, 60 * self._options.wait_minutes, show)
                check_nodes(self._resolved.store, self._resolved.datasets, resources)
        self._train = partial(run_on_ray, stall_s=60 * self._options.stall_minutes)


class _Failures:
    """An observer that keeps why tests of finished runs failed, which no file of theirs says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def on_progress(self, progress: RunProgress) -> None:
        """Progress is no failure."""

    def on_end(self, run_id: str, status: Status) -> None:
        """Keeps the reason of a failure."""
        if status.state is State.FAILED:
            self.lines.append(status.reason if run_id in status.reason else f"{run_id}: {status.reason}")
