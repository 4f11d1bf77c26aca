"""What both ends signed of a transfer, as the index keeps it: megabytes each, so piece by piece.

In the transfer's own row every change of its state would write them all again.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from common.errors import NotFound
from receiver import index

_PART = 1 << 18  # characters
_table = index.statements


def write(db: Connection, transfer: str, kind: str, text: str) -> None:
    """Keep a statement (opening, closing, receipt) instead of the one before."""
    db.execute(delete(_table).where(_of(transfer, kind)))
    for part, start in enumerate(range(0, len(text), _PART)):
        piece = {"part": part, "text": text[start : start + _PART]}
        db.execute(insert(_table).values(transfer=transfer, kind=kind, **piece))


def read(db: Connection, transfer: str, kind: str) -> str | None:
    """Return a statement as it was signed, or None."""
    parts = select(_table.c.text).where(_of(transfer, kind)).order_by(_table.c.part)
    whole = ""  # grows where it stands; a join would need the room twice
    for row in db.execute(parts.execution_options(yield_per=1)):
        whole += row.text
    return whole or None


def known(db: Connection, transfer: str, kind: str) -> str:
    """Return a statement that has to be there.

    Raises
    ------
    NotFound
    """
    found = read(db, transfer, kind)
    if found is None:
        raise NotFound(thing=f"{kind} of {transfer}")
    return found


def _of(transfer: str, kind: str) -> Any:
    return (_table.c.transfer == transfer) & (_table.c.kind == kind)
