"""The way into an HTTP port: who may come as far as a request, and who gives way.

One thread accepts, and looks at each connection's first bytes before anything is
spent on it, so a silent client costs a socket and delays nobody.  The TLS
handshake and the wait for the first request are the event loop's; of those
not done only so many are kept, and the oldest of the busiest address gives way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable

from common import crowd
from common.dicom import greeting
from common.errors import TodokeError
from common.refusals import Refused

log = logging.getLogger("todoke.web")

Tls = ssl.SSLContext | Callable[[], ssl.SSLContext] | None
Handed = Callable[[socket.socket, str], None]

SILENT_SECONDS = 5.0  # from the connection to its first byte
MAX_SILENT = 200  # connections without one
_BACKOFF = 0.1  # seconds without accepting when no descriptor is left

_HTTPS_HINT = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\n\r\n" + "ここはHTTPSのポートです / This port speaks HTTPS\r\n".encode()
)
_HTTP_HINT = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\n\r\n" + "ここはHTTPのポートです / This port speaks HTTP\r\n".encode()
)


def stranger(first: bytes, *, tls: bool) -> tuple[str, bytes] | None:
    """Name who speaks something else than an HTTP port is for.

    Parameters
    ----------
    first : bytes
        What came first, as it was on the wire.
    tls : bool
        Whether the port speaks TLS.

    Returns
    -------
    (str, bytes) or None
        The cause in both languages and what is said to the client; None for the right one.
    """
    if tls:
        if first[:1] == b"\x16":
            return None
        if greeting.is_http(first):
            return greeting.HTTP_ON_TLS, _HTTPS_HINT
        return (greeting.DICOM_ON_HTTP if is_dicom(first) else greeting.NOT_TLS), greeting.TLS_HINT
    if greeting.is_tls(first):
        return greeting.TLS_ON_HTTP, _HTTP_HINT
    return (greeting.DICOM_ON_HTTP, _HTTP_HINT) if is_dicom(first) else None


def is_dicom(first: bytes) -> bool:
    """Tell whether the bytes begin an A-ASSOCIATE-RQ (PS3.8 9.3.2)."""
    return first[:2] == b"\x01\0"


class Porch:
    """Accepts connections in a thread and hands those on that speak.

    Parameters
    ----------
    listener : socket.socket
        Listening; stays its owner's to close, after :meth:`close`.
    tls : bool
        Whether the port speaks TLS.
    handed : callable
        Takes a connection whose first byte is there, and its address; called from
        the thread.
    refused : callable
        Told of each other.
    """

    def __init__(
        self, listener: socket.socket, *, tls: bool, handed: Handed, refused: Refused
    ) -> None:
        self._listener = listener
        self._tls = tls
        self._handed = handed
        self._refused = refused
        self._waiting: dict[socket.socket, str] = {}  # to address, in order of arrival
        self._since: dict[socket.socket, float] = {}
        self._stopping = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._alarm = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="http-accept", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._alarm[0], selectors.EVENT_READ)
        self._thread.start()

    def close(self) -> None:
        """Accept no more, and close who has not spoken."""
        self._stopping.set()
        self._alarm[1].send(b"\0")
        self._thread.join()
        for sock in (*self._waiting, *self._alarm):
            sock.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select(self._patience()):
                if self._stopping.is_set():
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._waiting:  # it may have given way a moment ago
                    self._look(key.fileobj)
            self._end_silence()

    def _patience(self) -> float | None:
        oldest = next(iter(self._since.values()), None)
        return None if oldest is None else max(0.0, oldest + SILENT_SECONDS - time.monotonic())

    def _accept(self) -> None:
        try:
            sock, address = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as failure:  # out of descriptors: make room, do not spin
            log.warning("accept failed: %s", failure)
            for _ in range(len(self._waiting) // 2):
                self._give_way()
            self._stopping.wait(_BACKOFF)
            return
        sock.setblocking(False)
        if len(self._waiting) >= MAX_SILENT:
            self._give_way()
        self._waiting[sock] = str(address[0])
        self._since[sock] = time.monotonic()
        self._selector.register(sock, selectors.EVENT_READ)

    def _look(self, sock: socket.socket) -> None:
        """Tell from its first bytes who came, and leave them."""
        try:
            first = sock.recv(4, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            first = b""
        address = self._forget(sock)
        if not first:
            sock.close()
            self._refused(address, greeting.CLOSED, None)
            return
        found = stranger(first, tls=self._tls)
        if found is None:
            self._handed(sock, address)
            return
        cause, answer = found
        with contextlib.suppress(OSError):
            while sock.recv(1 << 16):  # closing over unread bytes takes our words back
                pass
        with contextlib.suppress(OSError):
            sock.send(answer)
            sock.shutdown(socket.SHUT_WR)
        sock.close()
        self._refused(address, cause, None)

    def _end_silence(self) -> None:
        late = time.monotonic() - SILENT_SECONDS
        for sock in [one for one, since in self._since.items() if since <= late]:
            self._end(sock, greeting.SILENT)

    def _give_way(self) -> None:
        self._end(crowd.gives_way(self._waiting), greeting.GAVE_WAY)

    def _end(self, sock: socket.socket, cause: str) -> None:
        address = self._forget(sock)
        sock.close()
        self._refused(address, cause, None)

    def _forget(self, sock: socket.socket) -> str:
        self._selector.unregister(sock)
        del self._since[sock]
        return self._waiting.pop(sock)


class Entry:
    """Brings connections from the porch to a protocol; what uvicorn knows as its server.

    Parameters
    ----------
    make : callable
        Makes the protocol of one connection, given what it calls once its first
        request's headers are there.
    tls : ssl.SSLContext, callable or None
        A callable is asked for each connection.
    handshake_seconds : float
        For TLS.
    max_unfinished : int
        Connections between first byte and first request.
    """

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[Callable[[], None]], asyncio.Protocol],
        *,
        tls: Tls,
        refused: Refused,
        handshake_seconds: float,
        max_unfinished: int,
    ) -> None:
        self._make = make
        self._tls = tls
        self._refused = refused
        self._handshake_seconds = handshake_seconds
        self._max_unfinished = max_unfinished
        self._loop = asyncio.get_running_loop()
        self._unfinished: dict[socket.socket, str] = {}
        self._gave_way: set[socket.socket] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._porch = Porch(listener, tls=tls is not None, handed=self._hand, refused=refused)
        self._porch.start()

    def close(self) -> None:
        """Let nobody in any more."""
        self._porch.close()
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait for nothing: :meth:`close` was thorough."""

    def _hand(self, sock: socket.socket, address: str) -> None:
        try:
            self._loop.call_soon_threadsafe(self._begin, sock, address)
        except RuntimeError:  # the loop has ended
            sock.close()

    def _begin(self, sock: socket.socket, address: str) -> None:
        waiting = {s: a for s, a in self._unfinished.items() if s not in self._gave_way}
        if len(waiting) >= self._max_unfinished:
            oldest = crowd.gives_way(waiting)
            self._gave_way.add(oldest)
            with contextlib.suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)  # whoever reads it sees the end
            self.tell(waiting[oldest], greeting.GAVE_WAY, None)
        self._unfinished[sock] = address
        task = self._loop.create_task(self._enter(sock, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def tell(self, address: str, cause: str, certificate: bytes | None) -> None:
        """Record a refusal; the loop does not wait for the disk."""
        self._loop.run_in_executor(None, self._refused, address, cause, certificate)

    async def _enter(self, sock: socket.socket, address: str) -> None:
        def finished() -> None:
            self._unfinished.pop(sock, None)
            self._gave_way.discard(sock)

        try:
            context = self._tls() if callable(self._tls) else self._tls
            await self._loop.connect_accepted_socket(
                lambda: self._make(finished),
                sock,
                ssl=context,
                ssl_handshake_timeout=self._handshake_seconds if context else None,
            )
        except TodokeError as error:
            cause = f"{greeting.NOT_READY}: {error}"
        except ConnectionAbortedError:  # asyncio's word for its own deadline
            cause = greeting.SLOW
        except OSError as failure:
            cause = greeting.handshake_cause(failure)
        else:
            return
        told = sock in self._gave_way
        finished()
        sock.close()
        if not told:
            self.tell(address, cause, None)
