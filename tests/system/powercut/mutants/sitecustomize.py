"""Takes one step of the durable order away.

A folder with this file first on PYTHONPATH does so in every process started with it.
``TODOKE_POWER_FAULT`` names the step: a function of ``common/durable.py`` whose own
call of fsync or fdatasync is left out, or one of the faults below.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

LATE = 0.5  # seconds between an answer and what it stands for: a busy machine hears late
NORMAL, BEFORE_COMMIT = "synchronous-normal", "acknowledges-before-commit"


def leave_out(function: str) -> None:
    """Let one function's own syncs do nothing, and say that they did."""

    def unless(sync: Callable[[Any], None]) -> Callable[[Any], None]:
        def maybe(fd: Any) -> None:
            caller = sys._getframe(1).f_code
            here = caller.co_filename.endswith(f"common{os.sep}durable.py")
            if not (here and caller.co_name == function):
                sync(fd)

        return maybe

    os.fsync = unless(os.fsync)  # type: ignore[assignment]
    os.fdatasync = unless(os.fdatasync)  # type: ignore[assignment]


def commit_without_sync() -> None:
    """Let SQLite write its log and not wait for the disk, after the checks have passed."""
    from common import durable

    safe = durable.safe_sqlite

    def unsafe(connection: sqlite3.Connection) -> sqlite3.Connection:
        safe(connection).execute("PRAGMA synchronous=NORMAL")
        return connection

    durable.safe_sqlite = unsafe


def answer_instances_early() -> None:
    """The receiver's C-STORE: success once the file is safe, the row a moment later."""
    from receiver.arrivals import Arrival, Arrivals
    from receiver.placing import Outcome

    commit = Arrivals._commit_group

    def committing(self: Arrivals, group: list[Arrival]) -> list[Outcome]:
        for arrival in group:
            if arrival.answer is not None:
                arrival.answer(None)
                arrival.answer = None
        threading.Event().wait(LATE)
        return commit(self, group)

    Arrivals._commit_group = committing  # type: ignore[method-assign]


def answer_frames_early() -> None:
    """The receiver's frames: the answer goes out while the batch is still written."""
    from receiver.frames import Frames

    take = Frames.take

    def taking(self: Frames, *words: Any) -> int:
        threading.Timer(LATE, take, (self, *words)).start()
        return 0

    Frames.take = taking  # type: ignore[assignment, method-assign]


def answer_devices_early() -> None:
    """The sender's C-STORE: success while the file is still brought to the disk."""
    from sender.doors.modality import _Spooled

    finish = _Spooled.finish

    def finishing(self: _Spooled, answer: Callable[[int], None]) -> None:
        answer(0x0000)
        threading.Timer(LATE, finish, (self, lambda _status: None)).start()

    _Spooled.finish = finishing  # type: ignore[method-assign]


def spoil(fault: str) -> None:
    """Bring about a fault in this process."""
    if fault == NORMAL:
        commit_without_sync()
    elif fault != BEFORE_COMMIT:
        leave_out(fault)
    elif "receiver.dicom_process" in sys.orig_argv:
        answer_instances_early()
    elif "receiver.web_process" in sys.orig_argv:
        answer_frames_early()
    elif sys.orig_argv[-6:-3] == ["common.command", "sender", "run"]:
        answer_devices_early()


if "TODOKE_POWER_FAULT" in os.environ:
    spoil(os.environ["TODOKE_POWER_FAULT"])
