"""Which transfer syntax delivers most, by what line and encoders were measured to do.

Delivered are min(encoding rate x cores, line rate x ratio) native bytes a second; a
sender that codes nothing delivers the line rate.
"""

from __future__ import annotations

import threading
from collections.abc import Container
from dataclasses import dataclass

from common.dicom.samples import HTJ2K, JPEG_LS
from sender.compression.line import Line

GAIN = 1.1  # by which coding must win: it takes the workstation's cores
_LATEST = 0.2  # weight of the newest measurement


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
    """Moving estimates of the encoders beside that of the line, for one transfer.

    Parameters
    ----------
    line : float or None
        Bytes a second measured before, if any.
    """

    def __init__(self, line: float | None = None) -> None:
        self.line = Line(line)
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
        return best(rates, accepted, line, cores)
