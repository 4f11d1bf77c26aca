"""A transfer that its sender takes back: what stands of its study, and what readers are told.

Nothing is deleted.  Images that another transfer of the study brought too stand with that
one again; the study stays in the list with what stands, and says that something was taken
back.  Only a study of which nothing stands is hidden.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, func, insert, or_, select, update

from common import link
from common.errors import TodokeError
from common.proof import jws
from common.states import ABSENT, TransferState
from receiver import index, standings, statements, transfers
from receiver.done_questions import count

log = logging.getLogger("todoke.recalls")
LONGEST = 200  # letters of a reason

_transfers, _studies, _instances = index.transfers, index.studies, index.instances
_asked, _recalls, _standings = index.requests, index.recalls, index.standings


def recall(db: Connection, row: Row[Any], by: str, reason: str) -> list[str]:
    """Take a transfer back; return the keys of the studies that it was of.

    Raises
    ------
    UsageError
        The table of moves does not allow it.
    """
    studies = [standings.known(db, key) for key in _keys(db, row)]
    before = {study.key: count(db, study).whole for study in studies}
    transfers.set_state(db, row, TransferState.RECALLED)
    db.execute(insert(_recalls).values(transfer=row.id, by=by, reason=reason, at=index.now()))
    for study in studies:
        _give_back(db, study, row.id)
        _speak(db, study, row.id)
        now = standings.known(db, study.key)
        _unsee(db, now, before[study.key] - count(db, now).whole)
        index.announce(db, "study", study.key)
    return [str(study.key) for study in studies]


def _keys(db: Connection, row: Row[Any]) -> list[str]:
    """Return the keys of the studies that a transfer brought images of, or asked for."""
    brought = select(_instances.c.study_uid).where(_instances.c.transfer == row.id)
    asked = select(_asked.c.study_uid).where(_asked.c.transfer == row.id)
    theirs = or_(
        _studies.c.transfer == row.id,
        _studies.c.study_uid.in_(brought),
        _studies.c.study_uid.in_(asked),
    )
    query = select(_studies.c.key).where(_studies.c.institution == row.institution, theirs)
    return [str(key) for key in db.execute(query).scalars()]


def _standing(study: Row[Any]) -> Any:
    """Ask for the transfers of a study that stand: what is asked for now before what is older."""
    brought = select(_instances.c.transfer).where(
        _instances.c.institution == study.institution, _instances.c.study_uid == study.study_uid
    )
    asked = select(_asked.c.transfer).where(
        _asked.c.institution == study.institution, _asked.c.study_uid == study.study_uid
    )
    return (
        select(_transfers.c.id, _transfers.c.expected)
        .outerjoin(_asked, _asked.c.transfer == _transfers.c.id)
        .where(
            or_(_transfers.c.id.in_(brought), _transfers.c.id.in_(asked)),
            _transfers.c.state != TransferState.RECALLED,
        )
        .order_by(
            case((_asked.c.prior.is_(True), 1), else_=0),
            case((_transfers.c.expected == 0, 1), else_=0),  # an announcement
            _transfers.c.opened_at.desc(),
        )
    )


def _give_back(db: Connection, study: Row[Any], transfer: str) -> None:
    """Let images that an older transfer brought too stand with that one again."""
    mine = (_instances.c.transfer == transfer) & (_instances.c.study_uid == study.study_uid)
    rows = db.execute(select(_instances.c.sop_uid, _instances.c.id).where(mine))
    taken = {uid: number for uid, number in rows}
    for other in db.execute(_standing(study)).all():
        if not taken or not other.expected:
            continue
        theirs = [uid for uid in _named(db, other.id) if uid in taken]
        values = [{"given": taken.pop(uid)} for uid in dict.fromkeys(theirs)]
        same = _instances.c.id == bindparam("given")
        if values:
            db.execute(update(_instances).where(same).values(transfer=other.id), values)


def _named(db: Connection, transfer: str) -> Iterable[str]:
    """Return the SOP Instance UIDs of a transfer's opening, which was checked when it came."""
    text = statements.read(db, transfer, "opening")
    try:
        opening = link.read_opening(jws.payload(text or "", link.slots()))
    except (TodokeError, ValueError, IndexError, RecursionError):
        log.error("opening of %s cannot be read: its images stay hidden", transfer)
        return ()
    return [slot.uid for slot in opening.instances]


def _speak(db: Connection, study: Row[Any], transfer: str) -> None:
    """Let what stands speak for a study whose newest transfer was taken back."""
    values: dict[str, Any] = {"changed_at": index.now()}
    if study.transfer == transfer:
        newest = db.execute(_standing(study)).first()
        values |= {"transfer": newest.id} if newest is not None else {}
    db.execute(update(_studies).where(_studies.c.key == study.key).values(**values))


def _unsee(db: Connection, study: Row[Any], gone: int) -> None:
    """Count what was taken back among what a reader saw.

    So that images which come later are never counted against ones that are gone: where it
    is not known which were seen, the reader is asked to look again.
    """
    same = _standings.c.study == study.key
    row = db.execute(select(_standings).where(same)).one_or_none()
    if row is None or gone <= 0:
        return
    values = {"seen": max(0, row.seen - gone)}
    if row.done_with >= 0:
        values["done_with"] = max(0, row.done_with - gone)
        values["late"] = max(0, count(db, study).whole - values["done_with"]) if row.late else 0
    db.execute(update(_standings).where(same).values(**values))


def counted() -> Any:
    """Ask for the counts of what was taken back, by series, as the list counts what is here."""
    by_series = (_instances.c.institution, _instances.c.study_uid, _instances.c.series_uid)
    damaged = _instances.c.state == "damaged"
    frames = func.coalesce(_instances.c.frames, 1)
    whole = _instances.c.state.in_(("stored", "verified"))
    return (
        select(
            *by_series,
            func.count().label("total"),
            func.sum(case((_instances.c.state.not_in(ABSENT), 1), else_=0)).label("here"),
            func.sum(case((damaged, 1), else_=0)).label("damaged"),
            func.sum(frames).label("tiles"),
            func.sum(case((whole, frames), else_=0)).label("tiles_here"),
        )
        .join(_transfers, _transfers.c.id == _instances.c.transfer)
        .where(_transfers.c.state == TransferState.RECALLED)
        .group_by(*by_series)
    )


def said(db: Connection) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what was taken back of each study: how many images, when last, and why.

    A withdrawn announcement, of which no image ever was, is none of it.
    """
    images = (
        select(func.count())
        .where(
            _instances.c.transfer == _transfers.c.id,
            _instances.c.study_uid == _asked.c.study_uid,
            _instances.c.state.not_in(ABSENT),
        )
        .correlate(_transfers, _asked)
        .scalar_subquery()
    )
    query = (
        select(
            *(_asked.c.institution, _asked.c.study_uid, images.label("images")),
            *(_recalls.c.at, _recalls.c.reason),
        )
        .join(_transfers, _transfers.c.id == _asked.c.transfer)
        .outerjoin(_recalls, _recalls.c.transfer == _transfers.c.id)
        .where(_transfers.c.state == TransferState.RECALLED, _transfers.c.expected > 0)
        .order_by(_recalls.c.at)
    )
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in db.execute(query):
        before = found.get((row.institution, row.study_uid), {"images": 0, "transfers": 0})
        found[row.institution, row.study_uid] = {
            "images": before["images"] + row.images,
            "transfers": before["transfers"] + 1,
            "at": row.at,
            "reason": row.reason or "",
        }
    return found
