"""The durable outbox: what is owed to whom, before anything is promised.

One SQLite file, WAL with synchronous FULL.  Files are referred to where they
lie (path, size, mtime, inode, digests) and checked again while they are sent.
The receiver's ``missing`` is the only truth about what must still be sent; an
acknowledgement kept here spares the question and shows progress.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from common import database
from common.errors import NotFound, TodokeError, UsageError
from common.link import Digest
from common.states import AT_REST, TransferState, move
from sender import announcing, outbox_file, statements
from sender.correspondence import Correspondence
from sender.recorded import Recorded

now = outbox_file.now


def stamp(known: os.stat_result) -> tuple[int, int, int]:
    """Return size, mtime and inode of a file as the outbox keeps them.

    File numbers of network shares and of ReFS may have more bits than SQLite keeps.
    """
    return known.st_size, known.st_mtime_ns, known.st_ino & (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance that is owed.

    Attributes
    ----------
    offset, length : int
        Where the data set lies in the file; 0 and the total for a slide level.
    size, mtime_ns, inode : int
        The file as it was when digested.
    frames : int
        Frames of a slide level; 0 where the data set is sent whole.
    acked : int
        1 once the receiver's acknowledgement was kept; for a slide level the
        number of frames that it holds.
    sent_as : str
        Transfer syntax that it is compressed to on the way, kept before it is sent, so
        that a further try sends the same; its own where it must go as it is, empty
        where each try may choose.
    role : str
        What it is among those of its study, as the rules have it (:mod:`sender.judging`).
    """

    sop_uid: str
    sop_class: str
    transfer_syntax: str
    series: str
    number: int | None
    path: str
    offset: int
    length: int
    size: int
    mtime_ns: int
    inode: int
    d1: str | None = None
    d2: str | None = None
    d3: str | None = None
    root: str = ""
    frames: int = 0
    acked: int = 0
    sent_as: str = ""
    role: str = ""

    def with_role(self, role: str) -> Instance:
        """Return it with a role."""
        return replace(self, role=role)


