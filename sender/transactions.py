"""What we asked partners to commit to, and what they reported: Storage Commitment as SCU.

One table beside those of the outbox, in its file.  A transaction is there before
the partner hears of it, so that no report comes too early; a report counts only
for a transaction that this very partner was asked under, and only if it names
nothing that was not asked.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import database, durable
from common.dicom import commands, commitment, uids
from common.dicom.commitment import Reference, Report, Request
from common.errors import InputError

log = logging.getLogger("todoke.commitment")

PART = 10_000  # instances asked about in one transaction
_TABLE = """
CREATE TABLE IF NOT EXISTS commitments(
  uid TEXT PRIMARY KEY, transfer TEXT NOT NULL, partner TEXT NOT NULL,
  round INTEGER NOT NULL, part INTEGER NOT NULL, asked REAL NOT NULL,
  refused INTEGER, failed TEXT, sent_again INTEGER NOT NULL DEFAULT 0)
"""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One N-ACTION.

    Attributes
    ----------
    round : int
        How often instances had been sent again before it.
    part : int
        Which of the transfer's instances, :data:`PART` of them a part.
    asked : float
        Seconds since 1970.
    refused : int or None
        Status by which the partner refused the request.
    failed : dict or None
        Failure Reason of each instance that is not committed; None without a report.
    """

    uid: str
    transfer: str
    round: int
    part: int
    asked: float
    refused: int | None
    failed: dict[str, int] | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the commitment of a transfer is, in the present round.

    Attributes
    ----------
    parts : dict
        Part to its transactions, the oldest first, for parts that no report tells of.
    failed : dict
        Failure Reason of each instance that the reports do not commit to.
    """

    round: int
    parts: dict[int, list[Transaction]]
    failed: dict[str, int]


class Transactions:
    """The table, of the outbox at `path`; safe from several threads and processes."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._lock = threading.Lock()
        self.clock = clock
        with database.named(path):
            durable.safe_sqlite(self._db)
        self._write((_TABLE, ()))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _write(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        with self._lock, database.writing(self._db, self._path):
            for statement, values in statements:
                self._db.execute(statement, values)

    def _rows(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock, database.named(self._path):
            return self._db.execute(statement, values).fetchall()

    def begin(self, transfer: str, partner: str, round_: int, part: int) -> Request:
        """Keep a new transaction and return what is to be asked."""
        uid = uids.new_uid()
        self._write(
            (
                "INSERT INTO commitments(uid, transfer, partner, round, part, asked)"
                " VALUES(?,?,?,?,?,?)",
                (uid, transfer, partner, round_, part, self.clock()),
            )
        )
        return Request(uid, tuple(self._asked(transfer, part)))

    def refuse(self, uid: str, status: int) -> None:
        """Keep that the partner refused the request."""
        self._write(("UPDATE commitments SET refused=? WHERE uid=?", (status, uid)))

    def standing(self, transfer: str) -> Standing:
        """Return how far a transfer is."""
        rows = self._rows("SELECT * FROM commitments WHERE transfer=? ORDER BY rowid", transfer)
        round_ = max((row["round"] + 1 for row in rows if row["sent_again"]), default=0)
        (count,) = self._rows("SELECT COUNT(*) FROM instances WHERE transfer=?", transfer)[0]
        parts: dict[int, list[Transaction]] = {}
        failed: dict[str, int] = {}
        for part in range(0, (count + PART - 1) // PART):
            asked = [
                _transaction(row) for row in rows if (row["round"], row["part"]) == (round_, part)
            ]
            reports = [one.failed for one in asked if one.failed is not None]
            if not reports:
                parts[part] = asked
            elif all(reports):  # a report that commits to all stands, whatever others said
                failed |= reports[-1]
        return Standing(round_, parts, failed)

    def send_again(self, transfer: str, round_: int, uids_: Iterable[str]) -> None:
        """Begin another round: instances are owed again."""
        again = "UPDATE commitments SET sent_again=1 WHERE transfer=? AND round=?"
        owed = "UPDATE instances SET acked=0 WHERE transfer=? AND sop_uid=?"
        self._write((again, (transfer, round_)), *((owed, (transfer, uid)) for uid in uids_))

    def take(self, partner: str, report: Report) -> tuple[int, str | None]:
        """Keep a report.

        Returns
        -------
        status : int
            Of the N-EVENT-REPORT-RSP.
        transfer : str or None
            Which it tells of.
        """
        rows = self._rows(
            "SELECT * FROM commitments WHERE uid=? AND partner=?", report.transaction, partner
        )
        if not rows:
            log.warning("report of %s: transaction not asked", partner)
            return commands.INVALID_ARGUMENT_VALUE, None
        row = rows[0]
        if row["failed"] is not None:
            return commands.SUCCESS, row["transfer"]  # its answer was lost, not the report
        asked = {one.sop_instance: one for one in self._asked(row["transfer"], row["part"])}
        failed = {one.sop_instance: reason for one, reason in report.failed}
        kept = {one.sop_instance for one in report.committed} - failed.keys()
        unasked = [one for one in report.committed if asked.get(one.sop_instance) != one]
        if unasked or failed.keys() - asked.keys():
            log.warning("report of %s: names instances that were not asked", partner)
            return commands.INVALID_ARGUMENT_VALUE, None
        failed |= {uid: commitment.NOT_NAMED for uid in asked.keys() - kept - failed.keys()}
        self._write(
            (
                "UPDATE commitments SET failed=? WHERE uid=? AND failed IS NULL",
                (json.dumps(failed), report.transaction),
            )
        )
        return commands.SUCCESS, row["transfer"]

    def take_message(self, partner: str, data: bytes, syntax: str) -> tuple[int, str | None]:
        """Keep a report as it came; see :meth:`take`."""
        try:
            report = commitment.decode_report(data, syntax)
        except InputError as error:
            log.warning("report of %s: %s", partner, error)
            return commands.INVALID_ARGUMENT_VALUE, None
        return self.take(partner, report)

    def _asked(self, transfer: str, part: int) -> list[Reference]:
        rows = self._rows(
            "SELECT sop_class, sop_uid FROM instances WHERE transfer=?"
            " ORDER BY id LIMIT ? OFFSET ?",
            transfer,
            PART,
            part * PART,
        )
        return [Reference(row["sop_class"], row["sop_uid"]) for row in rows]


def open_transactions(path: Path) -> closing[Transactions]:
    """Return the table as a context manager."""
    return closing(Transactions(path))


def _transaction(row: sqlite3.Row) -> Transaction:
    failed = row["failed"]
    return Transaction(
        row["uid"], row["transfer"], row["round"], row["part"], row["asked"], row["refused"],
        None if failed is None else json.loads(failed),
    )  # fmt: skip
