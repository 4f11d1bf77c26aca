"""The chained lines: one JSON object an event, each with the digest of the line before it.

::

    DATA/audit/
      web.000001.jsonl   what the process wrote until a month ended, or the file was full
      web.jsonl          what it writes now; its first line says which file it is
      heads/web.jws      how far it had come, signed: see :mod:`common.audit.heads`

A line carries the SHA-256 of the line before it, over the ends of files too, and its
number, so that a deleted, edited or inserted line shows and is called what it is.  A
Patient ID may stand here and nowhere else; a patient's name never does (AUD-10).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import durable
from common.audit import files
from common.errors import StorageError

log = logging.getLogger("todoke.audit")
VERSION = 1
#: Bytes of a file after which the next one is begun.
FULL = 16 << 20
#: Facts that belong to the audit store alone, and in no operational log (AUD-10).
ONLY_HERE = frozenset({"patient", "study_uid", "sop_classes"})
_TAIL = 1 << 16


def utc() -> datetime:
    """Return the moment."""
    return datetime.now(UTC)


class Trail:
    """Append-only trail of one process of one end.

    Parameters
    ----------
    folder : Path
        Of the data directory's audit trails.
    process : str
        Each process chains its own files, so that none waits for another.
    clock : callable
        The moment, aware.
    full : int
        Bytes after which the next file is begun; so it is with each month (UTC).
    """

    def __init__(
        self,
        folder: Path,
        process: str,
        clock: Callable[[], datetime] = utc,
        full: int = FULL,
    ) -> None:
        durable.make_folder(folder)
        self.folder = folder
        self.process = process
        self.path = folder / f"{process}.jsonl"
        self._clock = clock
        self._full = full
        self._lock = threading.Lock()
        earlier = files.earlier(folder, process)
        self._before, self._count, self._month = "", 0, ""
        if earlier and not files.begun(self.path):
            self._know(earlier[-1].path)
        self._open(earlier[-1].number + 1 if earlier else 1)

    def _open(self, number: int) -> None:
        """Open the present file; where it is new and not the first, say which it is."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._fd = os.open(self.path, flags, 0o600)
        self._end = os.fstat(self._fd).st_size
        durable.sync_folder(self.folder)
        if self._end:
            if durable.read_at(self._fd, 1, self._end - 1) != b"\n":
                # a line cut by a power failure stays, as a line of its own
                durable.write_at(self._fd, b"\n", self._end)
                self._end += 1
            self._know(self.path)
            number = files.number_of(self.path)
        self.number = number
        if not self._end and number > 1:
            self._write(self._words(files.CONTINUED, {"segment": number}))

    def _know(self, path: Path) -> None:
        """Take digest, number and month of the last line of a file."""
        fd = durable.open_file(path)
        try:
            end = os.fstat(fd).st_size
            tail = durable.read_at(fd, min(end, _TAIL), max(0, end - _TAIL))
        finally:
            os.close(fd)
        lines = tail.splitlines(keepends=True)
        self._before = hashlib.sha256(lines[-1]).hexdigest() if lines else ""
        self._month = ""
        for cut, line in enumerate(reversed(lines)):
            words = files.words_of(line)
            if words is not None:
                self._month = str(words.get("at", ""))[:7]
                if isinstance(words.get("n"), int):
                    self._count = words["n"] + cut
                    return
                break
        self._count = sum(
            one.path.read_bytes().count(b"\n") for one in files.all_of(self.folder, self.process)
        )  # an older todoke numbered no lines

    def note(self, event: str, **facts: Any) -> None:
        """Append one event, durably.

        Parameters
        ----------
        event : str
            For example ``security-alert``; :mod:`common.audit.events` lists them.
        **facts
            Without a patient's name; `patient` is a Patient ID.
        """
        with self._lock:
            self._begin_next()
            words = self._words(event, facts)
            self._write(words)
            self._month = words["at"][:7]
        log.info("%s %s", event, {k: v for k, v in facts.items() if k not in ONLY_HERE})

    def _words(self, event: str, facts: dict[str, Any]) -> dict[str, Any]:
        return {
            "version": VERSION,
            "n": self._count + 1,
            "at": self._clock().isoformat(timespec="milliseconds"),
            "event": event,
            **facts,
            "before": self._before,
        }

    def _write(self, words: dict[str, Any]) -> None:
        line = json.dumps(words, ensure_ascii=False, default=str).encode() + b"\n"
        # what somebody else put there, or took away, is not passed over: our line follows
        # our own last one, and the check finds what does not
        self._end = os.fstat(self._fd).st_size
        durable.write_at(self._fd, line, self._end)
        durable.sync_data(self._fd)
        self._end += len(line)
        self._count += 1
        self._before = hashlib.sha256(line).hexdigest()

    def _begin_next(self) -> None:
        """Begin the next file, once the present one is full or of another month."""
        month = self._clock().isoformat()[:7]
        if not self._end or (self._end < self._full and self._month in {month, ""}):
            return
        os.close(self._fd)  # Windows renames no open file
        with contextlib.suppress(StorageError):  # somebody reads it there: with a later line
            durable.publish(self.path, files.closed(self.folder, self.process, self.number))
        if self.path.exists():
            self._fd = durable.open_file(self.path, writable=True)
            return
        self._open(self.number + 1)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def last(folder: Path, event: str, count: int) -> list[dict[str, Any]]:
    """Return the newest entries of one kind in all trails of a folder, the oldest of them first."""
    found = []
    for path in folder.glob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            words = files.words_of(line)  # None: a line that was cut by a power failure
            if words is not None and words.get("event") == event:
                found.append({k: v for k, v in words.items() if k not in {"before", "n"}})
    return sorted(found, key=lambda words: str(words["at"]))[-count:]
