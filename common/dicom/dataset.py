"""What a data set is made of, read from its bytes: identity, header, and where the pixels lie.

A stored file is :func:`file_prefix` followed by the data set exactly as it was
transmitted (PS3.10 section 7.1): preamble and group 0002 do not travel over
C-STORE, so the receiver writes them itself, alike for both doors.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from common import durable
from common.dicom import budget, uids
from common.dicom.budget import ITEMS_LIMIT, META_LIMIT
from common.errors import DataSetCut, DataSetUnsound, NotDicom, TooManyElements

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


class Values(Protocol):
    """Values by keyword: a data set of pydicom, or what :mod:`common.dicom.elements` found."""

    def get(self, key: str, default: Any = None, /) -> Any:
        """Return a value, or the default where the element is absent."""


PREAMBLE = 128
FRAMES_LIMIT = (1 << 31) - 1  # of an IS, PS3.5 section 6.2

IMPLICIT_LE = budget.IMPLICIT_LE
EXPLICIT_LE = "1.2.840.10008.1.2.1"
EXPLICIT_BE = budget.EXPLICIT_BE
DEFLATED = budget.DEFLATED
_NATIVE = frozenset({IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE})


@dataclass(frozen=True, slots=True)
class Part10:
    """Where the data set lies in a file, and what group 0002 says of it.

    Attributes
    ----------
    offset, length : int
        First byte and number of bytes of the data set.
    """

    offset: int
    length: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class Pixels:
    """Where (7FE0,0010) lies in a data set.

    Attributes
    ----------
    offset : int
        First byte of the value (for encapsulated data: of the Basic Offset Table item).
    length : int or None
        Bytes of a native value; None for encapsulated data.
    fragments : tuple of (int, int)
        Offset and length of each fragment's bytes, items headers and Basic
        Offset Table left out.  Empty for native data.
    """

    offset: int
    length: int | None
    fragments: tuple[tuple[int, int], ...] = ()


def _element(element: int, vr: bytes, value: bytes) -> bytes:
    value += (b"\0" if vr in {b"UI", b"OB"} else b" ") * (len(value) & 1)
    if vr in budget.LONG_VR:
        return struct.pack("<HH2sHI", 2, element, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def file_prefix(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Return the zero preamble, ``DICM`` and group 0002 of a stored file (PS3.10 7.1).

    The same arguments give the same bytes at any time, so a file can be made
    again from its data set.
    """
    group = b"".join(
        (
            _element(0x0001, b"OB", b"\0\1"),
            _element(0x0002, b"UI", sop_class_uid.encode("ascii")),
            _element(0x0003, b"UI", sop_instance_uid.encode("ascii")),
            _element(0x0010, b"UI", transfer_syntax_uid.encode("ascii")),
            _element(0x0012, b"UI", uids.IMPLEMENTATION_CLASS_UID.encode("ascii")),
            _element(0x0013, b"SH", uids.IMPLEMENTATION_VERSION.encode("ascii")),
        )
    )
    length = _element(0x0000, b"UL", struct.pack("<I", len(group)))
    return bytes(PREAMBLE) + b"DICM" + length + group


