"""The index made again from files alone, when it was lost: images, and the records beside them.

Every image is read whole and compared with the receipt that was given for it, so what is
listed as verified afterwards is so.  The new index takes its place only when it is
complete; the old one is kept.  No file is removed: what nobody can be named for is
kept aside.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, insert, select, update

from common import durable, link
from common.errors import TodokeError
from common.link import Digest
from common.proof import jws
from common.states import InstanceState, TransferState
from receiver import (
    evidence_files,
    index,
    reading_records,
    records,
    repairs,
    requests,
    statements,
    transfers,
)
from receiver.child import alone
from receiver.index import Index
from receiver.refound import Refound, refind
from receiver.repairs import CHANGED, VANISHED
from receiver.run import PROCESSES
from receiver.store import Store

log = logging.getLogger("todoke.reindex")
NEW = "index.new.sqlite"
T = TypeVar("T")
TOGETHER = 100  # files of one transaction
_instances, _studies, _transfers = index.instances, index.studies, index.transfers


@dataclass(slots=True)
class Made:
    """What came of it; counts, and what could not be restored."""

    transfers: int = 0
    studies: int = 0
    instances: int = 0
    verified: int = 0
    damaged: int = 0
    expected: int = 0
    aside: int = 0
    arriving: int = 0
    records: int = 0
    readings: int = 0
    old_index: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the counts."""
        return asdict(self)


@dataclass(slots=True)
class Reindex:
    """Makes the index of a data directory again.

    Parameters
    ----------
    told : callable
        Told files done and files in all.
    """

    data: Path
    told: Callable[[int, int], None] = lambda _done, _of: None
    made: Made = field(default_factory=Made)
    _aside: list[Path] = field(default_factory=list)
    _codes: list[str] = field(default_factory=list)
    _receipts: dict[tuple[str, str], Digest] = field(default_factory=dict)

    def run(self) -> Made:
        """Make the index; nothing of the old one is changed.

        Raises
        ------
        DataInUse
            A receiver runs here.
        """
        with contextlib.ExitStack() as held:
            held.enter_context(durable.lock(self.data / "lock"))
            for name in PROCESSES:
                held.enter_context(alone(self.data, name))
            for old in self.data.glob(f"{NEW}*"):
                old.unlink()
            store = Store(self.data / "store")
            made = Index(f"sqlite:///{self.data / NEW}")
            try:
                self._fill(made, store)
                _settle(made)
            finally:
                made.close()
            for path in self._aside:
                store.keep_aside(path)
            self._change_over()
        return self.made

    def _fill(self, made: Index, store: Store) -> None:
        kept = records.folder(self.data)
        with made.write() as db:
            records.restore(db, kept)
            self.made.records = evidence_files.restore(db, self.data)
            self._codes = list(db.execute(select(index.partners.c.code)).scalars())
            purged = _purged(db)
            for study in records.studies(kept):
                db.execute(insert(_studies).values(**study))
                self.made.studies += 1
        rows = list(records.transfers(kept))
        # what was taken back comes first: an image that another transfer brought too stands with it
        rows.sort(key=lambda row: row["state"] != TransferState.RECALLED)
        for row in rows:
            with made.write() as db:
                self._transfer(db, kept, row, purged)
        names = list(store.names())
        for start in range(0, len(names), TOGETHER):
            some = [name for name in names[start : start + TOGETHER] if "/" in name]
            found = [(name, self._found(store, name)) for name in some]
            with made.write() as db:
                for name, one in found:
                    self._file(db, store, name, one)
            self.told(min(start + TOGETHER, len(names)), len(names))
        with made.write() as db:
            self._vanished(db)
            self._readings(db, kept)
            waiting = _instances.c.state == InstanceState.EXPECTED
            self.made.expected = len(db.execute(select(_instances.c.id).where(waiting)).all())

    # -- transfers ----------------------------------------------------------

    def _transfer(self, db: Connection, kept: Path, row: dict[str, Any], purged: set[str]) -> None:
        db.execute(insert(_transfers).values(**row))
        self.made.transfers += 1
        said = {kind: records.statement(kept, row["id"], kind) for kind in records.KINDS}
        for kind, text in said.items():
            if text is not None:
                statements.write(db, row["id"], kind, text)
        opening = _said(said["opening"], link.read_opening)
        if opening is not None:
            requests.note(db, row["institution"], opening, row["opened_at"])
        if row["id"] in purged:
            return
        if opening is not None:
            transfers.announce_slots(db, row["institution"], opening)
        receipt = _said(said["receipt"], link.read_receipt)
        for one in () if receipt is None else receipt.instances:
            self._receipts[row["institution"], one.uid] = one

    # -- files --------------------------------------------------------------

    def _found(self, store: Store, name: str) -> Refound | None:
        if not name.endswith(".dcm"):
            return None
        try:
            return refind(store, name, self._codes)
        except TodokeError as error:
            log.error("%s: %s", name, error.number)
            return None

    def _file(self, db: Connection, store: Store, name: str, one: Refound | None) -> None:
        if name.startswith(f"{store.incoming.name}/"):
            return  # never acknowledged; the next start sweeps it
        if one is None:
            self._put_aside(store, name, arriving=name.endswith(".part"))
            return
        values, leaves = one.values, list[bytes]()
        uid = str(values["sop_uid"])
        row = transfers.instance(db, one.institution, uid)
        if row is not None and _taken(row, values):
            self._put_aside(store, name)
            return
        if row is not None and row.frames:  # announced as a level that comes frame by frame
            more, leaves = one.as_level()
            values |= more
        said = self._receipts.get((one.institution, uid))
        values |= _standing(said, values)
        if row is None:
            transfer = _of_study(db, one.institution, str(values["study_uid"]))
            db.execute(insert(_instances).values(institution=one.institution,
                                                 transfer=transfer, **values))  # fmt: skip
        else:
            db.execute(update(_instances).where(_instances.c.id == row.id).values(**values))
        here = transfers.instance(db, one.institution, uid)
        if here is None:
            return
        if not _has_study(db, here):
            transfers.touch_study(
                db, one.institution, here.study_uid, here.transfer, one.study_model
            )
            self.made.studies += 1
        for number, leaf in enumerate(leaves):
            db.execute(insert(index.frames).values(instance=here.id, frame=number, digest=leaf))
        self.made.instances += 1
        self.made.verified += values["state"] == InstanceState.VERIFIED
        if said is not None and values["state"] != InstanceState.VERIFIED:
            self._damaged(db, here.id, CHANGED)

    def _put_aside(self, store: Store, name: str, *, arriving: bool = False) -> None:
        self._aside.append(store.path(name))
        self.made.arriving += arriving
        self.made.aside += not arriving

    def _vanished(self, db: Connection) -> None:
        """What was receipted and has no file is asked for again."""
        waiting = _instances.c.state == InstanceState.EXPECTED
        for row in db.execute(select(_instances).where(waiting)).all():
            said = self._receipts.get((row.institution, row.sop_uid))
            if said is not None:
                values = {"d1": said.d1, "d2": said.d2 or said.root or None, "d3": said.d3}
                same = _instances.c.id == row.id
                db.execute(update(_instances).where(same).values(**values))
                self._damaged(db, row.id, VANISHED)

    def _readings(self, db: Connection, kept: Path) -> None:
        """What readers did, once every image has its row."""
        reading_records.restore_recalls(db, records.read(kept / reading_records.RECALLS) or [])
        for news in records.news(kept):
            reading_records.restore_news(db, news)
        for key, said in records.readings(kept):
            reading_records.restore(db, key, said)
            self.made.readings += 1
        reading_records.agree(db)

    def _damaged(self, db: Connection, number: int, cause: str) -> None:
        row = db.execute(select(*repairs.SEEN).where(_instances.c.id == number)).one()
        repairs.note(db, repairs.Seen(*row), cause)
        self.made.damaged += 1

    # -- the end ------------------------------------------------------------

    def _change_over(self) -> None:
        """Keep the old index, and let the new one take its place.

        A start in between finds :data:`NEW` and refuses: it would take the files for
        nobody's.
        """
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        old = self.data / f"index-{stamp}-{Store.new_key()[:4]}"
        parts = [path for end in ("", "-wal", "-shm") if (path := self._index(end)).exists()]
        if parts:
            durable.make_folder(old)
            self.made.old_index = str(old)
        for path in parts:
            durable.rename(path, old / path.name)
        if parts:
            durable.sync_folder(old)
        durable.publish(self.data / NEW, self._index())

    def _index(self, end: str = "") -> Path:
        return self.data / f"index.sqlite{end}"


