"""What a data set may cost, and the walk that holds it to that before a parser sees it.

A header is walked once from its first byte to its pixels (PS3.5 section 7): no
value is decoded, values that hold no elements are not even read, nesting is a
list and not recursion, so time is linear in the number of elements and memory
does not grow with the object.  What passes is parsed; what does not is refused
with the limit, or the fault of its structure, by name.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from common.errors import (
    DataSetCut,
    DataSetUnsound,
    HeaderTooLarge,
    InflatedTooLarge,
    NestedTooDeep,
    NotDicom,
    TooManyElements,
)

#: Bytes of group 0002: some 400 in practice.
META_LIMIT = 1 << 16
#: Bytes before the pixels, which a parser holds in memory; a PDF is in a header too.
HEADER_LIMIT = 64 << 20
#: Sequences within one another: a structured report has some ten; a parser recurses.
DEPTH_LIMIT = 100
#: Elements and items before the pixels: a parser takes some 20 us and 1 KB for each, and
#: 5 s is what one object may hold a thread.  An enhanced image of 4000 frames has 250,000.
ELEMENTS_LIMIT = 1 << 18
#: Bytes of a deflated data set once inflated: 3 MB can be 3 GB, RFC 1951 packs 1000 to 1.
#: What is deflated in practice are segmentations: 1000 slices of 512 x 512 have 256 MiB.
INFLATED_LIMIT = 512 << 20
#: Fragments walked in one Pixel Data, and native frames listed: 16 bytes of table each.
ITEMS_LIMIT = 1 << 20

Read = Callable[[int, int], bytes]

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
DEFLATED = frozenset({"1.2.840.10008.1.2.1.99"})  # of 1.2.8.1 the frames are, not the data set

_WINDOW = 1 << 16  # bytes read at a time
_DEFLATED_PIECE = 1 << 12  # small, because zlib copies what it has not consumed
_UNDEFINED = 0xFFFFFFFF
_ITEM, _END_OF_ITEM, _END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_PIXELS = {(0x7FE0, 0x0008), (0x7FE0, 0x0009), (0x7FE0, 0x0010)}
LONG_VR = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT_VR = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
#: What tells instance, study and patient: read twice, two readers would differ.
_IDENTITY = {(0x08, 0x16), (0x08, 0x18), (0x10, 0x20), (0x10, 0x21), (0x20, 0x0D), (0x20, 0x0E)}
_ELEMENTS, _ITEMS, _FRAGMENTS = range(3)  # what a stretch of bytes is made of


@dataclass(slots=True)
class _Stretch:
    """Bytes that hold elements, items or fragments.

    Attributes
    ----------
    end : int
        Byte after them, or after what holds them where they end with a delimiter.
    guessed : bool
        They may as well be bytes that happen to look like a sequence.
    """

    kind: int
    end: int
    delimited: bool
    implicit: bool
    order: str = "<"
    guessed: bool = False


@dataclass(slots=True)
class _Walk:
    """One pass over a header."""

    read: Read
    at: int
    inside: list[_Stretch]
    oddities: set[str]
    start: int = field(init=False)
    last: tuple[int, ...] = (0, 0)
    identity: set[tuple[int, ...]] = field(default_factory=set)
    elements: int = 0
    depth: int = 0
    _window: bytes = b""
    _window_at: int = 0

    def __post_init__(self) -> None:
        self.start = self.at

    def run(self) -> int:
        """Return the byte at which the pixels begin, or the end."""
        while self.inside:
            here = self.inside[-1]
            try:
                if self.at >= here.end:
                    self._leave(here)
                elif here.kind != _ELEMENTS:
                    self._item(here)
                elif self._element(here):
                    return self.at
            except (DataSetCut, DataSetUnsound):
                if not any(one.guessed for one in self.inside):
                    raise
                self._was_no_sequence()
        return self.at

    def _leave(self, here: _Stretch) -> None:
        if here.delimited:
            raise DataSetCut(cause="a sequence or item without its end")
        self._close()

    def _close(self) -> None:
        self.depth -= self.inside.pop().kind == _ITEMS

    def _was_no_sequence(self) -> None:
        """Go on after the bytes that only looked like one."""
        first = next(i for i, one in enumerate(self.inside) if one.guessed)
        self.at = self.inside[first].end
        while len(self.inside) > first:
            self._close()

    def _count(self) -> None:
        self.elements += 1
        if self.elements > ELEMENTS_LIMIT:
            raise TooManyElements(cause=f"> {ELEMENTS_LIMIT}")

    def _bytes(self, size: int, end: int) -> tuple[bytes, int]:
        """Return a window and where in it the next `size` bytes lie."""
        offset = self.at - self._window_at
        if offset + size > len(self._window):
            self._window, self._window_at, offset = self.read(_WINDOW, self.at), self.at, 0
        if self.at + size > end or size > len(self._window) - offset:
            raise DataSetCut(cause="an element")
        return self._window, offset

    def _item(self, here: _Stretch) -> None:
        data, offset = self._bytes(8, here.end)
        group, element, length = struct.unpack_from(here.order + "HHI", data, offset)
        if (group, element) == _END and here.delimited:
            self.at += 8
            self._close()
            return
        if (group, element) != _ITEM:
            raise DataSetUnsound(cause="no item where one belongs")
        self._count()
        self.at += 8
        delimited = length == _UNDEFINED
        end = here.end if delimited else self.at + length
        if end > here.end or (delimited and here.kind == _FRAGMENTS):
            raise DataSetUnsound(cause="an item longer than its sequence")
        if here.kind == _FRAGMENTS:
            self.at = end
            return
        implicit = here.implicit or self._looks_implicit(end)
        self.inside.append(_Stretch(_ELEMENTS, end, delimited, implicit, here.order))

    def _looks_implicit(self, end: int) -> bool:
        """Tell whether an item of an explicit data set is implicit all the same: some are."""
        if end - self.at < 8:
            return False
        data, offset = self._bytes(8, end)
        vr = data[offset + 4 : offset + 6]
        return data[offset : offset + 2] not in {b"\xfe\xff", b"\xff\xfe"} and not (
            b"AA" <= vr <= b"ZZ" and b"A" <= vr[1:] <= b"Z"
        )

    def _element(self, here: _Stretch) -> bool:
        """Pass an element, or what precedes those inside it; True at the pixels."""
        data, offset = self._bytes(8, here.end)
        tag = struct.unpack_from(here.order + "HH", data, offset)
        if tag in _PIXELS and len(self.inside) == 1:
            return True
        self._count()
        if tag[0] == 0xFFFE:
            if tag != _END_OF_ITEM or not here.delimited:
                raise DataSetUnsound(cause="a delimiter that ends nothing")
            self.at += 8
            self._close()
            return False
        if len(self.inside) == 1:
            self._in_order(tag)
        vr, length = self._head(here)
        if length == _UNDEFINED:
            self._undefined(here, tag, vr)
            return False
        if length & 1:
            self.oddities.add("odd length")
        end = self.at + length
        if end > here.end:
            name = f"({tag[0]:04X},{tag[1]:04X})"
            raise DataSetCut(cause=name) if len(self.inside) == 1 else DataSetUnsound(cause=name)
        if len(self.inside) == 1 and end - self.start > HEADER_LIMIT:
            raise HeaderTooLarge(cause=f"> {HEADER_LIMIT >> 20} MiB")
        if vr == b"SQ":
            self._enter(here, end, delimited=False)
        elif vr in {b"", b"UN"} and length >= 8 and self._begins_item(here.order, end):
            self._enter(here, end, delimited=False, unknown=vr == b"UN", guessed=True)
        else:
            self.at = end
        return False

    def _in_order(self, tag: tuple[int, ...]) -> None:
        if tag <= self.last:
            self.oddities.add("elements out of order or twice")
        self.last = tag
        if tag in _IDENTITY:
            if tag in self.identity:
                raise DataSetUnsound(cause=f"({tag[0]:04X},{tag[1]:04X}) twice")
            self.identity.add(tag)

    def _head(self, here: _Stretch) -> tuple[bytes, int]:
        """Return VR (none in implicit VR) and length, and stand at the value."""
        data, offset = self._bytes(8, here.end)
        if here.implicit:
            self.at += 8
            return b"", int(struct.unpack_from(here.order + "I", data, offset + 4)[0])
        vr, length = struct.unpack_from(here.order + "2sH", data, offset + 4)
        if vr in SHORT_VR:
            self.at += 8
            return vr, length
        if vr not in LONG_VR:
            raise DataSetUnsound(cause="an unknown value representation")
        data, offset = self._bytes(12, here.end)
        self.at += 12
        return vr, int(struct.unpack_from(here.order + "I", data, offset + 8)[0])

    def _undefined(self, here: _Stretch, tag: tuple[int, ...], vr: bytes) -> None:
        if vr in {b"SQ", b""}:
            self._enter(here, here.end, delimited=True)
        elif vr == b"UN":  # implicit VR inside, PS3.5 section 6.2.2
            self._enter(here, here.end, delimited=True, unknown=True)
        elif tag == (0x7FE0, 0x0010) and vr in {b"OB", b"OW"}:  # of an icon
            self.inside.append(_Stretch(_FRAGMENTS, here.end, True, False, here.order))
        else:
            raise DataSetUnsound(cause="undefined length")

    def _enter(
        self,
        here: _Stretch,
        end: int,
        *,
        delimited: bool,
        unknown: bool = False,
        guessed: bool = False,
    ) -> None:
        self.depth += 1
        if self.depth > DEPTH_LIMIT:
            raise NestedTooDeep(cause=f"> {DEPTH_LIMIT}")
        order = "<" if unknown else here.order
        implicit = here.implicit or unknown
        self.inside.append(_Stretch(_ITEMS, end, delimited, implicit, order, guessed))

    def _begins_item(self, order: str, end: int) -> bool:
        data, offset = self._bytes(8, end)
        return struct.unpack_from(order + "HH", data, offset) == _ITEM


def walk(
    read: Read, at: int, end: int, transfer_syntax_uid: str, oddities: set[str] | None = None
) -> int:
    """Pass over the elements of a data set that is not deflated, up to its pixels.

    Parameters
    ----------
    read : callable
        Given a number of bytes and an offset; returns fewer only at the end.
    at, end : int
        First byte of the data set and the byte after it.
    oddities : set of str, optional
        Gets what PS3.5 does not allow and no reader minds.

    Returns
    -------
    int
        Byte at which the element of group 7FE0 begins; `end` where there is none.

    Raises
    ------
    HeaderTooLarge, TooManyElements, NestedTooDeep
        It costs more than it may.
    DataSetCut
        It ends within an element, a sequence or an item.
    DataSetUnsound
        It is not built as PS3.5 section 7 has it.
    """
    implicit = transfer_syntax_uid == IMPLICIT_LE
    order = ">" if transfer_syntax_uid == EXPLICIT_BE else "<"
    noted = set() if oddities is None else oddities
    return _Walk(read, at, [_Stretch(_ELEMENTS, end, False, implicit, order)], noted).run()


class Inflating:
    """The beginning of a deflated data set, inflated as far as it is asked for (PS3.5 A.5).

    Parameters
    ----------
    read : callable
        Given a number of bytes; returns the next of the deflated stream.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)  # RFC 1951, no header
        self._begun = bytearray()
        self._size = self._sum = 0

    def read(self, size: int, at: int) -> bytes:
        """Return bytes of the inflated data set; fewer at its end.

        Raises
        ------
        HeaderTooLarge
            They lie further on than a header may reach.
        DataSetCut, DataSetUnsound
            The stream is no whole deflated one.
        """
        if at + size > HEADER_LIMIT + 2 * _WINDOW:
            raise HeaderTooLarge(cause=f"> {HEADER_LIMIT >> 20} MiB")
        while len(self._begun) < at + size and (piece := self._next()):
            self._begun += piece
        return bytes(self._begun[at : at + size])

    def finish(self) -> int:
        """Inflate the rest without keeping it; return the bytes of all.

        Raises
        ------
        InflatedTooLarge
            More than `INFLATED_LIMIT`.
        DataSetCut, DataSetUnsound
            As :meth:`read`.
        """
        while self._next():
            pass
        return self._size

    def _next(self) -> bytes:
        while not self._stream.eof:
            fresh = self._stream.unconsumed_tail or self._read(_DEFLATED_PIECE)
            try:
                piece = self._stream.decompress(fresh, _WINDOW)
            except zlib.error as failure:
                raise DataSetUnsound(cause="deflate") from failure
            self._size += len(piece)
            self._sum = zlib.crc32(piece, self._sum)
            if self._size > INFLATED_LIMIT:
                raise InflatedTooLarge(cause=f"> {INFLATED_LIMIT >> 20} MiB")
            if piece:
                return piece
            if not fresh:
                raise DataSetCut(cause="deflate")
        self._check_rest()
        return b""

    def _check_rest(self) -> None:
        """Let one byte pad the stream to even length, after the true trailer that gzip has."""
        rest = self._stream.unused_data + self._read(2)
        trailer = struct.pack("<II", self._sum, self._size & 0xFFFFFFFF)  # RFC 1952 section 2.3
        if rest.removeprefix(trailer) not in {b"", b"\0"}:
            raise DataSetUnsound(cause="bytes after the deflated ones")


def checked(data: bytes, transfer_syntax_uid: str) -> bytes:
    """Return a data set in memory that a parser may see.

    Raises
    ------
    NotDicom
        As :func:`walk`; or it is deflated, which none in memory is.
    """
    if transfer_syntax_uid in DEFLATED:
        raise NotDicom(cause="deflated")
    walk(lambda size, at: data[at : at + size], 0, len(data), transfer_syntax_uid)
    return data
