"""Bad inputs 8-11 and 23-24 against a receiver's real DICOM door: silence, drops, ends, crowds."""

from __future__ import annotations

import contextlib
import gc
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.dicom import greeting
from common.dicom.negotiation import encode_abort
from common.dicom.pdu_stream import data_pdus
from tests.receiver.bad_peer import RQ, Door, Raw, opened
from tests.receiver.committing import DEADLINE, until
from tests.receiver.test_bad_peers import COMMAND, calling

pytestmark = pytest.mark.timeout(240)
badinput = pytest.mark.badinput
SECONDS = 1.5  # every deadline of this door
HALF = data_pdus(1, bytes(40_000), 16384)[:20_000]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door with short deadlines; what good peers stored is all that lies there in the end."""
    limits = dict.fromkeys(("handshake_timeout", "request_timeout", "idle_timeout"), SECONDS)
    with opened(tmp_path_factory.mktemp("door"), **limits) as made:
        yield made
        assert len(made.finals()) == len(made.kept)


def causes(door: Door, wanted: str) -> None:
    """Wait for a line of the trail with a cause."""
    seen: list[str] = []

    def come() -> bool:
        seen.extend(str(row["cause"]) for row in door.news())
        return wanted in seen

    until(come)


@pytest.mark.requirement("NET-07", "NET-08")
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("tcp", marks=badinput(8, "silent before TLS")),
        pytest.param("tls", marks=badinput(8, "silent after TLS")),
    ],
)
def test_silence_ends_at_its_deadline(door: Door, kind: str) -> None:
    door.news()
    with door.tcp() if kind == "tcp" else door.tls() as silent:
        door.good()
        silent.rest()
    causes(door, greeting.SILENT)


def hello(door: Door) -> bytes:
    """The first record of a TLS handshake."""
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        door.client("CT1").wrap_bio(
            ssl.MemoryBIO(), out, server_hostname="localhost"
        ).do_handshake()
    return out.read()


@pytest.mark.requirement("NET-07", "NET-08")
@pytest.mark.parametrize(
    "where",
    [
        pytest.param("handshake", marks=badinput(9, "TLS handshake")),
        pytest.param("request", marks=badinput(9, "A-ASSOCIATE-RQ")),
        pytest.param("data", marks=badinput(9, "P-DATA")),
    ],
)
def test_drops_end_at_the_deadline_of_the_whole(door: Door, where: str) -> None:
    door.news()
    cause = greeting.TOO_SLOW if where == "data" else greeting.SLOW
    seen: list[str] = []

    def ended() -> bool:
        seen.extend(str(row["cause"]) for row in door.news())
        return cause in seen

    with door.tcp() if where == "handshake" else door.tls() as slow:
        if where == "data":
            slow.associate()
            slow.sock.sendall(COMMAND + HALF)
        slow.drip({"handshake": hello(door), "request": RQ}.get(where, bytes(20_000)), ended)
        until(ended)
        slow.rest()
    door.good()
    until(lambda: not door.parts())


@badinput(10, "half-open in mid P-DATA")
@pytest.mark.requirement("NET-07")
def test_a_peer_that_vanishes_in_mid_object(door: Door) -> None:
    """As after a pulled cable: nothing comes any more, and no end either."""
    door.news()
    with door.tls() as gone:
        gone.associate()
        gone.sock.sendall(COMMAND + HALF)
        door.good()
        assert gone.rest() == encode_abort(2, 0)
    causes(door, greeting.TOO_SILENT)
    until(lambda: not door.parts())


def reset(raw: Raw) -> None:
    raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.sock.close()


def finish(raw: Raw) -> None:
    raw.sock.shutdown(socket.SHUT_WR)


def say_goodbye(raw: Raw) -> None:
    assert isinstance(raw.sock, ssl.SSLSocket)
    raw.sock.settimeout(0)
    with contextlib.suppress(OSError):
        raw.sock.unwrap()


@pytest.mark.parametrize(
    ("end", "inside"),
    [
        pytest.param(reset, True, marks=badinput(11, "RST in mid PDU")),
        pytest.param(finish, True, marks=badinput(11, "FIN in mid PDU")),
        pytest.param(reset, False, marks=badinput(11, "RST before association")),
        pytest.param(say_goodbye, True, marks=badinput(11, "TLS closed in mid PDU")),
    ],
)
def test_an_end_in_mid_pdu(
    door: Door, end: Callable[[Raw], None], inside: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    door.news()
    with door.tls() as gone:
        if inside:
            gone.associate()
            gone.sock.sendall(COMMAND + HALF)
        else:
            gone.sock.sendall(RQ[:40])
            door.good()  # by now it has been read: a reset takes away what was not
        end(gone)
        door.good()
    if inside:
        until(lambda: "broke" in caplog.text)
    else:
        assert door.told()
    until(lambda: not door.parts())


@badinput(24, "idle association")
@pytest.mark.requirement("NET-07")
def test_an_idle_association_ends(door: Door) -> None:
    door.news()
    with door.tls() as idle:
        idle.associate()
        door.good()
        assert idle.rest() == encode_abort(2, 0)
    causes(door, greeting.TOO_SILENT)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc/self/fd")
@pytest.mark.parametrize(
    "rounds", [30, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(36_000)])]
)
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("reject", marks=badinput(23, "reject loop")),
        pytest.param("abort", marks=badinput(23, "abort loop")),
        pytest.param("handshake", marks=badinput(23, "TLS failure loop")),
    ],
)
def test_a_loop_of_refusals_leaves_nothing(door: Door, kind: str, rounds: int) -> None:
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.check_hostname, nobody.verify_mode = False, ssl.CERT_NONE

    def once() -> None:
        if kind == "handshake":
            with (
                contextlib.suppress(OSError),
                door.tcp() as peer,
                nobody.wrap_socket(peer.sock) as refused,
            ):
                refused.recv(1)
        elif kind == "reject":
            with door.tls() as peer:
                assert peer.associate(calling(b"NOBODY"))[0] == 3
        else:
            with door.tls() as peer:
                peer.associate()
                peer.sock.sendall(b"\xff\0\0\0\0\4")
                peer.rest()

    def settled() -> tuple[int, int]:
        for thread in threading.enumerate():
            if thread.name == "dicom":
                thread.join(DEADLINE)
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    for _ in range(3):
        once()
    before, lines = settled(), len(door.rows())
    for _ in range(rounds):
        once()
    assert settled() <= before
    door.good()
    assert len(door.rows()) - lines <= rounds, "never more lines than refusals"
