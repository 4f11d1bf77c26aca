"""The PDU reader: split anywhere, the same events; any bytes, an orderly end."""

from __future__ import annotations

import contextlib
import itertools
import random
import struct
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.dicom import uids
from common.dicom.association import Outgoing, Pieces
from common.dicom.negotiation import (
    Proposal,
    Request,
    UserInformation,
    decode_acceptance,
    decode_request,
    encode_abort,
    encode_release,
    encode_request,
)
from common.dicom.outlay import Outlay
from common.dicom.pdu_stream import (
    MAX_ASSOCIATE,
    Fragment,
    Pdu,
    PduReader,
)
from common.errors import ProtocolError

Event = tuple[str, int, bytes]


def messages(events: Iterable[Pdu | Fragment]) -> list[Event]:
    """Events with the pieces of a command or data set joined."""
    out: list[Event] = []
    gathered = bytearray()
    for event in events:
        if isinstance(event, Pdu):
            out.append(("pdu", event.type, event.data))
            continue
        gathered += event.data
        if event.last:
            out.append(("command" if event.is_command else "data", event.context, bytes(gathered)))
            gathered.clear()
    return out


def read(stream: bytes, cuts: Iterable[int], max_pdu: int) -> list[Event]:
    reader = PduReader(max_pdu)
    edges = [0, *sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)]

    def events() -> Iterable[Pdu | Fragment]:
        for start, end in itertools.pairwise(edges):
            yield from reader.feed(memoryview(stream)[start:end])

    return messages(events())


def message(context: int, command: bytes, data: bytes, piece: int, limit: int) -> bytes:
    """Return a command and a data set, given out in pieces, as PDUs."""
    pieces = [data[i : i + piece] for i in range(0, len(data), piece)]
    one = Outgoing("1", "2", "3", len(data), lambda: Pieces(len(data), pieces))
    return b"".join(bytes(part) for part in Outlay().pieces(context, command, one, limit))


@given(
    payloads=st.lists(st.binary(max_size=900), min_size=1, max_size=6),
    limit=st.integers(min_value=128, max_value=2000),
    piece=st.integers(min_value=1, max_value=1000),
    cuts=st.lists(st.integers(min_value=0), max_size=40),
)
def test_any_split_gives_the_same_messages(
    payloads: list[bytes], limit: int, piece: int, cuts: list[int]
) -> None:
    stream, wanted = b"", []
    for number, data in enumerate(payloads):
        context = 2 * number + 1
        stream += message(context, data or b"x", data, piece, limit)
        wanted += [("command", context, data or b"x"), ("data", context, data)]
    stream += encode_release(reply=False) + encode_abort(2, 6)
    wanted += [("pdu", 5, encode_release(reply=False)), ("pdu", 7, encode_abort(2, 6))]
    assert read(stream, cuts, limit) == wanted
    assert read(stream, range(len(stream)), limit) == wanted


def p_data(*values: bytes, length: int | None = None) -> bytes:
    body = b"".join(values)
    return struct.pack(">BxL", 4, len(body) if length is None else length) + body


def value(data: bytes, control: int = 0, length: int | None = None, context: int = 1) -> bytes:
    return struct.pack(">LBB", len(data) + 2 if length is None else length, context, control) + data


@given(
    payloads=st.lists(st.binary(max_size=50), min_size=1, max_size=8),
    cuts=st.lists(st.integers(min_value=0), max_size=40),
)
def test_several_values_in_one_pdu(payloads: list[bytes], cuts: list[int]) -> None:
    stream = p_data(*(value(data, 2) for data in payloads))
    assert read(stream, cuts, 0) == [("data", 1, data) for data in payloads]


