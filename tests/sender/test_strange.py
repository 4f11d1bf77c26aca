"""One strange file, peer or disk stops nothing else."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from common import link, tls
from common.errors import PeerError
from common.proof import certificates
from common.proof.certificates import Authority
from common.proof.identity import Institution, Node
from common.settings import Sender
from common.states import TransferState
from common.web.peer import Listener
from sender import identity, ingest, pairing
from sender.engine import Engine
from sender.links.http import LinkClient
from sender.outbox import Outbox, stamp
from sender.partners import Partner
from tests.system.series import write_series

HERE = Institution("網走中央病院", "0110000018")
THERE = Institution("北見病院", "0110000026")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return pairing.init(tmp_path / "sender", HERE, Sender(), operator="test")


@pytest.fixture
def peer(node: Node) -> Iterator[Partner]:
    """A partner that answers /hello as it should and everything else strangely."""

    async def hello(_request: Request) -> Response:
        return Response(b"{}", media_type="application/json")

    async def trouble(_request: Request) -> Response:
        return Response(b"Internal Server Error", 500, media_type="text/plain")

    async def broken(_request: Request) -> Response:
        return Response(b"no gzip", headers={"Content-Encoding": "gzip"})

    async def deep(_request: Request) -> Response:
        return Response(b"[" * 100_000, media_type="application/json")

    root = link.ROOT
    app = Starlette(
        routes=[
            Route(f"{root}/hello", hello),
            Route(f"{root}/transfers", trouble, methods=["POST"]),
            Route(f"{root}/transfers/broken", broken),
            Route(f"{root}/transfers/deep", deep),
        ]
    )
    folder = node.data / "partners"
    folder.mkdir(exist_ok=True)
    authority, key = Authority.create("strange"), certificates.new_key()
    leaf = authority.issue(key.public_key(), "strange", hosts=["localhost"])
    own = tls.Credentials(folder / "strange.key", folder / "strange.crt")
    own.key.write_bytes(certificates.key_to_pem(key))
    own.chain.write_text(certificates.to_pem(leaf))
    context = tls.server_context(own, client_required=False)
    with Listener(app, "127.0.0.1", 0, tls=context, grace=1).in_thread() as (_, port):
        partner = Partner(
            name="strange", kind="todoke", code=THERE.code, addresses=("127.0.0.1",),
            host="localhost", dicom_port=1, link_port=port, aet="A", calling_aet="B",
            ca=authority.pem, signing_certificate=node.signing_certificate, leaf="",
            file=folder / "strange.json",
        )  # fmt: skip
        partner.save()
        yield partner


def test_a_value_that_no_parser_foresaw_is_refused_with_its_file_alone(tmp_path: Path) -> None:
    good, bad, *_ = write_series(tmp_path / "ct", 1)
    known = b"\x28\0\0\x01US\x02\0\x10\0"  # Bits Allocated 16
    data = bad.read_bytes()
    assert data.count(known) == 1
    bad.write_bytes(data.replace(known, b"\x28\0\0\x01US\x04\0\x10\0\x08\0"))
    with contextlib.closing(Outbox(tmp_path)) as outbox:
        found = ingest.scan(outbox.job(outbox.submit("north", [good, bad], {})))
    assert [len(instances) for _, instances in found.transfers] == [1]
    assert [path for path, _ in found.refused] == [str(bad)]


def test_a_parser_that_fails_stops_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_series(tmp_path / "ct", 2, slices=3)
    read = identity.read

    def fails(path: str) -> identity.Identity | None:
        if path == str(files[1]):
            raise RecursionError
        return read(path)

    monkeypatch.setattr(identity, "read", fails)
    with contextlib.closing(Outbox(tmp_path)) as outbox:
        found = ingest.scan(outbox.job(outbox.submit("north", [tmp_path / "ct"], {})))
    assert [len(instances) for _, instances in found.transfers] == [2]
    assert [path for path, _ in found.refused] == [str(files[1])]


def test_a_file_number_of_a_network_share_fits(tmp_path: Path) -> None:
    size, _, inode = stamp(os.stat_result((0o100644, (1 << 128) - 3, 0, 1, 0, 0, 7, 0, 0, 0)))
    assert size == 7
    with contextlib.closing(Outbox(tmp_path)) as outbox:
        assert outbox._rows("SELECT ?", inode)[0][0] == inode


@pytest.mark.parametrize("path", ["", "/broken", "/deep"])
def test_a_server_in_trouble_is_asked_again(peer: Partner, path: str) -> None:
    context = tls.client_context(None, [peer.ca])
    with LinkClient("127.0.0.1", peer.link_port, peer.host, context) as client:
        ask: Callable[[], object]
        ask = partial(client.state, path[1:]) if path else partial(client.open, "statement")
        with pytest.raises(PeerError) as raised:
            ask()
    assert raised.value.retryable == (path != "/deep")


def test_a_failure_nobody_foresaw_ends_one_transfer_and_not_the_engine(
    node: Node, peer: Partner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_series(tmp_path / "ct", 3, slices=2)

    def fails(*_: object) -> None:
        raise ZeroDivisionError("YAMADA^TARO")

    monkeypatch.setattr("sender.delivery.Delivery._opening", fails)
    with contextlib.closing(Engine(node.data)) as engine:
        engine.outbox.submit(peer.key, files, {})
        clock = threading.Timer(20, engine.stop.set)
        clock.start()
        engine.run(lambda: any(t.finished for t in engine.outbox.transfers()))
        clock.cancel()
        [transfer] = engine.outbox.transfers()
    assert transfer.state is TransferState.FAILED
    assert transfer.error is not None
    assert "ZeroDivisionError" in transfer.error["en"]
    assert "YAMADA" not in str(transfer.error)
