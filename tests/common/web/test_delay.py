"""Small answers leave at once: no waiting for a delayed acknowledgement."""

from __future__ import annotations

import asyncio
import socket

import httpx
from starlette.types import Receive, Scope, Send

from common.web import peer


async def _hello(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})


def test_nothing_waits_for_an_acknowledgement() -> None:
    seen: list[int] = []

    class Watched(peer.PeerH11):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            connection = transport.get_extra_info("socket")
            seen.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    listener = peer.Listener(_hello, "127.0.0.1", 0, protocol=Watched)
    with listener.in_thread() as (host, port):
        assert httpx.get(f"http://{host}:{port}/").text == "hello"
    assert seen == [1]
