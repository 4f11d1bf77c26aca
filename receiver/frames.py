"""Slide levels that arrive frame by frame: laid out at once, filled in any order.

The final file is there from the moment the frame lengths are known; a frame's
row in the index says that its bytes are on the disk.  Resume, coverage in the
viewer and "may I show this tile" are all answered from those rows.
"""

from __future__ import annotations

import array
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update

from common import durable, link, space
from common.dicom import dataset
from common.dicom.layout import Layout
from common.errors import (
    InstanceTooLarge,
    PeerBusy,
    ProtocolError,
    SameUidOtherContent,
    StorageError,
)
from common.link import Slot
from common.states import InstanceState
from receiver import index, transfers
from receiver.index import Index
from receiver.store import Store

_instances = index.instances
KEPT_LAYOUTS = 64  # levels whose layout stays in memory

_columns = _instances.c
_LAID_OUT: Select[Any] = select(
    *(_columns.id, _columns.sop_uid, _columns.path, _columns.prefix),
    *(_columns.prefix_length, _columns.frame_table),
).where(_columns.id == bindparam("number"))
_HELD = select(index.frames.c.frame, index.frames.c.digest).where(
    index.frames.c.instance == bindparam("number"),
    index.frames.c.frame.in_(bindparam("asked", expanding=True)),
)
_HOLD = insert(index.frames)


class Level:
    """One slide level while its frames arrive."""

    def __init__(self, row: Row[Any], prefix_length: int, layout: Layout) -> None:
        self.id = int(row.id)
        self.sop_uid = str(row.sop_uid)
        self.path = str(row.path)
        self.prefix = bytes(row.prefix or b"")
        self.prefix_length = prefix_length
        self.layout = layout


