"""Every stored instance is read again from the disk, and compared with what was acknowledged.

Nothing is parsed and nothing decoded: the file's first bytes follow from the row, all
others are under the digest D1 that was taken when they arrived; a slide's frames have
one each.  What differs is read twice before it is called damaged.
"""

from __future__ import annotations

import array
import hashlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from common import audit, durable
from common.errors import StorageError, StoreAway
from common.states import InstanceState
from receiver import index, repairs, transfers
from receiver.index import Index
from receiver.repairs import CHANGED, FRAMES, SEEN, VANISHED, Seen
from receiver.soundness import head_is
from receiver.store import LEFT_BEHIND, Store

log = logging.getLogger("todoke.scrub")
MARK = "scrub"  # id of the instance that was read last, in index.marks
BATCH = 64  # rows that are fetched together
PIECE = 1 << 20  # bytes
READ = (
    InstanceState.RECEIVED,
    InstanceState.STORED,
    InstanceState.VERIFIED,
    InstanceState.DAMAGED,
)
_instances, _frames = index.instances, index.frames


@dataclass(slots=True)
class Found:
    """What a pass found; bytes and counts of instances."""

    instances: int = 0
    bytes: int = 0
    damaged: int = 0
    vanished: int = 0
    mended: int = 0

    def as_json(self) -> dict[str, int]:
        """Return the counts."""
        return asdict(self)


class Unsound(Exception):
    """A file is not what was acknowledged."""

    def __init__(self, cause: str, frames: tuple[int, ...] = ()) -> None:
        super().__init__(cause)
        self.cause = cause
        self.frames = frames


@dataclass(slots=True)
class Scrub:
    """Reads instances back, one after the other.

    Parameters
    ----------
    pace : callable
        Told the bytes of every piece that was read; returns when the next may be, and
        raises to end.
    """

    index: Index
    store: Store
    trail: audit.Trail
    pace: Callable[[int], None] = lambda _: None
    found: Found = field(default_factory=Found)
    _missing: int = 0  # in a row

    def total(self) -> tuple[int, int]:
        """Return instances and bytes that a whole pass reads."""
        query = select(func.count(), func.sum(_instances.c.length)).where(_readable())
        with self.index.read() as db:
            count, size = db.execute(query).one()
        return int(count), int(size or 0)

    def all(self, told: Callable[[Found], None] = lambda _: None) -> Found:
        """Make a pass from the first instance to the last."""
        with self.index.write() as db:
            index.mark(db, MARK, "0")
        while self.some():
            told(self.found)
        return self.found

    def some(self) -> bool:
        """Read some instances, from where the pass was; False at its end.

        Raises
        ------
        StoreAway
            The store is not there, or far more is gone than a disk loses.
        """
        self.again()
        with self.index.read() as db:
            at = int(index.marked(db, MARK) or 0)
            query = select(*SEEN).where(_readable(), _instances.c.id > at)
            rows = [Seen(*row) for row in db.execute(query.order_by(_instances.c.id).limit(BATCH))]
        for row in rows:
            self._read(row)
        with self.index.write() as db:
            index.mark(db, MARK, str(rows[-1].id if rows else 0))
        return bool(rows)

    def again(self) -> None:
        """Read back what was damaged and came again."""
        with self.index.read() as db:
            rows = repairs.came_again(db)
            held = {row.id: _whole(db, row) for row in rows}
        for row in rows:
            if held[row.id]:
                self._mend(row)

    def suspected(self) -> None:
        """Judge what a reader was refused, whatever the pass has come to.

        Raises
        ------
        StoreAway
            As :meth:`some`.
        """
        for row in repairs.take_suspects(self.index):
            if row.path is not None and row.state in READ and self._read(row):
                log.warning("%s is what was acknowledged, after a reader was refused it", row.path)

    def _mend(self, row: Seen) -> None:
        if not self._read(row, closing=True):
            return
        values = {"state": self._state(row), "path": row.path}
        if row.path is not None and row.path.endswith(".part"):
            part = self.store.where(row.path)
            durable.publish(part, part.with_suffix(".dcm"))
            values["path"] = self.store.relative(part.with_suffix(".dcm"))
        with self.index.write() as db:
            if repairs.mended(db, row, **values):
                self.found.mended += 1
                self.trail.note("repaired", institution=row.institution, transfer=row.transfer)

    def _state(self, row: Seen) -> InstanceState:
        """Return what an instance is whose bytes are again those that were receipted."""
        with self.index.read() as db:
            receipt = repairs.receipted(db, row.transfer, row.sop_uid)
        return InstanceState.STORED if receipt is None else InstanceState.VERIFIED

    def _read(self, row: Seen, *, closing: bool = False) -> bool:
        """Read one instance; say whether it is sound.

        Parameters
        ----------
        closing : bool
            All frames of a level are here: its digest counts too.
        """
        self.found.instances += 1
        try:
            try:
                self._check(row, closing=closing)
            except Unsound:
                self._check(row, closing=closing)  # not the disk, the way from it
        except Unsound as unsound:
            self._damaged(row, unsound)
            return False
        self._missing = 0
        return True

    def _check(self, row: Seen, *, closing: bool) -> None:
        path = self.store.where(str(row.path))
        try:
            fd = durable.open_file(path)
        except StorageError:
            if path.exists():
                raise
            raise Unsound(VANISHED) from None
        try:
            with self.index.read() as db:
                table, leaves = _leaves(db, row)
            durable.drop_cached(fd)  # what the disk holds, not what memory remembers
            self._compare(fd, row, table, leaves, closing=closing)
        except StorageError as failure:  # a sector that cannot be read
            log.error("%s: %s", row.path, failure.number)
            raise Unsound(CHANGED) from failure
        finally:
            durable.drop_cached(fd)
            os.close(fd)

    def _compare(
        self,
        fd: int,
        row: Seen,
        table: array.array[int],
        leaves: dict[int, bytes],
        *,
        closing: bool,
    ) -> None:
        base, length = int(row.prefix_length or 0), int(row.length or 0)
        if row.state in {InstanceState.STORED, InstanceState.VERIFIED} or closing:
            if self._whole_is(fd, row, base, length):
                return
            if os.fstat(fd).st_size != base + length:
                raise Unsound(CHANGED)
            cause = CHANGED
        else:
            cause = ""
        bad = [
            number
            for number, leaf in sorted(leaves.items())
            if not self._frame_is(fd, base, table, number, leaf)
        ]
        if bad or cause:
            raise Unsound(FRAMES if bad else cause, tuple(bad))

    def _whole_is(self, fd: int, row: Seen, base: int, length: int) -> bool:
        if not head_is(fd, row, base):
            return False
        digest = hashlib.sha256()
        for piece in self._pieces(fd, base, length):
            digest.update(piece)
        beyond = durable.read_at(fd, 1, base + length)
        return not beyond and row.d1 in (None, digest.hexdigest())

    def _frame_is(
        self, fd: int, base: int, table: array.array[int], number: int, leaf: bytes
    ) -> bool:
        offset, size = table[2 * number], table[2 * number + 1]
        digest = hashlib.sha256()
        for piece in self._pieces(fd, base + offset, size):
            digest.update(piece)
        return digest.digest() == leaf

    def _pieces(self, fd: int, at: int, length: int) -> Iterator[bytes]:
        end = at + length
        while at < end and (piece := durable.read_at(fd, min(PIECE, end - at), at)):
            yield piece
            at += len(piece)
            self.found.bytes += len(piece)
            self.pace(len(piece))

    def _damaged(self, row: Seen, unsound: Unsound) -> None:
        vanished = unsound.cause == VANISHED
        self._missing = self._missing + 1 if vanished else 0
        if self._missing > LEFT_BEHIND or not self.store.incoming.is_dir():
            raise StoreAway(path=self.store.root)
        with self.index.write() as db:
            if not repairs.note(db, row, unsound.cause, unsound.frames):
                return  # it is another one by now
        if not unsound.frames and not vanished:
            self.store.keep_aside(self.store.where(str(row.path)))
        self.found.damaged += not vanished
        self.found.vanished += vanished
        log.error("%s is damaged (%s); asked for again", row.path, unsound.cause)
        self.trail.note(
            "alarm",
            institution=row.institution,
            cause=f"image damaged: {unsound.cause}",
            transfer=row.transfer,
            frames=len(unsound.frames),
        )


