"""Studies that were done with are purged after a number of days (DAT-07): this is no archive.

Rows go first, in one transaction with a record of what goes and which files are still
to be removed; then the files.  A cut in between leaves files that the record names, and
the next start, or the next purge, removes them.  Transfers and what both ends signed of
them, the audit trail and install records are never touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from common import audit
from common.audit.retention import JAPAN
from common.errors import NotFound, UsageError
from common.proof import merkle
from common.states import TransferState
from receiver import holds, index, standings
from receiver.derived import Shelf
from receiver.index import Index
from receiver.standings import Person
from receiver.store import Store
from receiver.transfers import TOGETHER

POLICY = "policy"
NOTICED = "purge-notice"  # day of the last notice, in index.marks
LOOKED = "purge"  # day of the last purge by policy
_studies, _instances, _purges = index.studies, index.instances, index.purges


@dataclass(frozen=True, slots=True)
class Due:
    """A study that the policy purges, now or before long; no patient data.

    Attributes
    ----------
    on : str
        Day from which on it may be purged, in Japan's time.
    """

    study: str
    institution: str
    on: str
    instances: int
    bytes: int
    held: dict[str, str] | None

    def as_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Purge:
    """Purges by the policy of one receiver.

    Parameters
    ----------
    days : int
        After which a study is purged that a reader has done with; 0 purges nothing.
    """

    index: Index
    store: Store
    trail: audit.Trail
    days: int

    def due(self, now: datetime, ahead: int = 0) -> list[Due]:
        """Return what is to be purged now, or within some days more, the oldest first."""
        return due(self.index, self.days, now, ahead)

    def run(self, now: datetime, by: str = POLICY) -> list[Due]:
        """Purge what is due and not on hold; return what was."""
        self.finish()
        purged = [one for one in self.due(now) if one.held is None]
        for one in purged:
            self.study(one.study, by)
        return purged

    def study(self, key: str, by: str) -> int:
        """Purge one study that was done with; return its number of instances.

        Raises
        ------
        NotFound, UsageError
        """
        with self.index.write() as db:
            row = _study(db, key)
            if row.held:
                raise UsageError(cause=f"hold: {json.loads(row.held)['reason']}")
            if _in_use(db, row):
                raise UsageError(cause="未読の画像 / images that nobody has done with")
            number, record = _take_out(db, row, by)
        self.trail.note("purged", **record)
        self._remove(number)
        return int(record["instances"])

    def finish(self) -> None:
        """Remove files that an earlier purge did not come to."""
        unfinished = select(_purges.c.id).where(_purges.c.paths.is_not(None))
        with self.index.read() as db:
            numbers = db.execute(unfinished).scalars().all()
        for number in numbers:
            self._remove(number)

    def _remove(self, number: int) -> None:
        same = _purges.c.id == number
        with self.index.read() as db:
            paths = json.loads(db.execute(select(_purges.c.paths).where(same)).scalar_one())
        self.store.drop(paths)
        for path in paths:  # what was made of them goes too
            Shelf(self.store.root).forget(PurePosixPath(path).stem)
        with self.index.write() as db:
            db.execute(update(_purges).where(same).values(paths=None))

    def hold(self, key: str, *, by: str, reason: str) -> None:
        """Keep a study from being purged: :func:`receiver.holds.hold`, by the key's beginning."""
        note = partial(self.trail.note, by=by)
        holds.hold(self.index, self._whole(key), Person(by), reason, note)

    def release(self, key: str, *, by: str) -> None:
        """Let the policy hold again: :func:`receiver.holds.release`, as :meth:`hold`."""
        holds.release(self.index, self._whole(key), partial(self.trail.note, by=by))

    def _whole(self, key: str) -> str:
        with self.index.read() as db:
            return str(_study(db, key).key)

    def daily(self, now: datetime, notice: int) -> None:
        """Purge, and give notice of what comes next, once a day.

        Parameters
        ----------
        notice : int
            Days ahead.
        """
        today = now.date().isoformat()
        with self.index.read() as db:
            if index.marked(db, LOOKED) == today:
                return
        with self.index.write() as db:
            index.mark(db, LOOKED, today)
        self.run(now)
        coming = [one for one in self.due(now, notice) if one.held is None]
        if coming:
            first = min(one.on for one in coming)
            self.trail.note("purge-notice", studies=len(coming), first=first)


