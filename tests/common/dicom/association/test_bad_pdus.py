"""Bad PDUs and messages against a running acceptor, each on an association of its own.

The rows follow the checklist of bad inputs.  After each one a good client
stores an instance on the same acceptor.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.dicom import commands, uids
from common.dicom.association import Acceptor
from common.dicom.commands import C_ECHO_RQ, C_STORE_RQ, Command
from common.dicom.negotiation import (
    Proposal,
    Request,
    UserInformation,
    abort_words,
    encode_abort,
    encode_rejection,
    encode_release,
    encode_request,
)
from common.dicom.pdu_stream import Fragment, Pdu, PduReader, command_pdus, data_pdus
from tests.common.dicom.association.rig import (
    CT,
    DEADLINE,
    EXPLICIT,
    Refusals,
    Shelf,
    accepting,
    calling,
    expected,
    outgoing,
)

REQUEST = Request(
    "TODOKE",
    "SENDER",
    (Proposal(1, CT, (EXPLICIT,)), Proposal(3, uids.VERIFICATION, (EXPLICIT,))),
    UserInformation(16384),
)
RQ = encode_request(REQUEST)
STORE = Command(C_STORE_RQ, 1, CT, "2.25.1", has_data_set=True)
COMMAND = command_pdus(1, STORE.encode(), 16384)
HALF = data_pdus(1, b"x" * 1000, 506)[:512]  # the first of two PDUs


def store(command: Command, *, context: int = 1) -> bytes:
    return command_pdus(context, command.encode(), 16384) + data_pdus(context, b"data", 16384)


def items(count: int, *, first: int = 1, step: int = 2) -> Request:
    proposals = (Proposal((first + step * i) % 256, CT, (EXPLICIT,)) for i in range(count))
    return replace(REQUEST, proposals=tuple(proposals))


def longer_item(pdu: bytes) -> bytes:
    """The last item says one byte more than there is."""
    at = pdu.index(b"\x55\0\0")
    return pdu[: at + 3] + bytes([pdu[at + 3] + 1]) + pdu[at + 4 :]


def associate(pdu: bytes) -> bytes:
    """The PDU with its length put right."""
    return pdu[:2] + struct.pack(">L", len(pdu) - 6) + pdu[6:]


def identity(size: int) -> bytes:
    item = b"\x58\0" + struct.pack(">HBBH", size + 6, 1, 0, size) + b"u" * size + b"\0\0"
    at = RQ.index(b"\x50\0", 74)
    length = int.from_bytes(RQ[at + 2 : at + 4], "big") + len(item)
    return associate(RQ[: at + 2] + struct.pack(">H", length) + RQ[at + 4 :] + item)


UNRECOGNIZED, UNEXPECTED, INVALID = (encode_abort(2, reason) for reason in (1, 2, 6))


def context_without_syntax() -> bytes:
    pdu = encode_request(items(1))
    at = pdu.index(b"\x20\0", 74)
    length = int.from_bytes(pdu[at + 2 : at + 4], "big")
    return associate(pdu[: at + 2] + b"\0\x04" + pdu[at + 4 : at + 8] + pdu[at + 4 + length :])


# what is sent first on a connection, what comes back
BEFORE = {
    "length FFFFFFFF": (struct.pack(">BxL", 1, 0xFFFFFFFF), INVALID),
    "type 08 with RQ's first byte": (b"\x01\0" + struct.pack(">L", 4) + b"\0" * 4, INVALID),
    "no contexts": (encode_request(items(0)), INVALID),
    "129 contexts": (encode_request(items(129)), INVALID),
    "even context": (encode_request(items(2, first=2)), INVALID),
    "context twice": (encode_request(items(2, step=0)), INVALID),
    "context without syntaxes": (context_without_syntax(), INVALID),
    "item beyond the PDU": (longer_item(RQ), INVALID),
    "half an item": (associate(RQ + b"\x20\0"), INVALID),
    "no user information": (associate(RQ[: RQ.index(b"\x50\0", 74)]), INVALID),
    "tiny maximum length": (encode_request(replace(REQUEST, user=UserInformation(7))), INVALID),
    "P-DATA behind the request": (RQ + COMMAND, UNEXPECTED),
    "called title empty": (RQ[:10] + b" " * 16 + RQ[26:], encode_rejection(1, 1, 7)),
    "calling title empty": (RQ[:26] + b" " * 16 + RQ[42:], encode_rejection(1, 1, 3)),
    "calling title with controls": (
        RQ[:26] + b"A\nB\x1b".ljust(16) + RQ[42:],
        encode_rejection(1, 1, 3),
    ),
    "calling title not ASCII": (
        RQ[:26] + "病院".encode().ljust(16) + RQ[42:],
        encode_rejection(1, 1, 3),
    ),
    "protocol version": (RQ[:6] + b"\0\2" + RQ[8:], encode_rejection(1, 2, 2)),
    "application context": (
        RQ.replace(b".3.1.1.1\x20", b".3.1.1.2\x20"),
        encode_rejection(1, 1, 2),
    ),
    "identity of 64 kB": (identity(60000), encode_rejection(1, 1, 1)),
}

# what is sent on an open association, what comes back; bytes or a status
AFTER: dict[str, tuple[bytes, bytes | int]] = {
    "P-DATA longer than agreed": (struct.pack(">BxL", 4, 16385), INVALID),
    "P-DATA of FFFFFFFF": (struct.pack(">BxL", 4, 0xFFFFFFFF), INVALID),
    "P-DATA of 0": (struct.pack(">BxL", 4, 0), INVALID),
    "P-DATA of 1": (struct.pack(">BxL", 4, 1), INVALID),
    "P-DATA of 5": (struct.pack(">BxL", 4, 5) + b"\0\0\0\2\1", INVALID),
    "type 08": (struct.pack(">BxL", 8, 4), UNRECOGNIZED),
    "type FF": (struct.pack(">BxL", 255, 4), UNRECOGNIZED),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", UNRECOGNIZED),
    "value longer than its PDU": (struct.pack(">BxLLBB", 4, 10, 99, 1, 3) + b"1234", INVALID),
    "value of 0": (struct.pack(">BxLLBB", 4, 6, 0, 1, 3), INVALID),
    "value of 1": (struct.pack(">BxLLBB", 4, 6, 1, 1, 3), INVALID),
    "context not agreed": (command_pdus(5, STORE.encode(), 16384), INVALID),
    "context 0": (command_pdus(0, STORE.encode(), 16384), INVALID),
    "second request": (RQ, UNEXPECTED),
    "release reply": (encode_release(reply=True), UNEXPECTED),
    "rejection": (encode_rejection(1, 1, 1), UNEXPECTED),
    "release inside a message": (COMMAND + HALF + encode_release(reply=False), UNEXPECTED),
    "release inside a command": (
        command_pdus(1, STORE.encode(), 30)[:36] + encode_release(reply=False),
        UNEXPECTED,
    ),
    "data without command": (data_pdus(1, b"data", 16384), UNEXPECTED),
    "command inside data": (COMMAND + HALF + COMMAND, UNEXPECTED),
    "command inside command": (COMMAND + COMMAND, UNEXPECTED),
    "command in two contexts": (
        command_pdus(1, STORE.encode(), 30)[:36] + command_pdus(3, STORE.encode(), 30)[:36],
        UNEXPECTED,
    ),
    "data in another context": (COMMAND + data_pdus(3, b"data", 506), UNEXPECTED),
    "command without end": (struct.pack(">BxLLBB", 4, 16384, 16380, 1, 1), b""),
    "command of 20 kB": (
        2 * (struct.pack(">BxLLBB", 4, 10006, 10002, 1, 1) + b"\0" * 10000),
        INVALID,
    ),
    "empty command": (command_pdus(1, b"\0" * 8, 16384), INVALID),
    "group length lie": (
        command_pdus(1, STORE.encode()[:8] + b"\1\0\0\0" + STORE.encode()[12:], 16384),
        INVALID,
    ),
    "response": (command_pdus(1, STORE.answer(0), 16384), INVALID),
    "store without a data set": (
        command_pdus(1, replace(STORE, has_data_set=False).encode(), 16384),
        0xA900,
    ),
    "no instance UID": (store(replace(STORE, sop_instance="")), 0xA900),
    "no class UID": (store(replace(STORE, sop_class="")), 0xA900),
    "class of another context": (store(replace(STORE, sop_class=CT + ".1")), 0xA900),
    "UID with a path": (store(replace(STORE, sop_instance="../../x")), 0xA900),
    "UID of 65": (store(replace(STORE, sop_instance="1" * 65)), 0xA900),
    "UID not ASCII": (store(replace(STORE, sop_instance="1.２")), 0xA900),
    "store to verification": (store(STORE, context=3), 0x0211),
    "echo to storage": (command_pdus(1, Command(C_ECHO_RQ, 1, CT).encode(), 16384), 0x0122),
    "C-FIND": (store(replace(STORE, field=0x0020)), 0x0211),
    "C-MOVE": (store(replace(STORE, field=0x0021)), 0x0211),
    "N-ACTION": (store(replace(STORE, field=0x0130)), 0x0211),
}


@pytest.fixture(scope="module")
def refused() -> Refusals:
    return Refusals()


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture(scope="module")
def acceptor(shelf: Shelf, refused: Refusals) -> Iterator[Acceptor]:
    options: dict[str, Any] = {"max_pdu": 16384, "idle_timeout": 0.5, "request_timeout": 0.5}
    with accepting(shelf, refused=refused, **options) as running:
        yield running


class Raw:
    """A client that says what it likes."""

    def __init__(self, acceptor: Acceptor) -> None:
        self.sock = socket.create_connection(acceptor.address, DEADLINE)
        self.reader = PduReader(0)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def associate(self) -> None:
        self.sock.sendall(RQ)
        (answer,) = self.until(2)
        assert answer == b"\x02"

    def until(self, kind: int) -> list[bytes]:
        while data := self.sock.recv(65536):
            for event in self.reader.feed(memoryview(data)):
                if isinstance(event, Pdu) and event.type == kind:
                    return [event.data[:1]]
        raise AssertionError("closed")

    def status(self) -> int:
        command = b""
        while data := self.sock.recv(65536):
            for event in self.reader.feed(memoryview(data)):
                assert isinstance(event, Fragment), abort_words(getattr(event, "data", b""))
                command += event.data
                if event.last:
                    return commands.decode(command).status
        raise AssertionError("closed")

    def rest(self) -> bytes:
        data = b""
        with contextlib.suppress(ConnectionError):
            while part := self.sock.recv(65536):
                data += part
        return data


def good_client(acceptor: Acceptor, shelf: Shelf) -> None:
    instance = outgoing(b"good")
    with calling(acceptor) as requestor:
        assert [o.status for o in requestor.store([instance])] == [0]
    uid = instance.sop_instance_uid
    assert expected([instance]) == {uid: shelf.digests()[uid]}
    assert "2.25.1" not in shelf.stored


@pytest.mark.parametrize("name", BEFORE)
def test_before_an_association(
    name: str, acceptor: Acceptor, shelf: Shelf, refused: Refusals
) -> None:
    sent, wanted = BEFORE[name]
    before = len(refused.seen)
    with Raw(acceptor) as raw:
        raw.sock.sendall(sent)
        assert raw.rest() == wanted
    assert len(refused.wait(before + 1)) == before + 1
    good_client(acceptor, shelf)


@pytest.mark.requirement("DCM-06")
@pytest.mark.parametrize("name", AFTER)
def test_on_an_association(name: str, acceptor: Acceptor, shelf: Shelf) -> None:
    sent, wanted = AFTER[name]
    began, abandoned = len(shelf.began), len(shelf.abandoned)
    with Raw(acceptor) as raw:
        raw.associate()
        raw.sock.sendall(sent)
        if isinstance(wanted, int):
            assert raw.status() == wanted
            raw.sock.sendall(command_pdus(3, Command(C_ECHO_RQ, 2, uids.VERIFICATION).encode(), 99))
            assert raw.status() == 0  # it goes on
        else:
            assert raw.rest() == (wanted or encode_abort(2, 0))
    # whatever was begun is abandoned
    shelf.wait_for(lambda: len(shelf.abandoned) - abandoned == len(shelf.began) - began)
    good_client(acceptor, shelf)


@pytest.mark.parametrize("how", ["FIN", "RST", "silence"])
@pytest.mark.parametrize(
    "after",
    [COMMAND[:20], COMMAND, COMMAND + HALF, COMMAND + HALF[:100]],
    ids=["in a command", "after it", "between PDUs", "in a PDU"],
)
def test_a_peer_that_ends_anywhere(
    how: str, after: bytes, acceptor: Acceptor, shelf: Shelf
) -> None:
    began, abandoned = len(shelf.began), len(shelf.abandoned)
    with Raw(acceptor) as raw:
        raw.associate()
        raw.sock.sendall(after)
        if after != COMMAND[:20]:  # a reset takes back what was not read
            shelf.wait_for(lambda: len(shelf.began) == began + 1)
        if how == "FIN":
            raw.sock.shutdown(socket.SHUT_WR)
        elif how == "RST":
            raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.sock.close()
        else:
            assert raw.rest() == encode_abort(2, 0)
        if after != COMMAND[:20]:
            shelf.wait_for(lambda: len(shelf.abandoned) == abandoned + 1)
    good_client(acceptor, shelf)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(noise=st.binary(min_size=1, max_size=200), at=st.sampled_from(["start", "open", "message"]))
def test_noise_ends_in_order(noise: bytes, at: str, acceptor: Acceptor) -> None:
    with Raw(acceptor) as raw:
        if at != "start":
            raw.associate()
        if at == "message":
            raw.sock.sendall(COMMAND)
        raw.sock.sendall(noise)
        raw.sock.shutdown(socket.SHUT_WR)
        answer = raw.rest()
    assert answer == b"" or answer[0] in (2, 3, 4, 6, 7) or answer.startswith(b"HTTP/1.1 400")
    assert len(answer) < 1000


def test_a_window_that_was_not_agreed_holds_the_peer_back() -> None:
    """Two instances and a release sent at once are taken one by one."""
    slow = Shelf()
    later: queue.SimpleQueue[Callable[[int], None]] = queue.SimpleQueue()
    slow.later = later
    second = replace(STORE, message_id=2, sop_instance="2.25.2")
    with accepting(slow) as acceptor, Raw(acceptor) as raw:
        raw.associate()
        raw.sock.sendall(store(STORE) + store(second) + encode_release(reply=False))
        say = later.get(timeout=DEADLINE)
        assert [i.sop_instance_uid for i in slow.began] == ["2.25.1"]
        say(0)
        assert raw.status() == 0
        later.get(timeout=DEADLINE)(0xB000)
        answer, end = raw.reader.feed(memoryview(raw.rest()))
    assert isinstance(answer, Fragment)
    assert commands.decode(bytes(answer.data)).status == 0xB000
    assert end == Pdu(6, encode_release(reply=True))
    assert slow.most_unanswered == 1
