"""Transfers of the index in the audit trail: begun, ended, and whether the two agree (AUD-04)."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from common.audit.transfers import Half, Watch
from common.proof import jws
from common.states import ABSENT, TransferState
from receiver import index, statements, transfers
from receiver.attributes import first
from receiver.changes import Changes
from receiver.index import Index

_PATIENT = "00100020"
_NOT_BEGUN = (TransferState.ANNOUNCED, TransferState.QUEUED, TransferState.HELD)
_ENDED_UNSAID = (TransferState.RECALLED, TransferState.FAILED)
_transfers, _instances, _studies = index.transfers, index.instances, index.studies


class Transfers:
    """Looks at the index, and notes what has come about since."""

    def __init__(self, database: Index, data: Path) -> None:
        self._index = database
        self._changes = Changes(database)
        self._watch = Watch(data / "audit")

    def look(self) -> None:
        """Note what is new; nothing is asked of the index where nothing was written."""
        if self._changes.seen():
            with self._index.read() as db:
                self._watch.look(
                    list(self._known(db)), lambda one: _begin(db, one), lambda one: _end(db, one)
                )

    def _known(self, db: Connection) -> Iterator[tuple[str, bool]]:
        columns = (_transfers.c.id, _transfers.c.state, _transfers.c.receipted_at,
                   _transfers.c.expected)  # fmt: skip
        for row in db.execute(select(*columns).order_by(_transfers.c.opened_at)):
            if row.id in self._watch.ended or row.state in _NOT_BEGUN:
                continue
            # a peer without an opening says no end: Done is when nothing more is looked for
            over = row.receipted_at is not None or row.state in _ENDED_UNSAID
            yield row.id, over or (row.expected is None and row.state == TransferState.DONE)

    def close(self) -> None:
        """Close the trail."""
        self._changes.close()
        self._watch.close()


def _begin(db: Connection, transfer: str) -> tuple[str, Half]:
    """Return the partner, and what its signed opening says."""
    row = transfers.known(db, transfer)
    said = _opening(statements.read(db, transfer, "opening"))
    if said is None:
        half = _here(db, row)
        return row.institution, Half(row.opened_at, half.patient, half.study_uid, None, {})
    slots = said.get("instances") or []
    classes = Counter(slots)
    patient = str(first(said.get("attributes") or {}, _PATIENT) or "")
    study = str(said.get("study", ""))
    return row.institution, Half(row.opened_at, patient, study, len(slots), dict(classes))


def _opening(statement: str | None) -> dict[str, Any] | None:
    """Return the payload of an opening, of its instances the SOP class alone; it was checked."""
    if not statement or statement.count(".") != 2:
        return None
    return jws.payload(statement, lambda one: sys.intern(str(one.get("sop_class"))))


def _end(db: Connection, transfer: str) -> Half:
    row = transfers.known(db, transfer)
    return _here(db, row)


def _here(db: Connection, row: Any) -> Half:
    """Return what is here of a transfer, as the images themselves say."""
    mine = _instances.c.transfer == row.id
    counts = (
        select(_instances.c.study_uid, _instances.c.sop_class, func.count().label("number"))
        .where(mine, _instances.c.state.not_in(ABSENT))
        .group_by(_instances.c.study_uid, _instances.c.sop_class)
    )
    found = db.execute(counts).all()
    classes: Counter[str] = Counter()
    for one in found:
        classes[one.sop_class] += one.number
    studies = sorted({one.study_uid for one in found})
    named = (
        select(_studies.c.attributes, _studies.c.study_uid)
        .where(_studies.c.institution == row.institution)
        .where(_studies.c.study_uid.in_(studies) if studies else _studies.c.transfer == row.id)
    )
    known = db.execute(named).all()
    patients = {str(first(json.loads(one.attributes), _PATIENT) or "") for one in known}
    outcome = "failed" if row.state in _ENDED_UNSAID else "ok"
    return Half(
        row.receipted_at or row.closed_at or index.now(),
        " ".join(sorted(patients)),
        " ".join(studies or [one.study_uid for one in known]),
        sum(classes.values()),
        dict(classes),
        outcome,
    )
