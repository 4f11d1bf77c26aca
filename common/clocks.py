"""How far the partner's clock is from ours, measured over the link (AUD-03)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from common.errors import ClockOff, ProtocolError

SAMPLES = 3  # questions; the one with the shortest round trip counts


@dataclass(frozen=True, slots=True)
class Clock:
    """One measurement.

    Attributes
    ----------
    offset_ms : int
        Partner's clock minus ours, at the middle of the round trip.
    round_trip_ms : int
        The offset may be wrong by half of it.
    bound_ms : int
    """

    offset_ms: int
    round_trip_ms: int
    bound_ms: int

    def words(self) -> dict[str, int]:
        """Return it as a record has it."""
        return {
            "offset_ms": self.offset_ms,
            "round_trip_ms": self.round_trip_ms,
            "bound_ms": self.bound_ms,
        }

    def check(self) -> None:
        """Refuse to sign by clocks that are not known to agree.

        Raises
        ------
        ClockOff
        """
        if abs(self.offset_ms) + self.round_trip_ms / 2 > self.bound_ms:
            words = f"{self.offset_ms:+d} ms ± {self.round_trip_ms / 2:.0f}"
            raise ClockOff(cause=f"{words}, 許容 / bound {self.bound_ms} ms")


def measure(
    ask: Callable[[], str],
    bound_ms: int,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Clock:
    """Ask the partner what time it has, a few times.

    Parameters
    ----------
    ask : callable
        Returns its time, ISO 8601 with an offset.

    Raises
    ------
    ProtocolError
        What it says is no time.
    """
    return min((_once(ask, bound_ms, now) for _ in range(SAMPLES)), key=lambda c: c.round_trip_ms)


def _once(ask: Callable[[], str], bound_ms: int, now: Callable[[], datetime]) -> Clock:
    sent = now()
    said = ask()
    came = now()
    try:
        offset = datetime.fromisoformat(said) - (sent + (came - sent) / 2)
    except (TypeError, ValueError) as failure:
        raise ProtocolError(cause="time") from failure
    trip = 1000 * (came - sent).total_seconds()
    return Clock(round(1000 * offset.total_seconds()), round(trip), bound_ms)
