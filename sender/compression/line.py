"""What a line takes, measured by what the peer acknowledged.

How long a socket takes bytes says nothing: buffers on the way swallow megabytes at
once.  Acknowledgements come at the pace of the line as long as more is under way than
fills it; where no queue builds up, or there was nothing made to send, it is we who are
slower, and the line is only known to take what it took.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

COUNT = 16  # acknowledgements of one measurement: a receiver gives them in groups
LONGEST = 0.5  # seconds of one measurement
SHORTEST = 0.03
QUEUED = 2  # times what is under way on an unhurried line
IDLE = 0.25  # share of the time without anything to send that makes us the slower
TRIED = 4  # times the rate that a line took with ease is tried next
_LATEST = 0.3  # weight of the newest measurement


@dataclass(frozen=True, slots=True)
class _Mark:
    at: float
    bytes: int
    count: int
    waiting: int
    idle: float


class Line:
    """Estimates the rate of one line.

    Parameters
    ----------
    rate : float or None
        Bytes a second, known from before.

    Attributes
    ----------
    known : bool
        The rate was measured while the line was full.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate
        self.known = rate is not None
        self._under_way: dict[str, tuple[int, float]] = {}
        self._waiting = self._bytes = self._count = 0
        self._quickest = float("inf")
        self._idle = 0.0
        self._mark: _Mark | None = None
        self._lock = threading.Lock()

    @property
    def rate(self) -> float | None:
        """Bytes a second, None while nothing is known."""
        return self._rate

    @property
    def hungry(self) -> bool:
        """Whether so little is under way that the line may soon have nothing to carry."""
        with self._lock:
            if self._rate is None or not self._count:
                return False
            return self._waiting < self._rate * self._quickest + self._bytes / self._count

    def sent(self, uid: str, count: int, at: float) -> None:
        """Note that an instance of so many bytes was handed to the line at a time in seconds."""
        with self._lock:
            self._under_way[uid] = count, at
            self._waiting += count

    def idle(self, seconds: float) -> None:
        """Note that for so long nothing was made that could have been sent."""
        with self._lock:
            self._idle += seconds

    def answered(self, uid: str, at: float) -> None:
        """Note that the peer has answered it."""
        with self._lock:
            if (found := self._under_way.pop(uid, None)) is None:
                return
            count, since = found
            self._waiting -= count
            self._bytes += count
            self._count += 1
            self._quickest = min(self._quickest, at - since)
            if self._mark is not None:
                seconds = at - self._mark.at
                enough = self._count - self._mark.count >= COUNT or seconds >= LONGEST
                if seconds < SHORTEST or not enough:
                    return
                self._measure(self._mark, seconds)
            self._mark = _Mark(at, self._bytes, self._count, self._waiting, self._idle)

    def _measure(self, mark: _Mark, seconds: float) -> None:
        rate = (self._bytes - mark.bytes) / seconds
        unhurried = rate * self._quickest + 2 * (self._bytes / self._count)
        queued = min(mark.waiting, self._waiting) > QUEUED * unhurried
        if queued and self._idle - mark.idle < IDLE * seconds:
            old = self._rate if self.known and self._rate is not None else rate
            self._rate, self.known = old + _LATEST * (rate - old), True
        elif self.known:
            self._rate = max(self._rate or 0.0, rate)
        else:
            self._rate = TRIED * rate
