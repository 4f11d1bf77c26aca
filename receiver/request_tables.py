"""The table of what was asked with each transfer."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, MetaData, String, Table, Text


def define(metadata: MetaData) -> Table:
    """Return the table, see :mod:`receiver.requests`."""
    return Table(
        "requests",
        metadata,
        Column("transfer", String(32), ForeignKey("transfers.id"), primary_key=True),
        Column("institution", String(16), nullable=False),
        Column("study_uid", String(64), nullable=False),
        Column("told", Boolean, nullable=False),  # it asks something
        Column("prior", Boolean, nullable=False),  # its images are for comparison
        Column("text", Text, nullable=False),  # folded, to be searched
        Column("at", String(32), nullable=False),
        Index("requests_of", "institution", "study_uid"),
    )
