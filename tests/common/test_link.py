"""The words of the link: whatever a peer says is a value or a ProtocolError, never a crash."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import link
from common.errors import IntegrityError, ProtocolError
from common.link import Closing, Digest, Opening, Receipt, Slot

SHA = hashlib.sha256(b"x").hexdigest()
SLOT = Slot("1.2.3", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1", "1.2.4", 1, 1000)
LEVEL = replace(SLOT, uid="1.2.5", length=0, frames=3, header="AAAA", prefix="//4=")
OPENING = Opening("0" * 32, "dicom", "0119876543", "0110123456", "1.2.9", {}, (SLOT,))
SLIDE = replace(OPENING, kind="slide", instances=(LEVEL,))
DIGEST = Digest("1.2.3", 1000, SHA, SHA, None)
JPEG_LS, HTJ2K = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.201"
OTHER = hashlib.sha256(b"y").hexdigest()
#: An instance compressed in flight, as its two ends find it.
SENT = Digest("1.2.3", 1000, SHA, SHA, SHA, syntax=HTJ2K, rest=SHA)
HELD = Digest("1.2.3", 400, OTHER, OTHER, SHA, syntax=HTJ2K, rest=SHA)
COMPRESSED = Closing("0" * 32, (SENT, replace(DIGEST, uid="1.2.4")))
CLOSING = Closing("0" * 32, (DIGEST,), {"files": 1})
RECEIPT = Receipt("0" * 32, "0119876543", "0110123456", SHA, (DIGEST,))
Sentence = Opening | Closing | Receipt
READ: dict[type[Sentence], Callable[[Any], Sentence]] = {
    Opening: link.read_opening,
    Closing: link.read_closing,
    Receipt: link.read_receipt,
}
SENTENCE: st.SearchStrategy[Sentence] = st.sampled_from(
    [OPENING, SLIDE, CLOSING, COMPRESSED, RECEIPT]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def as_read(value: Sentence) -> Any:
    return READ[type(value)](json.loads(link.dumps(link.words(value))))


@pytest.mark.parametrize("value", [OPENING, SLIDE, CLOSING, COMPRESSED, RECEIPT])
def test_a_sentence_is_read_as_it_was_said(value: Sentence) -> None:
    assert as_read(value) == value


@given(SENTENCE, JSON)
def test_any_json_is_a_value_or_a_protocol_error(value: Sentence, said: Any) -> None:
    with pytest.raises(ProtocolError):
        READ[type(value)](said)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in inner:
            found += _paths(one, (*path, key))
    return found


@given(st.data())
def test_a_sentence_with_one_value_changed_is_a_value_or_a_protocol_error(
    data: st.DataObject,
) -> None:
    value = data.draw(SENTENCE)
    said = json.loads(link.dumps(link.words(value)))
    path = data.draw(st.sampled_from(_paths(said)))
    place = said
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = data.draw(JSON)
    try:
        read = READ[type(value)](copy.deepcopy(said))
    except ProtocolError:
        return
    assert isinstance(read, type(value))
    if isinstance(read, Opening):
        for slot in read.instances:
            assert 0 <= slot.length < 1 << 48
            assert slot.number is None or abs(slot.number) < 1 << 53, "an index holds it"
            slot.header_bytes(), slot.prefix_bytes()


WRONG: Any = {"offsets": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"transfer": "../x"},
        {"kind": "video"},
        {"priority": "now"},
        {"purpose": "fun"},
        {"study": "1.2.x"},
        {"test": 1},
        {"instances": (SLOT, SLOT)},
        {"instances": (LEVEL,)},
        {"instances": (replace(SLOT, length=-1),)},
        {"instances": (replace(SLOT, number=1 << 60),)},
        {"instances": (replace(SLOT, uid="1" * 65),)},
        {"kind": "slide", "instances": (replace(LEVEL, **WRONG),)},
    ],
)
def test_an_opening_that_cannot_be_meant_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        as_read(replace(OPENING, **change))


# -- frames and bits ----------------------------------------------------------

FRAME = st.tuples(st.integers(0, 65535), st.integers(0, 2**32 - 1), st.binary(max_size=300))


@given(st.lists(FRAME, max_size=8), st.binary(max_size=20))
def test_frames_come_out_of_a_batch_as_they_went_in(
    frames: list[tuple[int, int, bytes]], prefix: bytes
) -> None:
    batch = b"".join(
        link.pack_frame(i, n, data, hashlib.sha256(prefix + data).digest()) for i, n, data in frames
    )
    read = list(link.unpack_frames(batch))
    assert [(f.instance, f.frame, bytes(f.data)) for f in read] == frames
    for frame in read:
        link.check_frame(frame, prefix)
        with pytest.raises(IntegrityError):
            link.check_frame(frame, prefix + b"x")
    if batch:
        with pytest.raises(ProtocolError):
            list(link.unpack_frames(batch[:-1] if frames[-1][2] else batch[:-2]))


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_a_protocol_error(batch: bytes) -> None:
    try:
        frames = list(link.unpack_frames(batch))
    except ProtocolError:
        return
    assert sum(link.FRAME_HEAD.size + len(f.data) for f in frames) == len(batch)


@given(st.sets(st.integers(0, 99)), st.integers(100, 130))
def test_bits_come_back(present: set[int], count: int) -> None:
    bitmap = link.pack_bits(present, count)
    assert link.unpack_bits(bitmap, count) == present
    with pytest.raises(ProtocolError):
        link.unpack_bits(bitmap, count + 8)


@given(JSON, st.integers(0, 64))
def test_any_bitmap_is_bits_or_a_protocol_error(bitmap: Any, count: int) -> None:
    try:
        present = link.unpack_bits(bitmap, count)
    except ProtocolError:
        return
    assert present <= set(range(count))


# -- comparing ----------------------------------------------------------------


@pytest.mark.requirement("DIR-06", "DIR-07")
@pytest.mark.parametrize(
    ("theirs", "equal"),
    [
        ({}, True),
        ({"d2": None}, True),
        ({"d3": SHA}, True),
        ({"d2": "0" * 64}, False),
        ({"d1": "0" * 64}, False),
        ({"length": 999}, False),
        ({"root": SHA}, False),
        ({"uid": "1.2.4"}, False),
    ],
)
def test_two_ends_agree_only_on_all_that_both_have(theirs: dict[str, Any], equal: bool) -> None:
    other = replace(DIGEST, **theirs)
    assert (link.compare([DIGEST], [other]) == []) is equal
    assert (link.compare([other], [DIGEST]) == []) is equal


@pytest.mark.requirement("DIR-06", "DIR-07")
@pytest.mark.parametrize(
    ("sent", "held", "equal"),
    [
        ({}, {}, True),
        ({"d2": None}, {"d2": None}, True),
        ({}, {"d3": OTHER}, False),
        ({}, {"d3": None}, False),
        ({"d3": None}, {"d3": None}, False),
        ({}, {"rest": OTHER}, False),
        ({"rest": ""}, {"rest": ""}, False),
        ({}, {"syntax": JPEG_LS}, True),  # there from before
        ({"syntax": link.NATIVE}, {}, True),  # the same
        ({}, {"syntax": link.NATIVE}, False),
        ({}, {"syntax": "1.2.840.10008.1.2.4.81"}, False),
        ({}, {"syntax": ""}, False),
        ({"syntax": ""}, {"syntax": ""}, False),
        ({"syntax": "1.2.840.10008.1.2.4.50"}, {"syntax": "1.2.840.10008.1.2.4.50"}, False),
        ({"root": SHA}, {"root": SHA}, False),
        # sent again as it was, or there from before
        ({}, {"length": 1000, "d1": SHA, "d2": SHA, "syntax": "", "rest": ""}, True),
        ({}, {"length": 1000, "d1": SHA, "d2": OTHER, "syntax": "", "rest": ""}, False),
    ],
)
def test_what_was_compressed_in_flight_is_proven_by_samples_and_rest(
    sent: dict[str, Any], held: dict[str, Any], equal: bool
) -> None:
    assert (link.compare([replace(SENT, **sent)], [replace(HELD, **held)]) == []) is equal


def test_only_a_sender_that_says_so_is_compared_by_samples() -> None:
    assert link.compare([replace(SENT, syntax="", rest="")], [HELD]) == ["1.2.3"]


def test_ends_that_never_compress_hear_nothing_of_it() -> None:
    first, second = json.loads(link.dumps(link.words(COMPRESSED)))["instances"]
    assert {"syntax", "rest"} < first.keys()
    assert not {"syntax", "rest"} & second.keys()


@pytest.mark.parametrize(
    "change", [{"syntax": "1.2.840.10008.1.2.4.50"}, {"rest": ""}, {"rest": "x"}, {"syntax": 3}]
)
def test_a_compressed_instance_that_cannot_be_meant_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        as_read(replace(COMPRESSED, instances=(replace(SENT, **change),)))


def test_an_instance_that_one_end_alone_has_is_unequal() -> None:
    other = replace(DIGEST, uid="1.2.4")
    assert link.compare([DIGEST, other], [DIGEST]) == ["1.2.4"]
    assert link.compare([], [other, DIGEST]) == ["1.2.3", "1.2.4"]
