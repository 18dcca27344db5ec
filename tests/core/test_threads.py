"""Threads work ahead, keep the order, pass errors on and end with their reader."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from emotune.core.threads import parallel_map, prefetch


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_items_keep_their_order():
    assert list(prefetch(range(20), ahead=2)) == list(range(20))
    assert list(prefetch([], ahead=2)) == []
    for threads in (1, 3):
        assert list(parallel_map(lambda x: x * x, range(20), threads)) == [x * x for x in range(20)]
        assert list(parallel_map(str, [], threads)) == []


def test_only_the_next_items_are_computed_in_advance():
    made, third = [], threading.Event()

    def numbers() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            if number == 2:
                third.set()
            yield number

    with closing(prefetch(numbers(), ahead=2)) as items:
        assert next(items) == 0
        assert third.wait(10), "it did not work ahead"
    assert made == [0, 1, 2]


def test_work_is_done_in_parallel_and_only_a_little_ahead():
    meeting, taken = threading.Barrier(2, timeout=10), []

    def numbers() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    with closing(parallel_map(lambda number: (meeting.wait(), number)[1], numbers(), threads=2)) as results:
        assert next(results) == 0
        assert len(taken) <= 4


@pytest.mark.parametrize("after", [0, 1, 5])
def test_an_error_is_raised_at_the_place_of_its_item(after: int):
    def numbers() -> Iterator[int]:
        yield from range(after)
        raise ValueError("broken")

    for stage in (lambda: prefetch(numbers(), 2), lambda: parallel_map(int, numbers(), 1)):
        seen = []
        with pytest.raises(ValueError, match="broken"):
            seen.extend(stage())
        assert seen == list(range(after))

    def work(number: int) -> int:
        if number >= after:
            raise ValueError(f"broken {number}")
        return number

    with pytest.raises(ValueError, match=f"broken {after}"):
        list(parallel_map(work, range(20), 3))


def test_a_reader_that_fails_leaves_no_thread():
    with pytest.raises(KeyboardInterrupt), closing(prefetch(parallel_map(int, range(99), 2), 2)) as items:
        for item in items:
            if item == 3:
                raise KeyboardInterrupt
