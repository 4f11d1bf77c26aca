"""Which instances may be coded on the way, read from the bytes of their data set."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from common.dicom import dataset, elements
from common.dicom.elements import Elements
from common.dicom.samples import Shape
from common.errors import InputError

LARGEST = 64 << 20  # bytes of native pixels: all frames of an instance are coded in memory
_PIXELS = bytes.fromhex("e07f1000")
_GREYS = frozenset({"MONOCHROME1", "MONOCHROME2"})
#: What is found before the pixels of an image that is not plain, wherever it stands: a
#: signature, which may cover the pixels as they are encoded; an overlay that begins at
#: another bit than 0, so that it may lie in the pixels' unused bits; offset tables.
_ODD = re.compile(
    rb"\xfe\x4f\x01\x00SQ|[\x00-\xff]\x60\x02\x01US\x02\x00(?!\x00\x00)|\xe0\x7f[\x01\x02]\x00OV",
    re.DOTALL,
)


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


def look(data_set: bytes | bytearray) -> Native | None:
    """Return the pixels of a data set if they may be coded, else None.

    May be: 8 or 16 bit integers in cells of which nothing else takes a part, in grey,
    without signature, in a native element that has exactly the length that follows from
    the header.  Every attribute stays right when they are coded.

    Parameters
    ----------
    data_set : bytes
        Whole, in Explicit VR Little Endian.
    """
    if len(data_set) % 2:
        return None
    found = elements.scan(memoryview(data_set), 0, dataset.EXPLICIT_LE, whole=True)
    if found is None or found.pixels_at is None or len(data_set) < found.pixels_at + 12:
        return None
    at, shape = found.pixels_at, _shape(found)
    if shape is None or data_set[at : at + 4] != _PIXELS or _ODD.search(data_set, 0, at):
        return None
    vr, reserved, length = struct.unpack_from("<2sHI", data_set, at + 4)
    native = Native(shape, at, at + 12, length)
    whole = shape.frames * shape.frame_bytes
    plain = vr in {b"OB", b"OW"} and not reserved and length == whole + whole % 2
    return native if plain and length <= LARGEST and native.end <= len(data_set) else None


def _shape(found: Elements) -> Shape | None:
    get = found.get
    try:
        shape = Shape(
            get("Rows", 0),
            get("Columns", 0),
            get("SamplesPerPixel", 0),
            get("BitsAllocated", 0),
            get("BitsStored", 0),
            get("PixelRepresentation") == 1,
            frames=1 if (frames := get("NumberOfFrames")) is None else frames,
        )
        shape.check()
    except InputError:
        return None
    grey = shape.samples == 1 and get("PhotometricInterpretation") in _GREYS
    cells = get("HighBit") == shape.stored - 1 and get("PixelRepresentation") in {0, 1}
    return shape if grey and cells and shape.allocated in {8, 16} else None
