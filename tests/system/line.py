"""A line between two ends: forwards bytes at a rate, and can be cut."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self

PIECE = 16 << 10


class Line:
    """Forwards TCP connections to a port of this machine.

    Parameters
    ----------
    port : int
        Where to forward to.
    rate : float
        Bytes a second towards that port, over all connections.
    """

    def __init__(self, port: int, rate: float) -> None:
        self.target = port
        self.rate = rate
        self.bytes = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._closed = threading.Event()
        self._limit: float = float("inf")
        self._free = threading.Event()
        self._free.set()
        self.holding = threading.Event()

    def hold_after(self, count: int) -> None:
        """Let so many more bytes through, then none until :meth:`go_on`."""
        with self._lock:
            self._limit = self.bytes + count

    def go_on(self) -> None:
        """Let bytes through again."""
        with self._lock:
            self._limit = float("inf")
            self.holding.clear()
            self._free.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _t: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Break every connection."""
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
            self._open.clear()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)  # a line that is silent is not cut
            with self._lock:
                self._open |= {near, far}
            for one, other, paced in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._pump, args=(one, other, paced), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, paced: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                if paced:
                    self._pace(len(piece))
                target.sendall(piece)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _pace(self, size: int) -> None:
        """Wait for this piece's turn on the line: the line is what is tested, not a pause."""
        with self._lock:
            self.bytes += size
            if self.bytes > self._limit:
                self._free.clear()
                self.holding.set()
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size / self.rate
            pause = self._free_at - now
        self._closed.wait(pause)
        while not self._free.wait(0.1) and not self._closed.is_set():
            pass
