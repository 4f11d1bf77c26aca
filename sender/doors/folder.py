"""Watched folders: what lies still for a while is owed to whom the rules say."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from common.errors import DiskFull, SettingsError, TodokeError
from common.settings import Sender
from common.space import MIB, Space
from sender import routing
from sender.declaring import NOBODY, House
from sender.doors.scanner import ScannerFolder
from sender.doors.still import Still
from sender.doors.way import Way, of_settings
from sender.doors.whole import Known
from sender.file_names import printable
from sender.outbox import Outbox
from sender.routing import Rule

log = logging.getLogger("todoke.folder")
POLL = 1.0  # seconds between two looks
#: Ends of names that are taken off when a file is whole.
UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download", "~")


class FolderDoor:
    """Looks into folders; a context manager whose thread ends with it.

    What is written together is sent together: the unit is what lies under one
    entry of the watched folder, and it is taken when nothing in it has changed
    for the settings' `settle_seconds`.  Slides, and request files for them, are
    taken one by one (:mod:`sender.doors.scanner`).

    Parameters
    ----------
    clock : callable
        Seconds; for tests.
    submitted : callable
        Told after a job has been put into the outbox.
    ways : sequence of Way, optional
        Folders and how each is taken; else those of the settings.

    Attributes
    ----------
    waiting : dict
        What the last look left for later, by path: why.
    """

    def __init__(
        self,
        outbox: Outbox,
        settings: Sender,
        clock: Callable[[], float] = time.monotonic,
        submitted: Callable[[], None] = lambda: None,
        ways: Sequence[Way] | None = None,
        house: House = NOBODY,
    ) -> None:
        self.outbox = outbox
        self.waiting: dict[Path, str] = {}
        self._submitted = submitted
        self._space = Space(outbox.path.parent, settings.keep_free_mb * MIB)
        self._taken = outbox.watched()
        self._still = Still(clock)
        self._scanners = [
            ScannerFolder(outbox, way, self._still, self._taken, house)
            for way in (of_settings(settings) if ways is None else ways)
        ]
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
        rules = self._rules()
        self.waiting = {}
        for scanner in self._scanners:
            jobs += self._look_into(scanner, rules)
        if jobs:
            self._submitted()
        return jobs

    def _rules(self) -> list[Rule]:
        try:
            return routing.load(self.outbox.path.parent)
        except SettingsError:  # the engine says so
            return []

    def _look_into(self, scanner: ScannerFolder, rules: list[Rule]) -> list[int]:
        units: dict[Path, dict[Path, Known]] = {}
        for unit in _units(scanner.way.root):
            try:
                units[unit] = dict(_files(unit))
            except OSError as failure:  # one that cannot be read stops no other
                log.error("watched folder: %s", failure.strerror)
        seen = scanner.look({p: k for files in units.values() for p, k in files.items()}, rules)
        self.waiting |= seen.waiting
        jobs = list(seen.jobs)
        for unit, files in units.items():
            rest = {path: known for path, known in files.items() if path not in seen.owned}
            if (job := self._take(scanner.way, unit, rest)) is not None:
                jobs.append(job)
        return jobs

    def _take(self, way: Way, unit: Path, files: dict[Path, Known]) -> int | None:
        """Owe what is new in a unit, once it lies still; return the job."""
        fresh = {p: k for p, k in files.items() if self._taken.get(printable(str(p))) != k}
        if not fresh:
            return None
        if self._still.seconds(unit, tuple(fresh.items())) < way.settle:
            self.waiting[unit] = "growing"
            return None
        job = self.outbox.submit_watched(fresh, way.options(), way.partner)
        self._taken |= {printable(str(path)): known for path, known in fresh.items()}
        self._still.forget(unit)
        return job


def _units(root: Path) -> Iterator[Path]:
    if root.is_dir():
        yield from sorted(root.iterdir())


def _files(unit: Path) -> Iterator[tuple[Path, Known]]:
    """Yield regular files below a unit; links, pipes and names of unfinished files are left."""
    if unit.is_symlink():  # it may lead anywhere
        return
    for path in [unit] if not unit.is_dir() else sorted(unit.rglob("*")):
        if _unfinished(path.name) or path.is_symlink() or not path.is_file():
            continue
        try:
            known = path.stat()
        except FileNotFoundError:  # gone since the folder was listed
            continue
        yield path, (known.st_size, known.st_mtime_ns)


def _unfinished(name: str) -> bool:
    """Tell by its name that a file will get another one when it is whole."""
    return name.startswith((".", "~$")) or name.lower().endswith(UNFINISHED)
