"""Watched folders: what lies still for a while is owed to whom the rules say."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from common.errors import DiskFull, TodokeError
from common.settings import Sender
from common.space import MIB, Space
from sender.file_names import printable
from sender.outbox import Outbox

log = logging.getLogger("todoke.folder")
POLL = 1.0  # seconds between two looks
Known = tuple[int, int]  # size, mtime in nanoseconds


class FolderDoor:
    """Looks into folders; a context manager whose thread ends with it.

    What is written together is sent together: the unit is what lies under one
    entry of the watched folder, and it is taken when nothing in it has changed
    for the settings' `settle_seconds`.

    Parameters
    ----------
    clock : callable
        Seconds; for tests.
    submitted : callable
        Told after a job has been put into the outbox.
    """

    def __init__(
        self,
        outbox: Outbox,
        settings: Sender,
        clock: Callable[[], float] = time.monotonic,
        submitted: Callable[[], None] = lambda: None,
    ) -> None:
        self.outbox = outbox
        self.settings = settings
        self.clock = clock
        self._submitted = submitted
        self._space = Space(outbox.path.parent, settings.keep_free_mb * MIB)
        self._taken = outbox.watched()
        self._seen: dict[Path, tuple[dict[Path, Known], float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _t: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(POLL):
            try:
                self.look()
            except (OSError, sqlite3.Error, TodokeError) as failure:
                # the folder may be away for a while; what was taken is in the outbox
                log.error("watched folder: %s", type(failure).__name__)

    def look(self) -> list[int]:
        """Look once; return the jobs that were made: none while the disk is near its end."""
        jobs: list[int] = []
        try:
            self._space.check()
        except DiskFull:  # said once, by the one who looked
            return jobs
        for root in map(Path, self.settings.watch):
            for unit in _units(root):
                try:
                    jobs += self._take(root, unit)
                except OSError as failure:  # one that cannot be read stops no other
                    log.error("watched folder: %s", failure.strerror)
        return jobs

    def _take(self, root: Path, unit: Path) -> list[int]:
        """Owe what is new in a unit, once it lies still; return the job."""
        fresh = {p: k for p, k in _files(unit) if self._taken.get(printable(str(p))) != k}
        if not fresh or not self._settled(unit, fresh):
            return []
        job = self.outbox.submit_watched(fresh, {"source": f"folder:{root.name}"})
        self._taken |= {printable(str(path)): known for path, known in fresh.items()}
        del self._seen[unit]
        self._submitted()
        return [job]

    def _settled(self, unit: Path, fresh: dict[Path, Known]) -> bool:
        """Whether a unit is as it was `settle_seconds` ago."""
        before, since = self._seen.get(unit, ({}, 0.0))
        if before != fresh:
            self._seen[unit] = (fresh, self.clock())
            return False
        return self.clock() - since >= self.settings.settle_seconds


def _units(root: Path) -> Iterator[Path]:
    if root.is_dir():
        yield from sorted(root.iterdir())


def _files(unit: Path) -> Iterator[tuple[Path, Known]]:
    """Yield regular files below a unit; links, pipes and names that begin with a dot are left."""
    if unit.is_symlink():  # it may lead anywhere
        return
    for path in [unit] if not unit.is_dir() else sorted(unit.rglob("*")):
        if path.name.startswith(".") or path.is_symlink() or not path.is_file():
            continue
        try:
            known = path.stat()
        except FileNotFoundError:  # gone since the folder was listed
            continue
        yield path, (known.st_size, known.st_mtime_ns)
