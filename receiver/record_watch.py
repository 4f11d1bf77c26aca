"""Looks once a day for evidence records that are missing or were edited, and alarms them."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

from common.audit import Trail
from receiver import evidence_files, index
from receiver.index import Index

log = logging.getLogger("todoke.records")
CHECKED = "records-checked"  # day of the last look, in index.marks


class RecordWatch:
    """The daily check of a receiver (EVD-06)."""

    def __init__(self, known: Index, data: Path, trail: Trail) -> None:
        self.index = known
        self.data = data
        self.trail = trail
        self._suspected: set[tuple[str, str, int | None]] = set()

    def daily(self, now: datetime) -> None:
        """Look through every sender's records, if that was not done today."""
        today = now.date().isoformat()
        with self.index.read() as db:
            if index.marked(db, CHECKED) == today:
                return
        found = [one for of in evidence_files.ledgers(self.index, self.data) for one in of.check()]
        seen = {(one.partner, one.kind, one.number) for one in found}
        if seen - self._suspected:  # a record may just be written: what stays is alarmed
            self._suspected = seen
            return
        with self.index.write() as db:
            index.mark(db, CHECKED, today)
        for one in found:
            log.error("records of %s: %s (%s)", one.partner, one.en, one.number)
            cause = f"record: {one.en}"
            self.trail.note("alarm", institution=one.partner, cause=cause, record=one.number)
