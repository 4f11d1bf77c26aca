"""What looks every few seconds, in a thread of its own, and says so when it cannot.

A look that fails stops no other.  It is alarmed once until one goes well again, and
``receiver status`` says of it for as long as it lasts: what keeps watch must not fail in
silence.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, delete, select

from common import logs
from common.errors import TodokeError
from receiver import index
from receiver.index import Index

log = logging.getLogger("todoke.rounds")
MARK = "trouble "  # before a name, in index.marks


class Rounds:
    """Calls `look` again and again.

    Parameters
    ----------
    name : str
        Of the thread, and of its alarms.
    seconds : float
        Between two looks.
    note : callable
        :meth:`common.audit.Trail.note`.
    ending : float, optional
        Seconds that the look under way has to end; None: as long as it takes.
    """

    def __init__(
        self,
        name: str,
        look: Callable[[], None],
        seconds: float,
        database: Index,
        note: Callable[..., None],
        *,
        ending: float | None = None,
    ) -> None:
        self.name = name
        self.stopping = threading.Event()
        self._look = look
        self._seconds = seconds
        self._index = database
        self._note = note
        self._ending = ending
        self._said: set[str] = set()
        self._well: bool | None = None  # not known: an earlier process may have left a mark
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, waiting for the look under way."""
        self.stopping.set()
        if self._thread.ident is not None:
            self._thread.join(self._ending)

    def _run(self) -> None:
        while True:
            self.once()
            if self.stopping.wait(self._seconds):
                return

    def once(self) -> None:
        """Look once; whatever fails is said and ends nothing."""
        try:
            self._look()
        except Exception as failure:
            self._failed(failure)
        else:
            if self._well is not True:
                self._mark(None)
            self._said.clear()

    def _failed(self, failure: Exception) -> None:
        # the words of any other error may quote values
        words = f" {failure}" if isinstance(failure, TodokeError) else ""
        cause = f"{self.name}: {type(failure).__name__}{words}"
        log.error("%s, %s", cause, logs.place(failure.__traceback__))
        if cause in self._said:
            return
        self._said.add(cause)
        try:
            self._note("alarm", of=self.name, cause=cause)
        except Exception as second:
            self._said.discard(cause)  # said as soon as it can be
            log.error("%s: alarm not noted: %s", self.name, type(second).__name__)
        self._mark(cause)

    def _mark(self, cause: str | None) -> None:
        """Let ``status`` say that this fails, or that it does not any more."""
        try:
            if cause is None:
                with self._index.read() as db:
                    if index.marked(db, MARK + self.name) is None:
                        self._well = True
                        return
            with self._index.write() as db:
                db.execute(delete(index.marks).where(index.marks.c.name == MARK + self.name))
                if cause is not None:
                    index.mark(
                        db, MARK + self.name, json.dumps({"cause": cause, "at": index.now()})
                    )
        except Exception as failure:  # the index may be what is amiss
            log.error("%s: not kept: %s", self.name, type(failure).__name__)
        else:
            self._well = cause is None


def troubles(db: Connection) -> list[dict[str, Any]]:
    """Return what keeps watch and cannot: ``of``, ``cause`` and ``at``."""
    mine = index.marks.c.name.startswith(MARK)
    rows = db.execute(select(index.marks).where(mine).order_by(index.marks.c.name))
    return [{"of": row.name.removeprefix(MARK), **json.loads(row.value)} for row in rows]
