"""The process that makes the attributes of what has been acknowledged, when nothing else is to do.

Two threads: one reads headers, and has the processor only while nobody else wants
it; the other writes, in its full right, because whoever waits for the index waits
for it.  They never work at the same time, or the first would keep the second waiting.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import console, durable, logs, signals, workers
from common.errors import StorageError
from receiver import attributes, descriptions
from receiver.changes import Changes
from receiver.child import attended
from receiver.descriptions import Described
from receiver.index import Index

log = logging.getLogger("todoke.describe")
POLL_SECONDS = 0.2
MEMORY = 2 << 30  # bytes of address space

QUIET = 0.5  # seconds without a change, after which nobody else is at work
LATEST = 30.0  # seconds that it waits for that at most


class Filler:
    """Fills the rows that have no attributes.

    Parameters
    ----------
    store : Path
        Folder that the paths of the index are relative to.
    """

    def __init__(self, database: Index, store: Path) -> None:
        self.index = database
        self.store = store
        self._passed_over: set[int] = set()  # could not be read now; tried again after a start
        self._reader = ThreadPoolExecutor(1, "read", initializer=yield_processor)

    def fill(self) -> int:
        """Fill a batch of rows; return how many there were.

        Raises
        ------
        StorageError
            The index cannot be had now.
        """
        with self.index.read() as db:
            rows = descriptions.undescribed(db, self._passed_over)
        made = self._reader.submit(self._read, rows).result() if rows else []
        descriptions.keep(self.index, made)
        self._passed_over |= {number for number, _ in rows} - {one.id for one in made}
        return len(rows)

    def run(self, stop: threading.Event) -> None:
        """Fill whatever comes, until told to stop.

        While images arrive it holds back: the processor and the index are theirs, and
        a page reads meanwhile what it needs from the files.
        """
        changes = Changes(self.index)
        begun = last = 0.0  # of a row of changes, 0.0 while there is nothing to do
        try:
            while not stop.is_set():
                moment = time.monotonic()
                if changes.seen():
                    begun, last = begun or moment, moment
                if begun and (moment - last >= QUIET or moment - begun >= LATEST):
                    with contextlib.suppress(StorageError):  # busy: again at the next look
                        if self.fill():
                            changes.seen()  # our own
                            continue
                        begun = 0.0
                stop.wait(POLL_SECONDS)
        finally:
            changes.close()
            self._reader.shutdown()

    def _read(self, rows: list[tuple[int, str]]) -> list[Described]:
        made = [(number, path, self._of_file(path)) for number, path in rows]
        return [Described(number, path, packed) for number, path, packed in made if packed]

    def _of_file(self, path: str) -> bytes | None:
        oddities: set[str] = set()
        packed = attributes.of_file(self.store / path, oddities=oddities)
        if packed == attributes.UNREADABLE:
            oddities.add("unreadable")
        if oddities:
            log.warning("%s: stored as it came, but %s", path, ", ".join(sorted(oddities)))
        return packed


def yield_processor() -> None:
    """Let the calling thread have the processor only while no other wants it.

    Linux counts both for the thread, other systems for the whole process.
    """
    if hasattr(os, "nice"):
        os.nice(19)
    if hasattr(os, "SCHED_IDLE"):
        with contextlib.suppress(OSError):  # not permitted: nice it stays
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def serve(data: Path) -> None:
    """Fill until told to stop."""
    stop = threading.Event()
    signals.end_by(stop.set)
    workers.limit_memory(MEMORY)
    database = Index.at(data)
    console.tell("ready")
    Filler(database, data / "store").run(stop)
    database.close()


if __name__ == "__main__":
    logs.begin()
    durable.end_on_failure()
    with attended(Path(sys.argv[1]), "describe"):
        serve(Path(sys.argv[1]))
