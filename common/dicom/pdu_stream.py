"""PDUs out of a stream of bytes, and P-DATA into one (PS3.8 9.3, annex E).

The reader is pure: bytes go in, split anywhere, and events come out.  It holds
no more of a PDU than its header, or the whole of a short one whose length was
compared with its limit first; the payload of P-DATA passes through as slices
of the caller's buffer and is never gathered here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from common.errors import ProtocolError

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ = 0x01, 0x02, 0x03
P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = 0x04, 0x05, 0x06, 0x07

# A-ABORT reasons of the service provider, PS3.8 table 9-26
NOT_SPECIFIED, UNRECOGNIZED_PDU, UNEXPECTED_PDU, INVALID_PARAMETER = 0, 1, 2, 6

#: 128 contexts of 40 transfer syntaxes with long UIDs fit in half of it.
MAX_ASSOCIATE = 1 << 18

_HEADER = struct.Struct(">BxL")
_PDV = struct.Struct(">LBB")
_DATA_HEADER = struct.Struct(">BxLLBB")


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


def data_pdus(
    context: int, length: int, chunks: Iterable[bytes | memoryview], limit: int
) -> Iterator[bytes | memoryview]:
    """Yield headers and slices that make the P-DATA PDUs of one data set.

    A PDU is announced before its bytes are at hand, so nothing is gathered:
    the chunks may be of any size and the PDUs are filled all the same.

    Parameters
    ----------
    length : int
        Bytes of the data set; the chunks must come to exactly that.
    limit : int
        Longest PDU the peer takes, in bytes after the header; above 6.

    Raises
    ------
    ProtocolError
        The chunks come to another length than was said.
    """
    room = limit - 6
    rest = length
    open_bytes = 0
    for chunk in chunks:
        view = memoryview(chunk).cast("B")
        if len(view) > rest + open_bytes:
            raise ProtocolError(cause="data set longer than announced")
        while view:
            if not open_bytes:
                open_bytes = min(room, rest)
                rest -= open_bytes
                yield _data_header(context, 0 if rest else 2, open_bytes)
            piece = view[:open_bytes]
            yield piece
            open_bytes -= len(piece)
            view = view[len(piece) :]
    if rest or open_bytes:
        raise ProtocolError(cause="data set shorter than announced")
    if not length:
        yield _data_header(context, 2, 0)


def _data_header(context: int, control: int, length: int) -> bytes:
    return _DATA_HEADER.pack(P_DATA, length + 6, length + 2, context, control)
