"""The tables of what readers have marked on images, and said of the patients of two studies."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, Text


def define(metadata: MetaData) -> tuple[Table, Table]:
    """Return the tables, see :mod:`receiver.marks` and :mod:`receiver.prior_links`."""
    return _marks(metadata), _links(metadata)


def _marks(metadata: MetaData) -> Table:
    """Return the table of marks: one row for a reader and a study."""
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


def _links(metadata: MetaData) -> Table:
    """Return the table of pairs of studies: every step, the newest of a pair counts.

    It holds what the reader saw of both patients, so its rows go when either study does.
    """
    return Table(
        "prior_links",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("study", String(32), nullable=False),  # key of the study that was read
        Column("prior", String(32), nullable=False),  # ... and of the earlier one
        Column("state", String(9), nullable=False),  # linked | dismissed | possible: taken back
        Column("seen", String(64), nullable=False),  # digest of the two identities
        Column("identities", Text, nullable=False),  # JSON: the two as they were on the screen
        Column("reason", Text, nullable=False),  # of taking back; empty otherwise
        Column("by", Text, nullable=False),  # name that is typed at sign-in
        Column("display", Text, nullable=False),  # name on screens
        Column("at", String(32), nullable=False),
        Index("prior_links_of", "study"),
        Index("prior_links_to", "prior"),
    )
