"""Bad inputs 1-4, 12-21 and 26-28 against a receiver's real DICOM door, over mutual TLS.

Of each: what the peer is told, the line of the audit trail, that memory stays
bounded, that a good peer is served meanwhile, and that nothing of it lies under a
final name.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import func, select

from common import space
from common.dicom import uids
from common.dicom.commands import C_STORE_RQ, Command
from common.dicom.negotiation import (
    Proposal,
    encode_abort,
    encode_rejection,
    encode_release,
    encode_request,
)
from common.dicom.pdu_stream import MAX_ASSOCIATE, command_pdus, data_pdus
from common.errors import InstanceTooLarge
from receiver import index
from tests.common.dicom.association.rig import outgoing
from tests.receiver.bad_peer import (
    MAX_PDU,
    MEMORY,
    PRIVATE,
    REQUEST,
    RQ,
    Door,
    image,
    opened,
    resident,
)
from tests.receiver.committing import CT, EXPLICIT, until

pytestmark = pytest.mark.timeout(240)
badinput = pytest.mark.badinput

UNRECOGNIZED, UNEXPECTED, INVALID = (encode_abort(2, reason) for reason in (1, 2, 6))
RJ_CALLED, RJ_CALLING, RJ_OTHER = (encode_rejection(1, 1, reason) for reason in (7, 3, 1))
STORE = Command(C_STORE_RQ, 1, CT, "2.25.1", has_data_set=True)
COMMAND = command_pdus(1, STORE.encode(), 16384)
DATA = data_pdus(1, image("2.25.1"), 16384)
HALF = data_pdus(1, b"x" * 1000, 506)[:512]  # the first of two PDUs
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{n}" for n in (1, 2, 3))


def head(kind: int, length: int) -> bytes:
    return struct.pack(">BxL", kind, length)


def value(length: int, context: int = 1, control: int = 3) -> bytes:
    """A P-DATA of ten bytes whose one value says another length."""
    return struct.pack(">BxLLBB", 4, 10, length, context, control) + b"1234"


def contexts(*proposals: Proposal) -> bytes:
    return encode_request(replace(REQUEST, proposals=proposals))


def items(count: int, first: int = 1, step: int = 2) -> bytes:
    return contexts(*(Proposal((first + step * i) % 256, CT, (EXPLICIT,)) for i in range(count)))


def resized(pdu: bytes) -> bytes:
    """The PDU with its length put right."""
    return pdu[:2] + struct.pack(">L", len(pdu) - 6) + pdu[6:]


def without_syntax() -> bytes:
    pdu = items(1)
    at = pdu.index(b"\x20\0", 74)
    length = int.from_bytes(pdu[at + 2 : at + 4], "big")
    return resized(pdu[: at + 2] + b"\0\x04" + pdu[at + 4 : at + 8] + pdu[at + 4 + length :])


def too_long(kind: bytes) -> bytes:
    """The request with an item whose length reaches past the end of the PDU."""
    at = RQ.index(kind + b"\0", 74)
    return RQ[: at + 2] + b"\xff\xff" + RQ[at + 4 :]


def identity(size: int, kind: int = 1) -> bytes:
    item = b"\x58\0" + struct.pack(">HBBH", size + 6, kind, 0, size) + b"u" * size + b"\0\0"
    at = RQ.index(b"\x50\0", 74)
    length = int.from_bytes(RQ[at + 2 : at + 4], "big") + len(item)
    return resized(RQ[: at + 2] + struct.pack(">H", length) + RQ[at + 4 :] + item)


def called(title: bytes) -> bytes:
    return RQ[:10] + title.ljust(16)[:16] + RQ[26:]


def calling(title: bytes) -> bytes:
    return RQ[:26] + title.ljust(16)[:16] + RQ[42:]


def store(command: Command, data: bytes = DATA, context: int = 1) -> bytes:
    return command_pdus(context, command.encode(), 16384) + data


def without(element: int) -> bytes:
    """The command set of a C-STORE without one element."""
    encoded, kept, at = STORE.encode(), b"", 12
    while at < len(encoded):
        number, length = struct.unpack_from("<2xHL", encoded, at)
        if number != element:
            kept += encoded[at : at + 8 + length]
        at += 8 + length
    return encoded[:8] + struct.pack("<L", len(kept)) + kept


def lied() -> bytes:
    """A command set whose last element is longer than the set."""
    encoded = bytearray(STORE.encode())
    at = encoded.rindex(b"\0\0\0\x10")
    encoded[at + 4 : at + 8] = b"\xff\xff\0\0"
    return bytes(encoded)


@dataclass(frozen=True)
class Case:
    """What is sent where, and what has to come back."""

    number: int
    variant: str
    sent: bytes | Callable[[], Iterator[bytes]]
    answer: bytes | int  # bytes to the end of the connection, or a status
    inside: bool = True  # an association is open


def outside(number: int, variant: str, sent: bytes, answer: bytes) -> Case:
    return Case(number, variant, sent, answer, inside=False)


def endless() -> Iterator[bytes]:
    """A command of 16 MB."""
    for _ in range(1024):
        yield struct.pack(">BxLLBB", 4, 16384, 16380, 1, 1) + bytes(16378)


CASES = [
    outside(1, "before association", head(1, 0xFFFFFFFF), INVALID),
    Case(1, "inside association", head(4, 0xFFFFFFFF), INVALID),
    Case(2, "P-DATA one byte over", head(4, MAX_PDU + 1), INVALID),
    Case(2, "P-DATA far over", head(4, 1 << 30), INVALID),
    outside(2, "A-ASSOCIATE-RQ far over", head(1, MAX_ASSOCIATE + 1), INVALID),
    Case(3, "length 0", head(4, 0), INVALID),
    Case(3, "length 1", head(4, 1), INVALID),
    Case(3, "length 5", head(4, 5) + b"\0\0\0\2\1", INVALID),
    Case(4, "type 08H", head(8, 4), UNRECOGNIZED),
    Case(4, "type FFH", head(255, 4), UNRECOGNIZED),
    outside(12, "no context", items(0), INVALID),
    outside(12, "129 contexts", items(129), INVALID),
    outside(12, "even id", items(2, first=2), INVALID),
    outside(12, "duplicate id", items(2, step=0), INVALID),
    outside(12, "no transfer syntax", without_syntax(), INVALID),
    outside(12, "context id 0", items(1, first=0), INVALID),
    outside(13, "application context item", too_long(b"\x10"), INVALID),
    outside(13, "presentation context item", too_long(b"\x20"), INVALID),
    outside(13, "sub-item of a presentation context", too_long(b"\x30"), INVALID),
    outside(13, "user information item", too_long(b"\x50"), INVALID),
    outside(13, "sub-item of user information", too_long(b"\x51"), INVALID),
    Case(14, "longer than the PDU", value(99), INVALID),
    Case(14, "0", value(0), INVALID),
    Case(14, "1", value(1), INVALID),
    Case(14, "FFFFFFFFH", value(0xFFFFFFFF), INVALID),
    Case(15, "never proposed", command_pdus(7, STORE.encode(), 16384), INVALID),
    Case(15, "proposed and rejected", command_pdus(5, STORE.encode(), 16384), INVALID),
    Case(
        15,
        "data set on another context than its command",
        COMMAND + data_pdus(3, b"data", 506),
        UNEXPECTED,
    ),
    outside(16, "P-DATA before association", COMMAND, UNEXPECTED),
    outside(16, "release before association", encode_release(reply=False), UNEXPECTED),
    Case(16, "second A-ASSOCIATE-RQ inside", RQ, UNEXPECTED),
    Case(16, "release in mid message", COMMAND + HALF + encode_release(reply=False), UNEXPECTED),
    Case(16, "A-ASSOCIATE-AC to the acceptor", b"\2" + RQ[1:], UNEXPECTED),
    Case(
        17,
        "command without data set",
        command_pdus(1, replace(STORE, has_data_set=False).encode(), 16384),
        0xA900,
    ),
    Case(17, "data without command", DATA, UNEXPECTED),
    Case(17, "second command before the data set", COMMAND + COMMAND, UNEXPECTED),
    Case(18, "missing Affected SOP Class UID", store(replace(STORE, sop_class="")), 0xA900),
    Case(18, "missing Affected SOP Instance UID", store(replace(STORE, sop_instance="")), 0xA900),
    Case(18, "missing Message ID", command_pdus(1, without(0x0110), 16384), INVALID),
    Case(
        18,
        "wrong CommandDataSetType",
        store(replace(STORE, has_data_set=False)),
        UNEXPECTED,  # its data set is nobody's
    ),
    Case(
        18,
        "group length lie",
        command_pdus(1, STORE.encode()[:8] + b"\1\0\0\0" + STORE.encode()[12:], 16384),
        INVALID,
    ),
    Case(18, "unknown command", store(replace(STORE, field=0x0777)), 0x0211),
    Case(18, "element length beyond the command", command_pdus(1, lied(), 16384), INVALID),
    Case(18, "a command of 16 MB", endless, INVALID),
    Case(19, "SOP Instance UID", store(replace(STORE, sop_instance="2.25.2")), 0xA900),
    Case(
        19,
        "SOP Class UID",
        store(STORE, data_pdus(1, image("2.25.1", SOPClassUID=CT + ".1"), 16384)),
        0xA900,
    ),
    outside(20, "called AE wrong", called(b"OTHER"), RJ_CALLED),
    outside(20, "calling AE unknown", calling(b"NOBODY"), RJ_CALLING),
    outside(20, "calling AE of another certificate", calling(b"CT2"), RJ_CALLING),
    outside(20, "calling AE with control characters", calling(b"CT1\nB\x1b"), RJ_CALLING),
    outside(20, "calling AE ../", calling(b"../../CT1"), RJ_CALLING),
    outside(20, "calling AE of 17 characters and more", calling(b"CT1" * 9), RJ_CALLING),
    outside(20, "calling AE empty", calling(b""), RJ_CALLING),
    outside(21, "user name of 64 kB", identity(60_000), RJ_OTHER),
    Case(
        27, "C-STORE on the Verification context", store(STORE, data_pdus(3, b"x", 99), 3), 0x0211
    ),
    Case(28, "C-FIND request on a storage context", store(replace(STORE, field=0x0020)), 0x0211),
]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One door for all cases; what good peers stored is all that lies there in the end."""
    with opened(tmp_path_factory.mktemp("door"), idle_timeout=30, request_timeout=30) as made:
        yield made
        assert made.put(image("2.25.6"), "2.25.6").status == 0
        assert len(made.finals()) == len(made.kept)