_COLUMNS = [column.name for column in fields(Instance)]
_values = attrgetter(*_COLUMNS)
_PART = 512  # instances that are read at a time


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer that is owed: a study of one patient, or a slide case.

    Attributes
    ----------
    delivered : str or None
        When the receiver had acknowledged every instance.
    judgement : dict
        What the rules of direct transmission make of it; empty for one of an older program.
    source_sha256 : str or None
        Of a slide's vendor files, where it was taken before the transfer began.
    """

    id: str
    job: int
    partner: str
    kind: str
    state: TransferState
    priority: str
    purpose: str
    study: str
    attributes: dict[str, Any]
    request: dict[str, Any]
    test: bool
    slide: str | None
    error: dict[str, str] | None
    digests_equal: bool | None
    attempts: int
    created: str
    started: str | None
    delivered: str | None
    finished: str | None
    source_sha256: str | None = None
    judgement: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """Paths that somebody asked to be sent."""

    id: int
    partner: str
    paths: list[str]
    options: dict[str, Any]
    created: str
    scanned: bool
    found: int


_OF_TRANSFER = ", ".join(column.name for column in fields(Transfer))


class Outbox(Correspondence, Recorded):
    """The outbox of a data directory; safe from several threads and processes.

    Whatever is asked of it raises StorageError or DiskFull where trying again can
    help, SyncFailed or DatabaseDamaged where it cannot (:mod:`common.database`).
    """

    # -- jobs ---------------------------------------------------------------

    def submit(self, partner: str, paths: Iterable[Path], options: dict[str, Any]) -> int:
        """Owe what lies under `paths` to a partner; return the job's number."""
        with self._write() as db:
            return outbox_file.insert_job(db, partner, paths, options)

    def jobs(self, *, unscanned: bool = False) -> list[Job]:
        """Return the jobs, the oldest first."""
        where = "WHERE scanned IS NULL" if unscanned else ""
        return [
            Job(r["id"], r["partner"], json.loads(r["paths"]), json.loads(r["options"]),
                r["created"], r["scanned"] is not None, r["found"])
            for r in self._rows(f"SELECT * FROM jobs {where} ORDER BY id")
        ]  # fmt: skip

    def job(self, number: int) -> Job:
        """Return one job."""
        return next(job for job in self.jobs() if job.id == number)

    def scanned(
        self,
        job: Job,
        found: list[tuple[dict[str, Any], list[Instance]]],
        refused: list[tuple[str, TodokeError]],
        count: int,
    ) -> list[str]:
        """Keep what a job's paths held, all of it or nothing.

        Parameters
        ----------
        found : list
            Per transfer its values and its instances.
        refused : list of (path, error)
        count : int
            Files found.

        Returns
        -------
        list of str
            Ids of the transfers.
        """
        ids = []
        with self._write() as db:
            announced = announcing.joined(db, job, found)
            for place, (values, instances) in enumerate(found):
                ids.append(announced.get(place) or secrets.token_hex(16))
                row = {"job": job.id, "created": now(), **values}
                if place in announced:
                    nothing = {"started": None, "error": None, "attempts": 0}
                    _update(db, ids[-1], row | nothing)
                else:
                    _insert(db, "transfers", {"id": ids[-1], **row})
                _insert_instances(db, ids[-1], instances)
            for path, error in refused:
                words = error.as_json()
                _insert(db, "refused", {"job": job.id, "path": path, **words})
            db.execute("UPDATE jobs SET scanned=?, found=? WHERE id=?", (now(), count, job.id))
        return ids

    def completed(
        self, transfer: str, values: dict[str, Any], instances: Iterable[Instance]
    ) -> None:
        """Keep a transfer anew that was held before it was opened, with other headers.

        Raises
        ------
        UsageError
            It is not held, or its opening has been signed.
        """
        with self._write() as db:
            if not self.may_change(transfer):
                raise UsageError(cause=f"{transfer}: {self.transfer(transfer).state}")
            _update(db, transfer, {"error": None, **values})
            db.execute("DELETE FROM instances WHERE transfer=?", (transfer,))
            _insert_instances(db, transfer, instances)

    def announce(self, values: dict[str, Any]) -> None:
        """Owe an announcement, see :func:`sender.announcing.new`."""
        with self._write() as db:
            job = outbox_file.insert_job(db, values["partner"], [], {})
            db.execute("UPDATE jobs SET scanned=? WHERE id=?", (now(), job))
            _insert(db, "transfers", {"job": job, "created": now(), **values})

    def withdraw(self, transfer: str, *, by: str, reason: str) -> None:
        """Withdraw an announcement; raises as :func:`sender.announcing.withdraw`."""
        with self._write() as db:
            announcing.withdraw(db, transfer, by, reason, now())

    def announced(self, transfer: Transfer) -> None:
        """Keep that the receiver knows of an announcement as it is here."""
        with self._write() as db:
            announcing.told(db, transfer.id, transfer.request, now())

    def ask(self, transfer: str, words: Mapping[str, Any], **values: Any) -> None:
        """Keep other request information of what has not been opened.

        Raises
        ------
        UsageError
            It is on its way, or its opening has been signed.
        """
        with self._write() as db:
            if not self.may_be_asked(transfer):
                raise UsageError(cause=f"{transfer}: {self.transfer(transfer).state}")
            _update(db, transfer, {"request": _json(words), **values})

    def refused(self, job: int) -> list[dict[str, str]]:
        """Return the files of a job that are not sent, each with its reason."""
        rows = self._rows("SELECT path, number, ja, en FROM refused WHERE job=?", job)
        return [dict(row) for row in rows]

    # -- transfers ----------------------------------------------------------

    def transfers(self, job: int | None = None) -> list[Transfer]:
        """Return the transfers (of a job), the most urgent and then the oldest first."""
        return self._transfers("WHERE job=?", job) if job is not None else self._transfers()

    def _transfers(self, where: str = "", *values: Any) -> list[Transfer]:
        order = "CASE priority WHEN 'urgent' THEN 0 WHEN 'soon' THEN 1 ELSE 2 END, rowid"
        rows = self._rows(f"SELECT {_OF_TRANSFER} FROM transfers {where} ORDER BY {order}", *values)
        return [_transfer(row) for row in rows]

    def owed(self) -> list[Transfer]:
        """Return what must still be worked on, the most urgent first."""
        rest = ", ".join(f"'{state}'" for state in AT_REST)
        return self._transfers(f"WHERE finished IS NULL AND state NOT IN ({rest})")

    def receipted_by(self) -> list[str]:
        """Return the partners that have receipted something: they may ask for it again."""
        rows = self._rows("SELECT DISTINCT partner FROM transfers WHERE delivered IS NOT NULL")
        return [row[0] for row in rows]

    def transfer(self, name: str) -> Transfer:
        """Return a transfer by its id or the unique beginning of it.

        Raises
        ------
        NotFound
        """
        like = "id LIKE ? || '%'"
        rows = self._rows(f"SELECT {_OF_TRANSFER} FROM transfers WHERE {like}", name)
        if len(rows) != 1 or not name.isalnum():
            raise NotFound(thing=name)
        return _transfer(rows[0])

    def left(self, study: str) -> tuple[list[dict[str, Any]], list[tuple[str, Instance]]]:
        """Return what of a study has left this sender, or is about to.

        Returns
        -------
        list of dict
            Patient and study level of its transfers.
        list of (str, Instance)
            Its instances, each with its transfer.
        """
        gone = "t.study=? AND (t.state IN ('queued', 'sending') OR t.delivered IS NOT NULL)"
        told = self._rows(f"SELECT t.attributes FROM transfers t WHERE {gone}", study)
        some = ", ".join(f"i.{column}" for column in _COLUMNS)
        rows = self._rows(
            f"SELECT t.id, {some} FROM transfers t JOIN instances i ON i.transfer=t.id"
            f" WHERE t.study=? AND (i.acked > 0 OR {gone})",
            study, study,
        )  # fmt: skip
        return [json.loads(row[0]) for row in told], [(r[0], Instance(*r[1:])) for r in rows]

    def statement(self, transfer: str, kind: str) -> str | None:
        """Return what was signed of a transfer: its opening, closing or receipt."""
        with self._lock, database.named(self.path):
            return statements.read(self._db, transfer, kind)

    def set_state(self, transfer: str, state: TransferState, **values: Any) -> None:
        """Move a transfer to another state, as the table of moves allows."""
        with self._write() as db:
            row = db.execute("SELECT state FROM transfers WHERE id=?", (transfer,)).fetchone()
            new = move(TransferState(row[0]), state)
            if new is TransferState.DELIVERED:
                values = {"delivered": now(), **values}
            _update(db, transfer, {"state": new, **values})

    def keep(self, transfer: str, **values: Any) -> None:
        """Keep values of a transfer: opening, closing, receipt, error, attempts."""
        with self._write() as db:
            _update(db, transfer, values)

    # -- instances ----------------------------------------------------------

    def instances(self, transfer: str) -> list[Instance]:
        """Return the instances of a transfer in the order of its opening."""
        return [one for part in self.parts(transfer) for one in part]

    def parts(self, transfer: str) -> Iterator[list[Instance]]:
        """Yield the instances of a transfer in the order of its opening, some at a time."""
        ends = "SELECT MIN(id), MAX(id) FROM instances WHERE transfer=?"
        first, last = self._rows(ends, transfer)[0]
        if first is None:
            return
        some = f"SELECT {', '.join(_COLUMNS)} FROM instances WHERE id BETWEEN ? AND ?"
        known: dict[str, str] = {}  # equal UIDs are kept once
        for start in range(first, last + 1, _PART):
            ids = start, start + _PART - 1
            part = []
            for row in self._rows(f"{some} AND +transfer=? ORDER BY id", *ids, transfer):
                alike = (known.setdefault(uid, uid) for uid in row[1:4])
                part.append(Instance(*[row[0], *alike, *row[4:]]))
            yield part

    def count(self, transfer: str) -> int:
        """Return the number of instances of a transfer."""
        return int(self._rows("SELECT COUNT(*) FROM instances WHERE transfer=?", transfer)[0][0])

    def stored(self, transfer: str, digests: Mapping[str, str]) -> None:
        """Keep that the receiver holds instances, with D1 of what it was sent, by UID."""
        with self._write() as db:
            db.executemany(
                "UPDATE instances SET acked=MAX(frames,1), d1=? WHERE transfer=? AND sop_uid=?",
                [(d1, transfer, uid) for uid, d1 in digests.items()],
            )

    def acknowledged(self, transfer: str, uids: Iterable[str], held: int = 1) -> None:
        """Keep that the receiver holds instances (or, of a level, so many frames)."""
        with self._write() as db:
            db.executemany(
                "UPDATE instances SET acked=? WHERE transfer=? AND sop_uid=?",
                [(held, transfer, uid) for uid in uids],
            )

    def send_as(self, transfer: str, syntaxes: Mapping[str, str]) -> None:
        """Keep in which transfer syntax instances are sent, by UID; before they are."""
        with self._write() as db:
            db.executemany(
                "UPDATE instances SET sent_as=? WHERE transfer=? AND sop_uid=?",
                [(syntax, transfer, uid) for uid, syntax in syntaxes.items()],
            )

    def digested(self, transfer: str, found: Iterable[Digest]) -> None:
        """Keep the digests of instances, taken from their source."""
        with self._write() as db:
            db.executemany(
                "UPDATE instances SET d1=?, d2=?, d3=?, root=? WHERE transfer=? AND sop_uid=?",
                [(one.d1, one.d2, one.d3, one.root, transfer, one.uid) for one in found],
            )

    def progress(self, job: int | None = None) -> dict[str, tuple[int, int, int, int]]:
        """Return per transfer: held, instances or frames, bytes held, bytes in all."""
        where, values = ("WHERE t.job=?", (job,)) if job is not None else ("", ())
        rows = self._rows(
            "SELECT t.id, SUM(i.acked), SUM(MAX(i.frames,1)),"
            " SUM(i.length*i.acked/MAX(i.frames,1)), SUM(i.length)"
            f" FROM transfers t JOIN instances i ON i.transfer=t.id {where} GROUP BY t.id",
            *values,
        )
        return {row[0]: (row[1], row[2], row[3], row[4]) for row in rows}


