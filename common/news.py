"""What a receiver answers when a sender asks for news: what to send again, what readers did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.errors import ProtocolError
from common.link import check_uid
from common.states import TransferState

READINGS = (TransferState.OPENED, TransferState.READING, TransferState.DONE)


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a reader has come with a transfer, and when, by the receiver's clock."""

    transfer: str
    state: TransferState
    at: str


@dataclass(frozen=True, slots=True)
class News:
    """An answer to ``GET /link/v1/wanted``.

    Attributes
    ----------
    wanted : tuple of (str, list of str)
        Per transfer the SOP Instance UIDs that are asked for again.
    states : tuple of Reading
    until : str
        From where to ask next; empty from a receiver that says nothing of its readers.
    """

    wanted: tuple[tuple[str, list[str]], ...]
    states: tuple[Reading, ...] = ()
    until: str = ""


def read(words: dict[str, Any]) -> News:
    """Check an answer from a receiver; states of a later version are passed over.

    Raises
    ------
    ProtocolError
        Something is missing or of another type.
    """
    try:
        wanted = [
            (str(one["transfer"]), [check_uid(uid) for uid in one["instances"]])
            for one in words["wanted"]
        ]
        states = [
            Reading(str(one["transfer"]), TransferState(one["state"]), _time(one["at"]))
            for one in words.get("states", ())
            if one["state"] in READINGS
        ]
        until = _time(words["until"]) if "until" in words else ""
    except (KeyError, TypeError, ValueError) as failure:
        raise ProtocolError(cause="wanted") from failure
    return News(tuple(wanted), tuple(states), until)


def _time(said: Any) -> str:
    datetime.fromisoformat(said)
    return str(said)
