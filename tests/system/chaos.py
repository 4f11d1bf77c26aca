"""A line that does what bad lines do, once, at a byte that a seed chooses."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable
from typing import ClassVar

from tests.system.line import PIECE, Line

FAULTS = ("FIN", "RST", "stall", "drops", "flip")


Does = Callable[["Chaos", socket.socket, socket.socket, bytes, int], bool]


class Chaos(Line):
    """A line with one fault on its way.

    Parameters
    ----------
    port : int
        Where to forward to.
    fault : str
        One of :data:`FAULTS`: both connections ended or reset, nothing more forwarded
        and no end either, a byte at a time and a second apart, one bit turned.
    at : int
        Byte towards the port at which it happens.

    Attributes
    ----------
    happened : threading.Event
        Set when it has; what is connected afterwards is forwarded without fault.
    """

    def __init__(self, port: int, fault: str, at: int, rate: float = 1e9) -> None:
        super().__init__(port, rate)
        self.fault = fault
        self.at = at
        self.happened = threading.Event()

    @classmethod
    def seeded(cls, port: int, fault: str, seed: int, size: int) -> Chaos:
        """Return a line whose fault is somewhere in the first `size` bytes."""
        return cls(port, fault, random.Random(f"{fault} {seed}").randrange(size))

    def _pump(self, source: socket.socket, target: socket.socket, paced: bool) -> None:
        if not paced:
            super()._pump(source, target, paced)
            return
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                with self._lock:
                    before, self.bytes = self.bytes, self.bytes + len(piece)
                    ours = before <= self.at < self.bytes and not self.happened.is_set()
                    if ours:
                        self.happened.set()
                if not ours:
                    target.sendall(piece)
                    continue
                here = self.at - before
                if not self._does[self.fault](self, source, target, piece, here):
                    break
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _end(self, source: socket.socket, target: socket.socket, piece: bytes, at: int) -> bool:
        target.sendall(piece[:at])
        return False

    def _reset(self, source: socket.socket, target: socket.socket, piece: bytes, at: int) -> bool:
        target.sendall(piece[:at])
        for one in (source, target):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def _stall(self, source: socket.socket, target: socket.socket, piece: bytes, at: int) -> bool:
        target.sendall(piece[:at])
        self._closed.wait()
        return False

    def _drip(self, source: socket.socket, target: socket.socket, piece: bytes, at: int) -> bool:
        target.sendall(piece[:at])
        rest = piece[at:]
        while rest:  # what comes behind it as well: a line that is good again is no fault
            for byte in rest:
                target.sendall(bytes([byte]))
                if self._closed.wait(1.0):
                    return False
            rest = source.recv(PIECE)
        return False

    def _flip(self, source: socket.socket, target: socket.socket, piece: bytes, at: int) -> bool:
        target.sendall(piece[:at] + bytes([piece[at] ^ 0x10]) + piece[at + 1 :])
        return True

    _does: ClassVar[dict[str, Does]] = {
        "FIN": _end, "RST": _reset, "stall": _stall, "drops": _drip, "flip": _flip,
    }  # fmt: skip
