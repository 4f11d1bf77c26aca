"""One small object for every coding and every Storage class, made by hand.

Their pixels are made up: what is tested is the way, which must not look at them.
No library encodes them, so that codings no library knows are there too.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from common.dicom import uids
from common.dicom.dataset import file_prefix

_ROOT = "1.2.840.10008.5.1.4.1.1."
CT, SLIDE, ENDOSCOPE = _ROOT + "2", _ROOT + "77.1.6", _ROOT + "77.1.1.1"
XRAY_3D = _ROOT + "13.1.1"
BASIC_SR, KEY_OBJECT, PDF = _ROOT + "88.11", _ROOT + "88.59", _ROOT + "104.1"
#: What a hospital images: one of each kind that is more than a picture in a header.
KINDS = (
    *(CT, _ROOT + "2.1", _ROOT + "4", _ROOT + "4.1", _ROOT + "1", _ROOT + "1.1", _ROOT + "1.2"),
    *(_ROOT + "12.1", _ROOT + "12.2", _ROOT + "6.1", _ROOT + "20", _ROOT + "128", _ROOT + "7"),
    *(_ROOT + "77.1.4", SLIDE, ENDOSCOPE, _ROOT + "88.67", BASIC_SR, _ROOT + "11.1"),
    *(KEY_OBJECT, PDF),
)
IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
NATIVE = {IMPLICIT, EXPLICIT, BIG, DEFLATED}
#: MPEG-2, MPEG-4 and HEVC: the whole video is one stream (PS3.5 8.2.5 to 8.2.9).
VIDEO = {syntax for syntax in uids.TRANSFER_SYNTAXES if ".4.10" in syntax}
FRAMES = 3


def write_syntaxes(folder: Path, seed: int, side: int = 32) -> list[Path]:
    """Write an object of each transfer syntax of the table; video as an endoscope makes it."""
    study = _Study(folder, seed)
    return [
        study.write(ENDOSCOPE if syntax in VIDEO else CT, syntax, side)
        for syntax in uids.TRANSFER_SYNTAXES
    ]


def write_classes(folder: Path, seed: int, classes: Iterable[str], side: int = 8) -> list[Path]:
    """Write an object of each SOP class, Explicit VR Little Endian."""
    study = _Study(folder, seed)
    return [study.write(sop_class, EXPLICIT, side) for sop_class in classes]


class _Study:
    """A study of its own patient; everything follows from the seed but the UIDs."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.draw = folder, random.Random(seed)
        self.patient = f"M{seed}"
        self.study, self.series = uids.new_uid(), uids.new_uid()
        self.count = 0
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, sop_class: str, syntax: str, side: int) -> Path:
        self.count += 1
        ds = self._header(sop_class)
        pixels = b""
        if ".88." in sop_class:
            ds.ContentSequence = [_text("所見なし"), _text("No finding")]
        elif sop_class == PDF:
            ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
            ds.EncapsulatedDocument = b"%PDF-1.4\n" + self.draw.randbytes(501)
        else:
            pixels = self._pixels(ds, syntax, side)
        data = encoded(ds, syntax) + pixels
        if syntax == DEFLATED:
            deflate = zlib.compressobj(wbits=-15)
            data = deflate.compress(data) + deflate.flush()
            data += b"\0" * (len(data) % 2)  # PS3.5 A.5
        path = self.folder / f"{self.count:03}_{syntax}.dcm"
        path.write_bytes(file_prefix(sop_class, ds.SOPInstanceUID, syntax) + data)
        return path

    def _header(self, sop_class: str) -> Dataset:
        ds = Dataset()
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.SOPClassUID, ds.SOPInstanceUID = sop_class, uids.new_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID = self.study, self.series
        ds.PatientName, ds.PatientID = "YAMASHITA^JIRO=山下^次郎=ヤマシタ^ジロウ", self.patient
        ds.Modality, ds.InstanceNumber = "OT", self.count
        private = ds.private_block(0x0011, "MAKER OF DEVICES", create=True)
        private.add_new(0x01, "OB", self.draw.randbytes(6))
        return ds

    def _pixels(self, ds: Dataset, syntax: str, side: int) -> bytes:
        """Describe the pixels in the header and return their element."""
        ds.Rows = ds.Columns = side
        ds.SamplesPerPixel, ds.PixelRepresentation = 1, 0
        ds.PhotometricInterpretation = "MONOCHROME2"
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit = 15
        if syntax in NATIVE:
            return _native(self.draw.randbytes(2 * side * side), syntax)
        ds.NumberOfFrames = FRAMES
        streams = [self.draw.randbytes(side * side - 2) + b"\xff\xd9" for _ in range(FRAMES)]
        return _encapsulated(_fragments(streams, syntax))


def _text(words: str) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", words
    return item


def encoded(ds: Dataset, syntax: str) -> bytes:
    """A data set as it lies in a file of this transfer syntax; of a deflated one, before."""
    with DicomBytesIO() as file:
        file.is_little_endian, file.is_implicit_VR = syntax != BIG, syntax == IMPLICIT
        write_dataset(file, ds)
        return file.getvalue()


def _native(value: bytes, syntax: str) -> bytes:
    if syntax == IMPLICIT:
        return struct.pack("<HHI", 0x7FE0, 0x0010, len(value)) + value
    order = ">" if syntax == BIG else "<"
    return struct.pack(order + "HH2sHI", 0x7FE0, 0x0010, b"OW", 0, len(value)) + value


def _fragments(streams: Sequence[bytes], syntax: str) -> list[bytes]:
    """Frames as a coding has them: one fragment each, or one stream whole or cut anywhere."""
    if syntax not in VIDEO:
        return list(streams)
    stream = b"".join(streams)
    if not syntax.endswith(".1"):
        return [stream]
    return [stream[at : at + 100] for at in range(0, len(stream), 100)]  # fragmentable


def _encapsulated(fragments: Sequence[bytes]) -> bytes:
    """Pixel Data in items, with an empty Basic Offset Table (PS3.5 A.4)."""
    items = b"".join(_item(one + b"\0" * (len(one) % 2)) for one in (b"", *fragments))
    head = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    return head + items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def _item(value: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value