def due(
    database: Index, days: int, now: datetime, ahead: int = 0, key: str | None = None
) -> list[Due]:
    """Return what is to be purged now, or within some days more, the oldest first.

    Parameters
    ----------
    key : str, optional
        Of this study alone.
    """
    if days <= 0:
        return []
    until = now - timedelta(days=days - ahead)
    done = _studies.c.done_at <= _text(until)
    query = select(_studies).where(done, _studies.c.reading == TransferState.DONE)
    if key is not None:
        query = query.where(_studies.c.key == key)
    found = []
    with database.read() as db:
        for row in db.execute(query.order_by(_studies.c.done_at)).all():
            if _in_use(db, row):
                continue
            count, size = db.execute(_counted(row)).one()
            on = datetime.fromisoformat(row.done_at) + timedelta(days=days)
            held = json.loads(row.held) if row.held else None
            day = on.astimezone(JAPAN).date().isoformat()
            found.append(Due(row.key, row.institution, day, count, int(size or 0), held))
    return found


def _study(db: Connection, key: str) -> Row[Any]:
    """Return a study by its key or the unique beginning of it."""
    like = _studies.c.key.startswith(key, autoescape=True)
    rows = db.execute(select(_studies).where(like).limit(2)).all() if key else []
    if len(rows) != 1:
        raise NotFound(thing=key)
    return rows[0]


def _of(row: Row[Any]) -> Any:
    return (_instances.c.institution == row.institution) & (_instances.c.study_uid == row.study_uid)


def _in_use(db: Connection, row: Row[Any]) -> bool:
    """Whether a reader has not done with all of a study, or images of it are still to come."""
    if row.reading != TransferState.DONE or row.done_at is None:
        return True
    coming = _instances.c.stored_at.is_(None) & (index.transfers.c.opened_at > row.done_at)
    of_transfer = index.transfers.c.id == _instances.c.transfer
    query = select(_instances.c.id).outerjoin(index.transfers, of_transfer)
    query = query.where(_of(row), (_instances.c.stored_at > row.done_at) | coming)
    return db.execute(query.limit(1)).first() is not None


def _counted(row: Row[Any]) -> Any:
    size = func.sum(_instances.c.length + _instances.c.prefix_length)
    return select(func.count(), size).where(_of(row))


def _take_out(db: Connection, row: Row[Any], by: str) -> tuple[int, dict[str, Any]]:
    """Remove the rows of a study and keep the record of it; return its number and words."""
    columns = (_instances.c.id, _instances.c.path, _instances.c.d1, _instances.c.length,
               _instances.c.prefix_length, _instances.c.transfer)  # fmt: skip
    rows = db.execute(select(*columns).where(_of(row))).all()
    leaves = sorted(one.d1 for one in rows if one.d1)
    record = {
        "by": by,
        "institution": row.institution,
        "study": row.key,
        "instances": len(rows),
        "bytes": sum((one.length or 0) + (one.prefix_length or 0) for one in rows if one.path),
        "root": merkle.root([bytes.fromhex(leaf) for leaf in leaves]),
    }
    paths = json.dumps([one.path for one in rows if one.path])
    transfers = sorted({one.transfer for one in rows if one.transfer})
    values = {**record, "paths": paths, "transfers": json.dumps(transfers)}
    made = db.execute(insert(_purges).values(at=index.now(), **values))
    _delete(db, [one.id for one in rows])
    db.execute(delete(_studies).where(_studies.c.key == row.key))
    standings.forget(db, row)
    index.announce(db, "study", row.key)
    (number,) = made.inserted_primary_key or (0,)
    return int(number), {**record, "transfers": transfers}


def _delete(db: Connection, numbers: Iterable[int]) -> None:
    gone = [{"gone": number} for number in numbers]
    for start in range(0, len(gone), TOGETHER):
        some = gone[start : start + TOGETHER]
        for table in (index.frames, index.wanted, index.repairs):
            db.execute(delete(table).where(table.c.instance == bindparam("gone")), some)
        db.execute(delete(_instances).where(_instances.c.id == bindparam("gone")), some)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
