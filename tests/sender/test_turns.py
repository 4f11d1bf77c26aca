"""Who works now: urgent things at once, one thing a line, nothing for ever."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.turns import AT_ONCE, Claim, Crew, GaveWay, Turn, decide

DEADLINE = 20.0
URGENT, SOON, ROUTINE = 0, 1, 2


def nothing(_turn: Turn) -> None:
    pass


def claim(id: str, line: str = "a", rank: int = ROUTINE) -> Claim:
    return Claim(id, line, rank, nothing)


class Place:
    """A sender without threads: what waits, what has begun, what has given way."""

    def __init__(self) -> None:
        self.waiting: list[Claim] = []
        self.at_work: list[Claim] = []
        self.aside: frozenset[str] = frozenset()

    def assign(self) -> list[Claim]:
        due = sorted(self.waiting, key=lambda c: (c.rank, int(c.id)))
        decision = decide(due, self.at_work)
        for one in decision.begin:
            self.waiting.remove(one)
            self.at_work.append(one)
        self.aside = decision.give_way
        self.check(decision.begin)
        return decision.begin

    def runs(self, line: str) -> list[Claim]:
        return [c for c in self.at_work if c.line == line and c.id not in self.aside]

    def check(self, begun: Sequence[Claim]) -> None:
        for line in {c.line for c in [*self.waiting, *self.at_work]}:
            owed = [c.rank for c in [*self.waiting, *self.at_work] if c.line == line]
            # exactly one has the line, and it is of the most urgent that are owed
            (running,) = self.runs(line)
            assert running.rank == min(owed)
            ranks = [c.rank for c in self.at_work if c.line == line]
            assert len(ranks) == len(set(ranks)), "two of one urgency have begun"
        assert not {c.id for c in begun} & self.aside


events = st.lists(
    st.one_of(
        st.tuples(st.just("owe"), st.sampled_from("abc"), st.sampled_from((URGENT, SOON, ROUTINE))),
        st.tuples(st.sampled_from(("end", "fail", "give way")), st.sampled_from("abc"), st.just(0)),
    ),
    max_size=60,
)


@pytest.mark.requirement("UX-04")
@given(events)
def test_the_most_urgent_runs_alone_and_nothing_starves(story: list[tuple[str, str, int]]) -> None:
    place = Place()
    later: list[Claim] = []  # failed, tried again after a pause
    owed: set[str] = set()
    for number, (event, line, rank) in enumerate(story):
        if event == "owe":
            place.waiting.append(claim(str(number), line, rank))
            owed.add(str(number))
        elif event in ("end", "fail") and (running := place.runs(line)):
            place.at_work.remove(running[0])
            if event == "fail":
                later.append(running[0])
        elif event == "give way":  # it has come to its end between two instances
            for one in [c for c in place.at_work if c.line == line and c.id in place.aside]:
                place.at_work.remove(one)
                place.waiting.append(one)
        place.assign()
    place.waiting += later
    place.assign()
    for _ in range(len(owed) + 1):  # no more comes: each that has the line ends
        for one in [c for c in place.at_work if c.id not in place.aside]:
            place.at_work.remove(one)
        place.assign() if place.waiting or place.at_work else None
    assert not place.waiting
    assert not place.at_work


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.booleans()), max_size=20))
def test_lines_know_nothing_of_one_another(rows: list[tuple[str, int, bool]]) -> None:
    claims = [(claim(str(n), line, rank), begun) for n, (line, rank, begun) in enumerate(rows)]

    def split(lines: str) -> tuple[list[Claim], list[Claim]]:
        mine = [(c, begun) for c, begun in claims if c.line in lines]
        return [c for c, begun in mine if not begun], [c for c, begun in mine if begun]

    both, a, b = (decide(*split(lines)) for lines in ("ab", "a", "b"))
    assert both.give_way == a.give_way | b.give_way
    assert sorted(c.id for c in both.begin) == sorted(c.id for c in [*a.begin, *b.begin])


def test_slides_of_one_urgency_go_side_by_side_and_give_way_together() -> None:
    slides = [Claim(str(n), "a", ROUTINE, nothing, shares=True) for n in range(5)]
    ct, urgent = claim("ct"), Claim("u", "a", URGENT, nothing, shares=True)
    assert decide(slides, []).begin == slides[:AT_ONCE]
    mixed = [slides[0], ct, *slides[1:]]
    assert decide(mixed, []).begin == [slides[0]], "the CT is next, whatever slides come"
    assert decide(slides[1:], slides[:1]).begin == slides[1:AT_ONCE]
    assert decide([ct, *slides], []).begin == [ct], "what came first and shares nothing is alone"
    assert decide(slides, [ct]).begin == []
    decision = decide([urgent, *slides[3:]], slides[:AT_ONCE])
    assert decision.begin == [urgent]
    assert decision.give_way == {one.id for one in slides[:AT_ONCE]}


def test_two_of_one_urgency_do_not_overtake_each_other() -> None:
    at_work = [claim("1", rank=URGENT), claim("0", rank=ROUTINE)]
    decision = decide([claim("2", rank=URGENT), claim("3", rank=SOON)], at_work)
    assert decision.begin == []
    assert decision.give_way == {"0"}


class Failures(list[BaseException | None]):
    """What a crew told of its ends."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = threading.Condition()

    def __call__(self, failure: BaseException | None) -> None:
        with self.changed:
            self.append(failure)
            self.changed.notify_all()

    def wait(self, count: int) -> list[BaseException | None]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self) >= count, DEADLINE)
        return self


