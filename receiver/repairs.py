"""Instances that were acknowledged and are damaged since: marked, asked for again, mended.

A receipt stands for what was here when it was given.  What the disk loses later is
never shown as sound; its sender is asked for it on a connection that it opened, and
only what was receipted takes the place.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, bindparam, delete, insert, select, update

from common import link
from common.errors import NotRepairable, TodokeError
from common.link import Digest
from common.proof import jws
from common.states import MOVES, InstanceState, TransferState
from receiver import index, statements, transfers
from receiver.index import Index

CHANGED, VANISHED, FRAMES = "changed", "vanished", "frames"
MOST_TRIES = 3  # times that what came again may be damaged too
#: Of a level that is laid out anew frames may still be missing.
_OWED = (InstanceState.DAMAGED, InstanceState.RECEIVED)
_instances, _repairs, _frames = index.instances, index.repairs, index.frames
_suspects = index.suspects


class Seen(NamedTuple):
    """What a row must hold to be read back and judged."""

    id: int
    institution: str
    transfer: str | None
    study_uid: str
    sop_class: str
    sop_uid: str
    transfer_syntax: str
    state: str
    path: str | None
    prefix_length: int | None
    length: int | None
    d1: str | None


SEEN = [_instances.c[name] for name in Seen._fields]


def note(db: Connection, row: Seen, cause: str, frames: Sequence[int] = ()) -> bool:
    """Mark an instance damaged, unless it is another one by now.

    Parameters
    ----------
    frames : sequence of int
        Of a slide level: only these are not what they were; the others stay.

    Returns
    -------
    bool
        Whether it was marked; its file is then to be kept aside, but for frames.
    """
    same = (_instances.c.id == row.id) & (_instances.c.state == row.state)
    same &= _instances.c.path.is_(None) if row.path is None else _instances.c.path == row.path
    known = db.execute(select(_repairs).where(_repairs.c.instance == row.id)).one_or_none()
    arriving = row.state == InstanceState.RECEIVED and known is None
    values: dict[str, Any] = {"state": InstanceState.DAMAGED}
    if arriving:  # nothing of it was receipted, and its sender still asks what is missing
        values["state"] = InstanceState.RECEIVED if frames else InstanceState.EXPECTED
    if not frames:
        values |= {"path": None, "frame_table": None}
    if db.execute(update(_instances).where(same).values(**values)).rowcount != 1:
        return False
    lost = _frames.c.instance == row.id
    if frames:
        gone = delete(_frames).where(lost, _frames.c.frame == bindparam("gone"))
        db.execute(gone, [{"gone": number} for number in frames])
    else:
        db.execute(delete(_frames).where(lost))
    if arriving:
        return True
    tries = known.tries + 1 if known is not None else 0
    db.execute(delete(_repairs).where(_repairs.c.instance == row.id))
    db.execute(
        insert(_repairs).values(instance=row.id, found_at=index.now(), cause=cause, tries=tries)
    )
    if tries > MOST_TRIES:
        refuse(db, row.transfer, NotRepairable(cause="damaged again"), [row.sop_uid])
    elif not _can_ask(db, row):
        refuse(db, row.transfer, NotRepairable(cause="no link"), [row.sop_uid])
    _announce(db, row)
    return True


def wanted(db: Connection, institution: str) -> list[dict[str, Any]]:
    """Return what a partner is asked for again: per transfer its instances."""
    rows = db.execute(
        _damaged(_instances.c.transfer, _instances.c.sop_uid)
        .where(_instances.c.institution == institution, _repairs.c.refused.is_(None))
        .where(_instances.c.transfer.is_not(None), _instances.c.state.in_(_OWED))
    )
    found: defaultdict[str, list[str]] = defaultdict(list)
    for transfer, uid in rows:
        found[transfer].append(uid)
    return [{"transfer": transfer, "instances": uids} for transfer, uids in found.items()]


def refuse(db: Connection, transfer: str | None, why: TodokeError, uids: Iterable[str]) -> int:
    """Keep why instances will not come again, and put their transfer to inquiry (照会).

    Returns
    -------
    int
        Instances that were wanted.
    """
    asked = set(uids)
    rows = db.execute(
        _damaged(_instances.c.id, _instances.c.sop_uid, _instances.c.institution,
                 _instances.c.study_uid)
        .where(_instances.c.transfer == transfer, _repairs.c.refused.is_(None))
    ).all()  # fmt: skip
    named = [row for row in rows if row.sop_uid in asked]
    for row in named:
        words = json.dumps(why.as_json(), ensure_ascii=False)
        same = _repairs.c.instance == row.id
        db.execute(update(_repairs).where(same).values(refused=words))
        _announce(db, row)
    if named and transfer is not None:
        _move(db, transfer, TransferState.QUERY)
    return len(named)


def mended(db: Connection, row: Seen, **values: Any) -> bool:
    """Note that what came again was read back and is what was acknowledged; False if not now."""
    same = (_instances.c.id == row.id) & (_instances.c.path == row.path)
    if db.execute(update(_instances).where(same).values(**values)).rowcount != 1:
        return False
    db.execute(delete(_repairs).where(_repairs.c.instance == row.id))
    if row.transfer is not None:
        left = _damaged(_instances.c.id).where(_instances.c.transfer == row.transfer)
        if db.execute(left.limit(1)).first() is None:
            _move(db, row.transfer, TransferState.RECEIPTED, only=TransferState.QUERY)
    _announce(db, row)
    return True


def came_again(db: Connection) -> list[Seen]:
    """Return instances that were damaged, came again, and are to be read back first of all."""
    here = (_instances.c.state != InstanceState.DAMAGED) | _instances.c.path.is_not(None)
    rows = db.execute(_damaged(*SEEN).where(here))
    return [Seen(*row) for row in rows]


def suspect(database: Index, number: int) -> None:
    """Have an instance read back and judged soon; writes once for many who ask."""
    same = _suspects.c.instance == number
    with database.read() as db:
        if db.execute(select(_suspects).where(same)).first() is not None:
            return
    with database.write() as db:
        db.execute(delete(_suspects).where(same))
        db.execute(insert(_suspects).values(instance=number))


def take_suspects(database: Index) -> list[Seen]:
    """Return what is to be judged, and forget that it is: whoever reads it again says so again."""
    query = select(*SEEN).join(_suspects, _suspects.c.instance == _instances.c.id)
    with database.read() as db:
        if db.execute(select(_suspects).limit(1)).first() is None:
            return []
    with database.write() as db:
        rows = [Seen(*row) for row in db.execute(query)]
        db.execute(delete(_suspects))
    return rows


def listed(db: Connection) -> list[dict[str, Any]]:
    """Return what is damaged, for people: no patient data."""
    rows = db.execute(
        _damaged(_instances.c.transfer, _instances.c.institution, _instances.c.state,
                 _repairs.c.found_at, _repairs.c.cause, _repairs.c.refused)
        .order_by(_repairs.c.found_at)
    )  # fmt: skip
    return [
        {**row._mapping, "refused": json.loads(row.refused) if row.refused else None}
        for row in rows
    ]


def receipted(db: Connection, transfer: str | None, uid: str) -> Digest | None:
    """Return what the receipt of a transfer says of an instance: our own word, so read as it is."""
    text = statements.read(db, transfer, "receipt") if transfer is not None else None
    if text is None:
        return None
    receipt = link.read_receipt(jws.payload(text, link.digests()))
    return next((one for one in receipt.instances if one.uid == uid), None)


def _damaged(*columns: Any) -> Any:
    return select(*columns).join(_repairs, _repairs.c.instance == _instances.c.id)


def _can_ask(db: Connection, row: Seen) -> bool:
    kind = select(index.partners.c.kind).where(index.partners.c.code == row.institution)
    return row.transfer is not None and db.execute(kind).scalar() == "todoke"


def _move(
    db: Connection, transfer: str, to: TransferState, only: TransferState | None = None
) -> None:
    row = transfers.find(db, transfer)
    if row is None or (only is not None and row.state != only):
        return
    if to in MOVES[TransferState(row.state)]:
        transfers.set_state(db, row, to)


def _announce(db: Connection, row: Seen | Row[Any]) -> None:
    study = select(index.studies.c.key).where(
        and_(
            index.studies.c.institution == row.institution,
            index.studies.c.study_uid == row.study_uid,
        )
    )
    key = db.execute(study).scalar()
    if key is not None:
        index.announce(db, "study", str(key))
