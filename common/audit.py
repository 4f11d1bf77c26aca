"""The audit trail of one end: one JSON line an event, each chained to the one before.

A line carries the SHA-256 of the line before it, so that a deleted, edited or
inserted line shows.  No patient data is written here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import durable

log = logging.getLogger("todoke.audit")
VERSION = 1
_TAIL = 1 << 16


class Trail:
    """Append-only trail of one process of one end.

    Parameters
    ----------
    folder : Path
        Of the data directory's audit trails.
    process : str
        Each process chains its own file, so that none waits for another.
    """

    def __init__(self, folder: Path, process: str) -> None:
        durable.make_folder(folder)
        self.path = folder / f"{process}.jsonl"
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        self._end = os.fstat(self._fd).st_size
        if self._end and durable.read_at(self._fd, 1, self._end - 1) != b"\n":
            # a line cut by a power failure stays, as a line of its own
            durable.write_at(self._fd, b"\n", self._end)
            self._end += 1
        self._before = _last_digest(self._fd, self._end)
        self._lock = threading.Lock()
        durable.sync_folder(folder)

    def note(self, event: str, **facts: Any) -> None:
        """Append one event, durably.

        Parameters
        ----------
        event : str
            For example ``security-alert``.
        **facts
            Without patient data.
        """
        with self._lock:
            words = {
                "version": VERSION,
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "event": event,
                **facts,
                "before": self._before,
            }
            line = json.dumps(words, ensure_ascii=False, default=str).encode() + b"\n"
            durable.write_at(self._fd, line, self._end)
            durable.sync_data(self._fd)
            self._end += len(line)
            self._before = hashlib.sha256(line).hexdigest()
        log.info("%s %s", event, facts)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def last(folder: Path, event: str, count: int) -> list[dict[str, Any]]:
    """Return the newest entries of one kind in all trails of a folder, the oldest of them first."""
    found = []
    for path in folder.glob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError):  # a line that was cut by a power failure
                words = json.loads(line)
                if isinstance(words, dict) and words.get("event") == event:
                    del words["before"]
                    found.append(words)
    return sorted(found, key=lambda words: str(words["at"]))[-count:]


def _last_digest(fd: int, end: int) -> str:
    tail = durable.read_at(fd, min(end, _TAIL), max(0, end - _TAIL))
    lines = tail.splitlines(keepends=True)
    return hashlib.sha256(lines[-1]).hexdigest() if lines else ""
