"""Which transfer syntax delivers most, by what line and encoders were measured to do.

A sender that codes nothing delivers the line rate.  One whose encoders keep up
delivers line rate x ratio; where they do not, the line also carries what they have
not come to: line rate + encoding rate x cores x (1 - 1 / ratio).  What was delivered
in fact goes before what is expected: encoders take cores that the two ends may need.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from common.dicom.samples import HTJ2K, JPEG_LS
from sender.compression.line import LONGEST, SHORTEST, Line

GAIN = 1.1  # by which coding must win: it takes the workstation's cores
_LATEST = 0.2  # weight of the newest measurement
COUNT = 32  # acknowledgements by which a way of sending is judged: two groups of a receiver
HOPE = 1.25
PLAIN = ""  # the way of what goes as it is


@dataclass(frozen=True, slots=True)
class Rate:
    """What an encoder does.

    Attributes
    ----------
    encoded : float
        Native bytes a second that one core codes.
    ratio : float
        Native bytes by coded bytes.
    """

    encoded: float
    ratio: float


#: CT on one core (docs/decisions/0006): what is taken until this image was measured.
USUAL = {HTJ2K: Rate(200e6, 2.5), JPEG_LS: Rate(80e6, 2.7)}


def delivered(rate: Rate, line: float, cores: int) -> float:
    """Return the native bytes a second that arrive over a line of `line` bytes a second."""
    spared = 1 - 1 / max(rate.ratio, 1.0)
    return min(line + rate.encoded * cores * spared, line * max(rate.ratio, 1.0))


def best(
    rates: Mapping[str, Rate],
    accepted: Container[str],
    line: float,
    cores: int,
    seen: Mapping[str, float] = MappingProxyType({}),
) -> str | None:
    """Return the transfer syntax that delivers most, None where none beats the plain bytes.

    Parameters
    ----------
    accepted : container of str
        Transfer syntaxes that the peer took for the instance's SOP class.
    line : float
        Bytes a second.
    cores : int
        That may encode; 0 for none.
    seen : mapping of float
        Native bytes a second that were delivered, by syntax and for `PLAIN`.
    """
    able = {syntax: delivered(rate, line, cores) for syntax, rate in rates.items()
            if syntax in accepted}  # fmt: skip
    if not able:
        return None
    # what keeps one coding below what is expected of it keeps the others too
    short = min((seen[syntax] / most for syntax, most in able.items() if syntax in seen), default=1)
    able = {
        syntax: min(most, seen.get(syntax, most * min(1, short))) for syntax, most in able.items()
    }
    syntax = max(able, key=able.__getitem__)
    return syntax if able[syntax] > GAIN * seen.get(PLAIN, line) else None


class Delivered:
    """Native bytes a second that the peer acknowledged, by the way they were sent.

    Parameters
    ----------
    seen : mapping of float
        What they were before; of a coding a little more is hoped for, or one bad day
        would be the last that it is tried.
    """

    def __init__(self, seen: Mapping[str, float] = MappingProxyType({})) -> None:
        self.rates = {way: rate * (HOPE if way else 1.0) for way, rate in seen.items()}
        self.new: dict[str, float] = {}  # without what was only hoped for
        self._way: str | None = None
        self._since, self._bytes, self._count = 0.0, 0, 0
        self._unsettled = 0

    def answered(self, way: str, size: int, at: float) -> None:
        """Note that so many native bytes sent that way were answered at a time in seconds."""
        self._bytes += size
        self._count += 1
        seconds = at - self._since
        if way != self._way:
            self._way, self._unsettled = way, COUNT // 2  # what went before is still on its way
        elif self._unsettled:
            self._unsettled -= 1
        elif seconds < SHORTEST or (self._count < COUNT and seconds < LONGEST):
            return
        else:
            new = self._bytes / seconds
            old = self.new.get(way, new)  # what was before gives way at once
            self.rates[way] = self.new[way] = old + _LATEST * (new - old)
        self._since, self._bytes, self._count = at, 0, 0


class Choice:
    """Moving estimates of the encoders beside that of the line, for one transfer.

    Parameters
    ----------
    line : float or None
        Bytes a second measured before, if any.
    seen : mapping of float
        Native bytes a second delivered before, by the way.
    """

    def __init__(
        self, line: float | None = None, seen: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        self.line = Line(line)
        self.delivered = Delivered(seen)
        self._rates = dict(USUAL)
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def encoded(self, syntax: str, native: int, coded: int, seconds: float) -> None:
        """Note that one core coded so many native bytes to so many; 0 where it gave up."""
        with self._lock:
            old = self._rates[syntax]
            new = Rate(native / max(seconds, 1e-9), native / coded if coded else 1.0)
            weight = _LATEST if syntax in self._seen else 1.0
            self._seen.add(syntax)
            self._rates[syntax] = Rate(
                old.encoded + weight * (new.encoded - old.encoded),
                # the mean of sizes, not of ratios: one black image is no good line
                1 / ((1 - weight) / old.ratio + weight / new.ratio),
            )

    def syntax(self, accepted: Container[str], cores: int) -> str | None:
        """Return what the next instances are best sent in, None for as they are.

        While nothing is known of the line it is the fastest coding, which loses least
        whatever the line turns out to be.
        """
        line = self.line.rate
        with self._lock:
            rates = {s: rate for s, rate in self._rates.items() if s in accepted}
        if not cores or not rates:
            return None
        if line is None:
            fastest = max(rates, key=lambda s: rates[s].encoded)
            return fastest if rates[fastest].ratio > GAIN else None
        return best(rates, accepted, line, cores, self.delivered.rates)
