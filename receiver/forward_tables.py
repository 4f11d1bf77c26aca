"""The index's tables of the hand-off: agreed targets, rules, what goes where, and receipts."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)


def agreed(metadata: MetaData) -> tuple[Table, Table]:
    """Return the table of targets that were agreed on (PRI-06), and that of rules."""
    targets = Table(
        "forward_targets",
        metadata,
        Column("name", String(32), primary_key=True),
        Column("kind", String(8), nullable=False),  # dicom | folder
        Column("host", Text),
        Column("port", Integer),
        Column("aet", String(16)),
        Column("ca", Text),  # PEM that a TLS target is trusted by; None: no TLS
        Column("folder", Text),
        Column("agreed", Text, nullable=False),  # where the agreement is written down
        Column("added_by", Text, nullable=False),
        Column("added_at", String(32), nullable=False),
    )
    rules = Table(
        "forward_rules",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("target", String(32), ForeignKey("forward_targets.name"), nullable=False),
        Column("modality", String(16)),  # None: any
        Column("partner", String(16)),  # institution code; None: any
        Column("added_by", Text, nullable=False),
        Column("since", String(32), nullable=False),  # of transfers opened from then on
    )
    return targets, rules


def forwards(metadata: MetaData) -> tuple[Table, Table, Table, Table]:
    """Return the tables of forwards, of their instances, receipts and commitments."""
    made = Table(
        "forwards",
        metadata,
        Column("id", String(32), primary_key=True),  # random
        Column("study", String(32), nullable=False),  # key of the study
        Column("target", String(32), nullable=False),  # also after it was taken off the list
        Column("by", Text, nullable=False),  # empty: a rule
        Column("display", Text, nullable=False),
        Column("at", String(32), nullable=False),
        Column("state", String(8), nullable=False),  # waiting | sending | done | failed
        Column("sent", Integer, nullable=False),
        Column("total", Integer, nullable=False),
        Column("tries", Integer, nullable=False),  # that failed since something was taken
        Column("due_at", String(32)),  # not before
        Column("error", Text),  # JSON: number, ja, en
        Column("finished_at", String(32)),
        UniqueConstraint("study", "target"),
        Index("forwards_by_state", "state"),
    )
    items = Table(
        "forward_items",
        metadata,
        Column("forward", String(32), ForeignKey("forwards.id"), primary_key=True),
        Column("instance", Integer, primary_key=True),  # row of the index; may be purged since
        Column("sop_uid", String(64), nullable=False),
        Column("sop_class", String(64), nullable=False),
        Column("transfer_syntax", String(64), nullable=False),
        Column("length", Integer, nullable=False),  # bytes of the data set
        Column("d1", String(64), nullable=False),  # of the bytes that went out
        Column("state", String(8), nullable=False),  # sent | refused
        Column("status", Integer),  # as the target answered C-STORE; None: a folder
        Column("at", String(32), nullable=False),
    )
    receipts = Table(
        "forward_receipts",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("forward", String(32), ForeignKey("forwards.id"), nullable=False),
        Column("text", Text, nullable=False),  # JWS
        Column("at", String(32), nullable=False),
        Index("forward_receipts_of", "forward"),
    )
    commits = Table(
        "forward_commits",
        metadata,
        Column("uid", String(64), primary_key=True),  # Transaction UID
        Column("forward", String(32), ForeignKey("forwards.id"), nullable=False),
        Column("part", Integer, nullable=False),
        Column("instances", Text, nullable=False),  # JSON: [SOP class, SOP instance] pairs
        Column("at", String(32), nullable=False),
        Column("refused", Integer),  # status of the response; -1: the service is not offered
        Column("failed", Text),  # JSON: reason by instance; None: no report
        Column("reported_at", String(32)),
        Index("forward_commits_of", "forward"),
    )
    return made, items, receipts, commits
