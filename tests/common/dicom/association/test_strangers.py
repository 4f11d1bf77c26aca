"""Who is not let in, how it is told, and that nobody else notices."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from common.dicom import greeting, uids
from common.dicom.association import CALLED_UNKNOWN, Acceptor, Context, Peer
from common.dicom.negotiation import Proposal, Request, UserInformation, encode_request
from common.errors import (
    AssociationAborted,
    AssociationRejected,
    DiskFull,
    PeerBusy,
    PeerCertificateRefused,
    PeerNotRegistered,
    PeerTimeout,
    PeerUnreachable,
    SettingsError,
    TodokeError,
    WrongService,
)
from tests.common.dicom.association.rig import (
    DEADLINE,
    HOST,
    Pki,
    Refusals,
    Shelf,
    _leaf,
    accepting,
    calling,
    outgoing,
)

RQ = encode_request(
    Request(
        "TODOKE",
        "SENDER",
        (Proposal(1, uids.VERIFICATION, (uids.IMPLICIT_VR_LITTLE_ENDIAN,)),),
        UserInformation(16384),
    )
)


def connect(acceptor: Acceptor) -> socket.socket:
    return socket.create_connection(acceptor.address, DEADLINE)


def everything(sock: socket.socket) -> bytes:
    """What comes until the other end closes."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while part := sock.recv(65536):
            data += part
    return data


@contextlib.contextmanager
def silent_clients(acceptor: Acceptor, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connect(acceptor)) for _ in range(count)]


@pytest.mark.requirement("NET-07")
def test_fifty_silent_clients_delay_nobody(pki: Pki) -> None:
    refused = Refusals()
    with (
        accepting(Shelf(), pki.server(), refused=refused, handshake_timeout=2) as acceptor,
        silent_clients(acceptor, 50),
    ):
        began = time.monotonic()
        with calling(acceptor, pki.client()) as requestor:
            assert requestor.echo() == 0
        assert time.monotonic() - began < 1.0
        assert {cause for _, cause, _ in refused.wait(50)} == {greeting.SILENT}


@pytest.mark.requirement("NET-07")
def test_a_handshake_drop_by_drop_ends_at_its_deadline(pki: Pki) -> None:
    refused = Refusals()
    hello = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        pki.client().wrap_bio(ssl.MemoryBIO(), hello, server_hostname=HOST).do_handshake()
    with (
        accepting(Shelf(), pki.server(), refused=refused, handshake_timeout=0.5) as acceptor,
        connect(acceptor) as slow,
    ):
        slow.settimeout(0.1)
        for byte in hello.read():
            with contextlib.suppress(OSError):
                slow.send(bytes([byte]))
            with contextlib.suppress(TimeoutError, ConnectionError):
                if not slow.recv(1):
                    break
            if refused.seen:
                break
        assert refused.wait()[0][1] == greeting.SLOW


@pytest.mark.requirement("NET-07")
def test_the_oldest_of_the_busiest_address_gives_way(pki: Pki) -> None:
    refused = Refusals()
    with (
        accepting(Shelf(), pki.server(), refused=refused, max_pending=10) as acceptor,
        silent_clients(acceptor, 30) as clients,
    ):
        for gone in clients[:20]:
            gone.settimeout(DEADLINE)
            assert everything(gone) == b""
        with calling(acceptor, pki.client()) as requestor:
            assert requestor.echo() == 0
        assert {cause for _, cause, _ in refused.wait(20)} == {greeting.GAVE_WAY}


@pytest.mark.requirement("NET-08")
@pytest.mark.parametrize("kind", ["nameless", "stranger"])
def test_a_client_without_a_trusted_certificate_is_reported(pki: Pki, kind: str) -> None:
    refused = Refusals()
    client = pki.nameless() if kind == "nameless" else pki.client(pki.stranger)
    with accepting(Shelf(), pki.server(), refused=refused) as acceptor:
        with pytest.raises(PeerCertificateRefused):
            calling(acceptor, client)
        ((address, cause, certificate),) = refused.wait()
    assert address == "127.0.0.1"
    assert certificate is None
    assert "certificate" in cause
    assert "証明書" in cause


@pytest.mark.badinput(8, "silent on the plain DICOM port")
def test_silence_on_the_plain_port_ends() -> None:
    refused = Refusals()
    with accepting(Shelf(), refused=refused, handshake_timeout=0.3) as acceptor:
        with connect(acceptor) as silent:
            assert everything(silent) == b""
        assert refused.wait()[0][1] == greeting.SILENT


