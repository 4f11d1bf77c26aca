"""Frames that readers wait for, noted for the link in few and short transactions."""

from __future__ import annotations

import asyncio

from sqlalchemy import delete, insert, select

from receiver import index
from receiver.index import Index

FLUSH_SECONDS = 0.03
MOST = 512  # frames noted at once; a viewport has fewer

_wanted = index.wanted


class Waiting:
    """Collects wanted frames and writes them together."""

    def __init__(self, database: Index) -> None:
        self.index = database
        self._frames: set[tuple[int, int]] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, instance: int, frames: list[int]) -> None:
        """Note frames (0-based) of an instance; returns at once."""
        for frame in frames:
            if len(self._frames) < MOST:
                self._frames.add((instance, frame))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        while self._frames:
            await asyncio.sleep(FLUSH_SECONDS)
            some, self._frames = self._frames, set()
            await asyncio.to_thread(self._write, some)

    def _write(self, some: set[tuple[int, int]]) -> None:
        at = index.now()
        with self.index.write() as db:
            known = {
                (row.instance, row.frame)
                for row in db.execute(select(_wanted.c.instance, _wanted.c.frame))
            }
            new = sorted(some - known)
            if len(known) > 4 * MOST:  # nobody fetches: the newest matter
                db.execute(delete(_wanted))
            if new:
                rows = [{"instance": i, "frame": f, "at": at} for i, f in new]
                db.execute(insert(_wanted), rows)
