"""How much is under way, on lines that exist only as numbers."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from dataclasses import dataclass, field

import pytest

from sender.links.window import LARGEST, MOST, QUEUE, REQUESTS, SMALLEST, Batch, Window

MEGABIT = 125_000.0
DEADLINE = 20.0


@dataclass
class Simulated:
    """A line with a rate and a round trip, and a receiver with a disk behind it."""

    rate: float
    trip: float
    work: tuple[float, float] = (0.002, 0.012)  # seconds of the receiver, least and most
    now: float = 0.0
    carried: int = 0
    free_at: float = 0.0
    window: Window | None = None
    queues: list[float] = field(default_factory=list)

    def run(self, seconds: float, *, after: float = 0.0) -> float:
        """Send as the window says; return the share of the line used `after` so many seconds."""
        draw, order = random.Random(1), itertools.count()
        self.window = window = self.window or Window(lambda: self.now)
        flying: list[tuple[float, int, float, Batch]] = []
        counted = 0
        while self.now < seconds:
            while window._room():
                batch = window.enter("slide")
                through = max(self.free_at, self.now) + batch.size / self.rate
                self.queues.append(max(self.free_at - self.now, 0.0))
                self.free_at = through
                busy = draw.uniform(*self.work)
                heapq.heappush(flying, (through + self.trip + busy, next(order), busy, batch))
                assert len(window._flying) <= REQUESTS
            self.now, _, busy, batch = heapq.heappop(flying)
            counted += batch.size if self.now > after else 0
            window.leave(batch, answered=True, busy=busy)
        for _, _, _, batch in flying:
            window.leave(batch, answered=False)
        self.line = window.line
        return counted / (self.rate * (self.now - after))


@pytest.mark.requirement("WSI-10")
@pytest.mark.parametrize("trip", [0.005, 0.02, 0.08])
@pytest.mark.parametrize("megabits", [1, 10, 100, 1000])
def test_a_line_is_filled_and_its_queue_stays_short(megabits: float, trip: float) -> None:
    line = Simulated(megabits * MEGABIT, trip)
    used = line.run(30.0, after=5.0)
    assert used > 0.95
    settled = sorted(line.queues[len(line.queues) // 4 :])
    # a tile that a reader waits for stands behind so much at most, beside two batches
    most = 2 * QUEUE + 2 * line.line.batch / line.rate
    assert settled[len(settled) * 9 // 10] < most
    assert SMALLEST <= line.line.batch <= LARGEST


def test_a_slow_receiver_is_not_taken_for_a_full_line() -> None:
    line = Simulated(100 * MEGABIT, 0.02, work=(0.01, 0.15))
    assert line.run(20.0, after=5.0) > 0.85


def test_an_end_without_time_is_not_given_ever_less_at_a_time() -> None:
    line = Simulated(100 * MEGABIT, 0.02)
    line.run(5.0)
    line.trip = 0.4  # answers are late for no queue on the line, and nobody says so
    line.run(12.0)
    assert line.line.window >= 200_000
    assert line.line.batch >= 64_000


def test_a_line_that_became_narrow_is_believed() -> None:
    line = Simulated(100 * MEGABIT, 0.02)
    line.run(5.0)
    line.rate /= 50
    line.queues.clear()
    line.run(400.0)
    settled = sorted(line.queues[len(line.queues) * 3 // 4 :])
    assert settled[len(settled) * 9 // 10] < 2 * QUEUE + 2 * line.line.batch / line.rate


def test_a_round_trip_that_grows_is_learned() -> None:
    line = Simulated(100 * MEGABIT, 0.005)
    line.run(5.0)
    line.trip = 0.08
    assert line.run(40.0, after=25.0) > 0.9


def test_windows_never_pass_their_bounds() -> None:
    line = Simulated(1e10, 0.3)
    line.run(10.0)
    assert line.line.window <= MOST


def test_two_slides_have_equal_shares_and_a_waiting_reader_is_first() -> None:
    window = Window()
    first = [window.enter("big"), window.enter("big")]
    entered: list[str] = []
    inside = {name: threading.Event() for name in ("big", "small", "reader")}

    batches: dict[str, Batch] = {}

    def come(name: str) -> None:
        batches[name] = window.enter(name, first=name == "reader")
        entered.append(name)
        inside[name].set()

    for name in inside:
        threading.Thread(target=come, args=(name,), daemon=True).start()
    with window._changed:
        assert window._changed.wait_for(lambda: len(window._waiting) == 3, DEADLINE)
    assert not entered, "the window is full"
    window.leave(first.pop(), answered=False)
    assert inside["reader"].wait(DEADLINE)
    window.leave(batches["reader"], answered=False)
    assert inside["small"].wait(DEADLINE)
    assert entered == ["reader", "small"], "who has nothing under way comes before who has"
