"""What lines were last measured to take, kept for the next start: ``DATA/lines.json``.

A short transfer is over before its line is known, so what was known before decides
how it is coded.  Nothing depends on it but speed: a file that is none is as good as
no file.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

from common import durable

LINE = "line"  # beside the ways of sending
OTHER = 0.2  # share by which a rate must differ to be written again


def known(data: Path) -> dict[str, dict[str, float]]:
    """Return by partner, in bytes a second, what the line takes and what each way delivered."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        words = json.loads(_file(data).read_text("ascii"))
        return {
            str(key): {str(what): float(rate) for what, rate in one.items() if 0 < rate < 1e12}
            for key, one in words.items()
        }
    return {}


def keep(data: Path, partner: str, rates: Mapping[str, float]) -> None:
    """Keep what is known of the line to a partner, if any of it is news."""
    lines = known(data)
    old = lines.get(partner, {})
    if all(abs(rate - old.get(what, 0.0)) <= OTHER * rate for what, rate in rates.items()):
        return
    lines[partner] = old | {what: float(round(rate)) for what, rate in rates.items()}
    durable.save(_file(data), json.dumps(lines).encode("ascii"))


def _file(data: Path) -> Path:
    return data / "lines.json"
