"""Decoding in processes apart: a frame that hangs, swells or crashes fails alone."""

from __future__ import annotations

import asyncio
import queue
import struct
from pathlib import Path
from typing import Any

from common.errors import CannotDisplay
from common.workers import Worker, WorkerLost

WORKERS = 2
SECONDS = 10.0  # that one frame may take, with the start of its process


class Decoders:
    """A few decoding processes, started when first needed and after a failure.

    Parameters
    ----------
    workers : int
    seconds : float
        After which a frame is given up and its process killed.
    """

    def __init__(self, workers: int = WORKERS, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._all = [Worker("receiver.decoder") for _ in range(workers)]
        self._turns = asyncio.Semaphore(workers)  # who waits must not hold a thread meanwhile
        self._free: queue.Queue[Worker] = queue.Queue()
        for decoder in self._all:
            self._free.put(decoder)

    def close(self) -> None:
        """End the processes."""
        for decoder in self._all:
            decoder.stop()

    async def frames(self, path: Path, numbers: list[int]) -> list[bytes]:
        """Return frames (0-based) that a parser has to find.

        Raises
        ------
        CannotDisplay
        """
        answer = await self._ask({"do": "frames", "path": str(path), "frames": numbers})
        found, at = [], 0
        while at < len(answer):
            (size,) = struct.unpack_from("<Q", answer, at)
            found.append(answer[at + 8 : at + 8 + size])
            at += 8 + size
        return found

    async def overlay(self, path: Path, tag: str) -> bytes:
        """Return :func:`receiver.overlays.bits` of a file.

        Raises
        ------
        CannotDisplay
        """
        # a header is read within its budget: what is late here is the start of a process
        request = {"do": "overlay", "path": str(path), "tag": tag}
        return await self._ask(request, 6 * self.seconds)

    async def picture(
        self, path: Path, frame: int, edge: int, window: tuple[float, float] | None = None
    ) -> bytes:
        """Return a JPEG of a frame (0-based), its longer side at most `edge` pixels.

        Parameters
        ----------
        window : (float, float), optional
            Centre and width; the image's own, or its range, without.

        Raises
        ------
        CannotDisplay
        """
        request = {"path": str(path), "frame": frame, "edge": edge, "window": window}
        return await self._ask({"do": "picture", **request})

    async def colours(self, path: Path) -> bytes:
        """Return :func:`receiver.colours.cube` of an image.

        Raises
        ------
        CannotDisplay
        """
        return await self._ask({"do": "colours", "path": str(path)})

    async def _ask(self, request: dict[str, Any], seconds: float | None = None) -> bytes:
        def ask() -> tuple[bool, bytes]:
            decoder = self._free.get()
            try:
                return decoder.ask(request, seconds or self.seconds)
            except WorkerLost as failure:
                raise CannotDisplay(cause="decoder") from failure
            finally:
                self._free.put(decoder)

        async with self._turns:
            good, body = await asyncio.to_thread(ask)
        if not good:
            raise CannotDisplay(cause=body.decode("ascii", "replace"))
        return body
