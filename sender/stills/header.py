"""The header of a still: VL Microscopic Image or VL Photographic Image.

The same case and the same file give the same bytes.  (PS3.3 A.32.2, A.32.4; C.8.12.1 for
the image, C.7.6.22 for the specimen, C.11.15 for the profile.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from common.dicom.testmark import mark_test_dataset
from sender.slides.case import SlideCase
from sender.slides.elements import code, item, number_text, put, written
from sender.slides.header import patient_and_study, specimen
from sender.stills.picture import EXPLICIT_LE, Picture

Kind = Literal["micro", "gross"]
BLOCK = "TODOKE STILL 1.0"
HEADER_VERSION = "1"  # of what this page writes; a change of bytes is a new number
_Pairs = Iterator[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class _Of:
    """What a kind of photograph is in DICOM."""

    sop_class: str
    modality: str
    series: str
    container: tuple[str, str, str] | None


KINDS: dict[Kind, _Of] = {
    "micro": _Of(
        "1.2.840.10008.5.1.4.1.1.77.1.2", "GM", "顕微鏡画像 / microscope stills",
        ("433466003", "SCT", "Microscope slide"),
    ),
    "gross": _Of(
        "1.2.840.10008.5.1.4.1.1.77.1.4", "XC", "肉眼像 / gross photographs", None
    ),
}  # fmt: skip


def build(case: SlideCase, kind: Kind, number: int, uid: str, picture: Picture) -> bytes:
    """Return the data set of a still before group 7FE0.

    Raises
    ------
    InputError
        A value of the case cannot stand in its element; the cause names the
        attribute, never the value.
    """
    header = Dataset()
    for part in (
        _identity(case, kind, number, uid, picture),
        patient_and_study(case),
        _equipment(case, picture),
        specimen(case, code(*of) if (of := KINDS[kind].container) else Items()),
        _pixels(picture),
    ):
        for keyword, value in part:
            put(header, keyword, value)
    block = header.private_block(0x0013, BLOCK, create=True)
    block.add_new(0x01, "LO", picture.sha256)  # of the camera's file
    block.add_new(0x02, "LO", picture.media_type)
    if case.test:
        mark_test_dataset(header)
    return written(header)


def _identity(case: SlideCase, kind: Kind, number: int, uid: str, picture: Picture) -> _Pairs:
    of = KINDS[kind]
    yield "SpecificCharacterSet", "ISO_IR 192"
    # turning pixels upright derives them; taking them out of their file does not
    turned = "upright" in picture.handling
    yield "ImageType", ["DERIVED" if turned else "ORIGINAL", "PRIMARY"]
    yield "InstanceCreationDate", case.created[:8]
    yield "InstanceCreationTime", case.created[8:].split("+")[0].split("-")[0]
    yield "SOPClassUID", of.sop_class
    yield "SOPInstanceUID", uid
    yield "Modality", of.modality
    yield "SeriesInstanceUID", case.series_uid
    yield "SeriesNumber", case.series_number
    yield "SeriesDescription", of.series
    yield "InstanceNumber", number
    yield "PatientOrientation", None


def _equipment(case: SlideCase, picture: Picture) -> _Pairs:
    study = f"{case.study_date}{case.study_time}" if case.study_date else ""
    content = (picture.taken or study or case.created).split("+")[0].split("-")[0]
    if picture.taken:
        yield "AcquisitionDateTime", picture.taken
    yield "ContentDate", content[:8]
    yield "ContentTime", content[8:] or "000000"
    if case.institution_name:
        yield "InstitutionName", case.institution_name
    yield "Manufacturer", picture.make
    if picture.model:
        yield "ManufacturerModelName", picture.model
    made = item(
        PurposeOfReferenceCodeSequence=code("109103", "DCM", "Modifying Equipment"),
        Manufacturer="todoke",
        ManufacturerModelName="todoke sender",
        SoftwareVersions=f"still header {HEADER_VERSION}",
        ContributionDateTime=case.created,
        ContributionDescription=picture.handling or "JPEG as stored by the camera, not decoded",
    )
    yield "ContributingEquipmentSequence", Items([made])


def _pixels(picture: Picture) -> _Pairs:
    yield "SamplesPerPixel", picture.samples
    yield "PhotometricInterpretation", picture.photometric
    if picture.samples > 1:
        yield "PlanarConfiguration", 0
    yield "Rows", picture.rows
    yield "Columns", picture.columns
    yield "BitsAllocated", 8
    yield "BitsStored", 8
    yield "HighBit", 7
    yield "PixelRepresentation", 0
    lossy = picture.lossy_ratio
    yield "LossyImageCompression", "00" if lossy is None else "01"
    if lossy is not None:
        yield "LossyImageCompressionRatio", number_text(round(lossy, 2))
        yield "LossyImageCompressionMethod", "ISO_10918_1"
    if picture.handling:
        yield "DerivationDescription", picture.handling
    if picture.icc and picture.samples > 1:
        yield "ICCProfile", picture.icc


def native(picture: Picture) -> bool:
    """Whether the pixels are native samples."""
    return picture.transfer_syntax == EXPLICIT_LE
