"""The cap on a partner's line: megabits a second, another one by the time of day.

A cap is written as people say it: ``20`` at any time, ``08:00-18:00=5`` in a
window of local time that may go over midnight, ``none`` instead of a number
where there is no cap.  A window goes before the number without one.  What
counts are the bytes handed to TLS; TCP and IP add some 4 %.
"""

from __future__ import annotations

import datetime
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

PIECE_SECONDS = 0.01  # a piece is what the cap carries in this time
LEAST_PIECE = 4096  # bytes
SLACK = 0.02  # seconds of the cap that a thread which woke late may make up for
BYTES_PER_MEGABIT = 125_000
RATES = 0.1, 100_000.0  # Mbit/s that make sense
_WORDS = re.compile(
    r"(?:(?P<first>[0-9]{1,2}:[0-9]{2})-(?P<last>[0-9]{1,2}:[0-9]{2})=)?"
    r"(?P<rate>none|[0-9]+(?:\.[0-9]+)?)"
)


@dataclass(frozen=True, slots=True)
class Window:
    """A cap from one minute of the day until before another, over midnight if that is earlier."""

    first: int
    last: int
    rate: float | None

    def holds(self, minute: int) -> bool:
        """Whether a minute of the day lies in it."""
        if self.first < self.last:
            return self.first <= minute < self.last
        return minute >= self.first or minute < self.last


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of one partner, in bytes a second; None where there is none.

    Attributes
    ----------
    always : float or None
        Outside every window.
    """

    always: float | None = None
    windows: tuple[Window, ...] = ()

    def rate(self, moment: datetime.time) -> float | None:
        """Return the cap at a local time of day, in bytes a second."""
        minute = moment.hour * 60 + moment.minute
        return next((w.rate for w in self.windows if w.holds(minute)), self.always)


def read(words: Iterable[str]) -> Limits | None:
    """Read caps as a person wrote them; None where nothing is capped.

    Raises
    ------
    ValueError
        A word is no cap, two hold at the same time, or a number is out of :data:`RATES`.
    """
    always: list[float | None] = []
    windows: list[Window] = []
    for word in words:
        known = _WORDS.fullmatch(word)
        if known is None:
            raise ValueError(f"{word}: 20 | 08:00-18:00=5 | none (Mbit/s)")
        rate = _rate(known["rate"])
        if known["first"] is None:
            always.append(rate)
            continue
        window = Window(_minute(known["first"]), _minute(known["last"]), rate)
        if window.first == window.last or any(_meet(window, other) for other in windows):
            raise ValueError(f"{word}: 時間帯が空か重なっている / window empty or overlapping")
        windows.append(window)
    if len(always) > 1:
        raise ValueError("時間帯のない値は1つだけ / only one number without a window")
    limits = Limits(always[0] if always else None, tuple(windows))
    return None if limits.always is None and all(w.rate is None for w in windows) else limits


def _rate(word: str) -> float | None:
    if word == "none":
        return None
    if not RATES[0] <= float(word) <= RATES[1]:
        raise ValueError(f"{word}: {RATES[0]:g}-{RATES[1]:g} Mbit/s")
    return float(word) * BYTES_PER_MEGABIT


def _minute(word: str) -> int:
    hour, minute = map(int, word.split(":"))
    if hour * 60 + minute > 24 * 60 or minute > 59:
        raise ValueError(f"{word}: 00:00-24:00")
    return (hour * 60 + minute) % (24 * 60)


def _meet(one: Window, other: Window) -> bool:
    return one.holds(other.first) or other.holds(one.first)


def _local_time() -> datetime.time:
    return datetime.datetime.now().time()


class Pace:
    """Lets bytes go no faster than the caps; shared by all threads that send to one partner.

    Attributes
    ----------
    limits : Limits or None
        May be changed at any time, and holds from the next piece on; so does what
        the time of day changes.

    Parameters
    ----------
    clock : callable
        Seconds, never going back.
    wait : callable
        Lets so many seconds pass.
    local : callable
        The local time of day.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
        local: Callable[[], datetime.time] = _local_time,
    ) -> None:
        self.limits = limits
        self._clock = clock
        self._wait = wait
        self._local = local
        self._free_at = clock()
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Wait until `size` bytes may have gone."""
        if self.limits is None:
            return
        while size > 0:
            size -= self._next(size)

    def pieces(self, data: bytes | bytearray | memoryview) -> Iterator[memoryview]:
        """Yield `data` in pieces, each when it may go; in one without a cap."""
        view = memoryview(data).cast("B")
        while view:
            size = self._next(len(view)) if self.limits is not None else len(view)
            yield view[:size]
            view = view[size:]

    def _next(self, size: int) -> int:
        """Wait for the turn of the next piece of `size` bytes; return its length."""
        with self._lock:
            limits = self.limits
            rate = limits.rate(self._local()) if limits is not None else None
            if rate is None:
                return size
            piece = min(size, max(LEAST_PIECE, int(rate * PIECE_SECONDS)))
            now = self._clock()
            begin = max(self._free_at, now - SLACK)
            self._free_at = begin + piece / rate
        if begin > now:
            self._wait(begin - now)
        return piece