def fault(error: TodokeError) -> str:
    """Return an error as the outbox keeps it: number, words, exit code of a verb."""
    return _json({**error.as_json(), "exit": str(error.exit_code)})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _insert_instances(db: sqlite3.Connection, transfer: str, instances: Iterable[Instance]) -> None:
    db.executemany(
        f"INSERT INTO instances(transfer, {', '.join(_COLUMNS)}) VALUES(?{', ?' * len(_COLUMNS)})",
        ((transfer, *_values(instance)) for instance in instances),
    )


def _insert(db: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    db.execute(f"INSERT INTO {table}({names}) VALUES({marks})", tuple(values.values()))


def _update(db: sqlite3.Connection, transfer: str, values: dict[str, Any]) -> None:
    for kind in statements.KINDS:
        if kind in values:
            statements.write(db, transfer, kind, values.pop(kind))
    if not values:
        return
    names = ", ".join(f"{name}=?" for name in values)
    db.execute(f"UPDATE transfers SET {names} WHERE id=?", (*values.values(), transfer))


def _transfer(row: sqlite3.Row) -> Transfer:
    values = {key: row[key] for key in row.keys()}  # noqa: SIM118 - Row iterates over values
    for name in ("attributes", "request", "judgement"):
        values[name] = json.loads(values[name])
    values["error"] = json.loads(values["error"]) if values["error"] else None
    values["state"] = TransferState(values["state"])
    values["test"] = bool(values["test"])
    equal = values["digests_equal"]
    values["digests_equal"] = None if equal is None else bool(equal)
    return Transfer(**values)
