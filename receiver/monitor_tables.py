"""The index's table of checks of monitors."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text


def define(metadata: MetaData) -> Table:
    """Return the table, see :mod:`receiver.monitors`; a line is never changed."""
    return Table(
        "monitor_checks",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("serial", String(64), nullable=False),  # typed: no browser knows its monitor
        Column("screen", String(64), nullable=False),  # as the browser says; empty: by verb
        Column("answers", Text, nullable=False),  # JSON: yes or no by step
        Column("passed", Boolean, nullable=False),
        Column("grade", String(2)),  # 1A | 1B | 2
        Column("lmax", Float),  # cd/m², typed
        Column("lmin", Float),
        Column("deviation", Float),  # of the contrast response, %, typed
        Column("due_on", String(10), nullable=False),  # date of the next of its kind
        Column("by", Text, nullable=False),
        Column("display", Text, nullable=False),
        Column("at", String(32), nullable=False),
        Index("monitor_checks_of", "serial", "id"),
    )
