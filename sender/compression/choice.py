"""Which transfer syntax delivers most, by what line and encoders were measured to do.

Delivered are min(encoding rate x cores, line rate x ratio) native bytes a second; a
sender that codes nothing delivers the line rate.
"""

from __future__ import annotations

import threading
from collections.abc import Container
from dataclasses import dataclass

from common.dicom.samples import HTJ2K, JPEG_LS

#: Bytes a second that a line is taken for until it was measured: 100 Mbit/s.
USUAL_LINE = 12.5e6
GAIN = 1.1  # by which coding must win: it takes the workstation's cores
_LATEST = 0.2  # weight of the newest measurement
#: Bytes that the two ends' socket buffers swallow at once, whatever the line is.
_BUFFERED = 8 << 20


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
    return min(rate.encoded * cores, line * rate.ratio)


def best(rates: dict[str, Rate], accepted: Container[str], line: float, cores: int) -> str | None:
    """Return the transfer syntax that delivers most, None where none beats the plain bytes.

    Parameters
    ----------
    accepted : container of str
        Transfer syntaxes that the peer took for the instance's SOP class.
    line : float
        Bytes a second.
    cores : int
        That may encode; 0 for none.
    """
    able = {syntax: delivered(rate, line, cores) for syntax, rate in rates.items()
            if syntax in accepted}  # fmt: skip
    if not able:
        return None
    syntax = max(able, key=able.__getitem__)
    return syntax if able[syntax] > GAIN * line else None


class Choice:
    """Moving estimates of one line and of the encoders, for one transfer.

    Parameters
    ----------
    line : float or None
        Bytes a second measured before, if any.
    """

    def __init__(self, line: float | None = None) -> None:
        self._line = line or USUAL_LINE
        self._rates = dict(USUAL)
        self._seen: set[str] = set()
        self._bytes = 0
        self._seconds = 0.0
        self._swallowed = 0
        self._lock = threading.Lock()

    @property
    def line(self) -> float:
        """Bytes a second."""
        return self._line

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

    def sent(self, count: int, seconds: float) -> None:
        """Note that so many bytes were given to the line, which was waited for so long."""
        with self._lock:
            self._swallowed += count
            if self._swallowed <= _BUFFERED:
                return
            self._bytes += count
            self._seconds += seconds
            self._line = self._bytes / max(self._seconds, 1e-6)
            if self._bytes > 8 * _BUFFERED:  # what was long ago counts less
                self._bytes //= 2
                self._seconds /= 2

    def syntax(self, accepted: Container[str], cores: int) -> str | None:
        """Return what the next instances are best sent in, None for as they are."""
        with self._lock:
            return best(self._rates, accepted, self._line, cores)
