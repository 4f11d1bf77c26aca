"""The top level of a data set, read straight from its bytes (PS3.5 section 7.1).

What identifies an instance and describes its pixels is found in one pass that
decodes nothing else: a thirtieth of a parser's time, for each of thousands of
slices.  Only what is ordinary is read here, all of which
:mod:`common.dicom.budget` would pass.  Whatever is not (a value that is no plain
text, an element that runs past the bytes at hand, a nesting too deep) gives None,
and the caller asks budget and parser, which take longer and know better.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from common.dicom.budget import DEPTH_LIMIT
from common.dicom.testmark import TEST_BLOCK, TEST_ELEMENT, TEST_GROUP

#: Keyword by tag, as (element << 16 | group) as little endian bytes give it.
_WANTED = {
    element << 16 | group: (keyword, vr.encode())
    for group, element, keyword, vr in (
        (0x0008, 0x0016, "SOPClassUID", "UI"),
        (0x0008, 0x0018, "SOPInstanceUID", "UI"),
        (0x0008, 0x0060, "Modality", "CS"),
        (0x0010, 0x0020, "PatientID", "LO"),
        (0x0010, 0x0021, "IssuerOfPatientID", "LO"),
        (0x0010, 0x0030, "PatientBirthDate", "DA"),
        (0x0020, 0x000D, "StudyInstanceUID", "UI"),
        (0x0020, 0x000E, "SeriesInstanceUID", "UI"),
        (0x0020, 0x0013, "InstanceNumber", "IS"),
        (0x0028, 0x0002, "SamplesPerPixel", "US"),
        (0x0028, 0x0004, "PhotometricInterpretation", "CS"),
        (0x0028, 0x0006, "PlanarConfiguration", "US"),
        (0x0028, 0x0008, "NumberOfFrames", "IS"),
        (0x0028, 0x0010, "Rows", "US"),
        (0x0028, 0x0011, "Columns", "US"),
        (0x0028, 0x0100, "BitsAllocated", "US"),
        (0x0028, 0x0101, "BitsStored", "US"),
        (0x0028, 0x0102, "HighBit", "US"),
        (0x0028, 0x0103, "PixelRepresentation", "US"),
        (0x0028, 0x0301, "BurnedInAnnotation", "CS"),
        (0x0028, 0x2110, "LossyImageCompression", "CS"),
    )
}
_PIXELS = {0x0008 << 16 | 0x7FE0, 0x0009 << 16 | 0x7FE0, 0x0010 << 16 | 0x7FE0}
_ITEM, _END_OF_ITEM, _END = 0xE000 << 16 | 0xFFFE, 0xE00D << 16 | 0xFFFE, 0xE0DD << 16 | 0xFFFE
_QUALIFIERS = 0x0024 << 16 | 0x0010  # of the issuer: inside a sequence, for a parser
_STOPS = _PIXELS | {_ITEM, _END_OF_ITEM, _END}  # the latter belong to no data set's top
_UNDEFINED = 0xFFFFFFFF
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_EXPLICIT = struct.Struct("<I2sH")
_IMPLICIT = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_DEEPEST = 16
_LONGEST = 1 << 20  # bytes of a header, which has then fewer elements than the budget
#: Bytes below which a value at the top cannot nest deeper than the budget has it.
_DEEP = 16 * DEPTH_LIMIT
_ITEM_BYTES = b"\xfe\xff\0\xe0"
_Reader = Callable[[bytes | memoryview, int], tuple[int, int, int, Any]]
_BLOCK = 0x10  # element of the first private creator of a group

#: Explicit VR but in this syntax; whatever else is not deflated and not big endian is explicit.
_IMPLICIT_LE = "1.2.840.10008.1.2"
_NOT_HERE = {"1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}


@dataclass(frozen=True, slots=True)
class Elements:
    """Values of one data set by keyword; whole numbers and text without padding.

    Attributes
    ----------
    pixels_at : int or None
        Byte at which the element of group 7FE0 begins; None where the bytes end
        before one, so that there is none if they are the whole data set.
    marked : bool
        The data set carries the mark 試験 (:mod:`common.dicom.testmark`).
    raw : dict
        By tag, the values as they lie there that were asked for besides.
    """

    values: dict[str, Any]
    pixels_at: int | None
    marked: bool = False
    raw: dict[int, bytes] = field(default_factory=dict)

    def get(self, keyword: str, default: Any = None) -> Any:
        """Return a value, as pydicom's data set gives it."""
        return self.values.get(keyword, default)


