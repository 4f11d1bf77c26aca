"""Data sets built byte by byte, so that they may be built wrongly."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from common.dicom import uids
from common.dicom.dataset import file_prefix

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
UNDEFINED = 0xFFFFFFFF
LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXELS = 0x7FE00010

Values = dict[int, tuple[bytes, bytes]]
Changes = Mapping[int, tuple[bytes, bytes] | None]


@dataclass(frozen=True)
class Instance:
    """What a peer sends: a command's UIDs and the bytes of a data set."""

    uid: str
    data: bytes
    syntax: str = EXPLICIT
    sop_class: str = CT

    def as_file(self) -> bytes:
        """Return it as a Part 10 file."""
        return file_prefix(self.sop_class, self.uid, self.syntax) + self.data


def element(
    tag: int, vr: bytes, value: bytes, length: int | None = None, *, order: str = "<"
) -> bytes:
    """Encode an element in explicit VR with any length that it may claim."""
    size = len(value) if length is None else length
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF) + vr
    if vr in LONG:
        return head + struct.pack(order + "HI", 0, size) + value
    return head + struct.pack(order + "H", size) + value


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    """Encode an element in implicit VR."""
    size = len(value) if length is None else length
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, size) + value


def item(value: bytes, length: int | None = None) -> bytes:
    """Encode an item; with a delimiter where its length is undefined."""
    return implicit(ITEM, value, length) + (implicit(ITEM_END, b"") if length == UNDEFINED else b"")


def sequence(tag: int, items: bytes, length: int | None = None) -> bytes:
    """Encode a sequence; with a delimiter where its length is undefined."""
    end = implicit(SEQUENCE_END, b"") if length == UNDEFINED else b""
    return element(tag, b"SQ", items, length) + end


def text(value: str, pad: bytes = b" ") -> bytes:
    """Return the value of a text element, of even length."""
    encoded = value.encode("latin1")
    return encoded + pad * (len(encoded) & 1)


def us(*values: int) -> bytes:
    """Return the value of a US element."""
    return struct.pack(f"<{len(values)}H", *values)


def name_of(case: str) -> str:
    """Return the UID that belongs to a case."""
    return uids.derived_uid(case)


def image(case: str) -> Values:
    """Return the elements of a small sound CT image of its own study."""
    own, study, series = name_of(case), name_of(f"{case}/study"), name_of(f"{case}/series")
    return {
        0x00080005: (b"CS", b"ISO_IR 192"),
        0x00080016: (b"UI", text(CT, b"\0")),
        0x00080018: (b"UI", text(own, b"\0")),
        0x00080020: (b"DA", b"20261126"),
        0x00080060: (b"CS", b"CT"),
        0x00100010: (b"PN", "TAKAHASHI^HANAKO=髙橋^花子".encode()),
        0x00100020: (b"LO", b"0012345 "),
        0x00100030: (b"DA", b"19580307"),
        0x0020000D: (b"UI", text(study, b"\0")),
        0x0020000E: (b"UI", text(series, b"\0")),
        0x00200013: (b"IS", b"1 "),
        0x00280002: (b"US", us(1)),
        0x00280004: (b"CS", b"MONOCHROME2 "),
        0x00280010: (b"US", us(16)),
        0x00280011: (b"US", us(16)),
        0x00280100: (b"US", us(16)),
        0x00280101: (b"US", us(12)),
        0x00280102: (b"US", us(11)),
        0x00280103: (b"US", us(0)),
        PIXELS: (b"OW", struct.pack("<256H", *range(0, 4096, 16))),
    }


def encoded(values: Mapping[int, tuple[bytes, bytes]], order: str = "<") -> bytes:
    """Return elements in explicit VR, in the order of their tags."""
    return b"".join(element(tag, *values[tag], order=order) for tag in sorted(values))


def encoded_implicit(values: Mapping[int, tuple[bytes, bytes]]) -> bytes:
    """Return elements in implicit VR, in the order of their tags."""
    return b"".join(implicit(tag, values[tag][1]) for tag in sorted(values))


def instance(
    case: str, changes: Mapping[int, tuple[bytes, bytes] | None] | None = None
) -> Instance:
    """Return the sound image of a case with some elements changed, or left out (None)."""
    values: dict[int, Any] = {**image(case), **(changes or {})}
    kept = {tag: value for tag, value in values.items() if value is not None}
    return Instance(name_of(case), encoded(kept))


def with_bytes(case: str, extra: bytes, *, at: int = PIXELS) -> Instance:
    """Return the sound image of a case with bytes put before one of its elements."""
    values = image(case)
    before = encoded({tag: value for tag, value in values.items() if tag < at})
    after = encoded({tag: value for tag, value in values.items() if tag >= at})
    return Instance(name_of(case), before + extra + after)


def encapsulated(
    case: str,
    syntax: str,
    fragments: list[bytes],
    changes: Changes | None = None,
    *,
    table: bytes = b"",
) -> Instance:
    """Return an image whose pixels are fragments behind a Basic Offset Table."""
    without = instance(case, {**(changes or {}), PIXELS: None})
    padded = [one + b"\0" * (len(one) & 1) for one in fragments]
    items = b"".join(item(one) for one in [table, *padded])
    pixels = element(PIXELS, b"OB", items, UNDEFINED) + implicit(SEQUENCE_END, b"")
    return replace(without, data=without.data + pixels, syntax=syntax)


def deflated(data: bytes) -> bytes:
    """Return bytes as Deflated Explicit VR Little Endian has them (PS3.5 A.5)."""
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return pack.compress(data) + pack.flush()


def bomb(case: str, gigabytes: int = 3) -> Instance:
    """Return a deflated image of some 3 MB whose pixels are gigabytes of zeros."""
    values = image(case)
    pixels = element(PIXELS, b"OW", b"", gigabytes << 30)
    head = encoded({tag: value for tag, value in values.items() if tag < PIXELS}) + pixels
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = pack.compress(head) + pack.flush(zlib.Z_FULL_FLUSH)
    # after a full flush what follows depends on nothing before, so one piece serves many times
    piece = pack.compress(bytes(16 << 20)) + pack.flush(zlib.Z_FULL_FLUSH)
    return Instance(name_of(case), start + piece * (gigabytes * 64) + pack.flush(), DEFLATED)