@pytest.mark.badinput(7, "plain DICOM on the TLS port")
@pytest.mark.requirement("NET-15", "NET-08")
def test_plain_dicom_on_the_tls_port_gets_no_dicom(pki: Pki) -> None:
    refused = Refusals()
    with (
        accepting(Shelf(), pki.server(), refused=refused) as acceptor,
        connect(acceptor) as plain,
    ):
        plain.sendall(RQ)
        assert everything(plain) == greeting.TLS_HINT
        assert refused.wait()[0][1] == greeting.DICOM_ON_TLS
    with accepting(Shelf(), pki.server()) as acceptor, pytest.raises(WrongService) as told:
        calling(acceptor)
    assert told.value.facts["cause"] == greeting.TLS_THERE


@pytest.mark.badinput(6, "TLS hello on the plain DICOM port")
def test_tls_on_the_plain_port(pki: Pki) -> None:
    refused = Refusals()
    with accepting(Shelf(), refused=refused) as acceptor:
        with pytest.raises(WrongService) as told:
            calling(acceptor, pki.client())
        assert refused.wait()[0][1] == greeting.TLS_ON_PLAIN
    assert told.value.facts["cause"] == greeting.NOT_TLS


@pytest.mark.parametrize(
    "tls",
    [
        pytest.param(False, marks=pytest.mark.badinput(5, "GET on the plain port")),
        pytest.param(True, marks=pytest.mark.badinput(5, "GET on the TLS port")),
    ],
)
def test_http_gets_a_hint(pki: Pki, tls: bool) -> None:
    refused = Refusals()
    with (
        accepting(Shelf(), pki.server() if tls else None, refused=refused) as acceptor,
        connect(acceptor) as browser,
    ):
        browser.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"DICOM port" in everything(browser)
        assert refused.wait()[0][1] == greeting.HTTP_HERE


def test_https_inside_the_handshake_gets_a_hint_and_names_the_certificate(pki: Pki) -> None:
    refused = Refusals()
    with (
        accepting(Shelf(), pki.server(), refused=refused) as acceptor,
        pki.client().wrap_socket(connect(acceptor), server_hostname=HOST) as browser,
    ):
        browser.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"DICOM port" in everything(browser)
        (_, cause, certificate) = refused.wait()[0]
    assert cause == greeting.HTTP_HERE
    assert certificate == ssl.PEM_cert_to_DER_cert(pki.sender.chain.read_text())


@pytest.mark.parametrize(
    ("sent", "cause"),
    [(b"", greeting.CLOSED), (b"\xff\xfe\0\0", greeting.NOT_DICOM), (RQ[:50], greeting.SLOW)],
    ids=["closed", "not DICOM", "half a request"],
)
def test_others_are_named(sent: bytes, cause: str) -> None:
    refused = Refusals()
    with (
        accepting(Shelf(), refused=refused, request_timeout=0.3) as acceptor,
        connect(acceptor) as client,
    ):
        client.sendall(sent)
        if not sent:
            client.shutdown(socket.SHUT_WR)
        assert everything(client) == b""
        assert refused.wait()[0][1] == cause
        assert len(refused.seen) == 1


