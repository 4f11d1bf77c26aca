"""The header of a virtual instance: VL Whole Slide Microscopy Image, TILED_FULL.

Built with pydicom, Explicit VR Little Endian, defined lengths, ISO_IR 192.
Nothing in it depends on the clock or on a library's version: the same case and
the same file give the same bytes on every opening.  (PS3.3 A.32.8, C.8.12.4 to
C.8.12.6, C.7.6.17, C.7.6.22; PS3.16 for the codes.)
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom import config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence as Items
from pydicom.valuerep import format_number_as_ds

from common.dicom.testmark import mark_test_dataset
from common.errors import InputError
from sender.slides.case import SlideCase
from sender.slides.icc import NAME as ASSUMED_PROFILE
from sender.slides.icc import assumed_srgb
from sender.slides.slide import WSI_SOP_CLASS, Encoding, Flavor

HEADER_VERSION = "1"  # of what this page writes; a change of bytes is a new number
_UID_ROOT = uuid.UUID("6a2f6f8e-0d53-5b0b-9c5e-5a7f0f4f9c11")
_NOMINAL_DEPTH_UM = 1.0  # no scanner file tells it; attributes of type 1 want a number above 0
_WHITE = [65535, 32896, 32896]  # CIELab 100, 0, 0 (PS3.3 C.10.7.1.1)
_FLAVORS: dict[Flavor, tuple[str, str]] = {  # Image Type values 1 and 4
    "THUMBNAIL": ("DERIVED", "RESAMPLED"),
    "OVERVIEW": ("ORIGINAL", "NONE"),
    "LABEL": ("ORIGINAL", "NONE"),
}
_HANDLING: dict[Encoding, str] = {
    "stored": "Tiles as stored by the scanner, JPEG tables spliced in, not decoded",
    "joined": "JPEG strips as stored by the scanner, joined by restart markers, not decoded",
    "reencoded": "Decoded and encoded again without loss",
}


@dataclass(frozen=True, slots=True)
class Scanner:
    """What the vendor file says of the device and of the whole scan.

    Attributes
    ----------
    acquired : str
        DT; "" when the file does not say.
    columns, rows : int
        Size of the largest level in pixels.
    spacing_um : float
        Its pixel size in micrometres.
    icc : bytes
        b"" when the file holds no profile.
    """

    manufacturer: str
    model: str
    serial: str
    software: str
    acquired: str
    objective_power: str
    columns: int
    rows: int
    spacing_um: float
    icc: bytes

    def spacing(self, columns: int, rows: int) -> tuple[float, float]:
        """Return the pixel size of a smaller image of the same field, in micrometres.

        Along a row, then along a column.  Scanners shrink by a whole factor and
        cut what is left over, so a whole factor is taken where one explains the size.
        """
        factor = max(round(self.columns / columns), 1)
        if abs(self.columns / factor - columns) < 1 and abs(self.rows / factor - rows) < 1:
            return self.spacing_um * factor, self.spacing_um * factor
        return self.spacing_um * self.columns / columns, self.spacing_um * self.rows / rows


@dataclass(frozen=True, slots=True)
class Picture:
    """What one instance holds.

    Attributes
    ----------
    lossy_bytes : int or None
        Bytes of the lossy JPEG that the pixels are in, or came out of before they
        were coded without loss; None where none is known.
    """

    flavor: Flavor
    level: int | None
    number: int
    columns: int
    rows: int
    tile_columns: int
    tile_rows: int
    frames: int
    photometric: str
    encoding: Encoding
    lossy_bytes: int | None


def derived_uid(case: SlideCase, what: str) -> str:
    """Return the UID of one thing of a case: always the same (PS3.5 B.2, RFC 9562 version 5)."""
    return f"2.25.{uuid.uuid5(_UID_ROOT, f'{case.uid_seed}/{what}').int}"


def instance_uid(case: SlideCase, flavor: Flavor, level: int | None) -> str:
    """Return the SOP Instance UID of a level or an associated picture."""
    return derived_uid(case, flavor if level is None else f"{flavor}/{level}")


def build(case: SlideCase, scanner: Scanner, picture: Picture) -> bytes:
    """Return the data set of one instance before group 7FE0.

    Raises
    ------
    InputError
        A value of the case cannot stand in its element; the cause names the
        attribute, never the value.
    """
    header = Dataset()
    for part in (
        _identity(case, picture),
        _patient_and_study(case),
        _equipment(case, scanner),
        _specimen(case),
        _pixels(picture),
        _matrix(scanner, picture),
        _groups(case, scanner, picture),
        _optics(scanner),
    ):
        for keyword, value in part:
            _set(header, keyword, value)
    if case.test:
        mark_test_dataset(header)
    return _written(header)


_Pairs = Iterator[tuple[str, Any]]


def _set(dataset: Dataset, keyword: str, value: Any) -> None:
    try:
        element = DataElement(keyword, dictionary_VR(keyword), value, validation_mode=config.RAISE)
    except (ValueError, TypeError, OverflowError):
        # pydicom quotes the value, which may be a patient's
        raise InputError(cause=f"slide case: {keyword}") from None
    dataset.add(element)


def _written(header: Dataset) -> bytes:
    # text that cannot be coded stops here, CHR-03; the setting is pydicom's own and global
    before = config.settings.writing_validation_mode
    config.settings.writing_validation_mode = config.RAISE
    buffer = io.BytesIO()
    try:
        dcmwrite(buffer, header, implicit_vr=False, little_endian=True)
    except (ValueError, TypeError, OverflowError, AttributeError):
        raise InputError(cause="slide case: text that cannot be written in UTF-8") from None
    finally:
        config.settings.writing_validation_mode = before
    return buffer.getvalue()


def _item(**values: Any) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        _set(item, keyword, value)
    return item


def _code(value: str, scheme: str, meaning: str) -> Items:
    return Items([_item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)])


def _number(value: float) -> str:
    return str(format_number_as_ds(float(value)))


def _image_type(picture: Picture) -> list[str]:
    if picture.flavor == "VOLUME":
        first, last = ("DERIVED", "RESAMPLED") if picture.level else ("ORIGINAL", "NONE")
    else:
        first, last = _FLAVORS[picture.flavor]
    return [first, "PRIMARY", picture.flavor, last]


def _identity(case: SlideCase, picture: Picture) -> _Pairs:
    yield "SpecificCharacterSet", "ISO_IR 192"
    yield "ImageType", _image_type(picture)
    yield "InstanceCreationDate", case.created[:8]
    yield "InstanceCreationTime", case.created[8:].split("+")[0].split("-")[0]
    yield "SOPClassUID", WSI_SOP_CLASS
    yield "SOPInstanceUID", instance_uid(case, picture.flavor, picture.level)
    yield "Modality", "SM"
    yield "SeriesInstanceUID", case.series_uid
    yield "SeriesNumber", case.series_number
    if case.series_description:
        yield "SeriesDescription", case.series_description
    yield "InstanceNumber", picture.number
    yield "FrameOfReferenceUID", derived_uid(case, "frame of reference")
    yield "PositionReferenceIndicator", "SLIDE_CORNER"
    if picture.flavor in {"VOLUME", "THUMBNAIL"}:
        yield "PyramidUID", derived_uid(case, "pyramid")


def _patient_and_study(case: SlideCase) -> _Pairs:
    yield "PatientName", case.patient_name
    yield "PatientID", case.patient_id
    if case.issuer:
        yield "IssuerOfPatientID", case.issuer
    yield "PatientBirthDate", case.birth_date
    yield "PatientSex", case.sex
    yield "StudyInstanceUID", case.study_uid
    yield "StudyDate", case.study_date
    yield "StudyTime", case.study_time
    yield "StudyID", ""
    yield "AccessionNumber", case.accession_number
    yield "ReferringPhysicianName", ""
    if case.study_description:
        yield "StudyDescription", case.study_description


def _equipment(case: SlideCase, scanner: Scanner) -> _Pairs:
    study = f"{case.study_date}{case.study_time}" if case.study_date else ""
    acquired = scanner.acquired or study or case.created
    clock = acquired.split("+")[0].split("-")[0]
    yield "AcquisitionDateTime", acquired
    yield "ContentDate", clock[:8]
    yield "ContentTime", clock[8:] or "000000"
    if case.institution_name:
        yield "InstitutionName", case.institution_name
    yield "Manufacturer", scanner.manufacturer
    yield "ManufacturerModelName", scanner.model
    yield "DeviceSerialNumber", scanner.serial
    yield "SoftwareVersions", scanner.software


def _specimen(case: SlideCase) -> _Pairs:
    container = case.container_id or "UNKNOWN"
    specimen = _item(
        SpecimenIdentifier=case.specimen_id or container,
        SpecimenUID=case.specimen_uid or derived_uid(case, "specimen"),
        IssuerOfTheSpecimenIdentifierSequence=Items(),
        SpecimenPreparationSequence=Items(),
    )
    if case.specimen_description:
        _set(specimen, "SpecimenShortDescription", case.specimen_description)
    yield "AcquisitionContextSequence", Items()
    yield "ContainerIdentifier", container
    yield "IssuerOfTheContainerIdentifierSequence", Items()
    yield "ContainerTypeCodeSequence", _code("433466003", "SCT", "Microscope slide")
    yield "SpecimenDescriptionSequence", Items([specimen])


def _pixels(picture: Picture) -> _Pairs:
    yield "SamplesPerPixel", 3
    yield "PhotometricInterpretation", picture.photometric
    yield "PlanarConfiguration", 0
    yield "NumberOfFrames", picture.frames
    yield "Rows", picture.tile_rows
    yield "Columns", picture.tile_columns
    yield "BitsAllocated", 8
    yield "BitsStored", 8
    yield "HighBit", 7
    yield "PixelRepresentation", 0
    shows_label = picture.flavor in {"LABEL", "OVERVIEW"}
    yield "BurnedInAnnotation", "YES" if shows_label else "NO"
    yield "SpecimenLabelInImage", "YES" if shows_label else "NO"
    yield "LossyImageCompression", "00" if picture.lossy_bytes is None else "01"
    if picture.lossy_bytes is not None:
        raw = 3 * picture.frames * picture.tile_columns * picture.tile_rows
        yield "LossyImageCompressionRatio", _number(round(raw / picture.lossy_bytes, 2))
        yield "LossyImageCompressionMethod", "ISO_10918_1"
    if picture.encoding != "stored":
        yield "DerivationDescription", _HANDLING[picture.encoding]


def _matrix(scanner: Scanner, picture: Picture) -> _Pairs:
    width_mm = scanner.columns * scanner.spacing_um / 1000
    height_mm = scanner.rows * scanner.spacing_um / 1000
    yield "VolumetricProperties", "VOLUME"
    yield "FocusMethod", "AUTO"
    yield "ExtendedDepthOfField", "NO"
    if picture.flavor in {"VOLUME", "THUMBNAIL"}:
        yield "ImagedVolumeWidth", width_mm
        yield "ImagedVolumeHeight", height_mm
        yield "ImagedVolumeDepth", _NOMINAL_DEPTH_UM
    yield "TotalPixelMatrixColumns", picture.columns
    yield "TotalPixelMatrixRows", picture.rows
    yield "TotalPixelMatrixFocalPlanes", 1
    yield "NumberOfOpticalPaths", 1
    # a nominal place: the picture's last corner on the slide's own
    origin = _item(
        XOffsetInSlideCoordinateSystem=_number(height_mm),
        YOffsetInSlideCoordinateSystem=_number(width_mm),
    )
    yield "TotalPixelMatrixOriginSequence", Items([origin])
    yield "ImageOrientationSlide", ["0", "-1", "0", "-1", "0", "0"]
    yield "RecommendedAbsentPixelCIELabValue", _WHITE
    if picture.flavor == "LABEL":
        yield "LabelText", ""
        yield "BarcodeValue", ""


def _groups(case: SlideCase, scanner: Scanner, picture: Picture) -> _Pairs:
    organization = derived_uid(case, "dimension organization")
    yield (
        "DimensionOrganizationSequence",
        Items([_item(DimensionOrganizationUID=organization)]),
    )
    yield "DimensionOrganizationType", "TILED_FULL"
    yield (
        "DimensionIndexSequence",
        Items(
            _item(
                DimensionOrganizationUID=organization,
                DimensionIndexPointer=pointer,
                FunctionalGroupPointer=0x0048021A,
                DimensionDescriptionLabel=label,
            )
            for pointer, label in ((0x0048021F, "Row Position"), (0x0048021E, "Column Position"))
        ),
    )
    shared = _item(
        WholeSlideMicroscopyImageFrameTypeSequence=Items([_item(FrameType=_image_type(picture))]),
        OpticalPathIdentificationSequence=Items([_item(OpticalPathIdentifier="1")]),
    )
    _set(shared, "PixelMeasuresSequence", Items([_measures(scanner, picture)]))
    yield "SharedFunctionalGroupsSequence", Items([shared])
    yield "ContributingEquipmentSequence", Items([_contribution(case, picture)])


def _measures(scanner: Scanner, picture: Picture) -> Dataset:
    along_row, along_column = scanner.spacing(picture.columns, picture.rows)
    item = _item(SliceThickness=_number(_NOMINAL_DEPTH_UM / 1000))
    if picture.flavor in {"VOLUME", "THUMBNAIL"}:
        _set(item, "PixelSpacing", [_number(along_column / 1000), _number(along_row / 1000)])
    return item


def _contribution(case: SlideCase, picture: Picture) -> Dataset:
    return _item(
        PurposeOfReferenceCodeSequence=_code("109103", "DCM", "Modifying Equipment"),
        Manufacturer="todoke",
        ManufacturerModelName="todoke sender",
        SoftwareVersions=f"slide header {HEADER_VERSION}",
        ContributionDateTime=case.created,
        ContributionDescription=_HANDLING[picture.encoding],
    )


def _optics(scanner: Scanner) -> _Pairs:
    path = _item(
        OpticalPathIdentifier="1",
        IlluminationTypeCodeSequence=_code("111744", "DCM", "Brightfield illumination"),
        IlluminationColorCodeSequence=_code("414298005", "SCT", "Full Spectrum"),
        ICCProfile=scanner.icc or assumed_srgb(),
    )
    if not scanner.icc:
        _set(path, "OpticalPathDescription", ASSUMED_PROFILE)
        _set(path, "ColorSpace", "SRGB")
    if scanner.objective_power:
        _set(path, "ObjectiveLensPower", scanner.objective_power)
    yield "OpticalPathSequence", Items([path])
