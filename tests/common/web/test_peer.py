"""The client's certificate reaches the handler under the installed uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from common import durable, tls
from common.proof import certificates
from common.proof.certificates import Authority
from common.web import entry, peer

PROTOCOLS = [
    pytest.param(protocol, id=f"{protocol.__name__}-uvicorn-{uvicorn.__version__}")
    for protocol in (peer.PeerHttpTools, peer.PeerH11)
]


async def who(request: Request) -> PlainTextResponse:
    der = peer.peer_certificate(request.scope)
    return PlainTextResponse(hashlib.sha256(der).hexdigest() if der else "nobody")


APP = Starlette(routes=[Route("/who", who), Mount("/deep", routes=[Route("/who", who)])])


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("ca")


@pytest.fixture
def leaf(tmp_path: Path, authority: Authority) -> Callable[[str], tls.Credentials]:
    def issue(name: str) -> tls.Credentials:
        key = certificates.new_key()
        certificate = authority.issue(key.public_key(), name, hosts=["localhost", "127.0.0.1"])
        own = tls.Credentials(tmp_path / f"{name}.key", tmp_path / f"{name}.crt")
        durable.save(own.key, certificates.key_to_pem(key), private=True)
        durable.save(own.chain, certificates.to_pem(certificate).encode())
        return own

    return issue


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_connection_has_its_own_certificate(
    protocol: type[asyncio.Protocol],
    authority: Authority,
    leaf: Callable[[str], tls.Credentials],
) -> None:
    context = tls.server_context(leaf("server"), [authority.pem])
    listener = peer.Listener(APP, "127.0.0.1", 0, tls=context, protocol=protocol)
    with listener.in_thread() as (host, port):
        for name in ("a", "b"):
            own = leaf(name)
            with httpx.Client(
                verify=tls.client_context(own, [authority.pem]),
                base_url=f"https://{host}:{port}",
                headers={"x-client-cert": "forged", "x-forwarded-for": "10.0.0.1"},
            ) as client:
                wanted = tls.fingerprint_of_pem(own.chain.read_text())
                assert client.get("/who").text == wanted
                assert client.get("/deep/who").text == wanted  # kept alive, mounted


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_without_a_client_certificate_there_is_nobody(
    protocol: type[asyncio.Protocol],
    authority: Authority,
    leaf: Callable[[str], tls.Credentials],
) -> None:
    context = tls.server_context(leaf("server"), client_required=False)
    listener = peer.Listener(APP, "127.0.0.1", 0, tls=context, protocol=protocol)
    with listener.in_thread() as (host, port):
        trust = tls.client_context(None, [authority.pem])
        assert httpx.get(f"https://{host}:{port}/who", verify=trust).text == "nobody"
    plain = peer.Listener(APP, "127.0.0.1", 0, protocol=protocol)
    with plain.in_thread() as (host, port):
        assert httpx.get(f"http://{host}:{port}/who").text == "nobody"


def test_uvloop_gives_the_certificate_too(
    authority: Authority, leaf: Callable[[str], tls.Credentials]
) -> None:
    uvloop = pytest.importorskip("uvloop")
    own = leaf("client")
    listener = peer.Listener(
        APP, "127.0.0.1", 0, tls=tls.server_context(leaf("server"), [authority.pem])
    )

    async def ask() -> str:
        serving = asyncio.create_task(listener.serve())
        host, port = listener.address
        trust = tls.client_context(own, [authority.pem])
        async with httpx.AsyncClient(verify=trust) as client:
            answer = await client.get(f"https://{host}:{port}/who")
        listener.stop()
        await serving
        return answer.text

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(ask()) == tls.fingerprint_of_pem(own.chain.read_text())


@pytest.mark.requirement("NET-07")
@pytest.mark.parametrize("speaks", [False, True], ids=["no-handshake", "no-request"])
def test_a_silent_client_is_closed_and_blocks_nobody(
    speaks: bool,
    authority: Authority,
    leaf: Callable[[str], tls.Credentials],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entry, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(peer, "HANDSHAKE_SECONDS", 0.3)
    monkeypatch.setattr(peer, "REQUEST_SECONDS", 0.3)
    context = tls.server_context(leaf("server"), [authority.pem])
    trust = tls.client_context(leaf("client"), [authority.pem])
    listener = peer.Listener(APP, "127.0.0.1", 0, tls=context)
    with listener.in_thread() as address:
        silent = socket.create_connection(address, timeout=10)
        if speaks:
            silent = trust.wrap_socket(silent, server_hostname="localhost")
        with silent:
            url = f"https://localhost:{address[1]}/who"
            assert httpx.get(url, verify=trust, timeout=1).status_code == 200
            with contextlib.suppress(ConnectionResetError, ssl.SSLError):  # closed as well
                assert silent.recv(1) == b""


def test_two_listeners_share_one_loop_and_stop(authority: Authority) -> None:
    first, second = (peer.Listener(APP, "127.0.0.1", 0) for _ in range(2))

    async def both() -> set[str]:
        serving = [asyncio.create_task(one.serve()) for one in (first, second)]
        async with httpx.AsyncClient() as client:
            answers = {
                (await client.get(f"http://127.0.0.1:{one.address[1]}/who")).text
                for one in (first, second)
            }
        ports = {one.address[1] for one in (first, second)}
        for one in (first, second):
            one.stop()
        await asyncio.gather(*serving)
        assert len(ports) == 2
        return answers

    assert asyncio.run(both()) == {"nobody"}
