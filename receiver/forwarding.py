"""Handing a study to the hospital's certified viewer or PACS: what was asked, and how far it is.

The row is written before anything goes out, so that a hand-off survives a restart: what
the target has taken stands in it, and the rest goes on (:mod:`receiver.forwarder`).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, exists, func, insert, or_, select, update

from common.errors import NoTestForwarded, NothingToForward, TodokeError
from common.states import InstanceState, TransferState
from receiver import forward_commits, forward_recalls, forward_targets, index, standings
from receiver.attributes import TEST
from receiver.index import Index
from receiver.standings import Person
from receiver.stored import NOT_RECALLED

WAITING, SENDING, DONE, FAILED = "waiting", "sending", "done", "failed"
WORDS = {
    WAITING: ("転送待ち", "Waiting"),
    SENDING: ("転送中", "Forwarding"),
    DONE: ("転送済み", "Forwarded"),
    FAILED: ("転送失敗", "Not forwarded"),
}
RULE = Person("")
SENT, REFUSED = "sent", "refused"

_forwards, _items = index.forwards, index.forward_items
_receipts = index.forward_receipts
_studies, _instances, _transfers = index.studies, index.instances, index.transfers

_NO_OPENING = exists().where(
    _transfers.c.id == _instances.c.transfer, _transfers.c.expected.is_(None)
)
#: What may go out: compared with the sender's own digest, or of a peer that gives none (it sent
#: no opening).  Never a damaged one, nor one that is still arriving.
MAY_GO = and_(
    _instances.c.d1.is_not(None),
    or_(
        _instances.c.state == InstanceState.VERIFIED,
        and_(_instances.c.state == InstanceState.STORED, _NO_OPENING),
    ),
)
#: What one is: the row of the index and the digest that its bytes must have.
LEAVING = (
    _instances.c.id,
    _instances.c.key,
    _instances.c.sop_uid,
    _instances.c.sop_class,
    _instances.c.transfer_syntax,
    _instances.c.path,
    _instances.c.prefix_length,
    _instances.c.length,
    _instances.c.d1,
)


@dataclass(frozen=True)
class Item:
    """One instance of a forward, as the target answered."""

    instance: int
    sop_uid: str
    sop_class: str
    transfer_syntax: str
    length: int
    d1: str
    state: str
    status: int | None = None


def of_study(database: Index, key: str) -> list[dict[str, Any]]:
    """Return the hand-offs of a study, the newest first.

    ``to_settle`` is the number of images that were taken back since, and are at the target.

    Raises
    ------
    NotFound
    """
    with database.read() as db:
        standings.known(db, key)
        mine = select(_forwards).where(_forwards.c.study == key)
        rows = db.execute(mine.order_by(_forwards.c.at.desc())).all()
        counted = select(_receipts.c.forward, func.count()).group_by(_receipts.c.forward)
        receipts = {name: count for name, count in db.execute(counted)}
        commits = forward_commits.standings(db, rows)
        back = {one["forward"]: one for one in forward_recalls.open_ones(db).get(key, ())}
    return [
        words(row)
        | {"receipts": receipts.get(row.id, 0), "commitment": commits.get(row.id)}
        | {"to_settle": back[row.id]["instances"] if row.id in back else 0}
        for row in rows
    ]


def of_list(db: Connection) -> dict[str, dict[str, Any]]:
    """Return by study what its row of the list shows: the hand-off that matters most."""
    turn = [FAILED, SENDING, WAITING, DONE].index
    found: dict[str, dict[str, Any]] = {}
    here = select(_forwards).join(_studies, _studies.c.key == _forwards.c.study)
    for row in db.execute(here.order_by(_forwards.c.at)):
        before = found.get(row.study)
        if before is None or turn(row.state) <= turn(before["state"]):
            found[row.study] = words(row)
    return found


def every(database: Index) -> list[dict[str, Any]]:
    """Return every hand-off, the newest first, without patient data.

    ``recalled`` says how many of the images that the target took their sender took back
    since: it still has them, and ``settled`` who saw to it there, and when.
    """
    taken_back = (
        select(func.count())
        .select_from(_items)
        .join(_instances, _instances.c.id == _items.c.instance)
        .join(_transfers, _transfers.c.id == _instances.c.transfer)
        .where(_items.c.forward == _forwards.c.id, _items.c.state == SENT)
        .where(_transfers.c.state == TransferState.RECALLED)
        .correlate(_forwards)
        .scalar_subquery()
    )
    with database.read() as db:
        query = select(_forwards, taken_back.label("taken_back"))
        rows = db.execute(query.order_by(_forwards.c.at.desc())).all()
        seen = db.execute(select(index.recalled_forwards).order_by(index.recalled_forwards.c.at))
        settled = {row.forward: [row.settled_by, row.settled_at] for row in seen}
        commits = forward_commits.standings(db, rows)
    return [
        words(row)
        | {"recalled": row.taken_back, "settled": settled.get(row.id)}
        | {"commitment": commits.get(row.id)}
        for row in rows
    ]


def words(row: Row[Any]) -> dict[str, Any]:
    """Return a hand-off as pages and verbs have it."""
    ja, en = WORDS[row.state]
    names = ("id", "study", "target", "by", "display", "at", "state", "sent", "total", "tries")
    found: dict[str, Any] = {name: getattr(row, name) for name in names}
    found |= {"state_ja": ja, "state_en": en, "finished_at": row.finished_at}
    return found | {"error": json.loads(row.error) if row.error else None, "due_at": row.due_at}


def receipts(database: Index, forward: str) -> list[str]:
    """Return the receipts of a hand-off (JWS), the oldest first."""
    mine = _receipts.c.forward == forward
    with database.read() as db:
        query = select(_receipts.c.text).where(mine).order_by(_receipts.c.id)
        return [str(text) for text in db.execute(query).scalars()]


class Forwarding:
    """Asks for hand-offs.

    Parameters
    ----------
    note : callable
        :meth:`common.audit.Trail.note`.
    """

    def __init__(self, database: Index, note: Callable[..., None] = lambda *_, **__: None) -> None:
        self.index = database
        self.note = note

    def ask(
        self, key: str, who: Person, target: str, *, again: bool = False, address: str = ""
    ) -> str:
        """Have a study handed to a target of the agreed list; return the id of the hand-off.

        One that is under way, or done and nothing has come since, stays as it is; one that
        failed is tried again.

        Parameters
        ----------
        again : bool
            Send all of it again: the target has lost it.

        Raises
        ------
        NotFound, TargetNotAgreed, NoTestForwarded, NothingToForward
        """
        with self.index.write() as db:
            study = standings.known(db, key)
            forward_targets.known(db, target)
            if is_test(db, study):
                raise NoTestForwarded
            if not total(db, study):
                raise NothingToForward
            same = (_forwards.c.study == key) & (_forwards.c.target == target)
            before = db.execute(select(_forwards).where(same)).one_or_none()
            made = before.id if before is not None else _begin(db, key, who, target)
            if before is not None and (again or before.state == FAILED):
                _anew(db, before, every=again)
            index.announce(db, "study", key)
        user = who.name or "rule"
        facts = {"what": "asked", "target": target, "forward": made, "outcome": "ok"}
        self.note("forwarded", user=user, address=address, study=key, **facts)
        return str(made)


def _begin(db: Connection, key: str, who: Person, target: str) -> str:
    made = secrets.token_hex(16)
    of = {"id": made, "study": key, "target": target, "by": who.name, "display": who.shown}
    none = {"state": WAITING, "sent": 0, "total": 0, "tries": 0}
    db.execute(insert(_forwards).values(**of, **none, at=index.now()))
    return made


def _anew(db: Connection, before: Row[Any], *, every: bool) -> None:
    gone = _items.c.forward == before.id
    db.execute(delete(_items).where(gone if every else gone & (_items.c.state != SENT)))
    fresh: dict[str, Any] = {"state": WAITING, "tries": 0, "due_at": None, "error": None}
    fresh |= {"sent": 0} if every else {}
    db.execute(update(_forwards).where(_forwards.c.id == before.id).values(**fresh))


def slots_of(study: Row[Any]) -> Any:
    """Return the condition on the instances of a study that its sender did not take back."""
    return and_(
        NOT_RECALLED,
        _instances.c.institution == study.institution,
        _instances.c.study_uid == study.study_uid,
    )


def total(db: Connection, study: Row[Any]) -> int:
    """Return how many instances a study has: here, damaged, or announced."""
    return int(db.execute(select(func.count()).where(slots_of(study))).scalar_one())


def leaving(db: Connection, forward: str, study: Row[Any]) -> list[Row[Any]]:
    """Return what of a study may go out and was not answered yet, in the order of the index."""
    mine = (_items.c.instance == _instances.c.id) & (_items.c.forward == forward)
    query = select(*LEAVING).where(slots_of(study), MAY_GO, ~exists().where(mine))
    return list(db.execute(query.order_by(_instances.c.id)))


def counted(db: Connection, forward: str, study: Row[Any]) -> tuple[int, int]:
    """Return how many of the study's instances were taken, and how many were refused."""
    of = _items.c.instance == _instances.c.id
    query = (
        select(_items.c.state, func.count())
        .join(_instances, of)
        .where(_items.c.forward == forward, slots_of(study))
        .group_by(_items.c.state)
    )
    found = {state: count for state, count in db.execute(query)}
    return found.get(SENT, 0), found.get(REFUSED, 0)


def is_test(db: Connection, study: Row[Any]) -> bool:
    """Whether a study, or any transfer of it, is a test."""
    if json.loads(study.attributes).get(TEST):
        return True
    mine = (
        (_instances.c.institution == study.institution)
        & (_instances.c.study_uid == study.study_uid)
        & (_instances.c.transfer == _transfers.c.id)
    )
    tests = select(_transfers.c.id).join(_instances, mine).where(_transfers.c.test.is_(True))
    return db.execute(tests.limit(1)).first() is not None


def said(error: TodokeError) -> str:
    """Return an error as a row keeps it."""
    words = {"number": error.number, "ja": error.words("ja"), "en": error.words("en")}
    return json.dumps(words, ensure_ascii=False)
