"""Wakes the daemon when another process has put something into the outbox.

The daemon listens at a port of loopback and writes it, with a token, into
``DATA/bell``; who writes into the outbox sends the token there.  Nothing hangs on
it but time: the daemon looks by itself as well, only not as often.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from pathlib import Path

from common import durable
from common.errors import DiskFull

LOOPBACK = "127.0.0.1"
LONGEST = 64  # bytes of a datagram
AT_ONCE = 1000  # datagrams taken before the daemon looks again


def ring(data: Path) -> None:
    """Wake the daemon of a data directory, if there is one; never fails and never waits."""
    with contextlib.suppress(OSError, ValueError, OverflowError):
        port, token = _file(data).read_text("ascii").split()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.setblocking(False)
            line.sendto(token.encode("ascii"), (LOOPBACK, int(port)))


def _file(data: Path) -> Path:
    return data / "bell"


class Bell:
    """The daemon's end; rung by other processes and by its own threads.

    Parameters
    ----------
    data : Path
        The data directory, whose lock the caller holds.
    """

    def __init__(self, data: Path) -> None:
        self._path = _file(data)
        self._token = os.urandom(16).hex().encode("ascii")
        self._line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._line.bind((LOOPBACK, 0))
        self._line.setblocking(False)
        self._address = self._line.getsockname()
        self._heard = selectors.DefaultSelector()
        self._heard.register(self._line, selectors.EVENT_READ)
        words = f"{self._address[1]} {self._token.decode('ascii')}"
        with contextlib.suppress(DiskFull):  # the engine looks by itself, and goes on when there is
            durable.save(self._path, words.encode("ascii"), private=True)

    def ring(self) -> None:
        """Wake the one that waits; from any thread, and after the end too."""
        with contextlib.suppress(OSError):  # full: it is awake already
            self._line.sendto(self._token, self._address)

    def wait(self, seconds: float) -> bool:
        """Wait until it is rung, so many seconds at most; return whether it was."""
        end = time.monotonic() + seconds
        left = seconds
        while self._heard.select(max(0.0, left)):
            if self._rung():
                return True
            left = end - time.monotonic()
            if left <= 0:  # others may send what they like, for as long as they like
                break
        return False

    def _rung(self) -> bool:
        """Take what has come; many rings are one, and what lacks the token is none."""
        rung = False
        with contextlib.suppress(OSError):
            for _ in range(AT_ONCE):
                rung |= self._line.recv(LONGEST) == self._token
        return rung

    def close(self) -> None:
        """Take the bell down."""
        durable.remove(self._path)
        self._heard.close()
        self._line.close()
