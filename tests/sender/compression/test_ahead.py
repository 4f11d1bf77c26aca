"""Work ahead: in order, within its bound, ended at once."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sender.compression.ahead import SPARE, ahead

DEADLINE = 20.0


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 4), st.integers(0, 20))
def test_every_result_comes_once_and_in_order(items: list[int], workers: int, budget: int) -> None:
    results = ahead(lambda i: i * 2, items, cost=lambda i: i, workers=workers, budget=budget)
    assert list(results) == [i * 2 for i in items]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 9), max_size=40), st.integers(1, 3), st.integers(1, 20))
def test_no_more_is_taken_than_the_bound(items: list[int], workers: int, budget: int) -> None:
    taken: list[int] = []

    def one(item: int) -> int:
        taken.append(item)
        return item

    done = 0
    for result in ahead(lambda i: i, map(one, items), cost=lambda i: i, workers=workers,
                        budget=budget):  # fmt: skip
        held = sum(taken) - done
        # the last one taken may pass the bound, or a single one be larger
        assert held - result < budget + 9
        assert len(taken) <= items.index(result) + 1 + len(items)
        done += result


def test_workers_go_on_while_nobody_takes_results_and_stop_at_the_bound() -> None:
    begun = threading.Semaphore(0)
    items = iter(range(1000))

    def work(item: int) -> int:
        begun.release()
        return item

    results = ahead(work, items, cost=lambda _: 1, workers=2, budget=1000)
    assert next(results) == 0
    for _ in range(2 + SPARE):
        assert begun.acquire(timeout=DEADLINE)
    assert next(items) == 2 + SPARE, "no more were taken than may be ready"
    results.close()


def test_what_costs_nothing_needs_no_thread() -> None:
    me = threading.current_thread()
    results = ahead(lambda _: threading.current_thread(), range(9), cost=lambda i: i % 2, workers=1)
    assert [thread is me for thread in results] == [i % 2 == 0 for i in range(9)]


def test_a_caller_that_stops_ends_the_threads() -> None:
    begun: list[int] = []
    results = ahead(begun.append, range(1000), cost=lambda _: 1, workers=2)
    next(results)
    results.close()
    count = len(begun)
    assert count < 1000
    assert not [t for t in threading.enumerate() if t.name.startswith("encode")]
    assert len(begun) == count


def test_a_failure_is_raised_where_its_result_was_due() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ValueError(item)
        return item

    results = ahead(work, range(9), cost=lambda _: 1, workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(results)


def test_results_are_made_at_the_same_time() -> None:
    both = threading.Barrier(2)
    work = lambda item: (both.wait(DEADLINE), item)[1]  # noqa: E731
    assert list(ahead(work, range(4), cost=lambda _: 1, workers=2)) == [0, 1, 2, 3]


def test_a_hungry_caller_gets_what_nobody_has_begun() -> None:
    go = threading.Event()
    began = threading.Event()

    def work(item: int) -> tuple[str, int]:
        began.set()
        assert go.wait(DEADLINE)
        return "worked", item

    def hungry() -> bool:
        assert began.wait(DEADLINE)
        return not go.is_set()

    results = ahead(
        work,
        range(2 * SPARE),
        cost=lambda _: 1,
        workers=1,
        meanwhile=lambda item: ("as it is", item),
        hungry=hungry,
    )
    # the worker has the first; all others wait for it, and the last one taken goes
    assert [next(results) for _ in range(2)] == [("as it is", SPARE), ("as it is", SPARE + 1)]
    go.set()
    rest = list(results)
    assert sorted(item for _, item in rest) == [*range(SPARE), SPARE + 2, SPARE + 3]
    assert {how for how, _ in rest} == {"worked"}
