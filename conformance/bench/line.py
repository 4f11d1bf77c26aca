"""A long line in a short cable: every byte late, a rate that connections share, a cut.

Runs as a process of its own, so that it takes no time from what it carries::

    python -m conformance.bench.line --delay-ms 10 --mbit 100 --route 0:2762

Each route is LISTEN:TO on this machine (0 takes a free port).  The first line on
stdout is a JSON object with the ports; then comes one for each connection, with
the time (seconds since 1970) at which its first byte came.  No loss and no slow
start are emulated.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from common import signals

AHEAD = 0.005  # seconds of bytes that may queue before the bottleneck
LATE = 0.05  # seconds that our own scheduling may be behind without costing the line its rate
SLACK = 1 << 20  # bytes in flight beyond twice the line's own


@dataclass(frozen=True, slots=True)
class Quality:
    """What a line is like.

    Attributes
    ----------
    delay : float
        Seconds one way: half the round trip.
    rate : float
        Bytes a second, each way; 0 for no limit.
    """

    delay: float = 0.0
    rate: float = 0.0

    @property
    def in_flight(self) -> int:
        """Bytes that a connection may have unacknowledged: never the bottleneck."""
        return int(4 * self.rate * self.delay) + SLACK

    @property
    def piece(self) -> int:
        """Bytes carried at a time: about a millisecond."""
        return max(1460, min(1 << 16, int(self.rate / 1000))) if self.rate else 1 << 16


class Wire:
    """One direction: a bottleneck that all connections share, first come first served."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._free_at = 0.0
        self._lock = threading.Lock()

    def leaves(self, size: int, late: float = 0.0) -> float:
        """Take bytes and return when the last of them is through (monotonic seconds).

        Parameters
        ----------
        late : float
            Seconds for which the bytes may have waited for us: a line would have
            carried them meanwhile.
        """
        now = time.monotonic()
        if not self.rate:
            return now
        with self._lock:
            self._free_at = max(now - late, self._free_at) + size / self.rate
            return self._free_at


class _Pipe:
    """One direction of one connection."""

    def __init__(
        self,
        source: socket.socket,
        target: socket.socket,
        wire: Wire,
        quality: Quality,
        seen: Callable[[int], None],
    ) -> None:
        self._source, self._target = source, target
        self._wire, self._quality, self._seen = wire, quality, seen
        self._queue: deque[tuple[float, bytes]] = deque()
        self._acknowledged: deque[tuple[float, int]] = deque()
        self._flying = 0
        self._changed = threading.Condition()
        self._over = False

    def start(self) -> None:
        """Carry bytes until an end closes."""
        for work in (self._read, self._write):
            threading.Thread(target=work, daemon=True).start()

    def _read(self) -> None:
        delay, wire = self._quality.delay, self._wire
        with contextlib.suppress(OSError):
            while self._room():
                piece, late = self._take()
                if not piece:
                    break
                self._seen(len(piece))
                through = wire.leaves(len(piece), late)
                with self._changed:
                    self._flying += len(piece)
                    self._queue.append((through + delay, piece))
                    self._changed.notify_all()
                time.sleep(max(0.0, through - AHEAD - time.monotonic()))
        with self._changed:
            self._queue.append((time.monotonic() + delay, b""))
            self._changed.notify_all()

    def _take(self) -> tuple[bytes, float]:
        """Return the next bytes, and how long at most they may have lain there already."""
        try:
            return self._source.recv(self._quality.piece, socket.MSG_DONTWAIT), LATE
        except BlockingIOError:
            return self._source.recv(self._quality.piece), 0.0

    def _room(self) -> bool:
        """Wait until fewer bytes are in flight than the window allows."""
        with self._changed:
            while not self._over:
                now = time.monotonic()
                while self._acknowledged and self._acknowledged[0][0] <= now:
                    self._flying -= self._acknowledged.popleft()[1]
                if self._flying < self._quality.in_flight:
                    return True
                until = self._acknowledged[0][0] - now if self._acknowledged else None
                self._changed.wait(until)
        return False

    def _write(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._queue)
                    due, piece = self._queue.popleft()
                time.sleep(max(0.0, due - time.monotonic()))
                if not piece:
                    self._target.shutdown(socket.SHUT_WR)
                    return
                self._target.sendall(piece)
                with self._changed:
                    back = time.monotonic() + self._quality.delay
                    self._acknowledged.append((back, len(piece)))
                    self._changed.notify_all()
        except OSError:
            with self._changed:
                self._over = True
                self._changed.notify_all()
            for end in (self._source, self._target):
                reset(end)