def read_part10(path: Path) -> Part10:
    """Read group 0002 of a file.

    Raises
    ------
    NotDicom
        The file is no Part 10 file, or its group 0002 is not sound.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return part10_of(durable.read_at(file.fileno(), META_LIMIT, 0), size)


def part10_of(start: bytes, size: int) -> Part10:
    """Read group 0002 from the first bytes of a file.

    Parameters
    ----------
    size : int
        Bytes of the whole file.

    Raises
    ------
    NotDicom
        The file is no Part 10 file, or its group 0002 is not sound, or longer.
    """
    if len(start) < PREAMBLE + 4 or start[PREAMBLE : PREAMBLE + 4] != b"DICM":
        raise NotDicom(cause="no DICM")
    values, offset = _meta(start)
    try:
        texts = [values[e].rstrip(b"\0 ").decode("ascii") for e in (0x0002, 0x0003, 0x0010)]
    except KeyError as missing:
        raise NotDicom(cause=f"no (0002,{missing.args[0]:04X})") from missing
    except UnicodeDecodeError as failure:
        raise NotDicom(cause="group 0002 is no text") from failure
    return Part10(offset, size - offset, *texts)


def _meta(start: bytes) -> tuple[dict[int, bytes], int]:
    """Return the values of group 0002 by element, and where the data set begins."""
    values: dict[int, bytes] = {}
    at = PREAMBLE + 4
    while at + 8 <= len(start):
        group, element, vr, length = struct.unpack_from("<HH2sH", start, at)
        if group != 2:
            _check_group_length(values.get(0), at - PREAMBLE - 16)
            return values, at
        if vr not in budget.SHORT_VR and vr not in budget.LONG_VR:
            raise DataSetUnsound(cause="an unknown value representation in group 0002")
        at += 8
        if vr in budget.LONG_VR:
            (length,) = struct.unpack_from("<I", start.ljust(at + 4, b"\0"), at)
            at += 4
        if at + length > len(start):
            raise DataSetCut(cause="group 0002")
        values[element] = start[at : at + length]
        at += length
    raise DataSetCut(cause="no data set after group 0002")


def _check_group_length(said: bytes | None, found: int) -> None:
    """Refuse a group 0002 of which a reader that believes its length reads another (PS3.10 7.1)."""
    if said is not None and (len(said) != 4 or struct.unpack("<I", said)[0] != found):
        raise DataSetUnsound(cause="length of group 0002")


def read_header(file: BinaryIO, oddities: set[str] | None = None) -> Dataset:
    """Read a Part 10 file up to its pixels; the file is left where they begin.

    A parser sees only what :mod:`common.dicom.budget` has passed.  Of a deflated
    data set all is inflated once, and no more kept than its header.

    Parameters
    ----------
    oddities : set of str, optional
        Gets what is not as PS3.5 has it and harms nothing.

    Raises
    ------
    NotDicom
        It breaks a limit or is built otherwise, or has no identity.
    """
    import pydicom

    start = file.read(META_LIMIT)
    part10 = part10_of(start, file.seek(0, os.SEEK_END))
    header = _passed(file, part10, oddities)
    try:
        parsed = pydicom.dcmread(header, stop_before_pixels=True)
        for identity in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
            if not parsed.get(identity):
                raise NotDicom(cause=f"no {identity}")
    except NotDicom:
        raise
    except Exception as failure:  # pydicom raises anything on hostile bytes
        raise NotDicom(cause=type(failure).__name__) from failure
    return parsed


def _passed(file: BinaryIO, part10: Part10, oddities: set[str] | None) -> BinaryIO:
    """Return a file that ends where the pixels of another begin, once its header has passed.

    A deflated one is given as Explicit VR Little Endian.
    """
    at, end, syntax = part10.offset, part10.offset + part10.length, part10.transfer_syntax_uid
    if syntax not in DEFLATED:
        pixels_at = budget.walk(partial(_read, file), at, end, syntax, oddities)
        file.seek(0)
        header = io.BytesIO(file.read(pixels_at))
        file.seek(pixels_at)
        return header
    file.seek(at)
    size = budget.Inflating(file.read).finish()
    file.seek(at)
    inflating = budget.Inflating(file.read)
    pixels_at = budget.walk(inflating.read, 0, size, EXPLICIT_LE, oddities)
    return io.BytesIO(file_prefix("", "", EXPLICIT_LE) + inflating.read(pixels_at, 0))


def _read(file: BinaryIO, size: int, at: int) -> bytes:
    file.seek(at)
    return file.read(size)


def find_pixels(fd: int, at: int, end: int, transfer_syntax_uid: str) -> Pixels | None:
    """Find the value of (7FE0,0010) whose element begins at byte `at` of an open file.

    As :func:`pixels_in`, of which this is the form for files.
    """
    return pixels_in(partial(durable.read_at, fd), at, end, transfer_syntax_uid)


def pixels_in(
    read: Callable[[int, int], bytes], at: int, end: int, transfer_syntax_uid: str
) -> Pixels | None:
    """Find the value of (7FE0,0010) whose element begins at byte `at`.

    Parameters
    ----------
    read : callable
        Given a number of bytes and an offset; returns fewer only at the end.

    Returns
    -------
    Pixels or None
        Offsets are of the file; None where the data set has no Pixel Data there
        (no image, or a deflated data set, which has no offsets).

    Raises
    ------
    NotDicom
        A length points beyond the file or an item is not an item.
    """
    if transfer_syntax_uid in DEFLATED:
        return None
    head = read(12, at)
    order = ">" if transfer_syntax_uid == EXPLICIT_BE else "<"
    if len(head) < 8 or struct.unpack_from(order + "HH", head) != (0x7FE0, 0x0010):
        return None
    if transfer_syntax_uid == IMPLICIT_LE:
        (length,) = struct.unpack_from("<I", head, 4)
        value = at + 8
    else:
        (length,) = struct.unpack_from(order + "I", head.ljust(12, b"\0"), 8)
        value = at + 12
    if length != 0xFFFFFFFF:
        if value + length > end:
            raise DataSetCut(cause="Pixel Data")
        return Pixels(value, length)
    if transfer_syntax_uid in _NATIVE:
        raise DataSetUnsound(cause="Pixel Data of undefined length, not encapsulated")
    return Pixels(value, None, tuple(_fragments(read, value, end)))


def _fragments(read: Callable[[int, int], bytes], at: int, end: int) -> list[tuple[int, int]]:
    """Walk the items of encapsulated Pixel Data (PS3.5 A.4), Basic Offset Table left out."""
    found: list[tuple[int, int]] = []
    first = True
    while len(found) < ITEMS_LIMIT:
        item = read(8, at)
        if len(item) < 8:
            raise DataSetCut(cause="Pixel Data")
        group, element, length = struct.unpack("<HHI", item)
        if (group, element) == (0xFFFE, 0xE0DD):
            return found
        if (group, element) != (0xFFFE, 0xE000):
            raise DataSetUnsound(cause="no item in Pixel Data")
        if at + 8 + length > end:
            raise DataSetCut(cause="an item of Pixel Data")
        if not first:
            found.append((at + 8, length))
        first = False
        at += 8 + length
    raise TooManyElements(cause=f"> {ITEMS_LIMIT} fragments")


def frame_table(pixels: Pixels, header: Values, base: int) -> bytes | None:
    """Return where each frame lies in the data set, as uint64 LE pairs (offset, length).

    Parameters
    ----------
    base : int
        Byte of the file at which the data set begins.

    Returns
    -------
    bytes or None
        None where frames are no runs of bytes (several fragments a frame,
        1-bit frames) and must be read through a parser.
    """
    count = frame_count(header)
    if pixels.length is None:
        spans = [(at - base, size) for at, size in pixels.fragments]
        if len(spans) != count:
            return None
    else:
        size = native_frame_length(header)
        if not size or count > ITEMS_LIMIT or size * count > pixels.length:
            return None
        spans = [(pixels.offset - base + i * size, size) for i in range(count)]
    return b"".join(struct.pack("<QQ", *span) for span in spans)


def frame_count(header: Values) -> int:
    """Return Number of Frames, 1 where it is absent or no number of frames."""
    try:
        count = int(header.get("NumberOfFrames") or 1)
    except (TypeError, ValueError, OverflowError):
        return 1
    return count if 0 < count <= FRAMES_LIMIT else 1


def native_frame_length(header: Values) -> int | None:
    """Return the bytes of one native frame, None where they end inside a byte."""
    try:
        bits = int(header.get("Rows")) * int(header.get("Columns"))
        bits *= int(header.get("BitsAllocated"))
        bits *= int(header.get("SamplesPerPixel") or 1)
    except (TypeError, ValueError):
        return None
    if header.get("PhotometricInterpretation") == "YBR_FULL_422":
        bits = bits * 2 // 3
    return None if bits % 8 else bits // 8


def instance_number(header: Values) -> int | None:
    """Return Instance Number where it is a number an index can hold."""
    try:
        number = int(header.get("InstanceNumber"))
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) < 1 << 53 else None


def open_header(path: Path, oddities: set[str] | None = None) -> tuple[Dataset, int]:
    """Return the header of a Part 10 file and the byte at which its pixels begin.

    Raises
    ------
    NotDicom
        As :func:`read_header`.
    """
    with path.open("rb") as file:
        return read_header(file, oddities), file.tell()
