"""DIMSE statuses and our errors: one table in each direction (DCM-06).

Out: an error class carries its status itself (``dimse_status``).  In: the
table here says what a peer's status means for the sender, by PS3.4 table
B.2-1 for C-STORE and PS3.7 annex C for the rest.
"""

from __future__ import annotations

from common.errors import (
    ContextNotAccepted,
    DiskFull,
    InstanceTooLarge,
    PeerBusy,
    PeerError,
    PeerFull,
    PeerRefused,
    ProtocolError,
    TodokeError,
)

#: Warnings that mean stored: coercion of elements, discarded elements, and the general ones.
_STORED = frozenset({0x0000, 0x0001, 0x0107, 0x0116})

#: First status, last status, error of the sender, what the status says.
MEANINGS: tuple[tuple[int, int, type[PeerError], str], ...] = (
    (0x0105, 0x0106, PeerRefused, "invalid attribute or value"),
    (0x0110, 0x0110, PeerError, "processing failure"),
    (0x0111, 0x0111, PeerRefused, "duplicate instance with other content"),
    (0x0117, 0x0117, ProtocolError, "invalid instance UID"),
    (0x0118, 0x0119, ContextNotAccepted, "no such SOP class"),
    (0x0122, 0x0122, ContextNotAccepted, "SOP class not supported"),
    (0x0124, 0x0124, PeerRefused, "not authorized"),
    (0x0210, 0x0212, ProtocolError, "operation not understood"),
    (0x0213, 0x0213, PeerRefused, "resource limitation"),
    (0xA700, 0xA700, PeerFull, "out of resources"),
    (0xA701, 0xA7FF, PeerBusy, "out of resources"),
    (0xA900, 0xA9FF, PeerRefused, "data set does not match"),
    (0xC000, 0xCFFF, PeerRefused, "cannot understand"),
    (0xFE00, 0xFE00, PeerError, "cancelled"),
)


def is_stored(status: int) -> bool:
    """Tell whether the peer has the instance: success, or a warning (Bxxx)."""
    return status in _STORED or 0xB000 <= status <= 0xBFFF


def error_of(status: int, comment: str = "") -> TodokeError | None:
    """Return the sender's error for a peer's status, None where it stored.

    Parameters
    ----------
    status : int
        As answered.
    comment : str
        Error Comment (0000,0902) of the response.
    """
    if is_stored(status):
        return None
    known = [row[2:] for row in MEANINGS if row[0] <= status <= row[1]]
    error, words = known[0] if known else (PeerRefused, "unknown status")
    if error is PeerFull and comment.startswith("E-") and DiskFull.number not in comment:
        error = PeerBusy  # of our own kind, which has room but cannot store just now
    if error is PeerRefused and comment == InstanceTooLarge.number:
        return InstanceTooLarge()  # of our own kind; which limit it has it does not say here
    shown = "".join(letter for letter in comment if letter.isprintable())
    return error(cause=f"{words}, status {status:04X}" + (f", {shown}" if shown else ""))