def reset(end: socket.socket) -> None:
    """Break a connection as a dead line does: RST, nothing of what was queued."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@dataclass
class Line:
    """Carries connections to ports of this machine.

    Parameters
    ----------
    quality : Quality
    cut_after : int
        Breaks every connection once so many bytes went towards the targets; 0 never.
    arrived : callable
        Told the port listened at and the time of a connection's first byte.
    """

    quality: Quality
    cut_after: int = 0
    arrived: Callable[[int, float], None] = lambda _port, _at: None
    carried: int = 0
    _open: list[socket.socket] = field(default_factory=list)
    _listeners: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._wires = Wire(self.quality.rate), Wire(self.quality.rate)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def route(self, target: int, port: int = 0) -> int:
        """Carry what comes to a port to another; return the port listened at."""
        listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self._listeners.append(listener)
        near = int(listener.getsockname()[1])
        threading.Thread(target=self._accept, args=(listener, near, target), daemon=True).start()
        return near

    def cut(self) -> None:
        """Break every connection."""
        with self._lock:
            ends, self._open = self._open, []
        for end in ends:
            reset(end)

    def _accept(self, listener: socket.socket, near: int, target: int) -> None:
        while True:
            try:
                end, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(end, near, target), daemon=True).start()

    def _join(self, end: socket.socket, near: int, target: int) -> None:
        time.sleep(2 * self.quality.delay)  # SYN and SYN-ACK
        try:
            far = socket.create_connection(("127.0.0.1", target), 5)
        except OSError:
            reset(end)
            return
        far.settimeout(None)
        for one in (end, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open += [end, far]
        first = [True]

        def up(size: int) -> None:
            if first:
                first.clear()
                self.arrived(near, time.time())
            with self._lock:
                self.carried += size
                over = 0 < self.cut_after <= self.carried
            if over:
                self.cut()

        _Pipe(end, far, self._wires[0], self.quality, up).start()
        _Pipe(far, end, self._wires[1], self.quality, lambda _size: None).start()


def main() -> None:
    """Run a line until the signal that ends a process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay-ms", type=float, default=0.0, help="one way")
    parser.add_argument("--mbit", type=float, default=0.0, help="per second, 0 for no limit")
    parser.add_argument("--cut-after-mb", type=float, default=0.0)
    parser.add_argument("--route", action="append", required=True, metavar="LISTEN:TO")
    given = parser.parse_args()
    quality = Quality(given.delay_ms / 1e3, given.mbit * 1e6 / 8)

    turn = threading.Lock()  # connections tell of themselves, each in its own thread

    def tell(words: dict[str, object]) -> None:
        with turn:
            print(json.dumps(words), flush=True)  # noqa: T201 - its one output, for the bench

    def arrived(port: int, at: float) -> None:
        tell({"port": port, "first": at})

    ended = threading.Event()
    signals.end_by(ended.set)
    with Line(quality, int(given.cut_after_mb * 1e6), arrived) as line:
        pairs = [tuple(map(int, route.split(":"))) for route in given.route]
        tell({"ports": [line.route(to, port) for port, to in pairs]})
        ended.wait()


if __name__ == "__main__":
    main()
