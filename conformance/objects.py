"""The marked patients: tiny CT and MR that exist only for a test (DESIGN section 9).

Every object carries 試験 in Study Description and in the private block
(0011,xx01) of creator ``TODOKE 1.0``; every Patient ID starts with
``TODOKE-TEST``.  Content is a pure function of the arguments.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)

MARK = "試験"
CREATOR = "TODOKE 1.0"
UTF_8 = "ISO_IR 192"
KANJI_JIS = ("", "ISO 2022 IR 87")
PRIVATE_OCTETS = bytes(range(256))
_SPACE = uuid.UUID("5b0c6c1e-2f53-5f0e-9a3e-6d9f1c6f7a11")
_CLASSES = {"CT": CTImageStorage, "MR": MRImageStorage}


@dataclass(frozen=True, slots=True)
class Instance:
    """One object as it goes over the wire: the encoded data set without group 0002."""

    label: str
    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    transfer_syntax_uid: str
    data: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the data set, in hex (D1)."""
        return hashlib.sha256(self.data).hexdigest()


def uid(*parts: str) -> str:
    """Return a 2.25 UID that follows from the parts (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(_SPACE, '/'.join(parts)).int}"


def make(
    run: str,
    label: str,
    *,
    modality: str = "CT",
    transfer_syntax_uid: str = ExplicitVRLittleEndian,
    name: str = "試験^太郎",
    charset: str | tuple[str, ...] = UTF_8,
    variant: int = 0,
    side: int = 64,
    number: int = 1,
    sop_class_uid: str | None = None,
) -> Instance:
    """Make one marked instance.

    Parameters
    ----------
    run, label : str
        Together they decide every UID: one run never meets another.
    modality : {'CT', 'MR'}
        Classic single-frame.
    transfer_syntax_uid : str
        Uncompressed little endian, or a lossless syntax that pydicom can encode.
    name : str
        Patient's Name, in groups parted by ``=``.
    charset : str or tuple of str
        Specific Character Set.
    variant : int
        Other pixels under the same UIDs.
    side : int
        Rows and columns.
    number : int
        Instance Number; equal labels with other numbers are one series.
    sop_class_uid : str or None
        Another SOP class than that of the modality.
    """
    dataset = _patient(run, label, name, charset)
    _study(dataset, run, label, modality)
    dataset.SOPInstanceUID = uid(run, label, "instance", str(number))
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = [0, 0, 5 * number]
    dataset.SOPClassUID = UID(sop_class_uid or _CLASSES[modality])
    _pixels(dataset, modality, side, variant)
    _private(dataset)
    syntax = UID(transfer_syntax_uid)
    if syntax.is_compressed:
        dataset.file_meta = Dataset()  # type: ignore[assignment,unused-ignore]
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.compress(syntax, generate_instance_uid=False)
    return Instance(
        label,
        str(dataset.SOPClassUID),
        str(dataset.SOPInstanceUID),
        str(dataset.StudyInstanceUID),
        str(dataset.SeriesInstanceUID),
        str(syntax),
        _encode(dataset, syntax, name),
    )


def elements(data: bytes, transfer_syntax_uid: str) -> dict[int, bytes]:
    """Return the value of every element as it is stored, undecoded, by tag."""
    dataset = parse(data, transfer_syntax_uid)
    found = {}
    for tag in dataset.keys():  # noqa: SIM118 - iterating a data set would decode it
        value = dataset.get_item(tag).value
        # pydicom decodes Specific Character Set (0008,0005) at once and the rest on demand
        found[int(tag)] = value if isinstance(value, bytes) else str(value).encode()
    return found


def parse(data: bytes, transfer_syntax_uid: str) -> Dataset:
    """Read an encoded data set, its elements still raw."""
    syntax = UID(transfer_syntax_uid)
    head = Dataset()
    head.TransferSyntaxUID = syntax
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, head)
    meta = stream.getvalue()
    length = b"\x02\x00\x00\x00UL\x04\x00" + len(meta).to_bytes(4, "little")
    return dcmread(BytesIO(bytes(128) + b"DICM" + length + meta + data))


def _patient(run: str, label: str, name: str, charset: str | tuple[str, ...]) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = charset if isinstance(charset, str) else list(charset)
    dataset.PatientName = name
    dataset.PatientID = f"TODOKE-TEST-{uid(run, label, 'patient')[-10:]}"
    dataset.IssuerOfPatientID = "TODOKE-TEST"
    dataset.PatientBirthDate = "19700101"
    dataset.PatientSex = "O"
    return dataset


def _study(dataset: Dataset, run: str, label: str, modality: str) -> None:
    dataset.StudyInstanceUID = uid(run, label, "study")
    dataset.SeriesInstanceUID = uid(run, label, "series")
    dataset.FrameOfReferenceUID = uid(run, label, "frame")
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = "20260101"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "120000"
    dataset.StudyID = dataset.AccessionNumber = "TEST"
    dataset.StudyDescription = dataset.SeriesDescription = MARK
    dataset.ReferringPhysicianName = ""
    dataset.Manufacturer = "TODOKE"
    dataset.ManufacturerModelName = "TODOKE TEST"
    dataset.Modality = modality
    dataset.BodyPartExamined = "PHANTOM"
    dataset.SeriesNumber = dataset.AcquisitionNumber = 1
    dataset.PatientPosition = "HFS"
    dataset.PositionReferenceIndicator = ""


def _pixels(dataset: Dataset, modality: str, side: int, variant: int) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL" if modality == "CT" else "M"]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = side
    dataset.BitsAllocated = 16
    dataset.BitsStored, dataset.HighBit = 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelSpacing = [0.5, 0.5]
    dataset.SliceThickness = 5
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    if modality == "CT":
        dataset.KVP = 120
        dataset.RescaleIntercept, dataset.RescaleSlope = -1024, 1
        dataset.RescaleType = "HU"
    else:
        dataset.ScanningSequence, dataset.SequenceVariant = "SE", "NONE"
        dataset.ScanOptions, dataset.MRAcquisitionType = "", "2D"
        dataset.RepetitionTime, dataset.EchoTime, dataset.EchoTrainLength = 500, 15, 1
        dataset.MagneticFieldStrength = 1.5
    row = np.arange(side, dtype=np.uint32)
    picture = (row[:, None] * 37 + row[None, :] * 11 + variant * 101) % 4096
    dataset.PixelData = picture.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"


def _private(dataset: Dataset) -> None:
    """Enter the mark, and private elements that a full (level 2) receiver keeps (PS3.4 B.4.1)."""
    dataset.private_block(0x0011, CREATOR, create=True).add_new(0x01, "LO", MARK)
    block = dataset.private_block(0x0013, "TODOKE CONFORMANCE", create=True)
    block.add_new(0x01, "OB", PRIVATE_OCTETS)
    block.add_new(0x02, "LO", "keep me")


def _encode(dataset: Dataset, syntax: UID, name: str) -> bytes:
    stream = DicomBytesIO()
    stream.is_little_endian = True
    stream.is_implicit_VR = syntax == ImplicitVRLittleEndian
    write_dataset(stream, dataset)
    data = stream.getvalue()
    # pydicom writes letters that a charset lacks as "??" with a warning only
    if str(parse(data, syntax).PatientName) != name:
        raise ValueError("the name cannot be written in this character set")
    return data
