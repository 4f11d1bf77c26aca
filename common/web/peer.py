"""HTTP listeners, and who is on the other end of them.

No ASGI server puts the client's certificate into the scope, so one small
protocol subclass does: at the end of the TLS handshake it lays the DER leaf into
the connection's ``state``, which uvicorn copies into every request's scope.  No
header or address stands in for it.  ``tests/common/web/test_peer.py`` shows
that the installed uvicorn still works so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

log = logging.getLogger("todoke.web")
_KEY = "todoke_peer_certificate"

HANDSHAKE_SECONDS = 5.0
REQUEST_SECONDS = 10.0  # from the handshake to the end of the first request's headers
HEAD_LIMIT = 1 << 16  # bytes of a request's first line and headers; h11 has the same limit

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)


def peer_certificate(scope: MutableMapping[str, Any]) -> bytes | None:
    """Return the client certificate of the connection a request came on.

    Parameters
    ----------
    scope : dict
        Of the request (``request.scope`` in Starlette).

    Returns
    -------
    bytes or None
        DER of the leaf, checked against the CA during the handshake; None
        without TLS, without a client certificate, or under another server.
    """
    found = scope.get("state", {}).get(_KEY)
    return found if isinstance(found, bytes) else None


def _certificate_of(transport: asyncio.BaseTransport) -> bytes | None:
    tls = transport.get_extra_info("ssl_object")
    return tls.getpeercert(binary_form=True) if tls is not None else None


class _Peer(asyncio.Protocol):
    """What both of uvicorn's protocols gain: the peer's certificate and a first deadline."""

    app_state: dict[str, Any]
    cycle: Any  # of the newest request; None before the first

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who connected; uvicorn alone would wait for ever for what they ask."""
        super().connection_made(transport)
        # asyncio only does so where the listening socket names its protocol; without it
        # every answer of two writes waits for the peer's delayed acknowledgement (40 ms)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, _KEY: _certificate_of(transport)}
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(REQUEST_SECONDS, self._expire, transport)

    def _expire(self, transport: asyncio.BaseTransport) -> None:
        if self.cycle is None:
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._deadline.cancel()
        super().connection_lost(exc)


class PeerH11(_Peer, H11Protocol):
    """uvicorn's protocol in plain Python, with the peer's certificate."""


PROTOCOL: type[asyncio.Protocol] = PeerH11
with contextlib.suppress(ImportError):  # httptools has no wheel for some interpreters
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class PeerHttpTools(_Peer, HttpToolsProtocol):
        """uvicorn's fast protocol, with the peer's certificate and an end to heads."""

        _in_head = True
        _heads = 0  # complete ones
        _head_bytes = 0  # of a head that is not complete

        def data_received(self, data: bytes) -> None:
            """Refuse a head that goes on: the parser keeps all of it (RFC 6585 section 5)."""
            before = self._in_head, self._heads
            super().data_received(data)
            if before == (True, self._heads) and self._in_head:
                self._head_bytes += len(data)
            else:
                self._head_bytes = 0
            if self._head_bytes > HEAD_LIMIT and not self.transport.is_closing():
                log.warning("a request head of more than %s bytes", HEAD_LIMIT)
                self.transport.write(_TOO_LARGE)
                self.transport.close()

        def on_headers_complete(self) -> None:
            """Note the end of a head."""
            self._in_head = False
            self._heads += 1
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            """Note the beginning of the next head."""
            self._in_head = True
            super().on_message_complete()

    PROTOCOL = PeerHttpTools


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to its process and bounds the handshake."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise RuntimeError("the application did not start")  # its own error is in the log
        config = self.config

        def protocol() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )

        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                protocol,
                sock=sock,
                ssl=config.ssl,
                backlog=config.backlog,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if config.ssl else None,
            )
            for sock in sockets or []
        ]
        self.started = True


class Listener:
    """One application on one port; several run in one event loop.

    The port is bound and listening once the object exists, so the real number
    of port 0 is known before the loop runs, and early connections wait.

    Parameters
    ----------
    app : ASGI application
    host : str
        Address to listen at.
    port : int
        0 takes a free one.
    tls : SSLContext, optional
        From :mod:`common.tls`; None is plain HTTP (loopback only).
    grace : float
        Seconds that open requests get when stopping.
    protocol : type, optional
        Of the connection; for tests.

    Raises
    ------
    OSError
        The address cannot be bound.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        grace: float = 3.0,
        protocol: type[asyncio.Protocol] = PROTOCOL,
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=512)
        self._socket.setblocking(False)
        config = uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="auto",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=max(1, round(grace)),
        )
        config.load()
        config.ssl = tls  # uvicorn builds its own from files otherwise
        self._server = _Server(config)

    @property
    def address(self) -> tuple[str, int]:
        """Host and real port."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    async def serve(self) -> None:
        """Serve until :meth:`stop`."""
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Ask :meth:`serve` to end within the grace; safe from any thread."""
        self._server.should_exit = True

    @contextlib.contextmanager
    def in_thread(self) -> Iterator[tuple[str, int]]:
        """Serve from a thread with an event loop of its own; gives the address."""
        thread = threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True)
        thread.start()
        try:
            yield self.address
        finally:
            self.stop()
            thread.join()