#: Asked for besides: tag as its bytes give it, and as it is written.
Besides = Mapping[int, int]


def besides(tags: Iterable[int]) -> Besides:
    """Return what makes :func:`scan` keep the raw values of further elements of its top level.

    Parameters
    ----------
    tags : iterable of int
        Group in the upper half, as in 0x00080008; none that holds elements itself.
    """
    return {(tag & 0xFFFF) << 16 | tag >> 16: tag for tag in tags}


def scan(
    data: bytes | memoryview,
    at: int,
    transfer_syntax_uid: str,
    *,
    whole: bool,
    also: Besides = MappingProxyType({}),
) -> Elements | None:
    """Read a data set's top level up to its pixels.

    Parameters
    ----------
    data : bytes or memoryview
        Holds the beginning of the data set, or all of it.
    at : int
        Byte at which it begins.
    whole : bool
        Whether the data set ends with `data`.
    also : mapping
        Of :func:`besides`.

    Returns
    -------
    Elements or None
        None where only a parser can tell.
    """
    if transfer_syntax_uid in _NOT_HERE:
        return None
    walk = _walk_implicit if transfer_syntax_uid == _IMPLICIT_LE else _walk_explicit
    values: dict[str, Any] = {}
    raw: dict[int, bytes] = {}
    start = at
    try:
        at, marked = walk(data, at, values, also, raw)
    except (struct.error, ValueError):
        return None
    if at - start > _LONGEST:
        return None
    if at < len(data):
        return Elements(values, at, marked, raw)
    return Elements(values, None, marked, raw) if whole and at == len(data) else None


def _walk_explicit(
    data: bytes | memoryview,
    at: int,
    values: dict[str, Any],
    also: Besides,
    raw: dict[int, bytes],
) -> tuple[int, bool]:
    """Read values until the pixels or the end; return where that is, and whether 試験 is there."""
    creator, marked, end = b"", False, len(data)
    unpack = _EXPLICIT.unpack_from
    while at < end:
        tag, vr, length = unpack(data, at)
        if vr in _SHORT:
            value = at + 8
        elif vr in _LONG:
            if tag in _PIXELS:
                break
            if tag == _QUALIFIERS:
                raise ValueError(vr)
            _, length, value, inner = _explicit(data, at)
            if inner is not None:
                at = _after(data, value, length, inner, 0)
                continue
        else:
            raise ValueError(vr)
        at = value + length
        if tag in _WANTED:
            if vr != _WANTED[tag][1]:
                raise ValueError(vr)
            _keep(values, tag, data[value:at], length)
        elif tag in also:
            raw[also[tag]] = bytes(data[value:at])
        elif tag & 0xFFFF == TEST_GROUP:
            creator, marked = _mark(tag >> 16, data[value:at], creator, marked)
    return at, marked


def _walk_implicit(
    data: bytes | memoryview,
    at: int,
    values: dict[str, Any],
    also: Besides,
    raw: dict[int, bytes],
) -> tuple[int, bool]:
    creator, marked, end = b"", False, len(data)
    while at < end:
        tag, length = _IMPLICIT.unpack_from(data, at)
        if tag in _STOPS or tag == _QUALIFIERS:
            if tag not in _PIXELS:
                raise ValueError(tag)
            break
        value = at + 8
        if length >= _DEEP and (inner := _unknown(data, value, length)) is not None:
            at = _after(data, value, length, inner, 0)
            continue
        at = value + length
        if tag in _WANTED:
            _keep(values, tag, data[value:at], length)
        elif tag in also:
            raw[also[tag]] = bytes(data[value:at])
        elif tag & 0xFFFF == TEST_GROUP:
            creator, marked = _mark(tag >> 16, data[value:at], creator, marked)
    return at, marked


