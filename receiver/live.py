"""News for open pages: one watcher a process, many listeners (server-sent events).

Whether anything was written is asked every 100 ms, which is next to nothing, and
the event table only when something was.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from sqlalchemy import func, select

from common.errors import TodokeError
from receiver import index
from receiver.changes import Changes
from receiver.index import Index

POLL_SECONDS = 0.1
HEARTBEAT_SECONDS = 5.0
WAITING = 1000  # events a slow listener may be behind; then it must connect again

_events = index.events


class Live:
    """Watches the event table while somebody listens."""

    def __init__(self, database: Index) -> None:
        self.index = database
        self._listeners: dict[asyncio.Queue[str | None], Callable[[str], bool]] = {}
        self._task: asyncio.Task[None] | None = None

    async def listen(
        self,
        still_welcome: Callable[[], object],
        sees: Callable[[str], bool] = lambda _key: True,
    ) -> AsyncIterator[str]:
        """Yield the lines of one event stream.

        Parameters
        ----------
        still_welcome : callable
            Asked at each heartbeat; raises a TodokeError when the session has ended.
        sees : callable
            Whether news of a study, by its key, is for this listener.
        """
        queue: asyncio.Queue[str | None] = asyncio.Queue(WAITING)
        await self._join(queue, sees)
        try:
            yield _event("heartbeat", {"server_time": index.now()})
            while True:
                with contextlib.suppress(TimeoutError):
                    news = await asyncio.wait_for(queue.get(), HEARTBEAT_SECONDS)
                    if news is None:
                        return
                    yield news
                    continue
                try:
                    still_welcome()
                except TodokeError:
                    return
                yield _event("heartbeat", {"server_time": index.now()})
        finally:
            self._leave(queue)

    async def _join(self, queue: asyncio.Queue[str | None], sees: Callable[[str], bool]) -> None:
        self._listeners[queue] = sees
        if self._task is None or self._task.done():
            last = self._last_id()
            self._task = asyncio.create_task(self._watch(last))

    def _leave(self, queue: asyncio.Queue[str | None]) -> None:
        self._listeners.pop(queue, None)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    def _last_id(self) -> int:
        with self.index.read() as db:
            return db.execute(select(func.max(_events.c.id))).scalar() or 0

    async def _watch(self, last: int) -> None:
        changes = Changes(self.index)
        try:
            while True:
                if changes.seen():
                    last = self._tell(last)
                await asyncio.sleep(POLL_SECONDS)
        finally:
            changes.close()
            for queue in self._listeners:
                _put(queue, None)

    def _tell(self, last: int) -> int:
        query = select(_events).where(_events.c.id > last).order_by(_events.c.id).limit(WAITING)
        with self.index.read() as db:
            rows = db.execute(query).all()
        for row in rows:
            data = json.loads(row.data)
            about = (row.study, *data.pop("beside", ()))  # another study that it is about as well
            news = _event(row.kind, {"key": row.study, **data})
            for queue, sees in list(self._listeners.items()):
                if all(map(sees, about)) and not _put(queue, news):
                    del self._listeners[queue]
        return rows[-1].id if rows else last


def _put(queue: asyncio.Queue[str | None], news: str | None) -> bool:
    """Queue an event; a listener that is too far behind is told to go."""
    try:
        queue.put_nowait(news)
    except asyncio.QueueFull:
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)
        return False
    return True


def _event(kind: str, data: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