class Frames:
    """Takes frame lengths and batches of frames for slide levels."""

    def __init__(self, index: Index, store: Store, max_instance_gb: int = 64) -> None:
        self.index = index
        self.max_instance_gb = max_instance_gb
        self.store = store
        self._levels: OrderedDict[int, Level] = OrderedDict()
        self._being_written: set[tuple[int, int]] = set()
        self._lock = threading.Lock()

    def lay_out(self, row: Row[Any], slot: Slot, packed: bytes | bytearray) -> None:
        """Make the final file of a level from its frame lengths.

        Parameters
        ----------
        row : Row
            The level's row of the index.
        packed : bytes-like
            uint32 LE, length of each frame with prefix, without padding.

        Raises
        ------
        ProtocolError
            Not one length a frame, or the same level laid out otherwise before.
        DiskFull, InstanceTooLarge
            Before anything is promised.
        """
        lengths = array.array("I")
        if len(packed) != slot.frames * lengths.itemsize:
            raise ProtocolError(cause="frame lengths")
        lengths.frombytes(packed)
        if sys.byteorder == "big":
            lengths.byteswap()
        layout = Layout(slot.header_bytes(), lengths, offsets=slot.offsets)
        if row.frame_table is not None:
            if bytes(row.frame_table) != layout.frame_table():
                raise ProtocolError(cause="other frame lengths")
            return
        if layout.length > self.max_instance_gb * space.GB:
            raise InstanceTooLarge(limit=self.max_instance_gb)
        self.store.space.check(layout.length)
        prefix = dataset.file_prefix(slot.sop_class, slot.uid, slot.transfer_syntax)
        path, fd = self.store.within(
            row.institution, row.series_uid, lambda folder: _created(folder / f"{row.key}.part")
        )
        try:
            durable.preallocate(fd, len(prefix) + layout.length)
            durable.write_at(fd, prefix + layout.head, 0)
            durable.write_at(fd, layout.tail, len(prefix) + layout.length - len(layout.tail))
            durable.sync_data(fd)
        except StorageError:
            durable.discard(path)  # it may hold most of a full disk
            raise
        finally:
            os.close(fd)
        durable.sync_folder(path.parent)
        attributes, _ = transfers.header_models(slot.header_bytes())
        with self.index.write() as db:
            db.execute(
                update(_instances)
                .where(_instances.c.id == row.id)
                .values(
                    state=InstanceState.RECEIVED,
                    path=self.store.relative(path),
                    prefix_length=len(prefix),
                    length=layout.length,
                    pixel_offset=layout.offset(0) - 8,
                    frame_table=layout.frame_table(),
                    attributes=attributes,
                )
            )
            key = transfers.study_key(db, row.institution, row.study_uid)
            index.announce(db, "study", key)
        with self._lock:
            self._levels.pop(row.id, None)  # it may have been laid out otherwise before

    def level(self, db: Connection, row: Row[Any], slot: Slot) -> Level:
        """Return the layout of a level that was laid out before.

        Parameters
        ----------
        row : Row
            Its id and path; its table, half a megabyte, is read where it is not known yet.

        Raises
        ------
        ProtocolError
            Its frame lengths have not come yet.
        """
        with self._lock:
            known = self._levels.get(row.id)
            if known is not None and known.path == row.path:  # else it was found damaged since
                self._levels.move_to_end(row.id)
                return known
        row = db.execute(_LAID_OUT, {"number": row.id}).one()
        if row.frame_table is None:
            raise ProtocolError(cause="frame lengths come first")
        table = array.array("Q")
        table.frombytes(bytes(row.frame_table))
        if sys.byteorder == "big":
            table.byteswap()
        layout = Layout(slot.header_bytes(), table[1::2], offsets=slot.offsets)
        level = Level(row, row.prefix_length, layout)
        with self._lock:
            self._levels[row.id] = level
            while len(self._levels) > KEPT_LAYOUTS:
                self._levels.popitem(last=False)
        return level

    def take(
        self, transfer: str, study: str, levels: dict[int, Level], batch: list[link.Frame]
    ) -> int:
        """Write a batch of frames, make them safe and index them.

        Parameters
        ----------
        transfer, study : str
            Id of the transfer and key of the study.
        levels : dict
            Level of each place in the opening.
        batch : list of Frame
            As :func:`common.link.unpack_frames` reads them.

        Returns
        -------
        int
            Frames that were held already.

        Raises
        ------
        ProtocolError, IntegrityError, SameUidOtherContent
            Nothing of the batch is kept.
        PeerBusy
            Some of it is just being written for another request.
        DiskFull
            Their places are there, but no longer room for all that goes with them.
        """
        self.store.space.check(ending=True)
        checked = [(levels[f.instance], f) for f in self._checked(levels, batch)]
        places = {(level.id, frame.frame) for level, frame in checked}
        if len(places) != len(checked):
            raise ProtocolError(cause="a frame twice")
        touched = {level.id: level for level, _ in checked}
        with self._claimed(places):
            fresh = self._not_held(checked)
            with self._open(touched.values()) as fds:
                for level, frame in fresh:
                    offset, data = level.layout.place(frame.frame, level.prefix + bytes(frame.data))
                    durable.write_at(fds[level.id], data, level.prefix_length + offset)
                for fd in fds.values():
                    durable.sync_data(fd)
            repeats = len(checked) - len(fresh)
            with self.index.write() as db:
                _index_frames(db, fresh)
                if repeats:
                    transfers.count_repeats(db, transfer, repeats)
                for level in touched.values():
                    numbers = [f.frame for at, f in checked if at is level]
                    hint = {"sop": level.sop_uid, "from": min(numbers), "count": len(numbers)}
                    index.announce(db, "frames", study, **hint)
        return repeats

    @contextmanager
    def _claimed(self, places: set[tuple[int, int]]) -> Iterator[None]:
        """Keep other requests away from some frames: none is written once it is held."""
        with self._lock:
            if not self._being_written.isdisjoint(places):
                raise PeerBusy(cause="the same frames twice at a time")
            self._being_written |= places
        try:
            yield
        finally:
            with self._lock:
                self._being_written -= places

    def _not_held(self, checked: list[tuple[Level, link.Frame]]) -> list[tuple[Level, link.Frame]]:
        """Return the frames that are still to be written; what came first stays.

        Raises
        ------
        SameUidOtherContent
            A frame is held with another content.
        """
        held: dict[tuple[int, int], bytes] = {}
        with self.index.read() as db:
            for number in {level.id for level, _ in checked}:
                asked = [frame.frame for level, frame in checked if level.id == number]
                rows = db.execute(_HELD, {"number": number, "asked": asked})
                held |= {(number, frame): bytes(digest) for frame, digest in rows}
        for level, frame in checked:
            if held.get((level.id, frame.frame), frame.digest) != frame.digest:
                raise SameUidOtherContent(path=f"frame {frame.frame}")
        return [(at, frame) for at, frame in checked if (at.id, frame.frame) not in held]

    def _checked(self, levels: dict[int, Level], batch: list[link.Frame]) -> Iterator[link.Frame]:
        for frame in batch:
            level = levels.get(frame.instance)
            if level is None or frame.frame >= level.layout.frames:
                raise ProtocolError(cause=f"frame {frame.frame} of {frame.instance}")
            if len(level.prefix) + len(frame.data) != level.layout.frame_length(frame.frame):
                raise ProtocolError(cause=f"length of frame {frame.frame}")
            link.check_frame(frame, level.prefix)
            yield frame

    @contextmanager
    def _open(self, levels: Iterable[Level]) -> Iterator[dict[int, int]]:
        fds: dict[int, int] = {}
        try:
            for level in levels:
                fds[level.id] = durable.open_file(self.store.where(level.path), writable=True)
            yield fds
        finally:
            for fd in fds.values():
                os.close(fd)


def _index_frames(db: Connection, fresh: list[tuple[Level, link.Frame]]) -> None:
    """Note frames as held."""
    rows = [
        {"instance": level.id, "frame": frame.frame, "digest": frame.digest}
        for level, frame in fresh
    ]
    if rows:
        db.execute(_HOLD, rows)


def _created(path: Path) -> tuple[Path, int]:
    path.unlink(missing_ok=True)  # of an earlier try that was never indexed
    return path, durable.create(path)
