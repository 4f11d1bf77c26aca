"""The tables of what receivers say of their readers, beside those of :mod:`sender.tables`."""

from __future__ import annotations

#: What version 7 of the outbox adds: when a receiver first said so, by its own clock.
TABLE = """
CREATE TABLE heard(
  transfer TEXT PRIMARY KEY REFERENCES transfers, opened TEXT, done TEXT);
CREATE TABLE heard_until(partner TEXT PRIMARY KEY, until TEXT NOT NULL);
"""
