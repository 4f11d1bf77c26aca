"""The table of what readers have marked on images."""

from __future__ import annotations

from sqlalchemy import Column, MetaData, String, Table, Text


def define(metadata: MetaData) -> Table:
    """Return the table, see :mod:`receiver.marks`: one row for a reader and a study."""
    return Table(
        "reader_marks",
        metadata,
        Column("reader", String(64), primary_key=True),  # name of the account
        Column("study", String(32), primary_key=True),  # its random key
        Column("institution", String(16), nullable=False),
        Column("patient", String(64), nullable=False),  # digest of who the patient was then
        Column("content", Text, nullable=False),  # JSON: marks, keys, layout
        Column("at", String(32), nullable=False),
    )
