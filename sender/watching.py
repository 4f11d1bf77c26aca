"""Watches a scanner's folder from a verb, and tells how far its slides are."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import NotFound, StorageError, TakenAgain
from common.settings import Sender
from common.states import TransferState
from sender import bell, declaring, sending
from sender.doors.folder import POLL, FolderDoor
from sender.doors.way import Way
from sender.outbox import Outbox, Transfer


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand, for a person who watches.

    Attributes
    ----------
    waiting : dict
        Not taken yet, by path: ``growing``, ``unreadable`` or ``request``.
    held, total : int
        Bytes that the receiver holds, and bytes in all, of what is on its way.
    """

    waiting: dict[Path, str]
    transfers: list[Transfer]
    held: int
    total: int


@dataclass
class Watch:
    """One run of ``todoke sender watch``.

    Attributes
    ----------
    jobs : list of int
        Made in this run.
    stop : threading.Event
        Set to end; what is on its way stays in the outbox.
    """

    data: Path
    way: Way
    once: bool = False
    jobs: list[int] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    _before: list[str] = field(default_factory=list, init=False)

    def run(self, tell: Callable[[Standing], None]) -> dict[str, Any]:
        """Watch until stopped, or with `once` until everything there is at rest.

        Returns
        -------
        dict
            What ``--json`` prints.

        Raises
        ------
        NotFound
            There is no such folder.
        TodokeError
            The engine ended with it.
        """
        if not self.way.root.is_dir():
            raise NotFound(thing=self.way.root)
        settings = Sender.load(self.data)
        with contextlib.closing(Outbox(self.data)) as outbox:
            outbox.forget(outbox.refused_slides())  # whoever begins to watch wants to know of them
            self._before = outbox.unfinished(str(self.way.root))
            door = FolderDoor(
                outbox,
                settings,
                submitted=lambda: bell.ring(self.data),
                ways=[self.way],
                house=declaring.house_of(outbox),
            )
            with sending.engine_here(self.data, lambda _: self.stop.is_set(), self.stop):
                while not self._ended(outbox, door, tell):
                    self.stop.wait(min(POLL, max(0.05, self.way.settle / 4)))
            return self._words(outbox, door)

    def _ended(self, outbox: Outbox, door: FolderDoor, tell: Callable[[Standing], None]) -> bool:
        if self.stop.is_set():
            return True
        with contextlib.suppress(OSError, sqlite3.Error, StorageError):  # it may be away a while
            self.jobs += door.look()
        transfers = self._transfers(outbox)
        done = {job: outbox.progress(job) for job in {t.job for t in transfers}}
        rows = [done[t.job].get(t.id, (0, 0, 0, 0)) for t in transfers if not sending.at_rest(t)]
        tell(Standing(door.waiting, transfers, sum(r[2] for r in rows), sum(r[3] for r in rows)))
        read = all(outbox.job(job).scanned for job in self.jobs)
        rest = read and all(sending.at_rest(transfer) for transfer in transfers)
        return self.once and not door.waiting and rest

    def _transfers(self, outbox: Outbox) -> list[Transfer]:
        """Return the transfers of this run: those it made, and those it found unfinished."""
        found = [one for job in self.jobs for one in outbox.transfers(job)]
        known = {one.id for one in found}
        return found + [outbox.transfer(one) for one in self._before if one not in known]

    def _words(self, outbox: Outbox, door: FolderDoor) -> dict[str, Any]:
        return {
            "folder": str(self.way.root),
            "transfers": [sending.describe(outbox, one) for one in self._transfers(outbox)],
            "refused": [row for job in self.jobs for row in outbox.refused(job)],
            "waiting": {str(path): why for path, why in door.waiting.items()},
        }


def exit_code(words: dict[str, Any]) -> int:
    """Return the exit code of a run: of its worst transfer that nothing took the place of."""
    stopped = {TransferState.HELD, TransferState.FAILED}
    errors = [
        one["error"] for one in words["transfers"] if one["state"] in stopped and one["error"]
    ]
    return max(
        (int(one.get("exit", 1)) for one in errors if one["number"] != TakenAgain.number), default=0
    )