def _taken(row: Row[Any], values: dict[str, Any]) -> bool:
    """Whether the place of an instance is filled, or announced for another study or series."""
    other = (row.study_uid, row.series_uid) != (values["study_uid"], values["series_uid"])
    return row.state != InstanceState.EXPECTED or other


def _settle(made: Index) -> None:
    """Bring all of an index into its one file."""
    with made.engine.connect() as db:
        db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _said(statement: str | None, read: Callable[[dict[str, Any]], T]) -> T | None:
    """Read a statement whose signature held when it came: its signer may be paired anew since."""
    try:
        return None if statement is None else read(jws.payload(statement))
    except (TodokeError, ValueError, IndexError, RecursionError):
        log.error("a statement cannot be read; what only it says is not restored")
        return None


def _purged(db: Connection) -> set[str]:
    rows = db.execute(select(index.purges.c.transfers)).scalars()
    return {transfer for row in rows for transfer in json.loads(row)}


def _standing(said: Digest | None, values: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an instance, and its digests as they were receipted."""
    if said is None:
        return {"state": InstanceState.STORED}
    digests = {"d1": said.d1, "d2": said.d2 or said.root or None, "d3": said.d3}
    same = values["d1"] == said.d1 and values["length"] == said.length
    return {**digests, "state": InstanceState.VERIFIED if same else InstanceState.STORED}


def _has_study(db: Connection, row: Row[Any]) -> bool:
    same = (_studies.c.institution == row.institution) & (_studies.c.study_uid == row.study_uid)
    return db.execute(select(_studies.c.key).where(same)).first() is not None


def _of_study(db: Connection, institution: str, study_uid: str) -> str | None:
    """Return the transfer of an instance that no opening names."""
    query = (
        select(_transfers.c.id)
        .join(_studies, _studies.c.transfer == _transfers.c.id)
        .where(
            _studies.c.institution == institution,
            _studies.c.study_uid == study_uid,
            _transfers.c.expected.is_(None),
        )
    )
    found = db.execute(query).scalar()
    return None if found is None else str(found)
