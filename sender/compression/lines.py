"""What lines were last measured to take, kept for the next start: ``DATA/lines.json``.

A short transfer is over before its line is known, so what was known before decides
how it is coded.  Nothing depends on it but speed: a file that is none is as good as
no file.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from common import durable

OTHER = 0.2  # share by which a rate must differ to be written again


def known(data: Path) -> dict[str, float]:
    """Return bytes a second by partner."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        words = json.loads(_file(data).read_text("ascii"))
        return {str(key): float(rate) for key, rate in words.items() if 0 < rate < 1e12}
    return {}


def keep(data: Path, partner: str, rate: float | None) -> None:
    """Keep what the line to a partner takes, if that is news."""
    rates = known(data)
    if rate is None or abs(rate - rates.get(partner, 0.0)) <= OTHER * rate:
        return
    durable.save(_file(data), json.dumps(rates | {partner: round(rate)}).encode("ascii"))


def _file(data: Path) -> Path:
    return data / "lines.json"
