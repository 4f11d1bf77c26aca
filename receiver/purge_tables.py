"""The table of what was purged."""

from __future__ import annotations

from sqlalchemy import Column, Integer, MetaData, String, Table, Text


def define(metadata: MetaData) -> Table:
    """Return the table of purges: rows go first, then files, so that no row is without its file."""
    return Table(
        "purges",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("at", String(32), nullable=False),
        Column("by", Text, nullable=False),  # a person, or "policy"
        Column("institution", String(16), nullable=False),
        Column("study", String(32), nullable=False),  # its random key, no identifier of a patient
        Column("instances", Integer, nullable=False),
        Column("bytes", Integer, nullable=False),
        Column("root", String(64), nullable=False),  # Merkle root of D1 of the instances, sorted
        Column("transfers", Text, nullable=False),  # JSON: ids of those whose images these were
        Column("paths", Text),  # JSON: files still to be removed; None when all are
    )
