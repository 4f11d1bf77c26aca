"""What the requesting side is told: states of its studies, queries, calls, alarms (UX-01).

The sender dials out only, so it asks and we answer as soon as there is something: a
question waits here for news, with no thread of its own.  News has a number that grows;
what was told once is asked for from the next.  No word of a finding is among it, but for
advice in words where a site has switched that on.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select

from receiver import index
from receiver.attendance import Attendance
from receiver.changes import Changes
from receiver.index import Index

LONG_POLL = 20.0  # seconds that a question may wait
POLL = 0.1  # seconds between two questions whether anything was written
TOGETHER = 500  # news of one answer

_tidings = index.tidings


def tell(db: Connection, institution: str, study_uid: str, kind: str, **data: Any) -> None:
    """Put something among the news of an institution, with what makes it true.

    Parameters
    ----------
    kind : str
        ``state``, ``message``, ``call``, ``alarm`` or ``keys``.
    """
    db.execute(
        insert(_tidings).values(
            institution=institution,
            study_uid=study_uid,
            kind=kind,
            data=json.dumps(data, ensure_ascii=False),
            at=index.now(),
        )
    )


def since(db: Connection, institution: str, last: int) -> list[dict[str, Any]]:
    """Return what an institution has not heard, the oldest first.

    Parameters
    ----------
    last : int
        Number of what it heard last; 0 at first.
    """
    mine = (_tidings.c.institution == institution) & (_tidings.c.id > last)
    rows = db.execute(select(_tidings).where(mine).order_by(_tidings.c.id).limit(TOGETHER))
    return [
        {"id": r.id, "study": r.study_uid, "kind": r.kind, "at": r.at, **json.loads(r.data)}
        for r in rows
    ]


class Tidings:
    """Answers questions for news, each when there is some.

    Parameters
    ----------
    attendance : Attendance
        Who listens in the reading room: a change of that is news too.
    clock : callable
        Seconds, monotonic.
    """

    def __init__(
        self,
        database: Index,
        attendance: Attendance,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.index = database
        self.attendance = attendance
        self._clock = clock
        self._woken: asyncio.Event = asyncio.Event()
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None

    def now(self, institution: str, last: int) -> dict[str, Any]:
        """Return what is new now.

        Returns
        -------
        dict
            ``news``, ``until`` (from where to ask next), ``listening``, and ``audible``:
            whether an alarm can be heard on a page that listens.
        """
        with self.index.read() as db:
            newest = db.execute(select(func.max(_tidings.c.id))).scalar() or 0
            # of an index that was made again: its numbers began anew
            found = since(db, institution, last if last <= newest else 0)
        until = found[-1]["id"] if found else min(last, newest)
        listening = self.attendance.somebody(institution)
        audible = listening and self.attendance.audible(institution)
        return {"news": found, "until": until, "listening": listening, "audible": audible}

    async def wait(
        self, institution: str, last: int, knows: Mapping[str, bool | None]
    ) -> dict[str, Any]:
        """Return as :meth:`now` does, as soon as there is something new or time is up.

        Parameters
        ----------
        knows : mapping
            ``listening`` and, of a sender that asks for it, ``audible``, as far as who asks
            knows; None: not at all.
        """
        end = self._clock() + LONG_POLL
        self._waiting += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        try:
            while True:
                woken = self._woken
                found = await asyncio.to_thread(self.now, institution, last)
                left = end - self._clock()
                changed = any(found[name] != known for name, known in knows.items())
                if found["news"] or changed or left <= 0:
                    return found
                try:
                    await asyncio.wait_for(woken.wait(), left)
                except TimeoutError:
                    continue
        finally:
            self._waiting -= 1

    async def _watch(self) -> None:
        """Wake all who wait when something was written, or when who listens changed."""
        changes, listening = Changes(self.index), self.attendance.alive()
        changes.seen()
        try:
            while self._waiting:
                await asyncio.sleep(POLL)
                before, listening = listening, self.attendance.alive()
                if changes.seen() or before != listening:
                    woken, self._woken = self._woken, asyncio.Event()
                    woken.set()
        finally:
            changes.close()
