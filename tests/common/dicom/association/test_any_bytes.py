"""Whole associations over real sockets: any split is the same, any bytes end in order.

Reading is made to see the stream in drawn pieces: between two of them the socket
has nothing, as on a slow line.  Only the interface of the association is used.
"""

from __future__ import annotations

import _socket
import contextlib
import itertools
import socket
import struct
import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.dicom import negotiation, uids
from common.dicom.association import Acceptor, Outgoing, Pieces, Requestor
from common.dicom.commands import C_ECHO_RQ, C_STORE_RQ, Command
from common.dicom.pdu_stream import command_pdus, data_pdus
from common.errors import DiskFull, TodokeError
from tests.common.dicom.association.rig import (
    CT,
    CT_CONTEXT,
    DEADLINE,
    EXPLICIT,
    Shelf,
    accepting,
    calling,
    expected,
    outgoing,
)
from tests.common.dicom.association.test_bad_pdus import RQ, Raw

ABORT, RELEASE_RP = b"\x07", b"\x06"
some = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
pieces = st.lists(st.integers(min_value=1, max_value=3000), min_size=1, max_size=30)


class Drip:
    """Gives each reader of a socket a drawn number of bytes, then nothing, then more."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = itertools.cycle(sizes)
        self.dry: set[int] = set()
        self.lock = threading.Lock()

    def size(self, sock: socket.socket, most: int) -> int:
        with self.lock:
            number = sock.fileno()
            if number in self.dry:
                self.dry.discard(number)
                raise BlockingIOError
            self.dry.add(number)
            return min(most, next(self.sizes))

    @contextlib.contextmanager
    def everywhere(self) -> Iterator[None]:
        """Let every plain socket that does not block be read so."""

        def recv_into(sock: socket.socket, buffer: memoryview, most: int = 0, *rest: int) -> int:
            if sock.gettimeout() == 0 and sock.family != socket.AF_UNIX:
                most = self.size(sock, most or len(buffer))
            return _socket.socket.recv_into(sock, buffer, most, *rest)

        with mock.patch.object(socket.socket, "recv_into", recv_into, create=True):
            yield


@some
@given(
    payloads=st.lists(st.binary(max_size=4000), min_size=1, max_size=5),
    sizes=pieces,
    limit=st.sampled_from([128, 1000, 4096, 1 << 20, 0]),
    window=st.sampled_from([1, 3, 32]),
)
def test_any_split_stores_the_same(
    payloads: list[bytes], sizes: list[int], limit: int, window: int
) -> None:
    shelf = Shelf()
    sent = [outgoing(data, piece=len(data) or 1) for data in payloads]
    with (
        Drip(sizes).everywhere(),
        accepting(shelf, max_pdu=limit) as acceptor,
        calling(acceptor, window=window, max_pdu=limit) as requestor,
    ):
        assert requestor.echo() == 0
        outcomes = list(requestor.store(sent))
    assert [o.status for o in outcomes] == [0] * len(sent)
    assert shelf.digests() == expected(sent)
    assert not shelf.abandoned


@some
@given(
    payloads=st.lists(st.lists(st.binary(max_size=300), max_size=4), min_size=1, max_size=4),
    group=st.lists(st.integers(min_value=1, max_value=5), min_size=1, max_size=8),
    sizes=pieces,
)
def test_values_lie_in_pdus_as_they_like(
    payloads: list[list[bytes]], group: list[int], sizes: list[int]
) -> None:
    """A PDU may hold the end of one message and the beginning of the next (PS3.8 annex E)."""
    values: list[bytes] = []
    wanted = {}
    for number, fragments in enumerate(payloads, 1):
        uid = f"2.25.{number}"
        command = Command(C_STORE_RQ, number, CT, uid, has_data_set=True).encode()
        values += [_value(1, command[:9]), _value(3, command[9:])]
        values += [_value(0, one) for one in fragments] + [_value(2, b"")]
        wanted[uid] = b"".join(fragments)
    stream, many = b"", itertools.cycle(group)
    while values:
        count = next(many)
        body, values = b"".join(values[:count]), values[count:]
        stream += struct.pack(">BxL", 4, len(body)) + body
    shelf = Shelf()
    with Drip(sizes).everywhere(), accepting(shelf) as acceptor, Raw(acceptor) as raw:
        raw.associate()
        raw.sock.sendall(stream + negotiation.encode_release(reply=False))
        assert raw.rest()[-10:] == negotiation.encode_release(reply=True)
    assert shelf.stored == wanted


def _value(control: int, data: bytes) -> bytes:
    return struct.pack(">LBB", len(data) + 2, 1, control) + data


# -- any bytes from the requestor -------------------------------------------

CONVERSATION = (
    command_pdus(1, Command(C_STORE_RQ, 1, CT, "2.25.1", has_data_set=True).encode(), 16384)
    + data_pdus(1, b"d" * 600, 256)
    + command_pdus(3, Command(C_ECHO_RQ, 2, uids.VERIFICATION).encode(), 16384)
    + command_pdus(1, Command(C_STORE_RQ, 3, CT, "2.25.3", has_data_set=True).encode(), 16384)
    + data_pdus(1, b"e" * 300, 16384)
    + negotiation.encode_release(reply=False)
)
#: Where a byte is changed, and to what; where the stream is cut; what is put in between.
mangled = st.tuples(
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=6),
    st.integers(0, 1 << 16),
    st.binary(max_size=80),
)
Mangling = tuple[list[tuple[int, int]], int, bytes]


def mangle(stream: bytes, how: Mangling) -> bytes:
    changes, cut, between = how
    made = bytearray(stream)
    for at, byte in changes:
        made[at % len(made)] = byte
    at = cut % len(made)
    return bytes(made[:at] + between + made[at:])


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture(scope="module")
def acceptor(shelf: Shelf) -> Iterator[Acceptor]:
    with accepting(shelf, max_pdu=16384, request_timeout=0.5) as running:
        yield running


@pytest.fixture(scope="module")
def good(acceptor: Acceptor) -> Iterator[Requestor]:
    """A peer that behaves, on the same acceptor all the while."""
    with calling(acceptor) as requestor:
        yield requestor


@some
@given(how=mangled, early=st.booleans(), cut=st.integers(0, 1 << 16), sizes=pieces)
def test_any_bytes_of_a_requestor_end_in_order(
    how: Mangling,
    early: bool,
    cut: int,
    sizes: list[int],
    acceptor: Acceptor,
    good: Requestor,
    shelf: Shelf,
) -> None:
    stream = mangle(RQ, how) + CONVERSATION if early else mangle(CONVERSATION, how)
    half = cut % (len(stream) + 1)
    working = {thread for thread in threading.enumerate() if thread.name == "dicom"}
    began, ended = len(shelf.began), len(shelf.abandoned) + shelf.finished
    with Drip(sizes).everywhere(), Raw(acceptor) as raw:
        if not early:
            raw.associate()
        with contextlib.suppress(ConnectionError):  # it may have said enough
            raw.sock.sendall(stream[:half])
        one = outgoing(b"meanwhile")
        assert [o.status for o in good.store([one])] == [0]
        with contextlib.suppress(OSError):
            raw.sock.sendall(stream[half:])
            raw.sock.shutdown(socket.SHUT_WR)
        answer = raw.rest()
    assert answer[:1] in (b"", b"\x02", b"\x03", b"\x04", RELEASE_RP, ABORT) or answer.startswith(
        b"HTTP/1.1 400"
    )
    assert len(answer) < 2000
    for thread in threading.enumerate():
        if thread.name == "dicom" and thread not in working:
            thread.join(DEADLINE)
            assert not thread.is_alive()
    shelf.wait_for(
        lambda: len(shelf.began) - began == len(shelf.abandoned) + shelf.finished - ended
    )
    assert shelf.stored.pop(one.sop_instance_uid) == b"meanwhile"


# -- any bytes from the acceptor --------------------------------------------

ACCEPTANCE = negotiation.encode_acceptance(
    negotiation.Acceptance(
        (negotiation.Result(1, 0, EXPLICIT),), negotiation.UserInformation(16384, window=(8, 1))
    )
)
RESPONSES = b"".join(
    command_pdus(1, Command(C_STORE_RQ, number, CT, f"2.25.{number}").answer(0), 16384)
    for number in (1, 2)
)
FIRST, SECOND = b"1" * 300, b"2" * 300


class FakePeer:
    """Answers the first connection with given bytes, and hears it to its end.

    The second part of the answer goes out when both instances have come.
    """

    def __init__(self, *answers: bytes, then_close: bool = False) -> None:
        self.answers, self.then_close = answers, then_close
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve)

    def __enter__(self) -> FakePeer:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.join(DEADLINE)
        self.listener.close()
        assert not self.thread.is_alive(), "the requestor did not close"

    def _serve(self) -> None:
        sock, _ = self.listener.accept()
        with sock, contextlib.suppress(OSError):
            for answer, heard in zip(self.answers, (b"TODOKE", SECOND), strict=False):
                came = b""
                while heard not in came and (piece := sock.recv(65536)):
                    came += piece
                sock.sendall(answer)
            if self.then_close:
                sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass


def told(peer: FakePeer) -> list[int]:
    """Statuses that the requestor tells of two instances; a failure is one of ours."""
    address = peer.listener.getsockname()[:2]
    statuses = []
    try:
        with calling(address, contexts=[CT_CONTEXT], timeout=0.2) as requestor:
            sent = [outgoing(FIRST, uid="2.25.1"), outgoing(SECOND, uid="2.25.2")]
            statuses += [o.status for o in requestor.store(sent) if o.error is None]
    except TodokeError:
        pass
    return statuses


@some
@given(st.binary(max_size=200), st.booleans(), st.booleans(), pieces)
def test_noise_of_an_acceptor_ends_in_order_and_stores_nothing(
    noise: bytes, accepted: bool, then_close: bool, sizes: list[int]
) -> None:
    answers = [ACCEPTANCE, noise] if accepted else [noise]
    with FakePeer(*answers, then_close=then_close) as peer, Drip(sizes).everywhere():
        assert told(peer) == []


@some
@given(how=mangled, early=st.booleans(), then_close=st.booleans(), sizes=pieces)
def test_any_bytes_of_an_acceptor_end_in_order(
    how: Mangling, early: bool, then_close: bool, sizes: list[int]
) -> None:
    answers = (
        [mangle(ACCEPTANCE, how), RESPONSES] if early else [ACCEPTANCE, mangle(RESPONSES, how)]
    )
    with FakePeer(*answers, then_close=then_close) as peer, Drip(sizes).everywhere():
        assert len(told(peer)) <= 2


def test_what_is_not_mangled_is_told_as_stored() -> None:
    """So that the tests above do not pass for another reason."""
    released = negotiation.encode_release(reply=True)
    with FakePeer(ACCEPTANCE, RESPONSES + released) as peer, Drip([1, 7]).everywhere():
        assert told(peer) == [0, 0]


# -- memory -----------------------------------------------------------------

ENDLESS = {
    "command of a PDU of 4 GiB": struct.pack(">BxLLBB", 4, 0xFFFFFFFE, 0xFFFFFFFA, 1, 1),
    "A-ASSOCIATE-AC of 4 GiB": struct.pack(">BxL", 2, 0xFFFFFFFE),
    "A-ABORT of 4 GiB": struct.pack(">BxL", 7, 0xFFFFFFFE),
    "unknown PDU of 4 GiB": struct.pack(">BxL", 9, 0xFFFFFFFE),
}


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.parametrize("accepted", [False, True], ids=["as answer", "instead of a response"])
def test_an_endless_pdu_of_an_acceptor_takes_no_memory(name: str, accepted: bool) -> None:
    endless = ENDLESS[name] + bytes(8 << 20)
    answers = [ACCEPTANCE, endless] if accepted else [endless]
    with peak() as memory, FakePeer(*answers) as peer:
        assert told(peer) == []
    assert memory[0] < 4 << 20


def test_an_instance_that_is_refused_is_drained_in_little_memory() -> None:
    total, chunk = 128 << 20, bytes(1 << 20)
    repeated = itertools.repeat(chunk, total >> 20)
    big = Outgoing(CT, "2.25.9", EXPLICIT, total, lambda: Pieces(total, repeated))
    shelf = Shelf(error=DiskFull(path="x"), when="begin")
    with peak() as memory, accepting(shelf, max_pdu=0) as acceptor, calling(acceptor) as requestor:
        (outcome,) = requestor.store([big])
    assert outcome.status == 0xA700
    assert memory[0] < 24 << 20  # a few pieces of a large instance at a time


@contextlib.contextmanager
def peak() -> Iterator[list[int]]:
    """Give the most bytes that Python held inside, once it is over."""
    found: list[int] = []
    tracemalloc.start()
    try:
        yield found
        found.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
