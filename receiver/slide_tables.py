"""The tables of what readers put on slides, and of rescans that they ask for."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, MetaData, String, Table, Text


def define(metadata: MetaData) -> tuple[Table, Table, Table]:
    """Return the tables of marks, rescans and label checks, see :mod:`receiver.slide_marks`."""
    marks = Table(
        "slide_marks",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("user", String(64), nullable=False),
        Column("study", String(32), nullable=False),  # the key: one study of one patient
        Column("series_uid", String(64), nullable=False),
        Column("body", Text, nullable=False),  # JSON: kind, unit, points
        Column("at", String(32), nullable=False),
        Index("slide_marks_of", "study", "user"),
    )
    rescans = Table(
        "rescans",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("study", String(32), nullable=False),
        Column("series_uid", String(64), nullable=False),
        Column("reason", String(16), nullable=False),  # focus | cut-off | wrong-slide
        Column("user", String(64), nullable=False),
        Column("at", String(32), nullable=False),
        Index("rescans_of", "study"),
    )
    checks = Table(
        "label_checks",
        metadata,
        Column("study", String(32), primary_key=True),
        Column("series_uid", String(64), primary_key=True),
        Column("user", String(64), primary_key=True),
        Column("same", Boolean, nullable=False),  # the label is of the request
        Column("at", String(32), nullable=False),
    )
    return marks, rescans, checks