BAD_STREAMS = {
    "length FFFFFFFF": struct.pack(">BxL", 4, 0xFFFFFFFF),
    "longer than ours": struct.pack(">BxL", 4, 16385),
    "P-DATA of 0": struct.pack(">BxL", 4, 0),
    "P-DATA of 1": struct.pack(">BxL", 4, 1),
    "P-DATA of 5": struct.pack(">BxL", 4, 5),
    "type 08": struct.pack(">BxL", 8, 4),
    "type FF": struct.pack(">BxL", 0xFF, 4),
    "type 00": struct.pack(">BxL", 0, 4),
    "release of 5": struct.pack(">BxL", 5, 5),
    "abort of 400 MiB": struct.pack(">BxL", 7, 400 << 20),
    "A-ASSOCIATE of 400 MiB": struct.pack(">BxL", 1, 400 << 20),
    "A-ASSOCIATE of 10": struct.pack(">BxL", 1, 10),
    "value longer than its PDU": p_data(value(b"x" * 10, length=13)),
    "value of 0": p_data(value(b"", length=0)),
    "value of 0 before another": p_data(value(b"", length=0), value(b"1234")),
    "value of 1": p_data(value(b"", length=1)),
    "value of FFFFFFFF": p_data(value(b"x" * 10, length=0xFFFFFFFF)),
    "bytes left over": p_data(value(b"x" * 10), b"abc"),
}


@pytest.mark.parametrize("name", BAD_STREAMS)
def test_bad_lengths_are_refused_at_the_header(name: str) -> None:
    reader = PduReader(16384)
    with pytest.raises(ProtocolError) as raised:
        list(reader.feed(memoryview(BAD_STREAMS[name])))
    assert raised.value.facts["abort_reason"] == (1 if name.startswith("type") else 6)


@given(st.binary(max_size=3000), st.lists(st.integers(min_value=0), max_size=5))
def test_any_bytes_end_in_events_or_a_protocol_error(data: bytes, cuts: list[int]) -> None:
    outcomes = []
    for at in (cuts, range(len(data))):
        try:
            read(data, at, 1 << 20)
            outcomes.append("events")
        except ProtocolError:
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]


def test_a_gigantic_value_passes_through_in_little_memory() -> None:
    total = 1 << 28
    chunk = memoryview(bytes(1 << 16))
    reader = PduReader(0)
    tracemalloc.start()
    try:
        header = struct.pack(">BxLLBB", 4, total + 6, total + 2, 1, 2)
        fragments = reader.feed(memoryview(header))
        for _ in range(0, total, len(chunk)):
            fragments = itertools.chain(fragments, reader.feed(chunk))
            *_, last = (f for f in fragments if isinstance(f, Fragment))
            total -= len(last.data)
            fragments = iter(())
        assert (total, last.last) == (0, True)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("length", "chunks"), [(5, [b"123456"]), (5, [b"1234"]), (5, [b"123", b"456"]), (0, [b"1"])]
)
def test_a_data_set_of_another_length_is_not_made(length: int, chunks: list[bytes]) -> None:
    one = Outgoing("1", "2", "3", length, lambda: Pieces(length, chunks))
    with pytest.raises(ProtocolError):
        list(Outlay().pieces(1, b"x", one, 128))


REQUEST = Request(
    "TODOKE",
    "SENDER",
    tuple(
        Proposal(2 * i + 1, "1.2.840.10008.5.1.4.1.1.2", tuple(uids.TRANSFER_SYNTAXES))
        for i in range(128)
    ),
    UserInformation(16384, window=(0, 1)),
)


def test_the_largest_request_is_read_back() -> None:
    encoded = encode_request(REQUEST)
    assert decode_request(encoded) == REQUEST
    assert len(encoded) < MAX_ASSOCIATE


def test_unknown_items_are_passed_over() -> None:
    encoded = bytearray(encode_request(REQUEST))
    encoded += b"\x77\0\0\x03abc" + b"\x13\0\0\0"
    assert decode_request(bytes(encoded)) == REQUEST


@given(st.randoms(use_true_random=False), st.integers(min_value=1, max_value=8))
def test_a_mangled_request_is_read_or_refused(source: random.Random, count: int) -> None:
    small = Request("A", "B", REQUEST.proposals[:2], REQUEST.user)
    mangled = bytearray(encode_request(small))
    for _ in range(count):
        mangled[source.randrange(6, len(mangled))] = source.randrange(256)
    for decode in (decode_request, decode_acceptance):
        with contextlib.suppress(ProtocolError):
            decode(bytes(mangled[: source.randrange(74, len(mangled) + 1)]))


@given(st.binary(max_size=300))
def test_any_items_are_read_or_refused(items: bytes) -> None:
    for decode in (decode_request, decode_acceptance):
        with contextlib.suppress(ProtocolError):
            decode(b"\x01\0\0\0\0\0" + b"\0\x01\0\0" + b" " * 64 + items)
