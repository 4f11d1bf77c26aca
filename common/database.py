"""What a failure of SQLite means: busy, full, or a disk or file that no process may go on with."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common import durable
from common.errors import DatabaseDamaged, DiskFull, StorageError, SyncFailed


def failure_of(failure: BaseException, path: Path | str) -> StorageError | None:
    """Return a failure as an error of the tree; None for what is a mistake of ours.

    A failed commit may have dropped pages of the database from the page cache, and a
    file that is damaged answers anything: both end a process that runs for long
    (:func:`common.durable.end_on_failure`).

    Parameters
    ----------
    path : Path or str
        Of the database.
    """
    name = str(getattr(failure, "sqlite_errorname", ""))
    if name.startswith("SQLITE_BUSY"):
        return StorageError(cause=f"{path}: busy", passing=True)
    if name in {"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"}:  # the latter when it is opened
        return DiskFull(path=path)
    if name.startswith("SQLITE_IOERR"):
        return durable.broken(SyncFailed(cause=f"{path}: {name}"))
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return durable.broken(DatabaseDamaged(path=path, cause=name))
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StorageError(cause=f"{path}: {name}")
    return None


@contextmanager
def named(path: Path | str) -> Iterator[None]:
    """Turn failures of :mod:`sqlite3` into those of the tree.

    Raises
    ------
    StorageError, DiskFull
        Nothing was written; trying again can help.
    SyncFailed, DatabaseDamaged
        See :func:`failure_of`.
    """
    try:
        yield
    except sqlite3.Error as failure:
        if (error := failure_of(failure, path)) is not None:
            raise error from failure
        raise


@contextmanager
def writing(connection: sqlite3.Connection, path: Path | str) -> Iterator[sqlite3.Connection]:
    """One transaction that holds the write lock from its beginning; raises as :func:`named`."""
    with named(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite rolls back by itself after some failures
                connection.execute("ROLLBACK")
            raise


def check(connection: sqlite3.Connection, path: Path | str) -> None:
    """Read a database whole and have SQLite judge it.

    Raises
    ------
    DatabaseDamaged
    """
    with named(path):
        durable.safe_sqlite(connection)
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found is None or found[0] != "ok":
        raise durable.broken(DatabaseDamaged(path=path, cause=str(found and found[0])[:80]))
