"""The load of `todoke bench tiles`: keep-alive connections that ask one tile after another.

    python -m conformance.bench.tiles.load CONFIG

CONFIG is a JSON file (see :class:`Load`).  Printed is one JSON object: tiles read,
seconds, and the times of all answers in seconds.  One thread and one epoll: a tile
costs it some 0.1 ms with TLS; the row "ceiling" of the bench says how far it is from
being what is measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import ssl
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PIECE = 1 << 17  # bytes read at a time
JPEG = b"\xff\xd8"
PATIENCE = 30.0  # seconds for one answer


class LoadFailed(Exception):
    """An answer was no tile."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked.

    Attributes
    ----------
    paths : tuple of str
        Asked in this order, from all connections together; begun again at the end.
    seconds : float
        After them no tile is asked for.
    cores : tuple of int
        To which this process keeps (sched_setaffinity(2)); none: any.
    """

    url: str
    ca: str
    paths: tuple[str, ...]
    connections: int
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    cores: tuple[int, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Load:
        """Read a file of it."""
        said: dict[str, Any] = json.loads(path.read_text())
        return cls(**said | {"paths": tuple(said["paths"]), "cores": tuple(said["cores"])})


class _Connection:
    """One connection with one question under way."""

    def __init__(self, load: Load, context: ssl.SSLContext, requests: list[bytes]) -> None:
        where = urlsplit(load.url)
        plain = socket.create_connection((where.hostname or "", where.port or 443), PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.end = context.wrap_socket(plain, server_hostname=where.hostname)
        self.end.setblocking(False)
        self._requests = requests
        self._buffer = bytearray()
        self._whole = 0  # bytes of the answer, once its head has been read
        self.asked = 0.0

    def ask(self, number: int) -> None:
        """Send a question; it fits into the socket's buffer."""
        self._buffer.clear()
        self._whole = 0
        self.asked = time.perf_counter()
        self.end.send(self._requests[number % len(self._requests)])

    def answered(self) -> bool:
        """Take what has come; whether that was the rest of an answer.

        Raises
        ------
        LoadFailed
            It is no tile.
        """
        while True:
            try:
                piece = self.end.recv(PIECE)
            except (ssl.SSLWantReadError, BlockingIOError):
                return False
            if not piece:
                raise LoadFailed("the connection was closed: no keep-alive")
            self._buffer += piece
            if not self._whole and (at := self._buffer.find(b"\r\n\r\n")) >= 0:
                self._whole = at + 4 + length_of(bytes(self._buffer[:at]))
                self._head = at + 4
            if self._whole and len(self._buffer) >= self._whole:
                if self._buffer[self._head : self._head + 2] != JPEG:
                    raise LoadFailed("no JPEG")
                return True


def length_of(head: bytes) -> int:
    """Return the length that the head of an answer (RFC 9112) announces.

    Raises
    ------
    LoadFailed
        Its status is not 200, or it announces none.
    """
    status, *lines = head.split(b"\r\n")
    if status.split(b" ")[1:2] != [b"200"]:
        raise LoadFailed(status.decode("latin-1") or "no status")
    for line in lines:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    raise LoadFailed("no Content-Length")


def run(load: Load) -> dict[str, Any]:
    """Ask until the time is over and every question is answered.

    Raises
    ------
    LoadFailed
    """
    if load.cores:
        os.sched_setaffinity(0, load.cores)
    context = ssl.create_default_context(cafile=load.ca)
    more = "".join(f"{name}: {value}\r\n" for name, value in load.headers.items())
    host = urlsplit(load.url).netloc
    asked = [f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode() for path in load.paths]
    taken: list[float] = []
    number, open_ones = 0, load.connections
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        all_of_them = [_Connection(load, context, asked) for _ in range(load.connections)]
        for one in all_of_them:
            stack.enter_context(one.end)
        began = time.perf_counter()
        end = began + load.seconds
        for one in all_of_them:
            selector.register(one.end, selectors.EVENT_READ, one)
            one.ask(number)
            number += 1
        while open_ones:
            ready = selector.select(PATIENCE)
            if not ready:
                raise LoadFailed(f"no answer for {PATIENCE:g} s")
            for key, _ in ready:
                one = key.data
                if not one.answered():
                    continue
                now = time.perf_counter()
                taken.append(now - one.asked)
                if now < end:
                    one.ask(number)
                    number += 1
                else:
                    selector.unregister(one.end)
                    open_ones -= 1
        seconds = time.perf_counter() - began
    return {"tiles": len(taken), "seconds": seconds, "cpu": time.process_time(), "taken": taken}


def main() -> None:
    """Run what a file says."""
    try:
        said = run(Load.read(Path(sys.argv[1])))
    except (LoadFailed, OSError) as error:
        raise SystemExit(f"load: {error}") from error
    print(json.dumps(said), flush=True)  # noqa: T201 - its one output, for the bench


if __name__ == "__main__":
    main()
