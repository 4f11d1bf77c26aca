"""Which instances may be coded on the way, read from the bytes of their data set."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any

from common.dicom.samples import Shape
from common.errors import InputError

LARGEST = 64 << 20  # bytes of native pixels: all frames of an instance are coded in memory
_PIXELS = 0x7FE00010
_MAC_PARAMETERS = 0x4FFE0001  # a signature may cover the pixels as they are encoded
_OVERLAY_DATA = 0x3000
_GREYS = frozenset({b"MONOCHROME1", b"MONOCHROME2"})


@dataclass(frozen=True, slots=True)
class Native:
    """Where the native pixels lie in a data set, and what they are.

    Attributes
    ----------
    element, value : int
        Bytes of the data set at which (7FE0,0010) and its value begin.
    length : int
        Bytes of the value, its padding included.
    """

    shape: Shape
    element: int
    value: int
    length: int

    @property
    def end(self) -> int:
        """The byte after the pixel element."""
        return self.value + self.length


def look(data_set: bytes) -> Native | None:
    """Return the pixels of a data set if they may be coded, else None.

    May be: 8 or 16 bit integers in cells of which nothing else takes a part, in grey, or
    in RGB by pixel, without signature, in a native element that has exactly the length
    that follows from the header.  Every attribute stays right when they are coded.

    Parameters
    ----------
    data_set : bytes
        Whole, in Explicit VR Little Endian.
    """
    if len(data_set) % 2:
        return None
    try:
        elements, element = _head(data_set)
        shape = _shape(elements)
    except Exception:  # pydicom raises anything on bytes that are odd
        return None
    if shape is None or len(data_set) < element + 12:
        return None
    vr, reserved, length = struct.unpack_from("<2sHI", data_set, element + 4)
    native = Native(shape, element, element + 12, length)
    whole = shape.frames * shape.frame_bytes
    plain = vr in {b"OB", b"OW"} and not reserved and length == whole + whole % 2
    return native if plain and length <= LARGEST and native.end <= len(data_set) else None


def _head(data_set: bytes) -> tuple[dict[int, Any], int]:
    """Return the values before the pixels by tag, and where the pixel element begins."""
    from pydicom.filereader import data_element_generator

    file = io.BytesIO(data_set)
    elements = data_element_generator(
        file, False, True, stop_when=lambda tag, _vr, _length: bool(tag >= _PIXELS & ~0xFFFF)
    )
    found = {int(element.tag): element.value for element in elements}
    at = file.tell()
    if struct.unpack_from("<HH", data_set, at) != (_PIXELS >> 16, _PIXELS & 0xFFFF):
        raise InputError(cause="no Pixel Data")  # float pixels, offset tables, or none
    return found, at


def _shape(elements: dict[int, Any]) -> Shape | None:
    def number(tag: int, default: int | None = None) -> int:
        value = elements.get(tag)
        if value is None and default is not None:
            return default
        (found,) = struct.unpack("<H", value or b"")  # one US, no more
        return int(found)

    samples, allocated = number(0x00280002), number(0x00280100)
    stored, high = number(0x00280101), number(0x00280102)
    colours = bytes(elements.get(0x00280004) or b"").strip(b" \0")
    planar = number(0x00280006, 0)
    shape = Shape(
        number(0x00280010),
        number(0x00280011),
        samples,
        allocated,
        stored,
        bool(number(0x00280103)),
        frames=int(bytes(elements.get(0x00280008) or b"1")),
    )
    grey = samples == 1 and colours in _GREYS and allocated in {8, 16}
    colour = samples == 3 and colours == b"RGB" and (allocated, stored) == (8, 8)
    colour = colour and not planar and not shape.signed
    plain = (
        (grey or colour)
        and high == stored - 1
        and number(0x00280103) in {0, 1}
        and _MAC_PARAMETERS not in elements
        and not _overlays_in_cells(elements)
    )
    if not plain:
        return None
    shape.check()
    return shape


def _overlays_in_cells(elements: dict[int, Any]) -> bool:
    """Whether an overlay has no data of its own, so that it lies in the pixels' unused bits."""
    groups = {tag >> 16 for tag in elements if tag >> 24 == 0x60}
    return any(group << 16 | _OVERLAY_DATA not in elements for group in groups)
