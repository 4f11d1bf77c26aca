"""The tables of what a reading room tells and is told, beside those of :mod:`sender.tables`."""

from __future__ import annotations

import sqlite3

#: What version 9 of the outbox adds.
TABLE = """
CREATE TABLE readers(
  partner TEXT NOT NULL, study TEXT NOT NULL, state TEXT NOT NULL, by TEXT NOT NULL,
  at TEXT NOT NULL, late INTEGER NOT NULL, PRIMARY KEY(partner, study));
CREATE TABLE letters(
  id TEXT PRIMARY KEY, partner TEXT NOT NULL, study TEXT NOT NULL, kind TEXT NOT NULL,
  way TEXT NOT NULL, answers TEXT NOT NULL DEFAULT '', text TEXT NOT NULL, by TEXT NOT NULL,
  at TEXT NOT NULL, sent TEXT, refused TEXT);
CREATE TABLE calls(
  partner TEXT NOT NULL, study TEXT NOT NULL, told TEXT NOT NULL, by TEXT NOT NULL,
  at TEXT NOT NULL, PRIMARY KEY(partner, study, at, told));
CREATE TABLE unopened(
  partner TEXT NOT NULL, study TEXT NOT NULL, minutes INTEGER NOT NULL,
  telephone TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY(partner, study));
CREATE TABLE ears(
  partner TEXT PRIMARY KEY, until INTEGER NOT NULL, listening INTEGER NOT NULL,
  telephone TEXT NOT NULL, at TEXT NOT NULL);
"""
_OF_STUDY = ("readers", "letters", "calls", "unopened", "key_images")


def rename(db: sqlite3.Connection, partner: str, old: str, new: str) -> None:
    """Let what was said of an announcement be said of the study that its images are."""
    if old == new:
        return
    for table in _OF_STUDY:
        values = new, partner, old
        db.execute(f"UPDATE OR REPLACE {table} SET study=? WHERE partner=? AND study=?", values)  # noqa: S608 - our own names


#: What version 10 adds: which images a reader has marked as the ones that matter.
KEYS = """
CREATE TABLE key_images(
  partner TEXT NOT NULL, study TEXT NOT NULL, reader TEXT NOT NULL, by TEXT NOT NULL,
  images TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY(partner, study, reader));
"""

#: What version 11 adds: whether an alarm can be heard there; NULL where nobody says.
AUDIBLE = "ALTER TABLE ears ADD COLUMN audible INTEGER;\n"
