"""Decoding in processes apart: a frame that hangs, swells or crashes fails alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from common.errors import CannotDisplay
from receiver.decoder import HEAD

WORKERS = 2
SECONDS = 10.0  # that one frame may take, with the start of its process
MOST_ANSWER = 512 << 20  # bytes


class Decoders:
    """A few decoding processes, started when first needed and after a failure.

    Parameters
    ----------
    workers : int
    seconds : float
        After which a frame is given up and its process killed.
    """

    def __init__(self, workers: int = WORKERS, seconds: float = SECONDS) -> None:
        self._all = [_Decoder(seconds) for _ in range(workers)]
        self._turns = asyncio.Semaphore(workers)  # who waits must not hold a thread meanwhile
        self._free: queue.Queue[_Decoder] = queue.Queue()
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

    async def _ask(self, request: dict[str, Any]) -> bytes:
        def ask() -> bytes:
            decoder = self._free.get()
            try:
                return decoder.ask(request)
            finally:
                self._free.put(decoder)

        async with self._turns:
            return await asyncio.to_thread(ask)


class _Decoder:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: dict[str, Any]) -> bytes:
        process = self._running()
        timer = threading.Timer(self.seconds, process.kill)
        timer.start()
        try:
            good, body = _exchange(process, json.dumps(request).encode() + b"\n")
        except (OSError, struct.error) as failure:
            self.stop()
            raise CannotDisplay(cause="decoder") from failure
        finally:
            timer.cancel()
        if not good:
            raise CannotDisplay(cause=body.decode("ascii", "replace"))
        return body

    def stop(self) -> None:
        """End the process, if it runs; the next request starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "receiver.decoder"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process


def _exchange(process: subprocess.Popen[bytes], line: bytes) -> tuple[int, bytes]:
    if process.stdin is None or process.stdout is None:
        raise BrokenPipeError
    process.stdin.write(line)
    process.stdin.flush()
    good, size = HEAD.unpack(process.stdout.read(HEAD.size))
    if size > MOST_ANSWER:
        raise BrokenPipeError
    body = process.stdout.read(size)
    if len(body) != size:
        raise BrokenPipeError
    return good, body
