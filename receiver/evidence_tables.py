"""The index's tables of evidence records and anchors, see :mod:`receiver.evidence`.

Files beside the index have the same, so that it can be made again of them.
"""

from __future__ import annotations

from sqlalchemy import Column, Integer, MetaData, String, Table, Text
from sqlalchemy import Index as RowIndex


def define(metadata: MetaData) -> tuple[Table, Table]:
    """Return the tables of records and of the anchors of their days."""
    records = Table(
        "evidence",
        metadata,
        Column("institution", String(16), primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("name", String(64), nullable=False),  # SHA-256 of the record as signed
        Column("transfer", String(32), nullable=False),
        Column("state", String(16), nullable=False),
        Column("day", String(10), nullable=False),  # UTC
        Column("statement", Text, nullable=False),  # JWS
        Column("certificate", Text, nullable=False),  # PEM of its signer, as pinned then
        Column("countersignature", Text),  # JWS of ours; None where it was refused
        Column("countersigner", Text),  # PEM
        Column("refused", Text),  # JSON: words
        Column("kept_at", String(32), nullable=False),
        RowIndex("evidence_of", "transfer"),
    )
    anchors = Table(
        "anchors",
        metadata,
        Column("institution", String(16), primary_key=True),
        Column("day", String(10), primary_key=True),
        Column("name", String(64), nullable=False),
        Column("first", Integer, nullable=False),
        Column("last", Integer, nullable=False),
        Column("statement", Text, nullable=False),
        Column("certificate", Text, nullable=False),
        Column("countersignature", Text, nullable=False),
        Column("countersigner", Text, nullable=False),
    )
    return records, anchors
