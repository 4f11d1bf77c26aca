"""What readers are told of the purge of a study: from which day on, or who holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from receiver import holds, index, purge
from receiver.index import Index

_studies = index.studies


@dataclass(frozen=True, slots=True)
class PurgeNotice:
    """The notices of one receiver.

    Parameters
    ----------
    days : int
        After which a study is purged that a reader has done with; 0 purges nothing.
    ahead : int
        For how many days before it is told.
    clock : callable
        The moment, aware.
    """

    index: Index
    days: int
    ahead: int
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def of(self, key: str) -> dict[str, Any] | None:
        """Return what is told of one study; None where nothing is.

        Returns
        -------
        dict or None
            ``on``: the day from which on it may be purged, in Japan's time, None on hold;
            ``held``: ``display``, ``reason`` and ``at`` (a day), None without a hold.
        """
        if self.days <= 0:
            return None
        with self.index.read() as db:
            held = db.execute(select(_studies.c.held).where(_studies.c.key == key)).scalar()
        if held:
            return {"on": None, "held": holds.said(held)}
        for one in purge.due(self.index, self.days, self.clock(), self.ahead, key):
            return {"on": one.on, "held": None}
        return None
