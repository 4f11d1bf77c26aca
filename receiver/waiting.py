"""Frames that readers wait for: noted in few transactions, given out in fair shares.

They are hints and no promise: a reader that still waits asks again, so what nobody
fetched in time is forgotten.  Of one reader the newest come first, because it has
turned away from what it asked for before; readers take turns, because one that asks
for a whole slide must not stand before another's one tile.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, tuple_

from receiver import index
from receiver.index import Index

FLUSH_SECONDS = 0.002
MOST = 512  # frames that are kept for one reader; a viewport has fewer
KEPT_SECONDS = 30.0  # that a frame is waited for without being asked for again
AT_ONCE = 64  # frames that one answer names: a viewport

_wanted = index.wanted
Place = tuple[int, int]  # instance in the index, frame


class Waiting:
    """Collects wanted frames and writes them together; wakes who waits for them."""

    def __init__(self, database: Index) -> None:
        self.index = database
        self._frames: dict[str, dict[Place, None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._listeners: set[Listener] = set()
        self._readers: dict[int, set[Listener]] = {}  # by the instance that is looked at
        self._lock = threading.Lock()

    def add(self, reader: str, instance: int, frames: list[int]) -> None:
        """Note frames (0-based) of an instance for a reader; returns at once."""
        some = self._frames.setdefault(reader, {})
        for frame in frames:
            some.pop((instance, frame), None)  # what is asked for again is the newest again
            some[(instance, frame)] = None
        while len(some) > MOST:
            del some[next(iter(some))]
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        while self._frames:
            await asyncio.sleep(FLUSH_SECONDS)
            some, self._frames = self._frames, {}
            await asyncio.to_thread(self._write, some)
            self._ring()

    def _write(self, some: dict[str, dict[Place, None]]) -> None:
        with self.index.write(hint=True) as db:
            forget_old(db)
            for reader, frames in some.items():
                note(db, reader, list(frames))

    def listen(self, transfer: str) -> Listener:
        """Return what is woken by news, in the event loop that asks."""
        listener = Listener(transfer)
        with self._lock:
            self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Wake it no more."""
        with self._lock:
            self._listeners.discard(listener)

    def watch(self, instance: int) -> Listener:
        """Return what is woken when frames of an instance have come."""
        listener = Listener("")
        with self._lock:
            self._readers.setdefault(instance, set()).add(listener)
        return listener

    def turn_away(self, instance: int, listener: Listener) -> None:
        """Wake it no more."""
        with self._lock:
            left = self._readers[instance]
            left.discard(listener)
            if not left:
                del self._readers[instance]

    def arrived(self, instances: Iterable[int]) -> None:
        """Tell those who watch that frames have come, from any thread."""
        with self._lock:
            woken = [one for each in instances for one in self._readers.get(each, ())]
        for one in woken:
            one.wake("")

    def close(self, transfer: str) -> None:
        """Let nobody wait any longer for frames of a transfer: it is being closed."""
        self._ring(transfer)

    def _ring(self, closed: str = "") -> None:
        with self._lock:
            listeners = list(self._listeners)
        for one in listeners:
            one.wake(closed)


class Listener:
    """Somebody who waits for news on one transfer."""

    def __init__(self, transfer: str) -> None:
        self._transfer = transfer
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self.closed = False

    def wake(self, closed: str) -> None:
        """Tell of news, from any thread."""
        if closed:
            if closed != self._transfer:
                return
            self.closed = True
        self._loop.call_soon_threadsafe(self._news.set)

    async def wait(self, seconds: float) -> None:
        """Wait for news, at most so long."""
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return
        self._news.clear()


def note(db: Connection, reader: str, frames: list[Place]) -> None:
    """Note frames that a reader waits for, the oldest first."""
    same = tuple_(_wanted.c.instance, _wanted.c.frame).in_(frames)
    db.execute(delete(_wanted).where(_wanted.c.reader == reader, same))
    at = index.now()
    rows = [{"reader": reader, "instance": i, "frame": f, "at": at} for i, f in frames]
    db.execute(insert(_wanted), rows)
    kept = select(_wanted.c.at, _wanted.c.instance, _wanted.c.frame).where(
        _wanted.c.reader == reader
    )
    old = db.execute(kept.order_by(_wanted.c.at.desc()).offset(MOST).limit(MOST)).all()
    if old:
        gone = tuple_(_wanted.c.instance, _wanted.c.frame).in_([(r.instance, r.frame) for r in old])
        db.execute(delete(_wanted).where(_wanted.c.reader == reader, gone))


def forget_old(db: Connection) -> None:
    """Forget what nobody asked for again."""
    before = datetime.now(UTC) - timedelta(seconds=KEPT_SECONDS)
    db.execute(delete(_wanted).where(_wanted.c.at < before.isoformat(timespec="milliseconds")))


def take(db: Connection, places: dict[int, int], most: int = AT_ONCE) -> list[list[int]]:
    """Return the frames that readers wait for as [place, frame], and forget them.

    They are given once: the sender puts them at the front of its next batch, and a
    reader that still waits asks again.

    Parameters
    ----------
    places : dict
        Place in the opening of each instance's number in the index.
    """
    forget_old(db)
    query = select(_wanted).where(_wanted.c.instance.in_(list(places)))
    rows = db.execute(query.order_by(_wanted.c.at.desc(), _wanted.c.frame)).all()
    chosen = list(itertools.islice(fairly(rows), most))
    if chosen:
        same = tuple_(_wanted.c.instance, _wanted.c.frame).in_(chosen)
        db.execute(delete(_wanted).where(same))  # whoever waited for them
    return [[places[instance], frame] for instance, frame in chosen]


def fairly(rows: Iterable[Row[Any]]) -> Iterable[Place]:
    """Yield frames of readers by turns, each once, in the order in which each has them."""
    of_reader: dict[str, list[Place]] = {}
    for row in rows:
        of_reader.setdefault(row.reader, []).append((row.instance, row.frame))
    turns = itertools.zip_longest(*of_reader.values())
    return dict.fromkeys(one for turn in turns for one in turn if one is not None)


def any_wanted(db: Connection) -> bool:
    """Whether some reader waits for a frame; the cheap question before a transaction."""
    return db.execute(select(_wanted.c.instance).limit(1)).first() is not None
