"""DIMSE command sets: group 0000 in implicit VR little endian (PS3.7 6.3 and annex E).

Written out here rather than through a data set library, because a command is
read from a peer for every instance: each length is compared with the bytes at
hand before it is used, nothing nests, and it costs a thirtieth of the time.
The tests hold it against pynetdicom's messages in both directions.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from common.errors import ProtocolError

C_STORE_RQ = 0x0001
C_ECHO_RQ = 0x0030
N_EVENT_REPORT_RQ = 0x0100
N_ACTION_RQ = 0x0130
C_CANCEL_RQ = 0x0FFF
RESPONSE = 0x8000  # set in the command field of every response

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NO_SUCH_OBJECT_INSTANCE = 0x0112
NO_SUCH_EVENT_TYPE = 0x0113
NO_SUCH_ARGUMENT = 0x0114
INVALID_ARGUMENT_VALUE = 0x0115
NO_SUCH_SOP_CLASS = 0x0118
CLASS_INSTANCE_CONFLICT = 0x0119
SOP_CLASS_NOT_SUPPORTED = 0x0122
NO_SUCH_ACTION = 0x0123
NOT_AUTHORIZED = 0x0124
UNRECOGNIZED_OPERATION = 0x0211
DATA_SET_MISMATCH = 0xA900

NO_DATA_SET = 0x0101
_DATA_SET = 0x0001

#: No command is longer; a peer that sends more is cut off.
MAX_COMMAND = 16384

_ELEMENT = struct.Struct("<HHL")
_US = struct.Struct("<H")
#: Elements of Event Type ID and Action Type ID, by command field without the response bit.
_TYPES = {N_EVENT_REPORT_RQ: 0x1002, N_ACTION_RQ: 0x1008}


@dataclass(frozen=True, slots=True)
class Command:
    """The fields of a command set that the services here use (PS3.7 9.3 and 10.3).

    ``message_id`` is that of the request, in a response the one responded to;
    ``type_id`` the Event Type ID of N-EVENT-REPORT or the Action Type ID of N-ACTION.
    Text that is no ASCII is kept as empty, which no check accepts as a UID.
    """

    field: int
    message_id: int
    sop_class: str = ""
    sop_instance: str = ""
    status: int = SUCCESS
    has_data_set: bool = False
    comment: str = ""
    type_id: int | None = None

    @property
    def is_response(self) -> bool:
        """Whether the command answers a request."""
        return bool(self.field & RESPONSE)

    def answer(self, status: int, comment: str = "") -> bytes:
        """Encode the response to this request.

        Parameters
        ----------
        status : int
            PS3.7 annex C, PS3.4 table B.2-1.
        comment : str
            Error Comment, cut at the 64 characters of LO; ASCII.
        """
        return Command(
            field=self.field | RESPONSE,
            message_id=self.message_id,
            sop_class=self.sop_class,
            sop_instance=self.sop_instance,
            status=status,
            comment=comment,
            type_id=self.type_id,
        ).encode()

    def encode(self) -> bytes:
        """Return the bytes of the command set, group length first."""
        parts: list[bytes] = []
        requested = self.field == N_ACTION_RQ  # a class and instance that are there already
        if self.sop_class:
            parts.append(_text(0x0003 if requested else 0x0002, self.sop_class, b"\0"))
        parts.append(_number(0x0100, self.field))
        parts.append(_number(0x0120 if self.is_response else 0x0110, self.message_id))
        if self.field == C_STORE_RQ:
            parts.append(_number(0x0700, 0))  # priority medium
        parts.append(_number(0x0800, _DATA_SET if self.has_data_set else NO_DATA_SET))
        if self.is_response:
            parts.append(_number(0x0900, self.status))
            if self.comment:
                parts.append(_text(0x0902, self.comment[:64], b" "))
        if self.sop_instance:
            parts.append(_text(0x1001 if requested else 0x1000, self.sop_instance, b"\0"))
        if self.type_id is not None:
            parts.append(_number(_TYPES[self.field & ~RESPONSE], self.type_id))
        body = b"".join(parts)
        return _ELEMENT.pack(0, 0, 4) + struct.pack("<L", len(body)) + body


def _number(element: int, value: int) -> bytes:
    return _ELEMENT.pack(0, element, 2) + _US.pack(value)


def _text(element: int, value: str, pad: bytes) -> bytes:
    encoded = value.encode("ascii", "replace")
    if len(encoded) % 2:
        encoded += pad
    return _ELEMENT.pack(0, element, len(encoded)) + encoded


def decode(data: bytes | bytearray) -> Command:
    """Read a command set.

    Raises
    ------
    ProtocolError
        It is no command set: an element beyond the end, another group, a
        wrong group length, a field missing or of the wrong length.
    """
    values = _elements(bytes(data))
    field = _us(values, 0x0100)
    responding = bool(field & RESPONSE) or field == C_CANCEL_RQ
    kind = _TYPES.get(field & ~RESPONSE)
    return Command(
        field=field,
        message_id=_us(values, 0x0120 if responding else 0x0110),
        sop_class=_string(values.get(0x0002, values.get(0x0003, b""))),
        sop_instance=_string(values.get(0x1000, values.get(0x1001, b""))),
        status=_us(values, 0x0900) if field & RESPONSE else SUCCESS,
        has_data_set=_us(values, 0x0800) != NO_DATA_SET,
        comment=_string(values.get(0x0902, b"")),
        type_id=_us(values, kind) if kind in values else None,
    )


def _elements(data: bytes) -> dict[int, bytes]:
    values: dict[int, bytes] = {}
    offset = 0
    last = -1
    while offset < len(data):
        if len(data) - offset < _ELEMENT.size:
            raise _broken("command set ends inside an element")
        group, element, length = _ELEMENT.unpack_from(data, offset)
        offset += _ELEMENT.size
        if group != 0 or element <= last:
            raise _broken("element not of a command set, or out of order")
        if length > len(data) - offset:
            raise _broken("element longer than its command set")
        last = element
        values[element] = data[offset : offset + length]
        offset += length
    told = values.get(0x0000)
    if told is not None and (len(told) != 4 or int.from_bytes(told, "little") != len(data) - 12):
        raise _broken("command group length")
    return values


def _us(values: dict[int, bytes], element: int) -> int:
    value = values.get(element, b"")
    if len(value) != 2:
        raise _broken(f"command element (0000,{element:04X})")
    return int.from_bytes(value, "little")


def _string(value: bytes) -> str:
    try:
        return value.rstrip(b"\0 ").decode("ascii")
    except UnicodeDecodeError:
        return ""


def _broken(cause: str) -> ProtocolError:
    return ProtocolError(cause=cause, abort_reason=6)
