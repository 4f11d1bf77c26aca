"""What was handed off and then taken back by its sender: the target still has it.

Looked for in what the index says, not when a recall comes: a hand-off that was under way at
that moment, or a process that ended, leaves none unsaid.  Each is alarmed once, and stands
in the list and in the verbs until a person says that it was seen to at the target.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, and_, exists, func, insert, select, update

from common.errors import NotFound
from common.states import TransferState
from receiver import index
from receiver.index import Index
from receiver.standings import Person

log = logging.getLogger("todoke.forward")

_forwards, _items, _handed = index.forwards, index.forward_items, index.recalled_forwards
_instances, _transfers, _studies = index.instances, index.transfers, index.studies


def look(database: Index, note: Callable[..., None]) -> None:
    """Alarm what targets have of transfers that were taken back, once each."""
    known = exists().where(
        _handed.c.forward == _forwards.c.id, _handed.c.transfer == _transfers.c.id
    )
    query = (
        select(
            *(_forwards.c.id, _forwards.c.study, _forwards.c.target, _transfers.c.institution),
            *(_transfers.c.id.label("transfer"), func.count().label("instances")),
        )
        .join(_items, _items.c.forward == _forwards.c.id)
        .join(_instances, _instances.c.id == _items.c.instance)
        .join(_transfers, _transfers.c.id == _instances.c.transfer)
        .where(_transfers.c.state == TransferState.RECALLED, _items.c.state == "sent", ~known)
        .group_by(_forwards.c.id, _transfers.c.id)
    )
    with database.read() as db:
        rows = db.execute(query).all()
    for row in rows:
        of = {"forward": row.id, "transfer": row.transfer, "study": row.study}
        with database.write() as db:
            values = {**of, "instances": row.instances, "at": index.now()}
            db.execute(insert(_handed).values(**values))
            index.announce(db, "study", row.study)
        log.error("forward %s to %s: taken back by its sender since", row.id, row.target)
        cause = f"取消済みの画像が {row.target} にあります / recalled, still at {row.target}"
        facts = {**of, "target": row.target, "instances": row.instances, "cause": cause}
        note("alarm", of="recalled-after-hand-off", institution=row.institution, **facts)


def among(database: Index, key: str) -> set[int]:
    """Return the instances of a study that were taken back, by their row of the index."""
    of = (_studies.c.institution == _instances.c.institution) & (
        _studies.c.study_uid == _instances.c.study_uid
    )
    query = (
        select(_instances.c.id)
        .join(_transfers, _transfers.c.id == _instances.c.transfer)
        .join(_studies, of)
        .where(_studies.c.key == key, _transfers.c.state == TransferState.RECALLED)
    )
    with database.read() as db:
        return set(db.execute(query).scalars())


def open_ones(db: Connection) -> dict[str, list[dict[str, Any]]]:
    """Return by study which targets have what was taken back, and nobody has seen to it."""
    query = (
        select(
            *(_handed.c.forward, _handed.c.study, _forwards.c.target),
            *(func.sum(_handed.c.instances).label("instances"), func.max(_handed.c.at).label("at")),
        )
        .join(_forwards, _forwards.c.id == _handed.c.forward)
        .where(_handed.c.settled_at.is_(None))
        .group_by(_handed.c.forward, _handed.c.study, _forwards.c.target)
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for row in db.execute(query):
        said = {"forward": row.forward, "target": row.target, "instances": int(row.instances)}
        found.setdefault(row.study, []).append({**said, "at": row.at})
    return found


def settle(
    database: Index,
    forward: str,
    who: Person,
    note: Callable[..., None] = lambda *_, **__: None,
    *,
    study: str | None = None,
    address: str = "",
) -> None:
    """Keep that a person saw to it at the target that what was taken back is gone there.

    Parameters
    ----------
    study : str, optional
        Key of the study that it must be of.

    Raises
    ------
    NotFound
        Nothing of this hand-off waits for it.
    """
    mine = and_(_handed.c.forward == forward, _handed.c.settled_at.is_(None))
    with database.write() as db:
        row = db.execute(select(_handed).where(mine)).first()
        if row is None or study not in (None, row.study):
            raise NotFound(thing=forward)
        by = {"settled_by": who.name, "settled_at": index.now()}
        db.execute(update(_handed).where(mine).values(**by))
        index.announce(db, "study", row.study)
    facts = {"study": row.study, "forward": forward, "outcome": "ok"}
    note("forwarded", user=who.name, address=address, what="recall-settled", **facts)