def _readable() -> Any:
    return _instances.c.state.in_(READ) & _instances.c.path.is_not(None)


def _leaves(db: Connection, row: Seen) -> tuple[array.array[int], dict[int, bytes]]:
    """Return where each frame of a slide level lies, and the digest of those that are here."""
    table: array.array[int] = array.array("Q")
    held = select(_frames.c.frame, _frames.c.digest).where(_frames.c.instance == row.id)
    leaves = {int(number): bytes(leaf) for number, leaf in db.execute(held)}
    if leaves:
        packed = select(_instances.c.frame_table).where(_instances.c.id == row.id)
        table.frombytes(bytes(db.execute(packed).scalar() or b""))
        if sys.byteorder == "big":
            table.byteswap()
    if leaves and max(leaves) * 2 + 1 >= len(table):
        raise Unsound(CHANGED)
    return table, leaves


def _whole(db: Connection, row: Seen) -> bool:
    """Whether all of what came again is here."""
    if row.state in {InstanceState.STORED, InstanceState.VERIFIED}:
        return row.path is not None
    count = select(_instances.c.frames).where(_instances.c.id == row.id)
    return db.execute(count).scalar() == transfers.count_frames(db, row.id)


class Pace:
    """Keeps reading at a rate, and out of the way of arrivals.

    Parameters
    ----------
    rate : int
        Bytes a second.
    wait : callable
        Waits some seconds; raises to end.
    busy : callable
        Whether others work with the index just now.
    """

    #: Seconds of others' work that a piece waits for at most: a pass comes to its end.
    MOST = 2.0

    def __init__(
        self,
        rate: int,
        wait: Callable[[float], None],
        busy: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rate = rate
        self._wait, self._busy, self._clock = wait, busy, clock
        self._due = clock()

    def __call__(self, count: int) -> None:
        """Return when `count` more bytes were due."""
        now = self._clock()
        self._due = max(self._due, now - 1.0) + count / self.rate
        if self._due > now:
            self._wait(self._due - now)
        until = self._clock() + self.MOST
        while self._busy() and self._clock() < until:
            self._wait(0.1)