@pytest.mark.requirement("DCM-06", "NET-08")
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(c, id=f"{c.number}-{c.variant}", marks=badinput(c.number, c.variant))
        for c in CASES
    ],
)
def test_a_bad_peer_is_refused_and_nobody_else(door: Door, case: Case) -> None:
    finals, memory = door.finals(), resident()
    door.news()
    with door.tls() as peer:
        if case.inside:
            assert peer.associate()[0] == 2
        try:
            for piece in [case.sent] if isinstance(case.sent, bytes) else case.sent():
                peer.sock.sendall(piece)
        except OSError:
            assert callable(case.sent), "cut before it was told why"
        door.good()
        if isinstance(case.answer, int):
            assert peer.status() == case.answer
            peer.sock.sendall(command_pdus(3, Command(0x0030, 2, uids.VERIFICATION).encode(), 99))
            assert peer.status() == 0, "the association goes on"
            peer.sock.sendall(encode_release(reply=False))
            peer.rest()
        else:
            assert peer.rest() == case.answer or callable(case.sent)
    told = door.told()
    assert {row["address"] for row in told} == {"127.0.0.1"}
    assert all("CT" not in str(row["subject"]) or row["certificate"] for row in told)
    assert all(row["certificate"] and row["subject"] for row in told), "it is known who it was"
    until(lambda: not door.parts())
    assert door.finals() == finals
    assert resident() - memory < MEMORY


