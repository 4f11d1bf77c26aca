"""What both ends signed is kept whole, whatever its length, and taken over from an older index."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import insert, select

from receiver import index, statements
from receiver.index import Index

TRANSFER = "f" * 32


def filled(data: Path) -> Index:
    """Return an index that knows one transfer."""
    database = Index.at(data)
    with database.write() as db:
        partner = {"code": "1", "name": "x", "kind": "todoke", "aet": "A", "added_at": index.now()}
        db.execute(insert(index.partners).values(partner))
        db.execute(
            insert(index.transfers).values(
                id=TRANSFER, institution="1", kind="dicom", state="sending", priority="routine",
                purpose="diagnosis", test=False, request="{}", opened_at=index.now(), repeats=0,
            )
        )  # fmt: skip
    return database


def test_a_long_statement_is_kept_whole_and_goes_with_the_next(tmp_path: Path) -> None:
    with closing(filled(tmp_path)) as database:
        for text in ("".join(map(str, range(150_000))), "c"):
            with database.write() as db:
                statements.write(db, TRANSFER, "closing", text)
            with database.read() as db:
                assert statements.read(db, TRANSFER, "closing") == text
                assert statements.read(db, TRANSFER, "receipt") is None


def test_an_index_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    filled(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as db, db:
        db.execute("DROP TABLE statements")
        for kind in ("opening", "closing", "receipt"):
            db.execute(f"ALTER TABLE transfers ADD COLUMN {kind} TEXT")
        db.execute("UPDATE transfers SET opening='signed', receipt='countersigned'")
        db.execute("UPDATE schema_version SET version=1")
    with closing(Index.at(tmp_path)) as database, database.read() as read:
        kinds = ("opening", "closing", "receipt")
        kept = [statements.read(read, TRANSFER, kind) for kind in kinds]
        assert kept == ["signed", None, "countersigned"]
        assert read.execute(select(index.schema.c.version)).scalar() == index.SCHEMA_VERSION
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as db:
        assert db.execute("SELECT opening, receipt FROM transfers").fetchone() == (None, None)
