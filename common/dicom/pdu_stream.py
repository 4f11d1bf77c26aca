"""PDUs out of a stream of bytes, and P-DATA into one (PS3.8 9.3, annex E).

The reader is pure: bytes go in, split anywhere, and events come out.  It holds
no more of a PDU than its header, or the whole of a short one whose length was
compared with its limit first; the payload of P-DATA passes through as slices
of the caller's buffer and is never gathered here.  Between two headers the
payload of a data set need not come through the reader at all: the caller may
read it to where it belongs and say how much there was.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from common.errors import ProtocolError

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ = 0x01, 0x02, 0x03
P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = 0x04, 0x05, 0x06, 0x07

# A-ABORT reasons of the service provider, PS3.8 table 9-26
NOT_SPECIFIED, UNRECOGNIZED_PDU, UNEXPECTED_PDU, INVALID_PARAMETER = 0, 1, 2, 6

#: 128 contexts of 40 transfer syntaxes with long UIDs fit in half of it.
MAX_ASSOCIATE = 1 << 18

_LAST_DATA = 2  # message control header of the last fragment of a data set, PS3.8 annex E
_HEADER = struct.Struct(">BxL")
_PDV = struct.Struct(">LBB")
_DATA_HEADER = struct.Struct(">BxLLBB")
DATA_HEADER_SIZE = _DATA_HEADER.size  # of a PDU and of its one presentation data value


@dataclass(frozen=True, slots=True)
class Pdu:
    """A whole PDU other than P-DATA, with its six bytes of header."""

    type: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of one presentation data value.

    ``data`` is a slice of the buffer that was fed, valid until the next one.
    ``last`` is true for the piece that ends the command or the data set.
    """

    context: int
    is_command: bool
    last: bool
    data: memoryview


class PduReader:
    """Turns a stream of bytes into PDUs and fragments.

    Parameters
    ----------
    max_pdu : int
        Longest P-DATA taken, in bytes after the six of its header; 0 is no
        limit, which costs no memory.
    """

    def __init__(self, max_pdu: int) -> None:
        self._max_pdu = max_pdu
        self._held = bytearray()  # an incomplete header, or a PDU that is no P-DATA
        self._want = _HEADER.size
        self._type: int | None = None
        self._rest = 0  # bytes of this P-DATA PDU behind the PDV headers read so far
        self._payload = 0  # bytes of this PDV not yet passed on
        self._context = self._control = 0

    def feed(self, data: memoryview) -> Iterator[Pdu | Fragment]:
        """Yield what `data` completes; must be exhausted before the next call.

        Raises
        ------
        ProtocolError
            With the fact ``abort_reason`` for the A-ABORT to be sent.
        """
        position, end = 0, len(data)
        while position < end:
            if self._payload:
                taken = min(self._payload, end - position)
                self._payload -= taken
                yield self._fragment(data[position : position + taken])
                position += taken
                continue
            taken = min(self._want - len(self._held), end - position)
            self._held += data[position : position + taken]
            position += taken
            if len(self._held) == self._want:
                event = self._complete()
                if event is not None:
                    yield event

    @property
    def data_ahead(self) -> int:
        """Bytes of a data set that come next, before any header; 0 where a header does."""
        return 0 if self._control & 1 else self._payload

    def passed(self, count: int) -> tuple[int, bool]:
        """Note that the next `count` bytes, of :attr:`data_ahead`, were read elsewhere.

        Returns
        -------
        (int, bool)
            Presentation context, and whether the data set ends there.
        """
        self._payload -= count
        return self._context, self._control == _LAST_DATA and not self._payload

    def _complete(self) -> Pdu | Fragment | None:
        if self._type is None:
            self._begin(*_HEADER.unpack(self._held))
            return None
        if self._type == P_DATA:
            return self._begin_value()
        pdu = Pdu(self._type, bytes(self._held))
        self._expect(None, _HEADER.size)
        return pdu

    def _expect(self, kind: int | None, want: int) -> None:
        self._type = kind
        self._want = want
        self._held.clear()

    def _begin(self, kind: int, length: int) -> None:
        if kind == P_DATA:
            if length < _PDV.size or (self._max_pdu and length > self._max_pdu):
                raise _invalid(f"P-DATA of {length} bytes")
            self._rest = length
            self._expect(P_DATA, _PDV.size)
            return
        if kind in (ASSOCIATE_RQ, ASSOCIATE_AC):
            if not 68 <= length <= MAX_ASSOCIATE:
                raise _invalid(f"A-ASSOCIATE of {length} bytes")
        elif kind in (ASSOCIATE_RJ, RELEASE_RQ, RELEASE_RP, ABORT):
            if length != 4:
                raise _invalid(f"PDU {kind:02X} of {length} bytes")
        else:
            raise ProtocolError(
                cause=f"PDU of unknown type {kind:02X}", abort_reason=UNRECOGNIZED_PDU
            )
        self._type = kind
        self._want = _HEADER.size + length

    def _begin_value(self) -> Fragment | None:
        length, self._context, self._control = _PDV.unpack(self._held)
        self._rest -= 4 + length
        if length < 2 or self._rest < 0:
            raise _invalid("presentation data value longer than its PDU, or empty")
        if 0 < self._rest < _PDV.size:
            raise _invalid("bytes left over in P-DATA")
        self._payload = length - 2
        self._held.clear()
        self._after_value()
        return None if self._payload else self._fragment(memoryview(b""))

    def _after_value(self) -> None:
        # decided at the header: the payload is counted apart from the headers
        self._expect(P_DATA if self._rest else None, _PDV.size if self._rest else _HEADER.size)

    def _fragment(self, data: memoryview) -> Fragment:
        last = bool(self._control & 2) and self._payload == 0
        return Fragment(self._context, bool(self._control & 1), last, data)


