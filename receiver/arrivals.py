"""Instances that arrive whole, by C-STORE: written, made safe, indexed, only then acknowledged.

The thread of an association fills a buffer; a few writers bring buffers to the
disk; one committer gives a group of instances its folder fsyncs and its
transaction, and each is answered when that transaction is on the disk (group
commit).  So an acknowledgement never stands for less than a durable, indexed
file, and nobody waits for another's fsync.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
import traceback
from collections.abc import Callable

from sqlalchemy import select

from common import durable
from common.errors import TodokeError
from receiver import index
from receiver.arrival import Answer, Arrival
from receiver.index import Index
from receiver.placing import Doubtful, Outcome, Placing
from receiver.sameness import Sameness
from receiver.store import Store

__all__ = ["Answer", "Arrival", "Arrivals"]

log = logging.getLogger("todoke.arrivals")
GROUP = 16  # instances at most in one transaction
LINGER = 0.010  # seconds that a group waits at most for its next instance
BEATS = 4  # usual times between two instances, after which the next is not waited for
WRITERS = 4  # threads that wait for file fsyncs
UNDER_WAY = 48  # instances, with their buffers, between connection and acknowledgement


class Arrivals:
    """Makes finished arrivals durable, in groups, and answers each.

    Parameters
    ----------
    database : Index
    store : Store
    alarm : callable
        Called with an institution and a cause when something is kept aside.
    """

    def __init__(self, database: Index, store: Store, alarm: Callable[[str, str], None]) -> None:
        self.index = database
        self.store = store
        self.alarm = alarm
        self._sameness = Sameness()
        self._room = threading.BoundedSemaphore(UNDER_WAY)
        self._rhythm = _Rhythm()
        self._written: queue.SimpleQueue[Arrival | None] = queue.SimpleQueue()
        self._safe: queue.SimpleQueue[Arrival | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._make_safe, name=f"fsync-{i}", daemon=True)
            for i in range(WRITERS)
        ]
        self._threads.append(threading.Thread(target=self._commit, name="commit", daemon=True))
        for thread in self._threads:
            thread.start()

    def finish(self, arrival: Arrival, answer: Answer) -> None:
        """Take an arrival whose last byte is there; `answer` is called from a thread.

        Waits while as many as memory is given for are under way: the peer is then
        read no faster than the disk writes.
        """
        arrival.answer = answer
        self._room.acquire()
        self._written.put(arrival)

    def close(self) -> None:
        """Finish what was begun and stop."""
        for _ in range(WRITERS):
            self._written.put(None)
        for thread in self._threads[:-1]:
            thread.join()
        self._safe.put(None)
        self._threads[-1].join()
        self._sameness.close()

    def _make_safe(self) -> None:
        while (arrival := self._written.get()) is not None:
            try:
                arrival.make_safe()
            except Exception as failure:  # whatever one instance does, the next is written
                arrival.abandon()
                self._answer([(arrival, _as_error(failure))])
            else:
                arrival.safe_at = time.monotonic()
                self._safe.put(arrival)

    def _commit(self) -> None:
        while (first := self._safe.get()) is not None:
            group = [first]
            while len(group) < GROUP and (arrival := self._next(group[-1])) is not None:
                group.append(arrival)
            self._answer(self._commit_group(group))

    def _next(self, last: Arrival) -> Arrival | None:
        """Return another arrival for the group, None when it is not worth waiting for one."""
        patience = self._rhythm.patience(last.safe_at)
        try:
            # a peer without the window sends nothing before it is answered
            waits = last.linked and patience > 0
            arrival = self._safe.get(timeout=patience) if waits else self._safe.get_nowait()
        except queue.Empty:
            return None
        if arrival is None:  # the end, for the next round
            self._safe.put(None)
        return arrival

    def _commit_group(self, group: list[Arrival]) -> list[Outcome]:
        try:
            for folder in {arrival.folder for arrival in group}:
                durable.sync_folder(folder)
            return self._place_group(group)
        except Exception as failure:  # without this thread nobody is answered any more
            self._withdraw(group)
            error = _as_error(failure)
            return [(arrival, error) for arrival in group]

    def _withdraw(self, group: list[Arrival]) -> None:
        """Remove files that got no row: a disk that is full would only become fuller."""
        paths = [arrival.values["path"] for arrival in group]
        with contextlib.suppress(TodokeError):  # they are swept with the next start
            with self.index.read() as db:
                rows = index.instances.c.path
                held = set(db.execute(select(rows).where(rows.in_(paths))).scalars())
            for arrival in group:
                if arrival.values["path"] not in held:
                    durable.discard(arrival.final)

    def _place_group(self, group: list[Arrival]) -> list[Outcome]:
        same: dict[tuple[str | None, str], bool] = {}
        while True:
            try:
                with self.index.write() as db:
                    return Placing(db, group, self.alarm, same).run()
            except Doubtful as doubt:  # decided while nobody waits for the database
                same[doubt.pair] = self._sameness.same(doubt.here, doubt.came)

    def _answer(self, outcomes: list[Outcome]) -> None:
        for arrival, error in outcomes:
            self._room.release()
            if arrival.answer is not None:
                arrival.answer(error)


def _as_error(failure: Exception) -> TodokeError:
    """Return what a peer is told of a failure; one that nobody foresaw is logged."""
    if isinstance(failure, TodokeError):
        return failure
    log.error("%s", "".join(traceback.format_tb(failure.__traceback__)))  # its words may quote
    return TodokeError(cause=type(failure).__name__)


class _Rhythm:
    """How far instances lie apart in time; only the committer asks."""

    def __init__(self) -> None:
        self._last = 0.0
        self._gap = LINGER

    def patience(self, at: float) -> float:
        """Take the time of an instance; return the seconds that the next is worth."""
        gap, self._last = max(0.0, at - self._last), max(at, self._last)
        pause = gap > LINGER
        self._gap = LINGER if pause else self._gap + (gap - self._gap) / 8
        return 0.0 if pause else min(LINGER, BEATS * self._gap)
