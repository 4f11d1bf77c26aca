"""The one table of states of a transfer, the moves between them and their words.

Pure data: no clock, no disk, no network.  The codes are what code, log, index,
wire and pages use; the words are what a person sees (DESIGN of the project,
UX-01).  An *instance* at the receiver has its own three words, in this order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from common.errors import UsageError


class TransferState(StrEnum):
    """State of one transfer: one study of one patient, or one slide case."""

    ANNOUNCED = "announced"
    QUEUED = "queued"
    SENDING = "sending"
    DELIVERED = "delivered"
    COMMITTED = "committed"
    RECEIPTED = "receipted"
    OPENED = "opened"
    READING = "reading"
    DONE = "done"
    HELD = "held"
    FAILED = "failed"
    RECALLED = "recalled"
    QUERY = "query"


class InstanceState(StrEnum):
    """State of one SOP instance at the receiver.

    ``expected`` is a slot of the opening that nothing has arrived for; ``damaged``
    was here and is no longer what was acknowledged, so it is asked for again.
    """

    EXPECTED = "expected"
    RECEIVED = "received"
    STORED = "stored"
    VERIFIED = "verified"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Words:
    """What a person sees for a state."""

    ja: str
    en: str
    owner: str


S = TransferState
WORDS: dict[TransferState, Words] = {
    S.ANNOUNCED: Words("予告", "Announced", "sender"),
    S.QUEUED: Words("送信待ち", "Queued", "sender"),
    S.SENDING: Words("送信中", "Sending", "sender"),
    S.DELIVERED: Words("到着", "Delivered", "receiver"),
    S.COMMITTED: Words("保管確約", "Committed", "peer"),
    S.RECEIPTED: Words("受領済", "Receipted", "receiver"),
    S.OPENED: Words("開封", "Opened", "reader"),
    S.READING: Words("読影中", "Reading", "reader"),
    S.DONE: Words("完了", "Done", "reader"),
    S.HELD: Words("保留", "Held", "either"),
    S.FAILED: Words("失敗", "Failed", "either"),
    S.RECALLED: Words("取消", "Recalled", "sender"),
    S.QUERY: Words("照会あり", "Query", "reader"),
}

INSTANCE_WORDS: dict[InstanceState, Words] = {
    InstanceState.EXPECTED: Words("未着", "Not here yet", "receiver"),
    InstanceState.RECEIVED: Words("受信", "Received", "receiver"),
    InstanceState.STORED: Words("保存", "Stored", "receiver"),
    InstanceState.VERIFIED: Words("照合済", "Verified", "receiver"),
    InstanceState.DAMAGED: Words("破損", "Damaged", "receiver"),
}

#: Of these nothing is here that may be shown as sound.
ABSENT = frozenset({InstanceState.EXPECTED, InstanceState.DAMAGED})

_STOPS = {S.HELD, S.FAILED, S.RECALLED}
MOVES: dict[TransferState, frozenset[TransferState]] = {
    S.ANNOUNCED: frozenset({S.QUEUED, S.SENDING} | _STOPS),
    S.QUEUED: frozenset({S.SENDING} | _STOPS),
    S.SENDING: frozenset({S.QUEUED, S.DELIVERED} | _STOPS),
    # a receiver that finds a digest different asks for the instance again
    S.DELIVERED: frozenset({S.SENDING, S.COMMITTED, S.RECEIPTED} | _STOPS),
    S.COMMITTED: frozenset({S.RECALLED}),
    S.RECEIPTED: frozenset({S.OPENED, S.READING, S.DONE, S.QUERY, S.RECALLED}),
    S.OPENED: frozenset({S.READING, S.DONE, S.QUERY, S.RECALLED}),
    S.READING: frozenset({S.OPENED, S.DONE, S.QUERY, S.RECALLED}),
    # images that come after Done return a study to unopened
    S.DONE: frozenset({S.RECEIPTED, S.READING, S.QUERY, S.RECALLED}),
    S.HELD: frozenset({S.QUEUED, S.RECALLED, S.FAILED}),
    S.FAILED: frozenset({S.QUEUED, S.RECALLED}),
    S.RECALLED: frozenset(),
    # what was asked about came again after all
    S.QUERY: frozenset({S.RECEIPTED, S.OPENED, S.READING, S.DONE, S.RECALLED}),
}

#: A sender has nothing more to do for these by itself.
AT_REST = frozenset({S.COMMITTED, S.RECEIPTED, S.OPENED, S.READING, S.DONE, S.QUERY} | _STOPS)


def move(old: TransferState, new: TransferState) -> TransferState:
    """Return `new` if the table allows the move from `old`.

    Raises
    ------
    UsageError
        If the table has no such move; staying is always allowed.
    """
    if new != old and new not in MOVES[old]:
        raise UsageError(cause=f"{old} -> {new}")
    return new
