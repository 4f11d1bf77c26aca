"""The tables of the outbox, and what brings those of an older program up to date."""

from __future__ import annotations

import sqlite3

from common.errors import DatabaseUnsafe
from sender import correspondence_tables, heard_tables, record_tables, statements, watched_tables

VERSION = 11
_SCHEMA = f"""
CREATE TABLE jobs(
  id INTEGER PRIMARY KEY, partner TEXT NOT NULL, paths TEXT NOT NULL, options TEXT NOT NULL,
  created TEXT NOT NULL, scanned TEXT, found INTEGER NOT NULL DEFAULT 0);
CREATE TABLE refused(
  job INTEGER NOT NULL REFERENCES jobs, path TEXT NOT NULL,
  number TEXT NOT NULL, ja TEXT NOT NULL, en TEXT NOT NULL);
CREATE TABLE transfers(
  id TEXT PRIMARY KEY, job INTEGER NOT NULL REFERENCES jobs, partner TEXT NOT NULL,
  kind TEXT NOT NULL, state TEXT NOT NULL, priority TEXT NOT NULL, purpose TEXT NOT NULL,
  study TEXT NOT NULL, attributes TEXT NOT NULL, request TEXT NOT NULL, test INTEGER NOT NULL,
  slide TEXT, error TEXT, digests_equal INTEGER,
  attempts INTEGER NOT NULL DEFAULT 0, created TEXT NOT NULL, started TEXT,
  delivered TEXT, finished TEXT, judgement TEXT NOT NULL DEFAULT '{{}}');
CREATE TABLE instances(
  id INTEGER PRIMARY KEY, transfer TEXT NOT NULL REFERENCES transfers, sop_uid TEXT NOT NULL,
  sop_class TEXT NOT NULL, transfer_syntax TEXT NOT NULL, series TEXT NOT NULL, number INTEGER,
  path TEXT NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
  size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
  d1 TEXT, d2 TEXT, d3 TEXT, root TEXT NOT NULL DEFAULT '',
  frames INTEGER NOT NULL DEFAULT 0, acked INTEGER NOT NULL DEFAULT 0,
  sent_as TEXT NOT NULL DEFAULT '', role TEXT NOT NULL DEFAULT '',
  UNIQUE(transfer, sop_uid));
CREATE TABLE watched(
  path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL);
{statements.TABLE}{watched_tables.TABLE}{heard_tables.TABLE}
{correspondence_tables.TABLE}{correspondence_tables.KEYS}{correspondence_tables.AUDIBLE}
{record_tables.TABLE}"""
#: What brings an outbox of version 1, 2, ... to the next.
_STEPS = (
    "ALTER TABLE transfers ADD COLUMN delivered TEXT",
    "ALTER TABLE instances ADD COLUMN sent_as TEXT NOT NULL DEFAULT ''",
    statements.TABLE + statements.MOVE,
    watched_tables.TABLE,
    "ALTER TABLE transfers ADD COLUMN judgement TEXT NOT NULL DEFAULT '{}';"
    "ALTER TABLE instances ADD COLUMN role TEXT NOT NULL DEFAULT ''",
    record_tables.TABLE,
    heard_tables.TABLE,
    correspondence_tables.TABLE,
    correspondence_tables.KEYS,
    correspondence_tables.AUDIBLE,
)


def bring_up(db: sqlite3.Connection) -> None:
    """Make the tables, or bring them to what this program expects.

    Raises
    ------
    DatabaseUnsafe
        They are of a newer program.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if not 0 <= version <= VERSION:
        raise DatabaseUnsafe(cause=f"outbox {version}, program {VERSION}")
    if version == VERSION:  # nothing is written: a full disk can be looked at
        return
    for step in (_SCHEMA,) if version == 0 else _STEPS[version - 1 :]:
        for statement in step.split(";"):
            db.execute(statement)
    db.execute(f"PRAGMA user_version={VERSION}")
