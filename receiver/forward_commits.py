"""Storage Commitment asked of a target that a study was handed to (PS3.4 annex J).

A C-STORE that was taken is the target's word that it has the image now; a commitment is its
word that it keeps it.  It is asked for where the target offers the service, after all of a
study was handed off, and what came of it stands with the hand-off, signed.  A target that
offers none, or never reports, has the images all the same.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from common.dicom import commands, commitment, statuses, uids
from common.dicom.association import NormalizedRequestor
from common.dicom.commitment import Reference, Report, Request
from common.errors import ContextNotAccepted, InputError, TargetNotAgreed, TodokeError
from receiver import forward_targets, index
from receiver.forward_targets import Target
from receiver.index import Index

log = logging.getLogger("todoke.forward")
PART = 5000  # instances of one request
ASKS = 3  # requests without a report, then no more are sent
AGAIN = timedelta(minutes=5)  # between two requests
SINCE = timedelta(days=1)  # hand-offs that ended longer ago are not asked about
PATIENCE = 3.0  # seconds that an association is kept open for its report
_PIECE = 0.25
NOT_OFFERED = -1

WORDS = {
    "asked": ("保管確約を依頼中", "commitment asked for"),
    "committed": ("保管確約済み", "committed"),
    "partly": ("保管確約されない画像", "not committed"),
    "unsupported": ("保管確約なし (転送先が未対応)", "commitment not offered"),
    "silent": ("保管確約の返事なし", "no report of commitment"),
}

_forwards, _items, _commits = index.forwards, index.forward_items, index.forward_commits


class Commits:
    """Asks, and keeps what is reported.

    Parameters
    ----------
    dial : callable
        Gives an association with a target.
    sign : callable
        Signs what came of it.
    note : callable
        :meth:`common.audit.Trail.note`.
    stop : threading.Event
        Set to end soon.
    """

    def __init__(
        self,
        database: Index,
        dial: Callable[[Target], NormalizedRequestor],
        sign: Callable[[dict[str, Any]], str],
        note: Callable[..., None],
        stop: threading.Event,
        patience: float = PATIENCE,
    ) -> None:
        self.index = database
        self.dial = dial
        self.sign = sign
        self.note = note
        self.patience = patience
        self._stop = stop
        self._over: set[tuple[str, str]] = set()  # hand-offs about which nothing is left to ask
        self._due: dict[str, datetime] = {}

    def look(self, now: datetime) -> None:
        """Ask about what was handed off, where nothing came of it yet."""
        after = (now - SINCE).astimezone(UTC).isoformat(timespec="milliseconds")
        ended = (_forwards.c.state == "done") & (_forwards.c.finished_at > after)
        with self.index.read() as db:
            rows = db.execute(select(_forwards).where(ended)).all()
            rows = [row for row in rows if (row.id, row.finished_at) not in self._over]
            known = standings(db, rows)
        for row in rows:
            state = (known.get(row.id) or {"state": "asked"})["state"]
            if state != "asked":
                self._over.add((row.id, row.finished_at))
            elif self._due.get(row.id, now) <= now and not self._stop.is_set():
                self._due[row.id] = now + AGAIN
                self._ask(row)

    def _ask(self, row: Row[Any]) -> None:
        try:
            with self.index.read() as db:
                target = forward_targets.known(db, row.target)
                parts = _parts(db, row)
        except TargetNotAgreed:
            parts = []
        if not parts or target.kind != "dicom":
            self._over.add((row.id, row.finished_at))
            return
        try:
            with self.dial(target) as association:
                waiting = [self._action(row, association, *part) for part in parts]
                self._listen(row, association, set(waiting))
        except ContextNotAccepted:
            self._begin(row, 0, [], refused=NOT_OFFERED)
        except TodokeError as failure:  # also one that hangs up: it may report another way
            log.info("commitment of %s: %s", row.id, failure.number)

    def _begin(
        self, row: Row[Any], part: int, references: list[Reference], refused: int | None = None
    ) -> str:
        made = uids.new_uid()
        named = json.dumps([[one.sop_class, one.sop_instance] for one in references])
        of = {"uid": made, "forward": row.id, "part": part, "instances": named}
        with self.index.write() as db:
            db.execute(insert(_commits).values(**of, at=index.now(), refused=refused))
            index.announce(db, "study", row.study)
        return made

    def _action(
        self,
        row: Row[Any],
        association: NormalizedRequestor,
        part: int,
        references: list[Reference],
    ) -> str:
        """Send one N-ACTION; the request is durable before it goes out."""
        if not association.accepted:
            raise ContextNotAccepted(cause=commitment.SOP_CLASS)
        made = self._begin(row, part, references)
        response = association.ask(
            commands.N_ACTION_RQ,
            commitment.SOP_CLASS,
            commitment.SOP_INSTANCE,
            commitment.REQUEST_COMMITMENT,
            Request(made, tuple(references)).encode,
        )
        if (error := statuses.error_of(response.status, response.comment)) is not None:
            with self.index.write() as db:
                same = _commits.c.uid == made
                db.execute(update(_commits).where(same).values(refused=response.status))
            raise error
        return made

    def _listen(self, row: Row[Any], association: NormalizedRequestor, waiting: set[str]) -> None:
        end = time.monotonic() + self.patience
        while waiting and not self._stop.is_set() and (left := end - time.monotonic()) > 0:
            request = association.next_request(min(_PIECE, left))
            if request is None:
                continue
            status, transaction = commitment.report_fault(request.command), None
            if status is None:
                status, transaction = self.take(row.target, request.data, request.transfer_syntax)
            association.answer(request, status)
            waiting.discard(transaction or "")

    def take(self, target: str, data: bytes, syntax: str) -> tuple[int, str | None]:
        """Keep the report of a target; return the status of the answer, and the transaction.

        One counts whole or not at all: it may name nothing but what was asked of it.
        """
        try:
            report = commitment.decode_report(data, syntax)
        except InputError:
            log.warning("report of %s: cannot be read", target)
            return commands.INVALID_ARGUMENT_VALUE, None
        with self.index.write() as db:
            query = select(_commits, _forwards.c.target, _forwards.c.study).join(_forwards)
            mine = _commits.c.uid == report.transaction
            row = db.execute(query.where(mine)).one_or_none()
            if row is None or row.target != target:
                log.warning("report of %s: transaction not asked", target)
                return commands.INVALID_ARGUMENT_VALUE, None
            if row.failed is not None:
                return commands.SUCCESS, report.transaction  # its answer was lost
            failed = _failed(row, report)
            if failed is None:
                log.warning("report of %s: names what was not asked", target)
                return commands.INVALID_ARGUMENT_VALUE, None
            values = {"failed": json.dumps(failed), "reported_at": index.now()}
            db.execute(update(_commits).where(mine).values(**values))
            index.announce(db, "study", row.study)
        self._keep(row, report, failed)
        return commands.SUCCESS, report.transaction

    def _keep(self, row: Row[Any], report: Report, failed: dict[str, int]) -> None:
        """Sign what the target said, and say it."""
        asked = [uid for _, uid in json.loads(row.instances)]
        statement = {
            "statement": "committed",
            "forward": row.forward,
            "target": row.target,
            "transaction": report.transaction,
            "asked_at": row.at,
            "committed": [uid for uid in asked if uid not in failed],
            "failed": failed,
        }
        with self.index.write() as db:
            values = {"forward": row.forward, "text": self.sign(statement), "at": index.now()}
            db.execute(insert(index.forward_receipts).values(**values))
        of = {"study": row.study, "target": row.target, "forward": row.forward}
        counts = {"instances": len(asked) - len(failed), "failed": len(failed)}
        outcome = "failed" if failed else "ok"
        self.note("forwarded", user="rule", **of, outcome=outcome, what="committed", **counts)
        if failed:
            cause = f"{row.target} が {len(failed)} 枚の保管を確約しません / not committed"
            self.note("alarm", of="not-committed", cause=cause, **of)


def standings(db: Connection, rows: Iterable[Row[Any]]) -> dict[str, dict[str, Any]]:
    """Return by hand-off what its target promised of all that was handed off last.

    Returns
    -------
    dict
        ``state`` of :data:`WORDS`, its words, ``failed`` (number of instances) and ``at``.
    """
    ended = {row.id: row.finished_at for row in rows if row.finished_at}
    found: dict[str, dict[str, Any]] = {}
    if not ended:
        return found
    asked: dict[str, list[Row[Any]]] = {}
    for one in db.execute(select(_commits).order_by(_commits.c.at)):
        if one.forward in ended and one.at >= ended[one.forward]:
            asked.setdefault(one.forward, []).append(one)
    for forward, parts in asked.items():
        state, failed = _state(parts)
        ja, en = WORDS[state]
        at = parts[-1].reported_at or parts[-1].at
        words = {"state": state, "state_ja": ja, "state_en": en}
        found[forward] = {**words, "failed": failed, "at": at}
    return found


def _state(asked: list[Row[Any]]) -> tuple[str, int]:
    """Return how far the commitment of one hand-off is, and of how many there is none."""
    if any(one.refused == NOT_OFFERED for one in asked):
        return "unsupported", 0
    failed: dict[str, int] = {}
    open_ = silent = False
    for part in {one.part for one in asked}:
        mine = [one for one in asked if one.part == part]
        reports = [json.loads(one.failed) for one in mine if one.failed is not None]
        if not reports:
            open_, silent = True, silent or len(mine) >= ASKS
        elif all(reports):  # a report that commits to all stands, whatever others said
            failed |= reports[-1]
    if failed:
        return "partly", len(failed)
    if silent:
        return "silent", 0
    return ("asked", 0) if open_ else ("committed", 0)


def _parts(db: Connection, row: Row[Any]) -> list[tuple[int, list[Reference]]]:
    """Return what was handed off and has no report yet, in parts."""
    mine = (_items.c.forward == row.id) & (_items.c.state == "sent")
    columns = _items.c.sop_class, _items.c.sop_uid
    rows = db.execute(select(*columns).where(mine).order_by(_items.c.instance)).all()
    every = [Reference(one.sop_class, one.sop_uid) for one in rows]
    reported = {
        one.part
        for one in db.execute(select(_commits).where(_commits.c.forward == row.id))
        if one.failed is not None and one.at >= row.finished_at
    }
    starts = enumerate(range(0, len(every), PART))
    return [(part, every[at : at + PART]) for part, at in starts if part not in reported]


def _failed(row: Row[Any], report: Report) -> dict[str, int] | None:
    """Return the reason of each instance that is not committed; None if others are named."""
    asked = {uid: Reference(sop_class, uid) for sop_class, uid in json.loads(row.instances)}
    failed = {one.sop_instance: reason for one, reason in report.failed}
    if any(asked.get(one.sop_instance) != one for one in report.committed):
        return None
    if failed.keys() - asked.keys():
        return None
    kept = {one.sop_instance for one in report.committed} - failed.keys()
    return failed | {uid: commitment.NOT_NAMED for uid in asked.keys() - kept - failed.keys()}
