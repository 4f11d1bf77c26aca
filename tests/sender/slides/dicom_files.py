"""DICOM whole slides as other makers write them, made from a synthetic SVS with pydicom."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Literal

from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import JPEGBaseline8Bit

from common.dicom import uids
from common.dicom.dataset import file_prefix
from sender.slides import SlideCase, open_slide
from tests.sender.slides.vendor_files import CASE, Svs

Offsets = Literal["basic", "empty", "extended", "unpadded"]
WSI = uids.WHOLE_SLIDE


@dataclass
class Level:
    """One level: its header without pixels, and its frames in the order of TILED_FULL."""

    header: Dataset
    frames: list[bytes]

    @property
    def across(self) -> int:
        """Tiles in a row."""
        return -(-int(self.header.TotalPixelMatrixColumns) // int(self.header.Columns))

    def copy(self) -> Dataset:
        """A header for another instance of this level."""
        made = deepcopy(self.header)  # Dataset(other) shares its elements
        made.SOPInstanceUID = uids.new_uid()
        return made


def levels(folder: Path, svs: Svs | None = None, case: SlideCase = CASE) -> list[Level]:
    """Make the levels of a slide, the largest first."""
    source = (svs or Svs(width=700, height=500, label=False, macro=False)).write(
        folder / "made.svs"
    )
    found = []
    with contextlib.closing(open_slide(source, case)) as slide:
        for instance in slide.instances:
            if instance.flavor != "VOLUME":
                continue
            path = folder / "level.dcm"
            prefix = file_prefix(WSI, instance.sop_instance_uid, instance.transfer_syntax_uid)
            path.write_bytes(prefix + b"".join(instance.layout.stream(instance.frame)))
            header = dcmread(path)
            del header.PixelData
            header.SOPInstanceUID = uids.new_uid()
            frames = [instance.frame(i) for i in range(instance.frames)]
            found.append(Level(deepcopy(header), frames))
            path.unlink()
    source.unlink()
    return sorted(found, key=lambda level: -int(level.header.TotalPixelMatrixColumns))


def write(path: Path, header: Dataset, frames: Sequence[bytes], offsets: Offsets = "basic") -> Path:
    """Write an instance with its frames, and the table of offsets as some maker has it."""
    header.NumberOfFrames = len(frames)
    data = encapsulate(list(frames), has_bot=offsets == "basic")
    extended = b""
    if offsets == "extended":
        _, starts, lengths = encapsulate_extended(list(frames))
        extended = _long(0x0001, b"OV", starts) + _long(0x0002, b"OV", lengths)
    elif offsets == "unpadded":  # PS3.3 C.7.6.3.1.9 says the lengths without padding
        sizes = [len(frame) + len(frame) % 2 + 8 for frame in frames]
        starts = struct.pack(f"<{len(sizes)}Q", *accumulate(sizes[:-1], initial=0))
        lengths = struct.pack(f"<{len(sizes)}Q", *map(len, frames))
        extended = _long(0x0001, b"OV", starts) + _long(0x0002, b"OV", lengths)
    delimiter = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + data + delimiter
    prefix = file_prefix(WSI, str(header.SOPInstanceUID), JPEGBaseline8Bit)
    path.write_bytes(prefix + encoded(header) + extended + pixels)
    return path


def encoded(header: Dataset) -> bytes:
    """Return a header in Explicit VR Little Endian."""
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, header)
    return bytes(out.getvalue())


def _long(element: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sHI", 0x7FE0, element, vr, 0, len(value)) + value


def sparse(level: Level, kept: Sequence[int]) -> tuple[Dataset, list[bytes]]:
    """Make a TILED_SPARSE instance of some tiles, in the given order (PS3.3 C.8.12.14)."""
    header = level.copy()
    header.DimensionOrganizationType = "TILED_SPARSE"
    items = []
    for number in kept:
        down, along = divmod(number, level.across)
        at = Dataset()
        at.XOffsetInSlideCoordinateSystem = at.YOffsetInSlideCoordinateSystem = "0"
        at.ZOffsetInSlideCoordinateSystem = "0"
        at.ColumnPositionInTotalImagePixelMatrix = along * int(header.Columns) + 1
        at.RowPositionInTotalImagePixelMatrix = down * int(header.Rows) + 1
        content, item = Dataset(), Dataset()
        content.DimensionIndexValues = [along + 1, down + 1]
        item.FrameContentSequence = Items([content])
        item.PlanePositionSlideSequence = Items([at])
        items.append(item)
    header.PerFrameFunctionalGroupsSequence = Items(items)
    return header, [level.frames[number] for number in kept]


def parts(level: Level, sizes: Sequence[int]) -> list[tuple[Dataset, list[bytes]]]:
    """Cut a level into the instances of a concatenation (PS3.3 C.7.6.16.2.2.4)."""
    assert sum(sizes) == len(level.frames)
    whole, starts = uids.new_uid(), list(accumulate(sizes, initial=0))
    found = []
    for number, (start, size) in enumerate(zip(starts, sizes, strict=False), 1):
        header = level.copy()
        header.ConcatenationUID = whole
        header.SOPInstanceUIDOfConcatenationSource = str(level.header.SOPInstanceUID)
        header.ConcatenationFrameOffsetNumber = start
        header.InConcatenationNumber = number
        header.InConcatenationTotalNumber = len(sizes)
        found.append((header, level.frames[start : start + size]))
    return found
