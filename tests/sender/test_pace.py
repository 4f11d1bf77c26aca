"""The cap of a partner: how exact, how even, by the time of day, in words."""

from __future__ import annotations

import datetime
import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.pace import LEAST_PIECE, PIECE_SECONDS, SLACK, Limits, Pace, Window, read

MEGABIT = 125_000  # bytes
NOON = datetime.time(12)


class Clock:
    """Seconds that pass when somebody waits, and a little more: nobody is woken in time."""

    def __init__(self, late: float = 0.0, start: datetime.time = NOON) -> None:
        self.now = 0.0
        self.late = late
        self.start = datetime.datetime.combine(datetime.date(2026, 4, 1), start)
        self._draw = random.Random(1)

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds + self._draw.uniform(0, self.late)

    def local(self) -> datetime.time:
        return (self.start + datetime.timedelta(seconds=self.now)).time()

    def pace(self, *words: str) -> Pace:
        return Pace(read(words), lambda: self.now, self.wait, self.local)


def sent(clock: Clock, pace: Pace, seconds: float, size: int = 1 << 20) -> list[tuple[float, int]]:
    """Send instances of `size` bytes for a while; return when each piece went and its length."""
    went: list[tuple[float, int]] = []
    while True:
        for piece in pace.pieces(bytes(size)):
            if clock.now >= seconds:
                return went
            went.append((clock.now, len(piece)))


@pytest.mark.requirement("NET-14")
@pytest.mark.parametrize("late", [0.0, 0.015])
@pytest.mark.parametrize("rate", [1, 5, 50, 500])
def test_a_cap_is_kept_exactly_and_evenly(rate: int, late: float) -> None:
    clock = Clock(late)
    went = sent(clock, clock.pace(str(rate)), 10.0)
    assert sum(size for _, size in went) == pytest.approx(10 * rate * MEGABIT, rel=0.02)
    piece = max(LEAST_PIECE, rate * MEGABIT * PIECE_SECONDS)
    for first in range(0, len(went), 50):
        burst = sum(size for at, size in went if went[first][0] <= at < went[first][0] + 0.05)
        assert burst <= (0.05 + SLACK) * rate * MEGABIT + 2 * piece


def test_a_rest_saves_up_nothing() -> None:
    clock = Clock()
    pace = clock.pace("5")
    clock.now = 3600.0
    went = sent(clock, pace, 3601.0)
    assert sum(size for _, size in went) == pytest.approx(5 * MEGABIT, rel=0.05)


def _never(*_: object) -> float:
    raise AssertionError("asked")


def test_without_a_cap_nothing_is_asked_and_nothing_is_split() -> None:
    pace = Pace(None, lambda: 0.0, _never, _never)  # type: ignore[arg-type]
    pace.take(1 << 30)
    [whole] = pace.pieces(bytes(9_000_000))
    assert len(whole) == 9_000_000
    assert list(pace.pieces(b"")) == []


@pytest.mark.requirement("NET-14")
@pytest.mark.parametrize(("before", "after"), [("20", "5"), ("5", "20"), ("none", "5")])
def test_the_time_of_day_changes_the_cap_in_mid_transfer(before: str, after: str) -> None:
    clock = Clock(start=datetime.time(7, 59, 58))
    pace = clock.pace(before, f"08:00-18:00={after}")
    if before == "none":
        pace.take(1 << 30)  # one without an end, at once
        clock.now = 2.0
    went = sent(clock, pace, 4.0, size=64 << 20)  # one instance over both
    early = sum(size for at, size in went if at < 2)
    late = sum(size for at, size in went if at >= 2)
    assert late == pytest.approx(2 * float(after) * MEGABIT, rel=0.05)
    if before != "none":
        assert early == pytest.approx(2 * float(before) * MEGABIT, rel=0.05)


def test_another_cap_holds_from_the_next_piece_on() -> None:
    clock = Clock()
    pace = clock.pace("1")
    pieces = pace.pieces(bytes(10_000_000))
    next(pieces)
    pace.limits = None
    assert len(next(pieces)) == 10_000_000 - LEAST_PIECE
    assert clock.now == 0.0


def test_threads_share_one_cap() -> None:
    waits: list[float] = []
    pace = Pace(read(["8"]), lambda: 0.0, waits.append, lambda: NOON)
    threads = [threading.Thread(target=pace.take, args=(1_000_000,)) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    # 4 MB at 1 MB/s in pieces of 10 ms: each has a time of its own, the first at once
    assert sorted(waits) == pytest.approx([n / 100 for n in range(1, 400)])


times = st.integers(0, 24 * 60 - 1)


@given(times, times, times)
def test_a_window_may_go_over_midnight(first: int, last: int, minute: int) -> None:
    if first == last:
        return
    inside = (minute - first) % (24 * 60) < (last - first) % (24 * 60)
    assert Window(first, last, None).holds(minute) == inside


def test_words_become_caps() -> None:
    limits = read(["20", "22:00-6:00=none", "08:00-18:00=2.5"])
    assert limits == Limits(
        20 * MEGABIT, (Window(1320, 360, None), Window(480, 1080, 2.5 * MEGABIT))
    )
    rates = {hour: limits.rate(datetime.time(hour)) for hour in (5, 6, 8, 17, 18, 23)}
    assert rates == {
        5: None, 6: 20 * MEGABIT, 8: 2.5 * MEGABIT, 17: 2.5 * MEGABIT, 18: 20 * MEGABIT, 23: None,
    }  # fmt: skip
    assert read(["18:00-24:00=1"]) == Limits(None, (Window(1080, 0, MEGABIT),))
    assert read([]) is read(["none"]) is read(["08:00-18:00=none"]) is None


@pytest.mark.parametrize(
    "words",
    [["fast"], ["20Mbit"], ["-1"], ["0"], ["0.01"], ["1000000"], ["1e3"], ["20", "30"], [""],
     ["08:00-18:00"], ["08:00-18:00="], ["08:00=5"], ["08:00-25:00=5"], ["08:60-09:00=5"],
     ["08:00-08:00=5"], ["00:00-24:00=5"], ["08:00-18:00=5", "17:00-19:00=3"], ["２０"],
     ["22:00-06:00=5", "05:00-07:00=1"], ["01:00-05:00=5", "22:00-06:00=1"]],
)  # fmt: skip
def test_other_words_are_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(words)


def test_the_real_clock_and_the_real_wait_fit_together() -> None:
    """Two pieces through what is used outside of tests."""
    pace = Pace(read(["100"]))
    thread = threading.Thread(target=pace.take, args=(500_000,))
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
