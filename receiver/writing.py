"""Whose turn it is to write into the index, and what need not wait for the disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from common import durable
from common.errors import StorageError


class Turn:
    """A lock that is waited for no longer than SQLite would wait for its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=durable.BUSY):
            raise StorageError(cause="index: busy", passing=True)

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@contextmanager
def lightly(db: Connection) -> Iterator[None]:
    """Let commits of a connection wait for no disk meanwhile: for what promises nothing.

    With synchronous NORMAL (1) the log is still synced whole with the next commit of a
    connection in FULL (2), and before a checkpoint (https://sqlite.org/pragma.html).
    """
    if db.dialect.name != "sqlite":
        yield
        return
    raw: Any = db.connection.dbapi_connection
    raw.execute("PRAGMA synchronous=1")
    try:
        yield
    finally:
        raw.execute("PRAGMA synchronous=2")
        if raw.execute("PRAGMA synchronous").fetchone()[0] != 2:
            db.invalidate()  # it must not be used for what is promised