@badinput(20, "calling AE padded with spaces")
def test_spaces_around_a_title_say_nothing(door: Door) -> None:
    """They are not significant (PS3.8 table 9-11), so this is the registered title."""
    with door.tls() as peer:
        assert peer.associate(calling(b"  CT1 "))[0] == 2


@badinput(21, "user identity of an unknown type")
def test_a_user_identity_is_nobodys_proof(door: Door) -> None:
    """The certificate says who it is; what else is claimed changes nothing."""
    with door.tls() as peer:
        assert peer.associate(identity(100, kind=77))[0] == 2


@pytest.mark.parametrize(
    "abstract",
    [
        pytest.param("1.2.840.10008.1.20.1.1", marks=badinput(27, "non-storage SOP class")),
        pytest.param(PRIVATE, marks=badinput(27, "unknown private SOP class")),
        pytest.param(FIND[:-1] + "1", marks=badinput(28, "C-FIND")),
        pytest.param(FIND[:-1] + "2", marks=badinput(28, "C-MOVE")),
        pytest.param(FIND[:-1] + "3", marks=badinput(28, "C-GET")),
    ],
)
def test_what_is_not_offered_is_not_agreed(door: Door, abstract: str) -> None:
    finals = door.finals()
    with door.tls() as peer:
        answer = peer.associate(contexts(Proposal(1, abstract, (EXPLICIT,))))
        assert answer[0] == 2
        at = answer.index(b"\x21\0", 74)
        assert answer[at + 6] == 3, "abstract syntax not supported (PS3.8 table 9-18)"
        peer.sock.sendall(store(replace(STORE, sop_class=abstract)))
        assert peer.rest() == INVALID
    door.good()
    assert door.finals() == finals


