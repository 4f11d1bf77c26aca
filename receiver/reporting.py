"""A month of this receiver: what came in, was receipted and read (SUB-10, EVD-04).

A transfer belongs to the month in which it was opened, in all columns.  What a purge has
taken meanwhile still counts: by its receipt, which says what was held, and by the purge's
own note, because only what a reader had done with is purged.
"""

from __future__ import annotations

import contextlib
import json
from datetime import tzinfo
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, select

from common import usage
from common.errors import IntegrityError
from common.proof import jws
from common.proof.identity import Node
from common.proof.role import Role
from common.states import ABSENT, TransferState
from common.usage import Month, Use
from receiver import index, statements
from receiver.attributes import read_instance
from receiver.index import Index

SOURCES = {
    "sent": (
        "この受信側の索引 (すべての画像が届いたもの)",
        "this receiver's index (every image has arrived)",
    ),
    "countersigned": (
        "この受信側が読み直して署名した受領証",
        "receipts that this receiver signed after its re-read",
    ),
    "opened": (
        "読影者による開封 (受領とは数えない)",
        "a reader opened it (never counts as receipt)",
    ),
    "done": ("読影者による完了", "a reader was done with it"),
}
_HERE = {
    TransferState.DELIVERED,
    TransferState.COMMITTED,
    TransferState.RECEIPTED,
    TransferState.OPENED,
    TransferState.READING,
    TransferState.DONE,
    TransferState.QUERY,
}
_instances, _studies = index.instances, index.studies


def month(data: Path, name: str, zone: tzinfo | None = None) -> Month:
    """Return the report of a month.

    Parameters
    ----------
    name : str
        YYYY-MM.
    zone : tzinfo, optional
        Whose months; by default that of this machine.

    Raises
    ------
    UsageError, NotInitialised
    """
    of = usage.span(name, zone)
    node = Node.load(data, Role.SUPPORTER)
    made = usage.now()
    report = Month(
        name, node.institution, node.role, made.isoformat(timespec="seconds"), str(of[0].tzinfo),
        SOURCES,
    )  # fmt: skip
    query = select(index.transfers, index.partners.c.name.label("partner")).join(
        index.partners, index.partners.c.code == index.transfers.c.institution
    )
    with contextlib.closing(Index.at(data)) as known, known.read() as db:
        gone = {
            one
            for row in db.execute(select(index.purges.c.transfers))
            for one in json.loads(row[0])
        }
        rows = [row for row in db.execute(query) if usage.within(row.opened_at, of)]
        return usage.add_up(report, [_use(db, node, row, gone) for row in rows])


def _use(db: Connection, node: Node, row: Row[Any], gone: set[str]) -> Use:
    signed = receipt(db, node, row)
    read = _readings(db, row.id)
    told = opening(db, row)
    purged = row.id in gone
    if signed is not None:
        instances = signed["instances"]
        count, size = len(instances), sum(int(one["length"]) for one in instances)
    else:
        mine = (_instances.c.transfer == row.id) & _instances.c.state.not_in(ABSENT)
        sums = select(func.count(), func.coalesce(func.sum(_instances.c.length), 0)).where(mine)
        count, size = db.execute(sums).one()
    return Use(
        partner=(row.institution, row.partner),
        modality=modality(db, row, told),
        purpose=row.purpose,
        test=row.test,
        sent=signed is not None or row.state in _HERE,
        countersigned=signed is not None,
        opened=bool(read) or purged,
        done=TransferState.DONE in read or purged,
        images=count,
        bytes=size,
        seconds=usage.seconds(row.opened_at, row.closed_at),
        direct=(told.get("declaration") or {}).get("direct"),
    )


def receipt(db: Connection, node: Node, row: Row[Any]) -> dict[str, Any] | None:
    """Return the receipt that this receiver signed of a transfer; None where there is none."""
    return _signed(statements.read(db, row.id, "receipt"), node.signing_certificate)


def _signed(statement: str | None, certificate: str) -> dict[str, Any] | None:
    if statement is None or not certificate:
        return None
    try:
        return jws.verify(statement, certificate)
    except IntegrityError:
        return None


def _readings(db: Connection, transfer: str) -> set[str]:
    same = (_studies.c.institution == _instances.c.institution) & (
        _studies.c.study_uid == _instances.c.study_uid
    )
    mine = (_instances.c.transfer == transfer) & _studies.c.reading.is_not(None)
    return set(
        db.execute(
            select(_studies.c.reading).join(_instances, same).where(mine).distinct()
        ).scalars()
    )


def opening(db: Connection, row: Row[Any]) -> dict[str, Any]:
    """Return what the sender signed when it opened a transfer; of a plain DICOM peer nothing."""
    pinned = index.partners.c.signing_certificate
    of_sender = index.partners.c.code == row.institution
    certificate = db.execute(select(pinned).where(of_sender)).scalar()
    return _signed(statements.read(db, row.id, "opening"), certificate or "") or {}


def modality(db: Connection, row: Row[Any], opening: dict[str, Any]) -> str:
    """Return the modality as the sender told it, else as the first image says."""
    if opening:
        return usage.modality(opening.get("attributes") or {}, row.kind)
    known = _instances.c.attributes.is_not(None)
    one = select(_instances.c.attributes).where(_instances.c.transfer == row.id, known)
    return usage.modality(read_instance(db.execute(one.limit(1)).scalar()), row.kind)
