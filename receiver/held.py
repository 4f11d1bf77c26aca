"""Rows of instances, held while a transfer is read back: ten thousand of them, so small."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from receiver import index

_instances = index.instances
_TOGETHER = 500  # rows that are fetched at a time


class Held(NamedTuple):
    """What a row must hold to be read back; never the blobs.

    Attributes
    ----------
    path, prefix_length, length, d1
        None where nothing has arrived.
    """

    id: int
    sop_uid: str
    state: str
    transfer_syntax: str
    path: Any
    prefix_length: Any
    length: Any
    d1: Any
    stored_at: str


_ALIKE = ("sop_uid", "state", "transfer_syntax", "d1", "stored_at")
_PLACES = [Held._fields.index(name) for name in _ALIKE]


def rows(db: Connection, which: Any, alike: Iterable[str] = ()) -> list[Held]:
    """Return rows in the order in which they were opened.

    Parameters
    ----------
    which : condition
        On the table of instances.
    alike : iterable of str
        Texts that are at hand already: equal ones are not held twice.
    """
    known: dict[Any, Any] = {text: text for text in alike}
    asked = select(*(_instances.c[name] for name in Held._fields)).where(which)
    found: list[Held] = []
    for row in db.execute(asked.order_by(_instances.c.id).execution_options(yield_per=_TOGETHER)):
        values = list(row)
        for place in _PLACES:
            values[place] = known.setdefault(values[place], values[place])
        found.append(Held._make(values))
    return found
