"""Marks and lengths that a reader puts on a slide, and rescans that one asks for.

Marks belong to one user and one study: nobody else is ever shown them (VIEWING 9.12).
Places are in micrometres from the slide's upper left corner, in pixels of its largest
level where those have no size.
"""

from __future__ import annotations

import json
import math
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, select

from common.errors import NotFound, UsageError
from receiver import index, queries
from receiver.attributes import first, read_instance
from receiver.index import Index
from receiver.standings import Person

KINDS = {"point": 1, "length": 2}  # points of each
UNITS = ("um", "px")
#: Why a slide is to be scanned again, as the requesting side reads it.
REASONS = {
    "focus": "焦点 / focus",
    "cut-off": "欠け / cut off",
    "wrong-slide": "標本違い / wrong slide",
}
MOST = 500  # marks of one user on one study
_marks, _rescans, _checks = index.slide_marks, index.rescans, index.label_checks


def of(database: Index, user: str, key: str) -> list[dict[str, Any]]:
    """Return the marks of one user on one study, in the order in which they were put."""
    query = select(_marks).where(_marks.c.user == user, _marks.c.study == key)
    with database.read() as db:
        rows = db.execute(query.order_by(_marks.c.id)).all()
    return [{"id": row.id, "series": row.series_uid, **json.loads(row.body)} for row in rows]


def put(database: Index, user: str, key: str, mark: dict[str, Any]) -> int:
    """Keep a mark; gives its number.

    Parameters
    ----------
    mark : dict
        ``series``; ``kind``, of :data:`KINDS`; ``unit``, of :data:`UNITS`; ``points``, pairs
        of finite numbers.

    Raises
    ------
    UsageError
    NotFound
        The study has no such series.
    """
    points = mark.get("points")
    if mark.get("kind") not in KINDS or mark.get("unit") not in UNITS:
        raise UsageError(cause="kind, unit")
    if not isinstance(points, list) or len(points) != KINDS[mark["kind"]]:
        raise UsageError(cause="points")
    if not all(_is_place(point) for point in points):
        raise UsageError(cause="points")
    kept = {name: mark[name] for name in ("kind", "unit", "points")}
    with database.write() as db:
        series = _series(db, key, mark.get("series"))
        mine = (_marks.c.user == user) & (_marks.c.study == key)
        if (db.execute(select(func.count()).where(mine)).scalar() or 0) >= MOST:
            raise UsageError(cause=f"> {MOST} marks")
        values = {"user": user, "study": key, "series_uid": series, "at": index.now()}
        done = db.execute(insert(_marks).values(**values, body=json.dumps(kept)))
        return int((done.inserted_primary_key or [0])[0])


def take_away(database: Index, user: str, key: str, number: int) -> None:
    """Remove a mark of one's own.

    Raises
    ------
    NotFound
    """
    mine = (_marks.c.user == user) & (_marks.c.study == key) & (_marks.c.id == number)
    with database.write() as db:
        if not db.execute(delete(_marks).where(mine)).rowcount:
            raise NotFound(thing="mark")


def rescan(database: Index, who: Person, key: str, series: Any, reason: Any) -> str:
    """Ask the requesting side to scan a slide again; return the id of the message.

    Raises
    ------
    UsageError, NotFound
    """
    if reason not in REASONS:
        raise UsageError(cause="/".join(REASONS))
    with database.write() as db:
        uid = _series(db, key, series)
        values = {"user": who.name, "study": key, "series_uid": uid, "reason": reason}
        db.execute(insert(_rescans).values(**values, at=index.now()))
        text = f"{REASONS[reason]}: {_slide(db, key, uid)}"
        return queries.say(db, key, who, "rescan", text)


def rescans(database: Index, key: str) -> list[dict[str, str]]:
    """Return what was asked for of a study, the newest last; without who asked."""
    query = select(_rescans).where(_rescans.c.study == key).order_by(_rescans.c.id)
    with database.read() as db:
        rows = db.execute(query).all()
    return [{"series": row.series_uid, "reason": row.reason, "at": row.at} for row in rows]


def check_label(database: Index, user: str, key: str, series: Any, same: Any) -> None:
    """Keep that a reader has compared a slide's label with the request (術中, VIEWING 1d).

    Parameters
    ----------
    same : bool
        Whether they are of one another.

    Raises
    ------
    UsageError, NotFound
    """
    if not isinstance(same, bool):
        raise UsageError(cause="same")
    with database.write() as db:
        uid = _series(db, key, series)
        mine = and_(_checks.c.study == key, _checks.c.series_uid == uid, _checks.c.user == user)
        db.execute(delete(_checks).where(mine))
        values = {"study": key, "series_uid": uid, "user": user, "same": same}
        db.execute(insert(_checks).values(**values, at=index.now()))


def labels_checked(database: Index, user: str, key: str) -> dict[str, bool]:
    """Return by series what one reader said of the labels of a study."""
    mine = (_checks.c.study == key) & (_checks.c.user == user)
    with database.read() as db:
        return {row.series_uid: row.same for row in db.execute(select(_checks).where(mine))}


def _slide(db: Connection, key: str, series: str) -> str:
    """Return by what a slide is known on its glass: container identifier, and description."""
    studies, instances = index.studies.c, index.instances.c
    same = (studies.institution == instances.institution) & (
        studies.study_uid == instances.study_uid
    )
    query = select(instances.attributes).join(index.studies, same).order_by(instances.id)
    mine = (studies.key == key) & (instances.series_uid == series)
    model = read_instance(
        db.execute(query.where(mine, instances.attributes.is_not(None)).limit(1)).scalar()
    )
    words = [str(first(model, tag) or "") for tag in ("00400512", "0008103E", "00200011")]
    container, description, number = words
    named = f"標本番号 / container {container}" if container else f"Series {number or series}"
    return f"{named} {description}".strip()


def _is_place(point: Any) -> bool:
    if not isinstance(point, list) or len(point) != 2:
        return False
    plain = [isinstance(one, int | float) and not isinstance(one, bool) for one in point]
    return all(plain) and all(math.isfinite(one) and abs(one) < 1e9 for one in point)


def _series(db: Connection, key: str, uid: Any) -> str:
    """Return a series of a study.

    Raises
    ------
    NotFound
    """
    studies, instances = index.studies.c, index.instances.c
    same = (studies.institution == instances.institution) & (
        studies.study_uid == instances.study_uid
    )
    query = select(instances.series_uid).join(index.studies, same)
    found = db.execute(
        query.where(studies.key == key, instances.series_uid == str(uid)).limit(1)
    ).scalar()
    if found is None:
        raise NotFound(thing="series")
    return str(found)
