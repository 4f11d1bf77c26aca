"""One connected socket, plain or TLS, driven by the one thread that owns it.

The socket does not block; waiting happens in one place, under a deadline, and
another thread can end the wait.  An SSL object must not be read and written by
two threads, so whoever has something to send from outside leaves it with the
owner and calls :meth:`Channel.wake`.  The wake-up is a pair of loopback
sockets, which exists everywhere.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
import time
from typing import Any

#: poll has no limit on descriptor numbers; Windows has select alone.
_Selector: type[Any] = getattr(selectors, "PollSelector", selectors.SelectSelector)
_WANTS_READ = (ssl.SSLWantReadError, BlockingIOError)
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)

_RCVLOWAT: int | None = getattr(socket, "SO_RCVLOWAT", None)
_WAKE_AT = 1 << 17  # bytes; more saves nothing
_RECORD = 17 << 10  # the longest TLS record, RFC 8446 section 5.2

_LINGER_SECONDS = 1.0
_LINGER_BYTES = 1 << 20


class Channel:
    """A socket with deadlines.

    Parameters
    ----------
    sock : socket.socket
        Connected; owned from now on.

    Notes
    -----
    Only :meth:`wake` and :meth:`cut` may be called from another thread.
    Deadlines are moments of :func:`time.monotonic`.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        with contextlib.suppress(OSError):  # a socket pair of tests has no Nagle
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._selector = _Selector()
        self._selector.register(sock, selectors.EVENT_READ)
        self._events = selectors.EVENT_READ
        self._alarm: tuple[socket.socket, socket.socket] | None = None
        self._woken = False
        self._wake_at = 1
        self._lock = threading.Lock()  # closing against cut and wake
        self._closed = False

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """The TLS socket once the handshake is done, for facts about it."""
        return self._sock if isinstance(self._sock, ssl.SSLSocket) else None

    @property
    def certificate(self) -> bytes | None:
        """The peer's leaf certificate in DER, None without TLS or before its handshake."""
        try:
            return self.tls.getpeercert(binary_form=True) if self.tls is not None else None
        except ValueError:
            return None

    def handshake(
        self, context: ssl.SSLContext, deadline: float, *, server_side: bool, hostname: str | None
    ) -> None:
        """Put TLS on the connection.

        Raises
        ------
        ssl.SSLError, OSError
            The handshake failed.
        TimeoutError
            It was not done by the deadline.
        """
        self._selector.unregister(self._sock)
        self._sock = context.wrap_socket(
            self._sock,
            server_side=server_side,
            do_handshake_on_connect=False,
            server_hostname=hostname,
        )
        self._selector.register(self._sock, selectors.EVENT_READ)
        self._events = selectors.EVENT_READ
        while True:
            try:
                self._sock.do_handshake()
                return
            except ssl.SSLWantReadError:
                self._wait_or_raise(selectors.EVENT_READ, deadline)
            except ssl.SSLWantWriteError:
                self._wait_or_raise(selectors.EVENT_WRITE, deadline)

    def peek(self, size: int, deadline: float) -> bytes:
        """Return up to `size` first bytes and leave them; fewer when the peer pauses or ends.

        Only before the handshake, on the bare connection.
        """
        while True:
            try:
                return self._sock.recv(size, socket.MSG_PEEK)
            except BlockingIOError:
                self._wait_or_raise(selectors.EVENT_READ, deadline)

    def fill(self, buffer: memoryview, deadline: float, enough: int = 1) -> int | None:
        """Read what is there, at least one byte.

        Parameters
        ----------
        enough : int
            Bytes that are known to come: until so many are there nothing is returned,
            and as far as the system can, nobody is woken for each of their records.

        Returns
        -------
        int or None
            Number of bytes; 0 at the end of the stream; None when woken.

        Raises
        ------
        TimeoutError
            Nothing came by the deadline.
        """
        got, size = 0, len(buffer)
        receive = self._sock.recv_into
        while got < size:
            try:
                count = receive(buffer[got:])
            except _WANTS_READ:
                if got >= enough:
                    return got
                self._sleep_until(enough - got)
                try:
                    if self.wait(deadline):
                        return got or None
                except TimeoutError:
                    if got:
                        return got
                    raise
                continue
            except ssl.SSLWantWriteError:
                self._wait_or_raise(selectors.EVENT_WRITE, deadline)
                continue
            if not count:
                return got
            got += count
        return got

    def _sleep_until(self, count: int) -> None:
        """Ask the system not to wake us before about so many bytes have come."""
        if _RCVLOWAT is None:
            return
        # a part of one record may have left the system's buffer already
        wanted = max(1, min(_WAKE_AT, count - _RECORD))
        if wanted != self._wake_at:
            self._wake_at = wanted
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, _RCVLOWAT, wanted)

    def send(self, data: bytes | memoryview, patience: float) -> None:
        """Send all of `data`.

        Parameters
        ----------
        patience : float
            Seconds without any progress after which TimeoutError is raised.
        """
        view = memoryview(data)
        while view:
            sent = self.send_some(view)
            view = view[sent:]
            if not sent:
                self._wait_or_raise(selectors.EVENT_WRITE, time.monotonic() + patience)

    def send_some(self, view: memoryview) -> int:
        """Send what the socket takes now; 0 when it takes nothing."""
        try:
            return self._sock.send(view)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
            return 0

    def wait(self, deadline: float, *, writable: bool = False) -> bool:
        """Wait until there may be something to read, or to write where `writable`.

        Returns
        -------
        bool
            True when another thread called :meth:`wake`.

        Raises
        ------
        TimeoutError
            The deadline passed.
        """
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writable else 0)
        return self._wait_or_raise(events, deadline)

    def _wait_or_raise(self, events: int, deadline: float) -> bool:
        if events != self._events:
            self._selector.modify(self._sock, events)
            self._events = events
        # a deadline in the past still takes what is there
        ready = self._selector.select(max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError
        woken = False
        for key, _ in ready:
            if key.fileobj is not self._sock:
                woken = True
                with contextlib.suppress(BlockingIOError):
                    key.fileobj.recv(4096)
                self._woken = False
        return woken

    def can_be_woken(self) -> None:
        """Make :meth:`wake` work; called by the owner before another thread may."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self._alarm = (ours, theirs)
        self._selector.register(ours, selectors.EVENT_READ)

    def wake(self) -> None:
        """End the owner's wait; from any thread, and harmless when it is too late."""
        with self._lock:
            if self._alarm is None or self._closed or self._woken:
                return
            self._woken = True
            with contextlib.suppress(OSError):
                self._alarm[1].send(b"\0")

    def cut(self) -> None:
        """Break the connection from another thread; the owner sees its end."""
        with self._lock:
            if not self._closed:
                with contextlib.suppress(OSError):
                    # not SSLSocket.shutdown, which drops the SSL object under the owner
                    socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def acknowledge_at_once(self) -> None:
        """Ask for the next acknowledgement without delay where the system can.

        A foreign peer with Nagle on holds a response, or the data set behind
        a command, back until our acknowledgement of what it sent last: 44 ms
        an instance.
        """
        if _QUICKACK is not None:
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def close(self, *, linger: bool = False) -> None:
        """Close the connection.

        Parameters
        ----------
        linger : bool
            Say the end first and take what the peer still sends, for a moment:
            closing over unread bytes resets the connection, and the peer may
            lose our last words with it.
        """
        if linger:
            with contextlib.suppress(OSError, ValueError, TimeoutError):
                self._end()
        with self._lock:
            self._closed = True
            self._selector.close()
            for sock in (self._sock, *(self._alarm or ())):
                with contextlib.suppress(OSError):
                    sock.close()

    def _end(self) -> None:
        deadline = time.monotonic() + _LINGER_SECONDS
        if self.tls is not None:
            with contextlib.suppress(OSError, ValueError):
                self.tls.unwrap()  # close_notify; the answer is not waited for
        socket.socket.shutdown(self._sock, socket.SHUT_WR)
        waste = bytearray(65536)
        taken = 0
        while taken < _LINGER_BYTES:
            try:
                # the bytes below TLS: nobody reads them any more
                count = socket.socket.recv_into(self._sock, waste)
            except BlockingIOError:
                self._wait_or_raise(selectors.EVENT_READ, deadline)
                continue
            if not count:
                return
            taken += count
