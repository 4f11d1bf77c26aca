"""The tables of watched folders, beside those of :mod:`sender.tables`."""

from __future__ import annotations

#: What version 5 of the outbox adds.
TABLE = """
CREATE TABLE cases(
  root TEXT NOT NULL, name TEXT NOT NULL, patient TEXT NOT NULL, study TEXT NOT NULL UNIQUE,
  created TEXT NOT NULL, slides INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(root, name, patient));
ALTER TABLE transfers ADD COLUMN source_sha256 TEXT;
"""