def _invalid(cause: str) -> ProtocolError:
    return ProtocolError(cause=cause, abort_reason=INVALID_PARAMETER)


def command_pdus(context: int, command: bytes, limit: int) -> bytes:
    """Return the P-DATA PDUs of one command set.

    Parameters
    ----------
    context : int
        Presentation context ID.
    limit : int
        Longest PDU the peer takes, in bytes after the header; above 6.
    """
    room = limit - 6
    parts = []
    for start in range(0, len(command), room):
        piece = command[start : start + room]
        control = 3 if start + room >= len(command) else 1
        parts += [_data_header(context, control, len(piece)), piece]
    return b"".join(parts)


def data_places(
    buffer: memoryview, at: int, context: int, length: int, rest: int, limit: int
) -> tuple[int, list[memoryview]]:
    """Lay P-DATA PDUs out in a buffer, headers written, payload left to be filled in.

    A PDU is announced before its bytes are at hand, so a source can read them to
    where they are sent from.

    Parameters
    ----------
    buffer : memoryview
        Writable.
    at : int
        Byte of the buffer at which to begin.
    context : int
        Presentation context ID.
    length : int
        Bytes of the data set to be laid out now.
    rest : int
        Bytes of the data set that come after them; 0 marks the last fragment.
    limit : int
        Longest PDU the peer takes, in bytes after the header; above 6.

    Returns
    -------
    (int, list of memoryview)
        Where the PDUs end in the buffer, and the places of their payload in order.
    """
    room = limit - 6
    places = []
    while True:
        piece = min(room, length)
        length -= piece
        _DATA_HEADER.pack_into(
            buffer, at, P_DATA, piece + 6, piece + 2, context, 0 if length + rest else 2
        )
        at += DATA_HEADER_SIZE
        places.append(buffer[at : at + piece])
        at += piece
        if not length:
            return at, places


def data_pdus(context: int, data: bytes, limit: int) -> bytes:
    """Return the P-DATA PDUs of a small data set that is at hand; as :func:`data_places`."""
    buffer = memoryview(bytearray(laid_out(len(data), limit)))
    _, places = data_places(buffer, 0, context, len(data), 0, limit)
    for place in places:
        place[:], data = data[: len(place)], data[len(place) :]
    return bytes(buffer)


def laid_out(length: int, limit: int) -> int:
    """Return the bytes that so many bytes of a data set take as P-DATA PDUs."""
    return length + DATA_HEADER_SIZE * max(1, -(-length // (limit - 6)))


def _data_header(context: int, control: int, length: int) -> bytes:
    return _DATA_HEADER.pack(P_DATA, length + 6, length + 2, context, control)
