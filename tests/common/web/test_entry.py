"""Bad inputs 7-9 at HTTP ports: who is refused, what they are told, and that it is recorded."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from common.dicom import greeting
from common.errors import WrongService
from common.web import entry, peer
from tests.common.dicom.association.rig import Pki, Refusals, calling
from tests.common.dicom.association.test_strangers import RQ, everything

badinput = pytest.mark.badinput
DEADLINE = 30.0


async def body(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def endless(_request: Request) -> StreamingResponse:
    async def pieces() -> Any:
        while True:
            yield bytes(1 << 16)
            await asyncio.sleep(0)  # once the client is gone nothing else lets the loop go on

    return StreamingResponse(pieces())


APP = Starlette(routes=[Route("/", body, methods=["GET", "POST"]), Route("/endless", endless)])


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("pki"))


@dataclass
class Port:
    """A listener with short deadlines, and what it refused."""

    pki: Pki
    tls: bool
    port: int
    refused: Refusals

    def tcp(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), DEADLINE)

    def connect(self) -> socket.socket:
        """As the right client does."""
        sock = self.tcp()
        return (
            self.pki.client().wrap_socket(sock, server_hostname="localhost") if self.tls else sock
        )

    def good(self) -> None:
        scheme = "https" if self.tls else "http"
        with httpx.Client(verify=self.pki.client(), timeout=DEADLINE) as client:
            assert client.get(f"{scheme}://localhost:{self.port}/").text == "0"

    def causes(self, wanted: str) -> None:
        with self.refused.changed:
            assert self.refused.changed.wait_for(
                lambda: wanted in [cause for _, cause, _ in self.refused.seen], DEADLINE
            ), self.refused.seen


@pytest.fixture(params=[peer.PeerHttpTools, peer.PeerH11], ids=["httptools", "h11"])
def protocol(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def opened(
    pki: Pki, monkeypatch: pytest.MonkeyPatch, protocol: Any
) -> Iterator[Callable[[bool], Port]]:
    for name in ("HANDSHAKE_SECONDS", "REQUEST_SECONDS", "BODY_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(peer, name, 1.0)
    monkeypatch.setattr(entry, "SILENT_SECONDS", 1.0)
    with contextlib.ExitStack() as open_ones:

        def start(tls: bool) -> Port:
            refused = Refusals()
            listener = peer.Listener(
                APP, "127.0.0.1", 0,
                tls=pki.server() if tls else None, refused=refused, protocol=protocol, grace=1,
            )  # fmt: skip
            _, port = open_ones.enter_context(listener.in_thread())
            return Port(pki, tls, port, refused)

        yield start


@pytest.mark.requirement("NET-15", "NET-08")
@pytest.mark.parametrize(
    ("tls", "sent", "cause", "told"),
    [
        pytest.param(
            True, b"GET / HTTP/1.1\r\n\r\n", greeting.HTTP_ON_TLS, b"speaks HTTPS",
            marks=badinput(7, "plain HTTP on the link port"),
        ),
        pytest.param(
            True, RQ, greeting.DICOM_ON_HTTP, greeting.TLS_HINT,
            marks=badinput(7, "plain DICOM on the link port"),
        ),
        (True, b"SSH-2.0-OpenSSH\r\n", greeting.NOT_TLS, greeting.TLS_HINT),
        (False, b"\x16\x03\x01\x02\x00\x01\x00", greeting.TLS_ON_HTTP, b"speaks HTTP"),
        (False, RQ, greeting.DICOM_ON_HTTP, b"speaks HTTP"),
        (False, b"SSH-2.0-OpenSSH\r\n\r\n", greeting.NOT_HTTP, b"400"),
    ],
)  # fmt: skip
def test_a_stranger_is_named(
    opened: Callable[[bool], Port], tls: bool, sent: bytes, cause: str, told: bytes
) -> None:
    port = opened(tls)
    with port.tcp() as stranger:
        stranger.sendall(sent)
        assert told in everything(stranger)
    port.causes(cause)
    port.good()


def test_the_caller_of_a_wrong_port_is_told_which(opened: Callable[[bool], Port]) -> None:
    secure, plain = opened(True), opened(False)
    with pytest.raises(WrongService):
        calling(("127.0.0.1", secure.port))
    with pytest.raises(WrongService):
        calling(("127.0.0.1", plain.port))
    with pytest.raises(WrongService):
        calling(("127.0.0.1", secure.port), secure.pki.client())
    secure.causes(greeting.DICOM_ON_HTTP)


@pytest.mark.requirement("NET-08")
@pytest.mark.parametrize("kind", ["nameless", "stranger"])
def test_a_failed_handshake_is_recorded(opened: Callable[[bool], Port], kind: str) -> None:
    port = opened(True)
    context = port.pki.nameless() if kind == "nameless" else port.pki.client(port.pki.stranger)
    with (
        contextlib.suppress(ssl.SSLError, ConnectionError),
        context.wrap_socket(port.tcp(), server_hostname="localhost") as refused,
    ):
        refused.recv(1)
    ((address, cause, _),) = port.refused.wait()
    assert address == "127.0.0.1"
    assert "certificate" in cause
    port.good()


@pytest.mark.requirement("NET-07", "NET-08")
@pytest.mark.parametrize(
    ("tls", "speaks", "cause"),
    [
        pytest.param(True, False, greeting.SILENT, marks=badinput(8, "silent on the link port")),
        pytest.param(False, False, greeting.SILENT, marks=badinput(8, "silent on the viewer port")),
        (True, True, greeting.SLOW),
    ],
)
def test_silence_ends(opened: Callable[[bool], Port], tls: bool, speaks: bool, cause: str) -> None:
    port = opened(tls)
    with port.connect() if speaks else port.tcp() as silent:
        port.good()
        everything(silent)
    port.causes(cause)


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.requirement("NET-07", "NET-08")
@pytest.mark.parametrize(
    ("sent", "dripped", "cause"),
    [
        pytest.param(
            HEAD, b"X: " + b"y" * 500, greeting.SLOW, marks=badinput(9, "HTTP request head")
        ),
        (HEAD + b"Content-Length: 0\r\n\r\n" + HEAD, b"X: " + b"y" * 500, greeting.SLOW),
        pytest.param(
            HEAD + b"Content-Length: 9999\r\n\r\n", bytes(500), greeting.TOO_SLOW,
            marks=badinput(9, "HTTP request body"),
        ),
    ],
    ids=["head", "second head", "body"],
)  # fmt: skip
def test_drops_end_at_the_deadline_of_the_whole(
    opened: Callable[[bool], Port], sent: bytes, dripped: bytes, cause: str
) -> None:
    port, moment = opened(True), threading.Event()
    with port.connect() as slow:
        slow.sendall(sent)
        for byte in dripped:
            try:
                slow.sendall(bytes([byte]))
            except OSError:
                break
            if cause in [said for _, said, _ in port.refused.seen]:
                break
            moment.wait(0.05)
        port.causes(cause)
    port.good()


@pytest.mark.requirement("NET-07")
@pytest.mark.parametrize("whole", [False, True])
def test_headers_have_a_limit(opened: Callable[[bool], Port], whole: bool) -> None:
    port = opened(False)
    with port.tcp() as big:
        with contextlib.suppress(ConnectionError):
            big.sendall(HEAD + b"X: " + b"y" * (1 << 18) + (b"\r\n\r\n" if whole else b""))
        answer = everything(big)
        assert answer == b"" or b" 400 " in answer
    assert port.refused.wait()
    port.good()


@pytest.mark.requirement("NET-07")
@badinput(87, "slow read of a big answer")
def test_who_does_not_take_the_answer_is_cut(opened: Callable[[bool], Port]) -> None:
    port = opened(True)
    with port.connect() as slow:
        slow.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        port.causes(greeting.TOO_SLOW)
    port.good()


@pytest.mark.requirement("NET-07")
def test_one_partner_holds_so_many_connections_at_rest(
    opened: Callable[[bool], Port], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "MAX_PER_PARTNER", 3)
    port = opened(True)
    with contextlib.ExitStack() as held:
        ones = [held.enter_context(port.connect()) for _ in range(5)]
        for one in ones:
            one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in one.recv(65536)
        assert all(everything(one) in (b"", b"0") for one in ones[:2]), "the oldest gave way"
        ones[4].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ones[4].recv(65536)


@pytest.mark.requirement("NET-07")
def test_the_oldest_without_a_request_gives_way(
    opened: Callable[[bool], Port], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "MAX_UNFINISHED", 5)
    monkeypatch.setattr(peer, "REQUEST_SECONDS", DEADLINE)
    port = opened(True)
    with contextlib.ExitStack() as held:
        ones = [held.enter_context(port.connect()) for _ in range(9)]
        for one in ones[:4]:
            assert everything(one) == b""
        port.causes(greeting.GAVE_WAY)
        port.good()


def test_a_house_that_is_not_ready_refuses_each_and_stays(tmp_path: Path) -> None:
    """A listener whose context cannot be had refuses each connection, and stays."""
    from common.errors import SettingsError

    def nobody() -> ssl.SSLContext:
        raise SettingsError(path=tmp_path, key="trust", cause="no partner")

    refused = Refusals()
    listener = peer.Listener(APP, "127.0.0.1", 0, tls=nobody, refused=refused, grace=1)
    with listener.in_thread() as address, socket.create_connection(address, DEADLINE) as client:
        client.sendall(b"\x16\x03\x01\0\x05")
        everything(client)
        assert greeting.NOT_READY in refused.wait()[0][1]