def test_what_is_overtaken_gives_way_and_goes_on() -> None:
    ends = Failures()
    crew = Crew("test", ends)
    begun, aside, urgent_ends, done = (threading.Event() for _ in range(4))

    def routine(turn: Turn) -> None:
        begun.set()
        while not turn.gives_way():
            pass
        aside.set()
        turn.wait()
        done.set()

    def urgent(_turn: Turn) -> None:
        assert urgent_ends.wait(DEADLINE)

    owed = [Claim("1", "a", ROUTINE, routine)]
    crew.assign(lambda: owed)
    assert begun.wait(DEADLINE)
    owed.insert(0, Claim("2", "a", URGENT, urgent))
    crew.assign(lambda: owed)
    assert aside.wait(DEADLINE)
    assert not done.is_set()
    urgent_ends.set()
    ends.wait(1)
    crew.assign(lambda: [owed[1]])
    assert done.wait(DEADLINE)
    assert ends.wait(2) == [None, None]
    assert crew.lines() == frozenset()


def test_what_ends_while_the_outbox_is_read_does_not_begin_again() -> None:
    ends, times = Failures(), []
    crew = Crew("test", ends)
    may_end = threading.Event()

    def work(_turn: Turn) -> None:
        times.append(1)
        assert may_end.wait(DEADLINE)

    stale = [Claim("1", "a", ROUTINE, work)]

    def read() -> list[Claim]:
        may_end.set()
        ends.wait(1)
        return stale

    crew.assign(lambda: stale)
    crew.assign(read)
    crew.close(DEADLINE)
    assert times == [1]


def test_a_failure_is_told_and_giving_way_is_none() -> None:
    ends = Failures()
    crew = Crew("test", ends)

    def fails(_turn: Turn) -> None:
        raise ZeroDivisionError

    def gives(_turn: Turn) -> None:
        raise GaveWay

    crew.assign(lambda: [Claim("1", "a", ROUTINE, fails), Claim("2", "b", ROUTINE, gives)])
    told = ends.wait(2)
    assert sorted(type(one).__name__ for one in told) == ["NoneType", "ZeroDivisionError"]


def test_the_end_wakes_what_gave_way_and_begins_nothing() -> None:
    ends = Failures()
    crew = Crew("test", ends)
    stop, waits = threading.Event(), threading.Event()

    def routine(turn: Turn) -> None:
        while not turn.gives_way():
            pass
        waits.set()
        turn.wait()

    def urgent(_turn: Turn) -> None:
        assert stop.wait(DEADLINE)

    crew.assign(lambda: [Claim("1", "a", ROUTINE, routine)])
    crew.assign(lambda: [Claim("2", "a", URGENT, urgent)])
    assert waits.wait(DEADLINE)
    stop.set()
    crew.close(DEADLINE)
    assert ends.wait(2) == [None, None]
    crew.assign(lambda: [Claim("3", "a", URGENT, urgent)])
    assert crew.lines() == frozenset()
