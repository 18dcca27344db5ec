"""The tests of finished runs on other data sets: which are missing, which cannot be made, and how long they take."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypedDict

from emotune.config.other_data import TransferTest, made_with
from emotune.config.run import RunConfig
from emotune.execution.plan.plan import Plan
from emotune.runs.directory import State
from emotune.runs.tested import can_be_tested, cannot_be_tested, not_tested_sentence, states_of_tests

__all__ = ["TransferEntry", "TransferPlan", "transfer_entries", "transfer_lines", "transfer_plan"]


@dataclass(frozen=True)
class TransferPlan:
    """The tests of a study's runs on other data sets.

    Attributes:
        missing: The tests that are to be made with finished runs, by run.
        done: The number of tests that have been made, by the other data set.
        after: The number of tests that follow once runs are trained, by the other data set.
        impossible: The variants with runs that keep nothing to test, see `emotune.runs.tested.cannot_be_tested`.
        seconds: The seconds of the missing tests and of those that follow, one after another; None if it is not known.
    """

    missing: tuple[tuple[RunConfig, tuple[TransferTest, ...]], ...]
    done: Counter[str]
    after: Counter[str]
    impossible: dict[str, str]
    seconds: float | None

    def missing_on(self, name: str) -> int:
        """The number of tests on a data set that are to be made with finished runs."""
        return sum(test.name == name for _, tests in self.missing for test in tests)


class TransferEntry(TypedDict):
    """The tests on one other data set, as ``status --json`` has them.

    Attributes:
        data: The name of the data set.
        done: The number of runs that have been tested on it.
        missing: The number of finished runs that have not.
        not_trained: The number of runs that will be tested once they are trained.
        cannot: The variants with runs that keep nothing to test.
    """

    data: str
    done: int
    missing: int
    not_trained: int
    cannot: list[str]


def transfer_plan(plan: Plan, tests: Sequence[TransferTest], ids: Collection[str] | None = None) -> TransferPlan:
    """The tests of a study's runs, as their files say.

    Args:
        plan: The state of the runs.
        tests: The tests of the study.
        ids: The ids of the runs whose tests may be made; None: of all.

    Raises:
        InputError: the store cannot be reached.
    """
    found = [one for one in states_of_tests(plan, tests) if ids is None or one.run.id in ids]
    waiting = [
        run for run in plan.runs
        if plan.statuses[run.id].state not in (State.DONE, State.DIVERGED) and can_be_tested(run.model)
    ]  # fmt: skip
    after = [(run, test) for run in waiting for test in made_with(run, tests)]
    missing = tuple((one.run, one.missing) for one in found if one.missing)
    return TransferPlan(
        missing, Counter(test.name for one in found for test in one.done),
        Counter(test.name for _, test in after),
        cannot_be_tested(plan) if tests else {},
        _seconds(plan, [*((run, test) for run, of_run in missing for test in of_run), *after]),
    )  # fmt: skip


def transfer_lines(plan: Plan, tests: Sequence[TransferTest]) -> list[str]:
    """The lines of a plan on the tests on other data sets; none if the study asks for none."""
    if not tests:
        return []
    found, lines = transfer_plan(plan, tests), []
    for name in dict.fromkeys(test.name for test in tests):
        images = next((test.images for test in tests if test.name == name), None)
        size = "" if images is None else f" ({images:,} images)"
        parts = [f"{found.missing_on(name)} to do"]
        if following := found.after[name]:
            parts.append(f"{following} once they are trained")
        lines.append(f"Tests on {name}{size}: {found.done[name]} runs done, {', '.join(parts)}.")
    sentences = dict.fromkeys((test.name, text) for test in tests if (text := test.labels.sentence()))
    lines += [f"  {name}: {text}" for name, text in sentences]
    if found.seconds:
        lines.append(f"  About {found.seconds / 60:.1f} minutes, one after another; nothing is trained for them.")
    if found.impossible:
        lines.append(f"  {not_tested_sentence(found.impossible)}")
    return lines


def transfer_entries(plan: Plan, tests: Sequence[TransferTest]) -> list[TransferEntry]:
    """The state of the tests on each other data set, as JSON can hold it."""
    found = transfer_plan(plan, tests)
    return [
        {"data": name, "done": found.done[name], "missing": found.missing_on(name), "not_trained": found.after[name],
         "cannot": list(found.impossible)}
        for name in dict.fromkeys(test.name for test in tests)
    ]  # fmt: skip


def _seconds(plan: Plan, asked: Sequence[tuple[RunConfig, TransferTest]]) -> float | None:
    """How long tests take: as long per image as the runs' own tests, of the same variant if it has finished one."""
    per_image: dict[str, list[float]] = {}
    for run in plan.runs:
        record = plan.records.get(run.id)
        if record and (images := record.get("test_images")):
            per_image.setdefault(run.variant, []).append(record["durations_s"]["test"] / images)
    if not per_image:
        return None
    slowest = max(map(fmean, per_image.values()))
    return sum(
        (fmean(per_image[run.variant]) if run.variant in per_image else slowest) * (test.images or 0)
        for run, test in asked
    )
