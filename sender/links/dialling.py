"""A connection that is made while a job is still read: two round trips before the first byte."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from common.dicom import calling
from common.dicom.channel import Channel
from common.errors import TodokeError

#: Seconds after which a peer may have given up on one that says nothing.
FRESH = 2.0


class Dialling:
    """Connects to an address in a thread of its own; used once, or given up.

    Parameters
    ----------
    address : (str, int)
    timeout : float
        Seconds for connection and TLS handshake together.
    clock : callable
        Seconds that only go on.
    """

    def __init__(
        self,
        address: tuple[str, int],
        tls: ssl.SSLContext | None,
        hostname: str | None,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._clock = clock
        self._since = clock()
        self._made: Future[Channel] = Future()
        self._taken = threading.Lock()
        line = address, tls, hostname, timeout
        threading.Thread(target=self._dial, args=line, name="dial", daemon=True).start()

    def reach(
        self,
        address: tuple[str, int],
        tls: ssl.SSLContext | None,
        hostname: str | None,
        timeout: float,
    ) -> Channel:
        """Return the connection if it is to that address and fresh, else a new one.

        Raises
        ------
        PeerError
            As :func:`common.dicom.calling.reach`.
        """
        fresh = address == self._address and self._clock() - self._since < FRESH
        if not fresh or not self._taken.acquire(blocking=False):
            self.give_up()
            return calling.reach(address, tls, hostname, timeout)
        return self._made.result()

    def give_up(self) -> None:
        """Close the connection once it is made, unless it was taken."""
        if self._taken.acquire(blocking=False):
            self._made.add_done_callback(_close)

    def _dial(
        self,
        address: tuple[str, int],
        tls: ssl.SSLContext | None,
        hostname: str | None,
        timeout: float,
    ) -> None:
        try:
            self._made.set_result(calling.reach(address, tls, hostname, timeout))
        except TodokeError as error:
            self._made.set_exception(error)


def _close(made: Future[Channel]) -> None:
    if made.exception() is None:
        made.result().close()
