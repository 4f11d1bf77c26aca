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
import threading
from collections.abc import Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from common import crowd
from common.dicom import greeting
from common.refusals import Refused
from common.web import entry

if TYPE_CHECKING:
    from starlette.types import ASGIApp

log = logging.getLogger("todoke.web")
_KEY = "todoke_peer_certificate"

HANDSHAKE_SECONDS = 5.0
REQUEST_SECONDS = 10.0  # from the handshake, or the first byte, to the end of the headers
BODY_SECONDS = 30.0  # in which a body has to bring LEAST_RATE
ANSWER_SECONDS = 30.0  # in which so much of an answer has to be taken
LEAST_RATE = 100  # bytes a second
MAX_HEAD = 1 << 16  # bytes of request line and headers
MAX_UNFINISHED = 200  # connections between first byte and first request
MAX_OPEN = 500  # connections that have made a request
MAX_PER_PARTNER = 100  # of them with one client certificate
HEAD_TOO_LONG = "ヘッダーが長すぎます / headers too long"


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
    """What both of uvicorn's protocols gain: the peer's certificate, deadlines and limits.

    Headers have one deadline from their first byte to their last, however they come;
    a body and an answer have to make progress.  Both are looked at where bytes come
    or back up, so a request that comes in one piece costs a comparison or two.
    """

    app_state: dict[str, Any]
    cycle: Any  # of the newest request; None before the first
    flow: Any
    house: House  # these two are handed in by the server
    greeted: Callable[[], None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who connected; uvicorn alone would wait for ever for what they ask."""
        super().connection_made(transport)
        # asyncio only does so where the listening socket names its protocol; without it
        # every answer of two writes waits for the peer's delayed acknowledgement (40 ms)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.certificate = _certificate_of(transport)
        self.app_state = {**self.app_state, _KEY: self.certificate}
        name = transport.get_extra_info("peername")
        self.address = str(name[0]) if name else "?"
        self._line: Any = transport
        self._loop = asyncio.get_running_loop()
        self._first: bytes | None = None
        self._head = self._got = 0
        self._body: asyncio.TimerHandle | None = None
        self._answer: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and see which deadline holds now."""
        if self._first is None:
            self._first = bytes(data[:4])
        self._got += len(data)
        before = self.cycle
        of_body = before is not None and before.more_body
        super().data_received(data)
        request = self.cycle
        if request is not before:  # its headers are complete
            self._head = 0
            _stop(self._deadline)
            self._deadline = None
            if before is None and not self.house.entered(self):
                return
        elif not of_body:
            self._head += len(data)
            self._arm()
            if self._head > MAX_HEAD:
                self._end(HEAD_TOO_LONG)
        elif request.response_complete:  # the rest of a body that was answered already
            self._arm()
        if self._body is None and request is not None and self._in_body():
            self._body = self._loop.call_later(BODY_SECONDS, self._judge_body, self._got)

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self._loop.call_later(REQUEST_SECONDS, self._end, greeting.SLOW)

    def _in_body(self) -> bool:
        return bool(self.cycle.more_body and not self.cycle.response_complete)

    def _judge_body(self, before: int) -> None:
        self._body = None
        if not self._in_body():
            return
        if self._got - before < LEAST_RATE * BODY_SECONDS and not self.flow.read_paused:
            self._end(greeting.TOO_SLOW)
            return
        self._body = self._loop.call_later(BODY_SECONDS, self._judge_body, self._got)

    def pause_writing(self) -> None:
        """Begin to watch an answer that the peer takes more slowly than it is made."""
        super().pause_writing()
        self._watch_answer()

    def resume_writing(self) -> None:
        """End it."""
        super().resume_writing()
        _stop(self._answer)

    def _watch_answer(self) -> None:
        left = self._line.get_write_buffer_size()
        self._answer = self._loop.call_later(ANSWER_SECONDS, self._judge_answer, left)

    def _judge_answer(self, before: int) -> None:
        if before - self._line.get_write_buffer_size() < LEAST_RATE * ANSWER_SECONDS:
            self._end(greeting.TOO_SLOW)
        else:
            self._watch_answer()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, and say so in the record."""
        dicom = self._first is not None and entry.is_dicom(self._first)
        self.house.tell(self, greeting.DICOM_ON_HTTP if dicom else greeting.NOT_HTTP)
        super().send_400_response(msg)  # type: ignore[misc]

    def _end(self, cause: str) -> None:
        if self._line.is_closing() and cause is not greeting.TOO_SLOW:
            return
        self.house.tell(self, cause)
        self._line.abort()  # closing would wait for what the peer does not take

    @property
    def at_rest(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def leave(self) -> None:
        """Close a connection at rest."""
        self._line.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        for timer in (self._deadline, self._body, self._answer):
            _stop(timer)
        self.house.left(self)
        super().connection_lost(exc)


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


class PeerH11(_Peer, H11Protocol):
    """uvicorn's protocol in plain Python, with the peer's certificate."""


PROTOCOL: type[asyncio.Protocol] = PeerH11
with contextlib.suppress(ImportError):  # httptools has no wheel for some interpreters
    from httptools import HttpParserCallbackError
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class PeerHttpTools(_Peer, HttpToolsProtocol):
        """uvicorn's fast protocol, with the peer's certificate and a limit on headers."""

        def on_headers_complete(self) -> None:
            """Refuse headers that are complete and too long: its parser has no limit."""
            length = len(self.url) + sum(len(n) + len(v) + 4 for n, v in self.headers)
            if length > MAX_HEAD:
                raise HttpParserCallbackError(HEAD_TOO_LONG)
            super().on_headers_complete()

    PROTOCOL = PeerHttpTools


class House:
    """The connections of one port that have made a request.

    Parameters
    ----------
    refused : callable
        As of :class:`common.web.entry.Entry`, for the event loop.
    max_open, max_per_partner : int
        Most connections in all, and most with one client certificate: beyond them
        the one that has been open longest without a request under way gives way.
    """

    def __init__(self, refused: Refused, max_open: int, max_per_partner: int) -> None:
        self._refused = refused
        self._max_open = max_open
        self._max_per_partner = max_per_partner
        self._open: dict[_Peer, str] = {}  # to address, in order of arrival

    def entered(self, peer: _Peer) -> bool:
        """Count a connection whose first request came; False where it was closed instead."""
        ours = {
            one: address
            for one, address in self._open.items()
            if peer.certificate is not None and one.certificate == peer.certificate
        }
        for here, most, cause in (
            (ours, self._max_per_partner, greeting.PARTNER_FULL),
            (self._open, self._max_open, greeting.FULL),
        ):
            if len(here) < most:
                continue
            at_rest = {one: address for one, address in here.items() if one.at_rest}
            if not at_rest:
                self.tell(peer, cause)
                peer.leave()
                return False
            goes = crowd.gives_way(at_rest)
            del self._open[goes]
            goes.leave()
        self._open[peer] = peer.address
        peer.greeted()
        return True

    def left(self, peer: _Peer) -> None:
        """Forget a connection."""
        self._open.pop(peer, None)
        peer.greeted()

    def tell(self, peer: _Peer, cause: str) -> None:
        """Record why a connection is closed."""
        self._refused(peer.address, cause, peer.certificate)


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to its process and lets nobody in unseen."""

    def __init__(self, config: uvicorn.Config, tls: entry.Tls, refused: Refused) -> None:
        super().__init__(config)
        self._tls = tls
        self._refused = refused

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise RuntimeError("the application did not start")  # its own error is in the log
        config = self.config

        def make(greeted: Callable[[], None]) -> asyncio.Protocol:
            made = config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )
            made.house, made.greeted = house, greeted  # type: ignore[attr-defined]
            return made

        (listening,) = sockets or []
        let_in = entry.Entry(
            listening,
            make,
            tls=self._tls,
            refused=self._refused,
            handshake_seconds=HANDSHAKE_SECONDS,
            max_unfinished=MAX_UNFINISHED,
        )
        house = House(let_in.tell, MAX_OPEN, MAX_PER_PARTNER)
        self.servers = [let_in]  # type: ignore[list-item]
        self.started = True


def _ending(app: ASGIApp) -> ASGIApp:
    """Answer what still stands when the server ends with 503, and not with a traceback."""

    async def answered(scope: Any, receive: Any, send: Any) -> None:
        begun = False

        async def told(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await app(scope, receive, told)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            if not begun:
                await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    return answered


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
    tls : SSLContext or callable, optional
        From :mod:`common.tls`, or what gives it for each connection; None is plain
        HTTP (loopback only).
    refused : callable, optional
        Told of each connection that is refused: address, cause, certificate (DER).
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
        tls: entry.Tls = None,
        refused: Refused = lambda *_: None,
        grace: float = 3.0,
        protocol: type[asyncio.Protocol] = PROTOCOL,
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=512)
        self._socket.setblocking(False)
        config = uvicorn.Config(
            _ending(app),
            http=protocol,
            ws="none",
            lifespan="auto",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
            # whole seconds by its name, and any number for what it is given to
            timeout_graceful_shutdown=cast("int", grace),
        )
        config.load()
        self._server = _Server(config, tls, refused)

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