@badinput(27, "unknown private SOP class")
def test_a_setting_lets_an_unknown_class_in(door: Door) -> None:
    assert uids.is_storable(PRIVATE, EXPLICIT, others=(PRIVATE,))
    assert not uids.is_storable(PRIVATE, EXPLICIT)


def test_what_is_larger_than_the_setting_says_is_refused_before_the_disk_is_used_up(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "GB", 3 << 16)
    door.door.max_instance_gb = 16  # three buffers: some of it is on the disk by then
    large = image(uid := "2.25.77", PixelData=bytes(8 << 20))
    refused = door.put(large, uid)
    assert refused.status == 0x0213
    assert isinstance(refused.error, InstanceTooLarge)
    assert [path for path in door.store.rglob("*") if path.is_file()] == []
    door.door.max_instance_gb = 64
    assert door.put(large, uid).status == 0, "the limit alone was in the way"


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"PixelData": b"\2\0" * 4}, marks=badinput(26, "other pixels")),
        pytest.param({"PatientID": "P2"}, marks=badinput(26, "other patient")),
        pytest.param({"StudyInstanceUID": "2.25.77"}, marks=badinput(26, "other study")),
    ],
)
@pytest.mark.requirement("DAT-04")
def test_other_bytes_under_a_known_uid_are_set_aside(
    door: Door, changed: dict[str, object]
) -> None:
    uid = uids.new_uid()
    assert door.put(image(uid), uid).status == 0
    finals = {path: path.read_bytes() for path in door.finals()}
    alarms = len(door.rows("alarm"))
    refused = door.put(image(uid, **changed), uid)
    assert refused.error is not None
    until(lambda: len(door.rows("alarm")) > alarms)
    assert {path: path.read_bytes() for path in finals} == finals, "what came first stays"
    assert door.put(image(uid), uid).status == 0, "and is known again"
    door.good()
    for path in set(door.finals()) - set(finals):
        path.unlink()  # kept aside under a name of its own


@badinput(25, "same object x100")
@pytest.mark.requirement("DAT-04")
def test_the_same_object_a_hundred_times_at_once(door: Door) -> None:
    uid = uids.new_uid()
    data, finals = image(uid), len(door.finals())

    def ten(aet: str) -> list[int]:
        with door.calling(aet) as peer:
            return [o.status for o in peer.store([outgoing(data, uid=uid) for _ in range(10)])]

    with ThreadPoolExecutor(10) as pool:
        statuses = [status for each in pool.map(ten, 10 * ["CT2"]) for status in each]
    assert statuses == 100 * [0]
    door.kept.add(uid)
    with door.index.read() as db:
        rows = select(func.count()).where(index.instances.c.sop_uid == uid)
        assert db.execute(rows).scalar_one() == 1
    assert len(door.finals()) == finals + 1
