"""Ends a process, or fails a call, at the N-th point where it makes bytes safe; once.

A folder with this file first on PYTHONPATH, and TODOKE_CRASH naming a folder, makes
every process of a receiver or sender count its calls of the system from
`common/durable.py`, and its commits.  The plan there says at which the fault
falls; it is read at each point, so that one run of the processes can show many.

The sender also writes down what it was told is safe, and what it is told later
that denies it.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

CALLS = (
    *("open", "pwrite", "ftruncate", "posix_fallocate", "fsync", "fdatasync"),
    *("replace", "unlink"),
)
READS = ("pread", "preadv")  # counted where the plan says so
PROCESSES = {f"receiver.{name}_process": name for name in ("dicom", "web", "describe")}


def process() -> str:
    """Return which of our processes this is."""
    words = sys.orig_argv
    for module, name in PROCESSES.items():
        if module in words:
            return name
    verbs = {("receiver", "run"): "supervisor", ("sender", "run"): "sender"}
    return next((name for pair, name in verbs.items() if set(pair) <= set(words)), "")


class Points:
    """Counts the points of this process, and acts at the one that the plan names."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.plan: dict[str, Any] = {"id": ""}
        self.count = 0  # of all points, or of the kind that the plan names
        self.lock = threading.Lock()

    def note(self, kind: str, line: str) -> None:
        """Append a line to a file of the trial under way."""
        data = (line + "\n").encode()
        fd = os.open(
            self.folder / f"{self.plan['id']}.{kind}", os.O_RDWR | os.O_CREAT | os.O_APPEND
        )
        os.write(fd, data)
        os.close(fd)

    def read(self) -> None:
        plan = json.loads((self.folder / "plan").read_text("utf-8"))
        if plan["id"] != self.plan["id"]:
            self.plan, self.count = plan, 0

    def reached(self, call: str, torn: Callable[[], object] = lambda: None) -> None:
        """Count a point; at the one of the plan, fail or end.

        Parameters
        ----------
        torn : callable
            Does half of the call, before a process is killed in it.
        """
        with self.lock:
            self.read()
            plan, what = self.plan, f"{call}<{caller()}"
            if call in READS and not plan["reads"]:
                return
            self.note("hits", f"{self.name} {what}")
            if plan["what"] not in ("", what):
                return
            self.count += 1
            fired = self.folder / f"{plan['id']}.fired"
            if (plan["process"], plan["n"]) != (self.name, self.count) or fired.exists():
                return
            self.note("fired", f"{plan['how']} {what}")
        if plan["how"] == "kill":
            torn()
            os.kill(os.getpid(), signal.SIGKILL)
        if plan["how"] == "kill all":
            torn()
            os.killpg(os.getpgid(0), signal.SIGKILL)
        code = int(getattr(errno, plan["how"]))
        if call == "commit":
            raise sqlite_failure(code)
        if call != "committed":  # too late to fail
            raise OSError(code, os.strerror(code))


def sqlite_failure(code: int) -> sqlite3.OperationalError:
    """Return what SQLite raises after such an error of the disk at a commit."""
    full = code == errno.ENOSPC
    failure = sqlite3.OperationalError("database or disk is full" if full else "disk I/O error")
    failure.sqlite_errorname = "SQLITE_FULL" if full else "SQLITE_IOERR_FSYNC"
    return failure


def caller() -> str:
    """Return the function that asked, with its module: the first outside of these files."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        name = str(frame.f_globals.get("__name__"))
        if name.partition(".")[0] in {"receiver", "sender"} or name == "common.audit":
            return f"{name}.{frame.f_code.co_name}"
        frame = frame.f_back
    return "?"


class System:
    """The module os, as `common/durable.py` sees it."""

    def __init__(self, points: Points) -> None:
        self._points = points

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in CALLS + READS:
            return real

        def counted(*args: Any, **more: Any) -> Any:
            def torn() -> None:
                if name == "pwrite":
                    os.pwrite(args[0], args[1][: len(args[1]) // 2], args[2])

            self._points.reached(name, torn)
            return real(*args, **more)

        return counted


def count_commits(points: Points) -> None:
    real = sqlite3.connect

    class Counted(sqlite3.Connection):
        seen = 0

        def _changed(self) -> bool:
            changed = self.in_transaction and self.total_changes != self.seen
            self.seen = self.total_changes
            return changed

        def _counted(self, commit: Callable[[], Any]) -> Any:
            changed = self._changed()
            if changed:
                points.reached("commit")
            done = commit()
            if changed:
                points.reached("committed")
            return done

        def commit(self) -> None:
            self._counted(super().commit)

        def execute(self, sql: str, *values: Any) -> Any:
            if sql == "COMMIT":
                return self._counted(lambda: super(Counted, self).execute(sql))
            return super().execute(sql, *values)

    def connect(*args: Any, **more: Any) -> Any:
        return real(*args, **{**more, "factory": Counted})

    sqlite3.connect = sqlite3.dbapi2.connect = connect


def watch_the_sender(points: Points) -> None:
    """Write down what the sender was told is safe, and each later word against it."""
    from sender.links import frames, http
    from sender.outbox import Outbox

    stored, sent, lay_out = Outbox.stored, frames.Push._send, frames.Push._from_bitmaps

    def told() -> set[str]:
        path = points.folder / f"{points.plan['id']}.told"
        return set(path.read_text("utf-8").splitlines()) if path.exists() else set()

    def storing(self: Outbox, transfer: str, digests: Mapping[str, str]) -> None:
        for uid in digests:
            points.note("told", uid)
        stored(self, transfer, digests)

    def sending(self: frames.Push, batch: list[tuple[int, int]]) -> float:
        busy = sent(self, batch)
        for place, frame in batch:
            points.note("told", f"{self.transfer} {place} {frame}")
        return busy

    def missing(self: frames.Push, bitmaps: Mapping[int, str]) -> dict[int, set[int]]:
        found = lay_out(self, bitmaps)
        safe = told()
        for place, numbers in found.items():
            for line in {f"{self.transfer} {place} {n}" for n in numbers} & safe:
                points.note("lies", line)
        return found

    Outbox.stored = storing  # type: ignore[method-assign]
    frames.Push._send = sending  # type: ignore[method-assign]
    frames.Push._from_bitmaps = missing  # type: ignore[method-assign]
    for kind in (http.Incomplete, http.Unequal):
        begin = kind.__init__

        def denied(self: Any, uids: list[str], begin: Any = begin) -> None:
            begin(self, uids)
            # what is stored is read back as it was sent, whatever failed in between
            for uid in set(uids) & told() if isinstance(self, http.Incomplete) else uids:
                points.note("lies", f"{type(self).__name__} {uid}")

        kind.__init__ = denied  # type: ignore[method-assign]


if "TODOKE_CRASH" in os.environ and process():
    from common import durable

    POINTS = Points(Path(os.environ["TODOKE_CRASH"]), process())
    vars(durable)["os"] = System(POINTS)
    count_commits(POINTS)
    if POINTS.name == "supervisor":
        from receiver import run

        run.QUICK = 0.0
    if POINTS.name == "sender":
        from sender import engine, sending

        vars(engine)["pause_before"] = lambda _attempt: 0.2  # seconds
        sending.QUICK = 0.0
        watch_the_sender(POINTS)
