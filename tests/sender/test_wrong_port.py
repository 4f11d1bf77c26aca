"""A wrong number for the link's port is named as that: E-1103, with what is there instead."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from common.dicom import greeting
from common.errors import PeerError, PeerUnreachable, ProtocolError, WrongService
from common.web.peer import Listener
from sender.links.http import LinkClient
from tests.common.dicom.association.rig import Pki, Shelf, accepting


async def page(_request: Request) -> HTMLResponse:
    return HTMLResponse("<html>a viewer")


async def older(_request: Request) -> Response:
    return Response(status_code=404)


async def busy(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("upstream is away", 502)


def serving(endpoint: object, context: ssl.SSLContext | None) -> Listener:
    app = Starlette(routes=[Route("/{path:path}", endpoint)])  # type: ignore[arg-type]
    return Listener(app, "127.0.0.1", 0, tls=context, grace=1)


@contextlib.contextmanager
def foreign(first: bytes, context: ssl.SSLContext | None) -> Iterator[int]:
    """A port of another make, that says `first` to whatever comes, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError), contextlib.ExitStack() as held:
                line = held.enter_context(listener.accept()[0])
                if context is not None:
                    line = held.enter_context(context.wrap_socket(line, server_side=True))
                line.recv(1 << 12)
                line.sendall(first)

        answering = threading.Thread(target=answer)
        answering.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            answering.join(30)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("pki"))


def ask(pki: Pki, port: int) -> PeerError:
    """Return what a question on the link comes to."""
    client = LinkClient("127.0.0.1", port, "localhost", pki.client())
    with client, pytest.raises(PeerError) as told:
        client.hello()
    return told.value


@pytest.mark.requirement("NET-15")
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_a_dicom_port_is_named(pki: Pki, secure: bool) -> None:
    with accepting(Shelf(), pki.server() if secure else None) as acceptor:
        error = ask(pki, acceptor.address[1])
    assert type(error) is WrongService
    assert (greeting.DICOM_THERE if secure else greeting.NOT_TLS) in str(error)


@pytest.mark.requirement("NET-15")
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_a_port_of_pages_is_named(pki: Pki, secure: bool) -> None:
    with serving(page, pki.server() if secure else None).in_thread() as (_, port):
        error = ask(pki, port)
    assert type(error) is WrongService
    assert (greeting.NOT_LINK if secure else greeting.NOT_TLS) in str(error)


@pytest.mark.requirement("NET-15")
@pytest.mark.parametrize(
    ("first", "secure", "cause"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", False, greeting.NOT_TLS),
        (greeting.DICOM_HINT, False, greeting.NOT_TLS),
        (greeting.DICOM_HINT, True, greeting.NOT_HTTP),
        (b"220 mail.example ESMTP\r\n502 Unimplemented\r\n\r\n", True, greeting.NOT_HTTP),
    ],
)
def test_a_port_of_another_make_is_named(pki: Pki, first: bytes, secure: bool, cause: str) -> None:
    with foreign(first, pki.server() if secure else None) as port:
        error = ask(pki, port)
    assert type(error) is WrongService
    assert cause in str(error)


def test_what_is_no_wrong_port_is_not_called_so(pki: Pki) -> None:
    with serving(busy, pki.server()).in_thread() as (_, port):
        assert ask(pki, port).retryable, "a server that is in trouble may recover"
    with serving(older, pki.server()).in_thread() as (_, port):
        assert type(ask(pki, port)) is ProtocolError, "a link of another version"
    with foreign(b"", pki.server()) as port:
        assert ask(pki, port).retryable, "closed without a word"
    with foreign(b"", None) as port:
        assert type(ask(pki, port)) is PeerUnreachable
