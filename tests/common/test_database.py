"""Failures of SQLite, as SQLite makes them: which pass, and which no process outlives."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from common import database, durable
from common.errors import DatabaseDamaged, DiskFull, StorageError, SyncFailed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "box.sqlite"


@pytest.fixture
def box(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        durable.safe_sqlite(connection)
        connection.execute("CREATE TABLE t(x BLOB)")
        yield connection


def _put(box: sqlite3.Connection, path: Path, size: int) -> None:
    with database.writing(box, path) as db:
        db.execute("INSERT INTO t VALUES(zeroblob(?))", (size,))


def test_a_full_database_is_a_full_disk_and_goes_on_when_there_is_room(
    box: sqlite3.Connection, path: Path
) -> None:
    box.execute("PRAGMA max_page_count=10")
    with pytest.raises(DiskFull):
        _put(box, path, 1 << 20)
    box.execute("PRAGMA max_page_count=1000000")
    _put(box, path, 1 << 20)
    assert box.execute("SELECT COUNT(*) FROM t").fetchone() == (1,)


def test_who_waits_for_a_lock_in_vain_may_try_again(box: sqlite3.Connection, path: Path) -> None:
    box.execute("PRAGMA busy_timeout=10")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="busy"):
            _put(box, path, 1)
        other.execute("ROLLBACK")
    _put(box, path, 1)


def test_after_a_failed_transaction_the_next_one_begins(
    box: sqlite3.Connection, path: Path
) -> None:
    with pytest.raises(ZeroDivisionError), database.writing(box, path):
        raise ZeroDivisionError
    _put(box, path, 1)


@pytest.mark.badinput(92, "flipped bytes")
def test_bytes_that_were_flipped_are_found(box: sqlite3.Connection, path: Path) -> None:
    for _ in range(50):
        _put(box, path, 3000)
    box.close()
    data = bytearray(path.read_bytes())
    data[4096:4160] = bytes(64)  # head of the table's own page
    path.write_bytes(data)
    with closing(sqlite3.connect(path)) as again, pytest.raises(DatabaseDamaged):
        database.check(again, path)


def test_what_is_no_database_is_damaged(path: Path) -> None:
    path.write_bytes(b"no database, but a letter to somebody" * 100)
    with (
        closing(sqlite3.connect(path)) as connection,
        pytest.raises(DatabaseDamaged),
        database.named(path),
    ):
        durable.safe_sqlite(connection)


def test_an_error_of_the_disk_ends_whoever_runs_for_long(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[StorageError] = []
    monkeypatch.setattr(durable, "_endings", [ended.append])
    failure = sqlite3.OperationalError("disk I/O error")
    failure.sqlite_errorname = "SQLITE_IOERR_FSYNC"
    with pytest.raises(SyncFailed) as caught, database.named(path):
        raise failure
    assert ended == [caught.value]


def test_a_mistake_of_ours_stays_one(box: sqlite3.Connection, path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"), database.named(path):
        box.execute("SELECT * FROM nowhere")
