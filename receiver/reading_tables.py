"""The index's tables of what readers do, what is said both ways, and what was taken back."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, Text
from sqlalchemy import Index as RowIndex


def states(metadata: MetaData) -> tuple[Table, Table]:
    """Return the table of how far each study is, and that of every step towards it.

    A study without a row is unopened.
    """
    standings = Table(
        "standings",
        metadata,
        Column("study", String(32), primary_key=True),  # key of the study
        Column("state", String(8), nullable=False),  # unopened | opened | reading | done
        Column("by", Text, nullable=False),  # name that is typed at sign-in
        Column("display", Text, nullable=False),  # name on screens
        Column("at", String(32), nullable=False),
        Column("seen", Integer, nullable=False),  # images that were here when it was opened
        Column("done_with", Integer, nullable=False),  # ... and when it was done
        Column("late", Integer, nullable=False),  # images that have come since it was done
    )
    steps = Table(
        "reading_steps",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("study", String(32), nullable=False),
        Column("state", String(8), nullable=False),
        Column("by", Text, nullable=False),  # empty: images came
        Column("display", Text, nullable=False),
        Column("at", String(32), nullable=False),
        Column("reason", Text),  # of taking over
        Column("images", Integer, nullable=False),  # that were here
        RowIndex("reading_steps_of", "study"),
    )
    return standings, steps


def recalls(metadata: MetaData) -> tuple[Table, Table]:
    """Return the table of what senders took back, and that of targets that have it already."""
    taken = Table(
        "recalls",
        metadata,
        Column("transfer", String(32), ForeignKey("transfers.id"), primary_key=True),
        Column("by", Text, nullable=False),  # a person of the requesting side
        Column("reason", Text, nullable=False),  # empty from a sender that says none
        Column("at", String(32), nullable=False),
    )
    handed = Table(
        "recalled_forwards",
        metadata,
        Column("forward", String(32), ForeignKey("forwards.id"), primary_key=True),
        Column("transfer", String(32), ForeignKey("transfers.id"), primary_key=True),
        Column("study", String(32), nullable=False),  # key of the study
        Column("instances", Integer, nullable=False),  # of the transfer, that the target took
        Column("at", String(32), nullable=False),
        Column("settled_by", Text),  # who saw to it there
        Column("settled_at", String(32)),
        RowIndex("recalled_forwards_of", "study"),
    )
    return taken, handed


def words(metadata: MetaData) -> tuple[Table, Table, Table, Table]:
    """Return the tables of messages, of telephone calls, of alarms and of news for senders."""
    messages = Table(
        "messages",
        metadata,
        Column("id", String(32), primary_key=True),  # random
        Column("study", String(32), nullable=False),
        Column("institution", String(16), ForeignKey("partners.code"), nullable=False),
        Column("kind", String(8), nullable=False),  # query | prior | rescan | advice | answer
        Column("way", String(4), nullable=False),  # out: to the sender; in: from it
        Column("answers", String(32)),  # id of a message
        Column("text", Text, nullable=False),
        Column("by", Text, nullable=False),
        Column("display", Text, nullable=False),
        Column("at", String(32), nullable=False),
        RowIndex("messages_of", "study"),
    )
    calls = Table(
        "calls",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("study", String(32), nullable=False),
        Column("to", Text, nullable=False),  # who was told; never what
        Column("told_at", String(32), nullable=False),
        Column("by", Text, nullable=False),
        Column("display", Text, nullable=False),
        Column("at", String(32), nullable=False),
        RowIndex("calls_of", "study"),
    )
    alarms = Table(
        "alarms",
        metadata,
        Column("study", String(32), primary_key=True),
        Column("step", Integer, primary_key=True),  # 1: second reader; 2: the sender's side
        Column("since", String(32), primary_key=True),  # from when it has waited
        Column("at", String(32), nullable=False),
        Column("minutes", Integer, nullable=False),
        Column("owed", Text, nullable=False),  # JSON: ways by which it is still to be told
    )
    tidings = Table(
        "tidings",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("institution", String(16), nullable=False),
        Column("study_uid", String(64), nullable=False),
        Column("kind", String(8), nullable=False),  # state | message | call | alarm
        Column("data", Text, nullable=False),  # JSON
        Column("at", String(32), nullable=False),
        RowIndex("tidings_of", "institution", "id"),
        sqlite_autoincrement=True,
    )
    return messages, calls, alarms, tidings
