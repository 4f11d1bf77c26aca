"""How many bytes of frames are under way to one partner, and in what portions.

Too few leave a long line idle; too many stand in a queue in which what a reader
waits for has to stand too.  What a line needs is its rate times the time that an
answer takes when nothing queues.  Both are measured on the batches themselves, in
the manner of BBR (draft-ietf-ccwg-bbr): the highest rate at which bytes were
acknowledged lately, the shortest answer for longer, and now and then a moment with
little under way, so that a queue of our own is not taken for the line.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

BATCH_SECONDS = 0.016  # of the line, that one batch takes
SMALLEST, LARGEST = 16_000, 1_000_000  # bytes of a batch
FIRST = 64_000  # bytes of a batch while nothing is known of the line
MOST = 24 << 20  # bytes under way: 1 Gbit/s over 150 ms
REQUESTS = 24  # under way at a time
GROWING, STEADY, PROBING = 2.0, 1.25, 0.5  # times what the line needs
GROWTH = 1.25  # times the rate of a round before; with less, three times, the line is full
RATE_SECONDS = 1.0  # for which the highest rate counts, or ten answers if that is longer
BASE_SECONDS = 10.0  # for which the shortest answer counts
PROBES = 8  # answers of a look at the line with little under way


@dataclass(slots=True, eq=False)
class Batch:
    """One batch under way, and how far things were when it left."""

    who: object
    number: int
    size: int  # what it may have; set to what it has once that is known
    sent: float
    acknowledged: int  # bytes, of all batches
    at: float  # when the last of them was


class Line:
    """What is known of a line: its rate and its shortest answer; no clock and no threads."""

    def __init__(self) -> None:
        self._rates: deque[tuple[float, float]] = deque()  # (time, bytes a second), falling
        self._base = math.inf
        self._base_at = 0.0
        self._gain = GROWING
        self._round_ends = self._stalled = 0  # number of a batch; rounds without growth
        self._round_rate = 0.0
        self._probe: int | None = None  # number of the first batch of a look
        self._probed: list[float] = []

    @property
    def rate(self) -> float:
        """Bytes a second; 0 while unknown."""
        return self._rates[0][1] if self._rates else 0.0

    @property
    def batch(self) -> int:
        """Bytes of one batch."""
        if not self._rates:
            return FIRST
        return int(min(max(self.rate * BATCH_SECONDS, SMALLEST), LARGEST))

    @property
    def window(self) -> int:
        """Bytes that should be under way."""
        if not self._rates:
            return 2 * FIRST
        gain = PROBING if self._probe is not None else self._gain
        needed = self.rate * self._base + self.batch
        return int(min(max(gain * needed, 2 * self.batch), MOST))

    def answered(self, batch: Batch, acknowledged: int, now: float, following: int) -> None:
        """Learn from an answer.

        Parameters
        ----------
        acknowledged : int
            Bytes of all batches until now.
        following : int
            Number of the batch that would be sent next.
        """
        took = max(now - batch.at, 1e-6)
        self._learn_rate((acknowledged - batch.acknowledged) / took, now)
        self._learn_base(
            batch, max(now - batch.sent - batch.size / self.rate, 1e-4), now, following
        )
        if batch.number >= self._round_ends:
            self._round_ends = following
            if self.rate < GROWTH * self._round_rate:
                self._stalled += 1
            else:
                self._round_rate, self._stalled = self.rate, 0
            if self._stalled >= 3:
                self._gain = STEADY

    def _learn_rate(self, rate: float, now: float) -> None:
        base = self._base if self._base < math.inf else 0.0
        while self._rates and self._rates[-1][1] <= rate:
            self._rates.pop()
        self._rates.append((now, rate))
        while self._rates[0][0] < now - max(RATE_SECONDS, 10 * base):
            self._rates.popleft()

    def _learn_base(self, batch: Batch, base: float, now: float, following: int) -> None:
        if base <= self._base:
            self._base, self._base_at = base, now
        elif self._probe is None and now - self._base_at > BASE_SECONDS:
            self._probe, self._probed = following, []
        if self._probe is None or batch.number < self._probe:
            return
        self._probed.append(base)
        if len(self._probed) >= PROBES:
            self._base, self._base_at = min(self._probed), now
            self._probe = None


class Window:
    """What several slides to one partner have under way, shared fairly.

    Parameters
    ----------
    clock : callable
        Seconds that only go on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.line = Line()
        self._clock = clock
        self._changed = threading.Condition()
        self._flying: dict[Batch, None] = {}
        self._waiting: dict[object, bool] = {}
        self._acknowledged = 0
        self._acknowledged_at = 0.0
        self._number = 0

    def enter(self, who: object, *, first: bool = False) -> Batch:
        """Wait for room for one batch; its size is at most :attr:`Line.batch`.

        Parameters
        ----------
        who : object
            Of those that wait, who has the least under way is next.
        first : bool
            A reader waits for what is in it: it goes before all that is not.
        """
        with self._changed:
            self._waiting[who] = first
            self._changed.wait_for(lambda: self._room() and self._next() is who)
            del self._waiting[who]
            now = self._clock()
            at = self._acknowledged_at if self._flying else now
            size = self.line.batch
            batch = Batch(who, self._number, size, now, self._acknowledged, at)
            self._number += 1
            self._flying[batch] = None
            self._changed.notify_all()
            return batch

    def leave(self, batch: Batch, *, answered: bool) -> None:
        """Say that a batch is under way no more."""
        with self._changed:
            del self._flying[batch]
            if answered:
                now = self._clock()
                self._acknowledged += batch.size
                self._acknowledged_at = now
                self.line.answered(batch, self._acknowledged, now, self._number)
            self._changed.notify_all()

    def _room(self) -> bool:
        flying = sum(batch.size for batch in self._flying)
        if not flying:
            return True
        return len(self._flying) < REQUESTS and flying + self.line.batch <= self.line.window

    def _next(self) -> object:
        mine: dict[object, int] = {}
        for batch in self._flying:
            mine[batch.who] = mine.get(batch.who, 0) + batch.size
        return min(self._waiting, key=lambda who: (not self._waiting[who], mine.get(who, 0)))