@pytest.mark.parametrize(
    ("tls", "answer", "error"),
    [
        (False, b"HTTP/1.1 400 Bad Request\r\n\r\n", WrongService),
        (False, b"\x15\x03\x01\0\x02\x02\x28", WrongService),
        (False, b"SSH-2.0-OpenSSH\r\n", WrongService),
        (False, b"\x07\0\0\0\0\x04\0\0\x02\0", AssociationAborted),
        (False, b"", AssociationAborted),
        (True, b"HTTP/1.1 400 Bad Request\r\n\r\n", WrongService),
        (True, b"SSH-2.0-OpenSSH\r\n", WrongService),
        (True, b"\x07\0\0\0\0\x04\0\0\x02\0", WrongService),
        (True, b"", AssociationAborted),
    ],
)
def test_a_wrong_port_is_told_to_the_caller(
    pki: Pki, tls: bool, answer: bytes, error: type[TodokeError]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def reply() -> None:
            sock, _ = listener.accept()
            with sock, contextlib.suppress(OSError):  # the caller may be gone already
                sock.recv(65536)
                sock.sendall(answer)
                sock.shutdown(socket.SHUT_WR)
                everything(sock)

        server = threading.Thread(target=reply)
        server.start()
        with pytest.raises(error) as raised:
            calling(listener.getsockname()[:2], pki.client() if tls else None)
        server.join()
    assert type(raised.value) is error


def test_nobody_and_silence_are_told_to_the_caller() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()[:2]
        with pytest.raises(PeerTimeout):
            calling(address, timeout=0.2)
    with pytest.raises(PeerUnreachable):
        calling(address)


@pytest.mark.requirement("NET-06")
@pytest.mark.parametrize(
    ("error", "told", "words"),
    [
        (PeerNotRegistered(cause="x"), AssociationRejected, "Calling AE title"),
        (
            PeerNotRegistered(cause="x", reason=CALLED_UNKNOWN),
            AssociationRejected,
            "Called AE title",
        ),
        (
            AssociationRejected(peer="x", cause="y", reason=CALLED_UNKNOWN),
            AssociationRejected,
            "Called AE title",
        ),
        (AssociationRejected(peer="x", cause="y"), AssociationRejected, "No reason"),
        (DiskFull(path="x"), PeerBusy, "congestion"),
    ],
)
def test_admit_decides_with_certificate_and_titles(
    pki: Pki, error: TodokeError, told: type[TodokeError], words: str
) -> None:
    seen: list[Peer] = []
    refused = Refusals()

    def admit(peer: Peer) -> None:
        seen.append(peer)
        raise error

    with (
        accepting(Shelf(), pki.server(), admit=admit, refused=refused) as acceptor,
        pytest.raises(told, match=words),
    ):
        calling(acceptor, pki.client())
    assert seen[0].calling_aet == "SENDER"
    assert seen[0].certificate == ssl.PEM_cert_to_DER_cert(pki.sender.chain.read_text())
    assert not refused.seen  # admit has recorded it


def test_a_house_without_partners_is_told_apart(pki: Pki) -> None:
    refused = Refusals()

    def nobody() -> ssl.SSLContext:
        raise SettingsError(key="trust", cause="no partner", path="-")

    with accepting(Shelf(), nobody, refused=refused) as acceptor:
        with pytest.raises(AssociationAborted):
            calling(acceptor, pki.client())
        assert greeting.NOT_READY in refused.wait()[0][1]


def test_a_full_house_rejects_for_now(pki: Pki) -> None:
    refused = Refusals()
    with (
        accepting(Shelf(), pki.server(), max_associations=1, refused=refused) as acceptor,
        calling(acceptor, pki.client()),
    ):
        with pytest.raises(PeerBusy):
            calling(acceptor, pki.client())
        assert len(refused.wait()) == 1


@pytest.mark.requirement("NET-07")
def test_one_partner_never_fills_the_house(pki: Pki) -> None:
    refused, other = Refusals(), _leaf(pki.folder, pki.authority, "other")
    limits = {"max_associations": 6, "max_per_partner": 3}
    with (
        accepting(Shelf(), pki.server(), refused=refused, **limits) as acceptor,
        contextlib.ExitStack() as held,
    ):
        for _ in range(3):
            held.enter_context(calling(acceptor, pki.client()))
        with pytest.raises(PeerBusy):
            calling(acceptor, pki.client(), calling_aet="ANOTHER")
        assert refused.wait()[0][1] == greeting.PARTNER_FULL
        with calling(acceptor, pki.client(other)) as good:
            assert good.echo() == 0
        held.close()  # a seat is free again once its association has ended
        with calling(acceptor, pki.client()) as again:
            assert again.echo() == 0


def test_many_come_and_go_and_nothing_is_left(pki: Pki) -> None:
    """Open, reject and vanish two hundred times: no thread and no descriptor stays."""
    script = """
import gc, os, socket, threading
from tests.common.dicom.association.rig import *
from common.errors import AssociationRejected
def admit(peer):
    raise AssociationRejected(peer="x", cause="y")
with accepting(Shelf(), admit=admit) as acceptor:
    def round():
        socket.create_connection(acceptor.address).close()
        try: calling(acceptor)
        except AssociationRejected: pass
    for _ in range(5): round()
    def settle():
        for t in threading.enumerate():
            if t.name == "dicom": t.join(5)
        gc.collect()
        return len(os.listdir("/proc/self/fd")), threading.active_count()
    before = settle()
    for _ in range(100): round()
    assert settle() == before, (before, settle())
"""
    if sys.platform != "linux":
        pytest.skip("looks at /proc/self/fd")
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.requirement("DCM-05")
def test_contexts_are_accepted_one_by_one(pki: Pki) -> None:
    contexts = [
        Context("1.2.840.10008.5.1.4.1.1.2", uids.EXPLICIT_VR_LITTLE_ENDIAN),
        Context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.4.94"),  # JPIP
        Context("1.2.3.4.5", uids.EXPLICIT_VR_LITTLE_ENDIAN),
        Context("1.2.840.10008.5.1.4.1.2.2.1", uids.IMPLICIT_VR_LITTLE_ENDIAN),  # C-FIND
    ]
    with (
        accepting(Shelf(), pki.server()) as acceptor,
        calling(acceptor, pki.client(), contexts) as requestor,
    ):
        assert requestor.accepted == frozenset(contexts[:1])
        odd = outgoing(b"12")
        outcome = next(
            requestor.store(
                [type(odd)("1.2.3.4.5", "2.25.1", odd.transfer_syntax_uid, 2, odd.open)]
            )
        )
        assert outcome.status == 0x0122
        assert [o.status for o in requestor.store([odd])] == [0]  # the association lives on
