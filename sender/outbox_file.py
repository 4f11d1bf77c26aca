"""The file of the outbox: opened safely, written in whole transactions, read in rows."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import database, durable
from sender import tables


def now() -> str:
    """Return the time as the outbox writes it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class OutboxFile:
    """One SQLite file, WAL with synchronous FULL; safe from several threads and processes."""

    def __init__(self, data: Path) -> None:
        durable.make_folder(data)
        self.path = data / "outbox.sqlite"
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._lock = threading.RLock()
        with database.named(self.path):
            durable.safe_sqlite(self._db)
        with self._write() as db:
            tables.bring_up(db)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock, database.writing(self._db, self.path):
            yield self._db

    def _rows(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock, database.named(self.path):
            return self._db.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def changes(self) -> int:
        """Return a number that differs after another process has written."""
        return int(self._rows("PRAGMA data_version")[0][0])


def insert_job(
    db: sqlite3.Connection, partner: str, paths: Iterable[Path], options: dict[str, Any]
) -> int:
    """Write a job; return its number."""
    named = json.dumps([str(path) for path in paths])  # in ASCII: a name may be no UTF-8
    cursor = db.execute(
        "INSERT INTO jobs(partner, paths, options, created) VALUES(?,?,?,?)",
        (partner, named, json.dumps(options, ensure_ascii=False), now()),
    )
    return int(cursor.lastrowid or 0)
