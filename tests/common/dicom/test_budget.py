"""The budget that a header is held to before a parser sees it."""

from __future__ import annotations

import io
import struct
import warnings
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.dicom import budget, dataset, elements
from common.errors import NestedTooDeep, NotDicom, TooManyElements

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
SYNTAXES = [IMPLICIT, EXPLICIT, BIG_ENDIAN]
LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT")
ITEM = struct.pack("<HH", 0xFFFE, 0xE000)
ENDS = [struct.pack("<HHI", 0xFFFE, element, 0) for element in (0xE00D, 0xE0DD)]
IDENTITY = (
    (0x00080016, CT.encode() + b"\0"),
    (0x00080018, b"1.2.3\0"),
    (0x0020000D, b"1.2.3.4\0"),
    (0x0020000E, b"1.2.3.5\0"),
)
#: Found by the test below: a delimiter of no item, passed over as if it were an element.
ORPHAN = struct.pack("<HHI", 0x0009, 0x0010, 0) + ENDS[0]


def element(tag: int, vr: bytes, value: bytes, length: int | None, *, implicit: bool) -> bytes:
    size = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if implicit:
        return head + struct.pack("<I", size) + value
    if vr in LONG:
        return head + vr + struct.pack("<HI", 0, size) + value
    return head + vr + struct.pack("<H", size & 0xFFFF) + value


LENGTHS = st.sampled_from([None, None, None, None, 0xFFFFFFFF, 0, 7, 8, 1000])
TAGS = st.integers(0x00090010, 0x7FDFFFFF)
DELIMITERS = st.lists(st.sampled_from(ENDS), max_size=2).map(b"".join)


def _item(parts: list[bytes], length: int | None, end: bytes) -> bytes:
    body = b"".join(parts)
    return ITEM + struct.pack("<I", len(body) if length is None else length) + body + end


def _parts(implicit: bool) -> st.SearchStrategy[list[bytes]]:
    """Elements of any length, nested or broken."""

    def one(tag: int, vr: bytes, value: bytes, length: int | None) -> bytes:
        return element(tag, vr, value, length, implicit=implicit)

    kinds = st.sampled_from([b"LO", b"US", b"OB", b"UN", b"UT", b"??"])
    found = st.builds(one, TAGS, kinds, st.binary(max_size=20), LENGTHS)
    holders = st.sampled_from([b"SQ", b"SQ", b"UN", b"OB"])
    for _ in range(2):  # levels of nesting
        item = st.builds(_item, st.lists(found, max_size=2), LENGTHS, DELIMITERS)
        items = st.builds(
            lambda some, end: b"".join(some) + end, st.lists(item, max_size=2), DELIMITERS
        )
        found = st.one_of(found, st.builds(one, TAGS, holders, items, LENGTHS))
    return st.lists(found, max_size=3)


def _header(parts: list[bytes], at: int, *, implicit: bool) -> tuple[bytes, str]:
    known = [element(tag, b"UI", value, None, implicit=implicit) for tag, value in IDENTITY]
    return b"".join(known[:at] + parts + known[at:]), IMPLICIT if implicit else EXPLICIT


#: Sound identity, and somewhere between it what is perhaps not.
HEADERS = st.one_of(
    *(
        st.builds(partial(_header, implicit=implicit), _parts(implicit), st.integers(0, 4))
        for implicit in (False, True)
    )
)


@pytest.mark.requirement("DAT-15")
@settings(max_examples=100, deadline=None)
@example((ORPHAN, IMPLICIT))
@given(HEADERS)
def test_what_is_read_quickly_passes_the_budget(header: tuple[bytes, str]) -> None:
    """Else one would be stored at the door that no page can ever read."""
    data, syntax = header
    found = elements.scan(data, 0, syntax, whole=True)
    try:
        at = budget.walk(lambda size, at: data[at : at + size], 0, len(data), syntax)
    except NotDicom:
        assert found is None
        return
    assert found is None or (found.pixels_at or len(data)) == at


@pytest.mark.requirement("DAT-15")
@settings(max_examples=100, deadline=None)
@given(st.one_of(HEADERS, st.tuples(st.binary(max_size=300), st.sampled_from(SYNTAXES))))
def test_any_bytes_are_read_or_refused(header: tuple[bytes, str]) -> None:
    data, syntax = header
    whole = dataset.file_prefix(CT, "1.2.3", syntax) + data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset.read_header(io.BytesIO(whole))
        except NotDicom:
            return


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_deflated_header_or_refused(data: bytes) -> None:
    with pytest.raises(NotDicom):
        dataset.read_header(io.BytesIO(dataset.file_prefix(CT, "1.2.3", DEFLATED) + data))


def _walk(data: bytes) -> tuple[int, list[int]]:
    read: list[int] = []

    def bytes_at(size: int, at: int) -> bytes:
        read.append(len(data[at : at + size]))
        return data[at : at + size]

    return budget.walk(bytes_at, 0, len(data), EXPLICIT), read


def test_values_are_not_read_and_nothing_is_read_twice() -> None:
    large = element(0x00420011, b"OB", bytes(32 << 20), None, implicit=False)
    small = element(0x00110011, b"LO", b"", None, implicit=False) * 50_000
    end, read = _walk(small + large)
    assert end == len(small) + len(large)
    assert sum(read) < 2 * len(small) + (1 << 17)


@pytest.mark.parametrize("more", [0, 1])
def test_each_limit_is_the_last_that_passes(more: int) -> None:
    def holds(data: bytes) -> bool:
        try:
            _walk(data)
        except (TooManyElements, NestedTooDeep):
            return False
        return True

    one = element(0x00110011, b"LO", b"", None, implicit=False)
    assert holds(one * (budget.ELEMENTS_LIMIT + more)) == (not more)
    begin = element(0x00081140, b"SQ", b"", 0xFFFFFFFF, implicit=False)
    begin += ITEM + struct.pack("<I", 0xFFFFFFFF)
    depth = budget.DEPTH_LIMIT + more
    assert holds(begin * depth + b"".join(ENDS) * depth) == (not more)