def _keep(values: dict[str, Any], tag: int, raw: bytes | memoryview, length: int) -> None:
    keyword, kind = _WANTED[tag]
    if len(raw) != length or keyword in values:
        raise ValueError(keyword)
    values[keyword] = _value(bytes(raw), kind)


def _mark(
    element: int, value: bytes | memoryview, creator: bytes, marked: bool
) -> tuple[bytes, bool]:
    """Follow the private block of the mark 試験 through its group (PS3.5 section 7.8.1)."""
    if element == _BLOCK:
        return bytes(value).rstrip(b" "), marked
    if _BLOCK < element <= 0xFF:
        raise ValueError(element)  # several blocks: a parser knows which is whose
    of_block = element == _BLOCK << 8 | TEST_ELEMENT and creator == TEST_BLOCK.encode()
    return creator, marked or of_block


def _explicit(data: bytes | memoryview, at: int) -> tuple[int, int, int, _Reader | None]:
    """Return tag, length, where the value begins, and how elements inside it are read.

    None where there are none.
    """
    tag, vr, length = _EXPLICIT.unpack_from(data, at)
    if vr in _SHORT:
        return tag, length, at + 8, None
    if vr not in _LONG:
        raise ValueError(vr)
    (length,) = _LENGTH.unpack_from(data, at + 8)
    if vr == b"SQ":
        return tag, length, at + 12, _explicit
    if vr == b"UN":  # implicit VR inside, PS3.5 section 6.2.2
        return tag, length, at + 12, _unknown(data, at + 12, length)
    if length == _UNDEFINED:
        raise ValueError(vr)
    return tag, length, at + 12, None


def _implicit(data: bytes | memoryview, at: int) -> tuple[int, int, int, _Reader | None]:
    tag, length = _IMPLICIT.unpack_from(data, at)
    return tag, length, at + 8, _unknown(data, at + 8, length)


def _unknown(data: bytes | memoryview, value: int, length: int) -> _Reader | None:
    """Return how a value of unknown kind is read if it may hold elements."""
    if length == _UNDEFINED or (length >= 8 and data[value : value + 4] == _ITEM_BYTES):
        return _implicit
    return None


def _value(raw: bytes, kind: bytes) -> int | str | None:
    """Return a value; ValueError for whatever is not plain."""
    if kind == b"US":
        if len(raw) != 2:
            raise ValueError(kind)
        return int.from_bytes(raw, "little")
    text = raw.rstrip(b"\0 " if kind == b"UI" else b" ").decode("ascii")
    if "\\" in text or not text.isprintable() or (kind == b"UI" and text.startswith(" ")):
        raise ValueError(kind)
    if kind != b"IS":
        return text
    if not text.strip():
        return None
    if not text.strip().isdecimal() or len(text) > 12:
        raise ValueError(kind)
    return int(text)


def _after(data: bytes | memoryview, value: int, length: int, read: _Reader, depth: int) -> int:
    """Return the byte after a sequence whose items begin at `value` (PS3.5 section 7.5)."""
    if depth > _DEEPEST:
        raise ValueError(depth)
    end = len(data) if length == _UNDEFINED else value + length
    at = value
    while at < end or length == _UNDEFINED:
        tag, size = _IMPLICIT.unpack_from(data, at)
        at += 8
        if tag == _END and length == _UNDEFINED:
            return at
        if tag != _ITEM:
            raise ValueError(tag)
        at = _after_item(data, at, size, read, depth)
    if at != end:
        raise ValueError(at)
    return at


def _after_item(data: bytes | memoryview, at: int, size: int, read: _Reader, depth: int) -> int:
    end = at + size
    while at < end:
        (tag,) = _LENGTH.unpack_from(data, at)
        if tag == _END_OF_ITEM and size == _UNDEFINED:
            return at + 8
        if tag & 0xFFFF == 0xFFFE:
            raise ValueError(tag)
        _, length, value, inner = read(data, at)
        at = value + length if inner is None else _after(data, value, length, inner, depth + 1)
    if at != end:
        raise ValueError(at)
    return at
