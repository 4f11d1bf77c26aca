"""How many bytes of frames are under way to one partner, and in what portions.

Too few leave a long line idle; too many stand in a queue in which what a reader
waits for has to stand too.  So the window grows while answers come as fast as they
can, and shrinks when they come later by more than a little: our own bytes stand in
a queue then (as LEDBAT does, RFC 6817).  What the receiver says it worked on a batch
does not count, so a slow disk is not taken for a full line.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

BATCH_SECONDS = 0.014  # of the line, that one batch takes
SMALLEST, LARGEST = 32_000, 1_000_000  # bytes of a batch
FIRST = 64_000  # bytes of a batch while nothing is known of the line
#: Seconds of the best rate known, and at most so many bytes, that stay of a batch and of
#: what is under way: where an end is slow and not the line, less of either makes it slower.
FLOORS = (0.008, 64_000), (0.02, 256_000)
FORGOTTEN = 60.0  # seconds in which the best rate falls to 1/e, should the line have changed
MOST = 24 << 20  # bytes under way: 1 Gbit/s over 150 ms
REQUESTS = 24  # under way at a time
QUEUE = 0.027  # seconds of our own queue that are aimed at
RATE_SECONDS = 1.0  # for which the highest rate counts, or ten answers if that is longer
BASE_SECONDS = 20.0  # for which the shortest answer counts
QUICKEST = 4  # answers that tell the base
PROBES = 8  # answers of a look at the line with half as much under way


@dataclass(slots=True, eq=False)
class Batch:
    """One batch under way, and how far things were when it left.

    Attributes
    ----------
    size : int
        Bytes that it may have; set to what it has once that is known.
    full : bool
        The window was in use: what it brings says something about the window.
    """

    who: object
    number: int
    size: int
    sent: float
    acknowledged: int  # bytes, of all batches
    at: float  # when the last of them was
    full: bool


class Line:
    """What is known of a line; no clock and no threads."""

    def __init__(self) -> None:
        self._rates: deque[tuple[float, float]] = deque()  # (time, bytes a second), falling
        #: (seconds, bytes) of the quickest answers: with the rate they give the base
        self._quickest: list[tuple[float, int]] = []
        self._quickest_at = 0.0
        self._window = 2.0 * FIRST
        self._best = self._best_at = 0.0  # bytes a second, forgotten slowly; when that was
        self._growing = True  # twice as much each round, until a queue shows
        self._probe: int | None = None  # number of the first batch of a look
        self._probed: list[tuple[float, int]] = []

    @property
    def rate(self) -> float:
        """Bytes a second; 0 while unknown."""
        return self._rates[0][1] if self._rates else 0.0

    @property
    def base(self) -> float:
        """Seconds of an answer beside the batch's own time on the line, with no queue.

        The first batches are too few to tell the rate, so it is told anew from the
        same answers once the rate is known better.
        """
        known = (self._beside(*answer) for answer in self._quickest)
        return max(min(known, default=math.inf), 0.0)

    def _beside(self, seconds: float, size: int) -> float:
        return seconds - size / self.rate

    @property
    def batch(self) -> int:
        """Bytes of one batch."""
        if not self._rates:
            return FIRST
        return int(min(max(self.rate * BATCH_SECONDS, self._floor(0), SMALLEST), LARGEST))

    @property
    def window(self) -> int:
        """Bytes that may be under way."""
        wide = self._window / 2 if self._probe is not None else self._window
        return int(min(max(wide, 2 * self.batch, self._floor(1)), MOST))

    def _floor(self, which: int) -> float:
        seconds, most = FLOORS[which]
        return min(self._best * seconds, most)

    def answered(
        self, batch: Batch, acknowledged: int, now: float, following: int, busy: float = 0.0
    ) -> None:
        """Learn from an answer.

        Parameters
        ----------
        acknowledged : int
            Bytes of all batches until now.
        following : int
            Number of the batch that would be sent next.
        busy : float
            Seconds that the receiver says it worked on it.
        """
        took = max(now - batch.at, 1e-6)
        self._learn_rate((acknowledged - batch.acknowledged) / took, now)
        answer = now - batch.sent - max(busy, 0.0), batch.size
        self._learn_base(batch.number, answer, now, following)
        queue = self._beside(*answer) - self.base
        off = min(max(1 - queue / QUEUE, -1.0), 1.0)
        if off < 0.25:
            self._growing = False
        if self._probe is not None or (off > 0 and not batch.full):
            return
        if self._growing:
            self._window += batch.size
        else:
            step = max(self.batch, self._window / 8)
            self._window += off * step * batch.size / max(self._window, 1.0)
        self._window = min(max(self._window, 2 * self.batch, self._floor(1)), MOST)

    def _learn_rate(self, rate: float, now: float) -> None:
        base = self.base if self._quickest else 0.0
        while self._rates and self._rates[-1][1] <= rate:
            self._rates.pop()
        self._rates.append((now, rate))
        self._best = max(rate, self._best * math.exp((self._best_at - now) / FORGOTTEN))
        self._best_at = now
        while self._rates[0][0] < now - max(RATE_SECONDS, 10 * base):
            self._rates.popleft()

    def _learn_base(
        self, number: int, answer: tuple[float, int], now: float, following: int
    ) -> None:
        if self._beside(*answer) <= self.base:
            self._quickest = [*self._quickest[1 - QUICKEST :], answer]
            self._quickest_at = now
        elif self._probe is None and now - self._quickest_at > BASE_SECONDS:
            self._probe, self._probed = following, []
        if self._probe is None or number < self._probe:
            return
        self._probed.append(answer)
        if len(self._probed) >= PROBES:
            self._quickest, self._quickest_at = self._probed, now
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
            full = self._under_way() + 2 * size >= self.line.window
            batch = Batch(who, self._number, size, now, self._acknowledged, at, full)
            self._number += 1
            self._flying[batch] = None
            self._changed.notify_all()
            return batch

    def leave(self, batch: Batch, *, answered: bool, busy: float = 0.0) -> None:
        """Say that a batch is under way no more, and how long the receiver worked on it."""
        with self._changed:
            del self._flying[batch]
            if answered:
                now = self._clock()
                self._acknowledged += batch.size
                self._acknowledged_at = now
                self.line.answered(batch, self._acknowledged, now, self._number, busy)
            self._changed.notify_all()

    def _room(self) -> bool:
        flying = self._under_way()
        if not flying:
            return True
        return len(self._flying) < REQUESTS and flying + self.line.batch <= self.line.window

    def _under_way(self) -> int:
        return sum(batch.size for batch in self._flying)

    def _next(self) -> object:
        mine: dict[object, int] = {}
        for batch in self._flying:
            mine[batch.who] = mine.get(batch.who, 0) + batch.size
        return min(self._waiting, key=lambda who: (not self._waiting[who], mine.get(who, 0)))
