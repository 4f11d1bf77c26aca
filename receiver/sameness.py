"""Whether what came again is the instance that is here, coded otherwise.

A sender compresses on the way by what its line is just then, so the same image may
come again in another lossless coding.  It is the same if its samples are, and every
byte outside the pixel element.  To know that it must be decoded, which is done in a
process apart: a decoder may hang or crash on bytes that somebody made for it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common import link
from common.link import Digest
from common.workers import Worker, WorkerLost

SECONDS = 30.0  # for one instance; what takes longer is no same instance
CODINGS = frozenset({link.NATIVE, *link.COMPRESSED})


class Sameness:
    """Compares instances in a process that is started when first needed."""

    def __init__(self) -> None:
        self._worker = Worker("receiver.verifier")

    def close(self) -> None:
        """End the process."""
        self._worker.stop()

    def same(
        self, one: tuple[Path, int, str] | Digest | None, other: tuple[Path, int, str]
    ) -> bool:
        """Tell whether two stored instances differ in nothing but how their pixels are coded.

        Parameters
        ----------
        one, other : (Path, int, str)
            File, bytes before its data set, and transfer syntax.  Of an instance that
            was damaged, what was receipted, if anything was.
        """
        if not isinstance(one, tuple):
            if one is None or not (one.d3 and one.rest) or other[2] not in CODINGS:
                return False
            return self._ask(*other) == (one.d3, one.rest)
        if {one[2], other[2]} - CODINGS:
            return False
        first = self._ask(*one)
        return first is not None and first == self._ask(*other)

    def _ask(self, path: Path, base: int, syntax: str) -> tuple[str, str] | None:
        asked = {"do": "samples", "path": str(path), "base": base, "syntax": syntax}
        try:
            good, body = self._worker.ask(asked, SECONDS)
        except WorkerLost:
            return None
        found: dict[str, Any] = json.loads(body) if good else {}
        d3, rest = found.get("d3"), found.get("rest")
        return None if d3 is None or rest is None else (d3, rest)
