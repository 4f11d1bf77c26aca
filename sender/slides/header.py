"""The header of a virtual instance: VL Whole Slide Microscopy Image, TILED_FULL.

Built with pydicom, Explicit VR Little Endian, defined lengths, ISO_IR 192.
Nothing in it depends on the clock or on a library's version: the same case and
the same file give the same bytes on every opening.  (PS3.3 A.32.8, C.8.12.4 to
C.8.12.6, C.7.6.17, C.7.6.22; PS3.16 for the codes.)
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from common.dicom.testmark import mark_test_dataset
from common.errors import SlideUnsupported
from sender.slides.case import SlideCase
from sender.slides.elements import code, item, number_text, put, written
from sender.slides.icc import NAME as ASSUMED_PROFILE
from sender.slides.icc import assumed_srgb
from sender.slides.light import Fluorescence, illumination
from sender.slides.slide import WSI_SOP_CLASS, Encoding, Flavor, Loss

HEADER_VERSION = "2"  # of what this page writes; a change of bytes is a new number
_UID_ROOT = uuid.UUID("6a2f6f8e-0d53-5b0b-9c5e-5a7f0f4f9c11")
_NOMINAL_DEPTH_UM = 1.0  # no scanner file tells it; attributes of type 1 want a number above 0
_WHITE = [65535, 32896, 32896]  # CIELab 100, 0, 0 (PS3.3 C.10.7.1.1)
_FLAVORS: dict[Flavor, tuple[str, str]] = {  # Image Type values 1 and 4
    "THUMBNAIL": ("DERIVED", "RESAMPLED"),
    "OVERVIEW": ("ORIGINAL", "NONE"),
    "LABEL": ("ORIGINAL", "NONE"),
}
_DIMENSIONS = (
    (0x0040074A, "Focal Plane"),
    (0x0048021F, "Row Position"),
    (0x0048021E, "Column Position"),
)
_HANDLING: dict[Encoding, str] = {
    "stored": "Tiles as stored by the scanner, JPEG tables spliced in, not decoded",
    "joined": "JPEG strips as stored by the scanner, joined by restart markers, not decoded",
    "reencoded": "Decoded and encoded again without loss",
}

_GIVEN = "; pixel size given by the operator, not in the file"


@dataclass(frozen=True, slots=True)
class Scanner:
    """What the vendor file says of the device and of the whole scan.

    Attributes
    ----------
    manufacturer, model, serial, software : str
        "" when the file does not say; the header then says UNKNOWN, for the elements
        are of type 1 (PS3.3 C.7.5.2).
    acquired : str
        DT; "" when the file does not say.
    columns, rows : int
        Size of the largest level in pixels.
    spacing_um : float
        Its pixel size along a row in micrometres.
    icc : bytes
        b"" when the file holds no profile.
    spacing_down_um : float or None
        Its pixel size down a column, where it is another.
    plane_step_um : float or None
        Distance of two focal planes in micrometres; needed where there are several.
    focus : {'AUTO', 'MANUAL'}
        Focus Method: an operator's focus only where the file says so.
    spacing_given : bool
        A person gave the pixel size; the file holds none.
    fluorescence : Fluorescence or None
        None for brightfield.
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
    spacing_down_um: float | None = None
    plane_step_um: float | None = None
    focus: str = "AUTO"
    spacing_given: bool = False
    fluorescence: Fluorescence | None = None

    def spacing(self, columns: int, rows: int) -> tuple[float, float]:
        """Return the pixel size of a smaller image of the same field, in micrometres.

        Along a row, then along a column.  Scanners shrink by a whole factor and
        cut what is left over, so a whole factor is taken where one explains the size.
        """
        factor = max(round(self.columns / columns), 1)
        if abs(self.columns / factor - columns) < 1 and abs(self.rows / factor - rows) < 1:
            return self.spacing_um * factor, self.down_um * factor
        return self.spacing_um * self.columns / columns, self.down_um * self.rows / rows

    @property
    def down_um(self) -> float:
        """Pixel size down a column in micrometres."""
        return self.spacing_um if self.spacing_down_um is None else self.spacing_down_um


@dataclass(frozen=True, slots=True)
class Picture:
    """What one instance holds.

    Attributes
    ----------
    frames : int
        Of all planes: along a row, then down, then plane after plane (PS3.3 C.7.6.17.3).
    photometric : str
        What the codestream holds; MONOCHROME2 means one sample a pixel.
    lossy_bytes : int or None
        Bytes of the lossy stream that the pixels are in, or came out of before they
        were coded without loss; None where none is known.
    lossy_method : str
        What coded them with loss: ISO_10918_1 (JPEG), ISO_15444_1 (JPEG 2000).
    lossy_ratio : float or None
        Where the ratio is known and the bytes are not.
    planes : int
        Focal planes, all of them in this instance.
    handling : str
        How the pixels came from the file, where the words for `encoding` say too little.
    recoded : Loss or None
        The last step of those that lost something, where it was taken here.
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
    lossy_method: str = "ISO_10918_1"
    lossy_ratio: float | None = None
    planes: int = 1
    handling: str = ""
    recoded: Loss | None = None

    @property
    def samples(self) -> int:
        """Samples a pixel."""
        return 1 if self.photometric == "MONOCHROME2" else 3

    @property
    def handled(self) -> str:
        """How the pixels came from the file, in words."""
        if self.recoded is not None:
            return self.recoded.words
        return self.handling or _HANDLING[self.encoding]


def plain(text: str) -> str:
    """Return text of a file as it may stand in an LO element."""
    return re.sub(r"[\\\x00-\x1f\x7f]", " ", text)[:64].strip()


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
        patient_and_study(case),
        _equipment(case, scanner),
        specimen(case, code("433466003", "SCT", "Microscope slide")),
        _pixels(picture),
        _matrix(scanner, picture),
        _groups(case, scanner, picture),
        _optics(scanner, picture),
    ):
        for keyword, value in part:
            put(header, keyword, value)
    if case.test:
        mark_test_dataset(header)
    return written(header)


_Pairs = Iterator[tuple[str, Any]]


def _image_type(picture: Picture) -> list[str]:
    if picture.flavor == "VOLUME":
        first, last = ("DERIVED", "RESAMPLED") if picture.level else ("ORIGINAL", "NONE")
    else:
        first, last = _FLAVORS[picture.flavor]
    if picture.recoded is not None:  # a compressed version of another image (C.7.6.1.1.5)
        first = "DERIVED"
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


def patient_and_study(case: SlideCase) -> _Pairs:
    """Yield keyword and value of patient and study (PS3.3 C.7.1.1, C.7.2.1)."""
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
    yield "Manufacturer", scanner.manufacturer or "UNKNOWN"
    yield "ManufacturerModelName", scanner.model or "UNKNOWN"
    yield "DeviceSerialNumber", scanner.serial or "UNKNOWN"
    yield "SoftwareVersions", scanner.software or "UNKNOWN"


def specimen(case: SlideCase, container_type: Items) -> _Pairs:
    """Yield keyword and value of container and specimen (PS3.3 C.7.6.22)."""
    container = case.container_id or "UNKNOWN"
    found = item(
        SpecimenIdentifier=case.specimen_id or container,
        SpecimenUID=case.specimen_uid or derived_uid(case, "specimen"),
        IssuerOfTheSpecimenIdentifierSequence=Items(),
        SpecimenPreparationSequence=Items(),
    )
    if case.specimen_description:
        put(found, "SpecimenShortDescription", case.specimen_description)
    yield "AcquisitionContextSequence", Items()
    yield "ContainerIdentifier", container
    yield "IssuerOfTheContainerIdentifierSequence", Items()
    yield "ContainerTypeCodeSequence", container_type
    yield "SpecimenDescriptionSequence", Items([found])


def _pixels(picture: Picture) -> _Pairs:
    yield "SamplesPerPixel", picture.samples
    yield "PhotometricInterpretation", picture.photometric
    if picture.samples > 1:
        yield "PlanarConfiguration", 0
    else:
        yield "PresentationLUTShape", "IDENTITY"
        yield "RescaleIntercept", "0"
        yield "RescaleSlope", "1"
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
    losses = list(_losses(picture))
    yield "LossyImageCompression", "01" if losses else "00"
    if losses:  # each step, in the order in which they were taken (C.7.6.1.1.5.2)
        yield "LossyImageCompressionRatio", [number_text(round(ratio, 2)) for ratio, _ in losses]
        yield "LossyImageCompressionMethod", [method for _, method in losses]
    if picture.encoding != "stored" or picture.handling:
        yield "DerivationDescription", picture.handled


def _losses(picture: Picture) -> Iterator[tuple[float, str]]:
    """Yield ratio and method of each coding with loss that is known (C.7.6.1.1.5)."""
    if (ratio := _ratio(picture)) is not None:
        yield ratio, picture.lossy_method
    if picture.recoded is not None:
        yield picture.recoded.ratio, picture.recoded.method


def _ratio(picture: Picture) -> float | None:
    """Return the ratio of the coding with loss in the source; None where none is known."""
    if picture.lossy_ratio is not None or picture.lossy_bytes is None:
        return picture.lossy_ratio
    raw = picture.samples * picture.frames * picture.tile_columns * picture.tile_rows
    return raw / picture.lossy_bytes


def _matrix(scanner: Scanner, picture: Picture) -> _Pairs:
    width_mm = scanner.columns * scanner.spacing_um / 1000
    height_mm = scanner.rows * scanner.down_um / 1000
    yield "VolumetricProperties", "VOLUME"
    yield "FocusMethod", scanner.focus
    yield "ExtendedDepthOfField", "NO"
    if picture.flavor in {"VOLUME", "THUMBNAIL"}:
        yield "ImagedVolumeWidth", width_mm
        yield "ImagedVolumeHeight", height_mm
        yield (
            "ImagedVolumeDepth",
            _NOMINAL_DEPTH_UM + _step(scanner, picture) * (picture.planes - 1),
        )
    yield "TotalPixelMatrixColumns", picture.columns
    yield "TotalPixelMatrixRows", picture.rows
    yield "TotalPixelMatrixFocalPlanes", picture.planes
    yield "NumberOfOpticalPaths", 1
    # a nominal place: the picture's last corner on the slide's own
    origin = item(
        XOffsetInSlideCoordinateSystem=number_text(height_mm),
        YOffsetInSlideCoordinateSystem=number_text(width_mm),
    )
    if picture.planes > 1:
        put(origin, "ZOffsetInSlideCoordinateSystem", "0")
    yield "TotalPixelMatrixOriginSequence", Items([origin])
    yield "ImageOrientationSlide", ["0", "-1", "0", "-1", "0", "0"]
    yield "RecommendedAbsentPixelCIELabValue", _WHITE
    if picture.flavor == "LABEL":
        yield "LabelText", ""
        yield "BarcodeValue", ""


def _step(scanner: Scanner, picture: Picture) -> float:
    """Return the distance of two focal planes in micrometres, 0 where there is one."""
    if picture.planes == 1:
        return 0.0
    if not scanner.plane_step_um or scanner.plane_step_um < 0:
        raise SlideUnsupported(cause="focal planes without their distance")
    return scanner.plane_step_um


def _groups(case: SlideCase, scanner: Scanner, picture: Picture) -> _Pairs:
    organization = derived_uid(case, "dimension organization")
    yield (
        "DimensionOrganizationSequence",
        Items([item(DimensionOrganizationUID=organization)]),
    )
    yield "DimensionOrganizationType", "TILED_FULL"
    yield (
        "DimensionIndexSequence",
        Items(
            item(
                DimensionOrganizationUID=organization,
                DimensionIndexPointer=pointer,
                FunctionalGroupPointer=0x0048021A,
                DimensionDescriptionLabel=label,
            )
            for pointer, label in _DIMENSIONS[picture.planes == 1 :]
        ),
    )
    shared = item(
        WholeSlideMicroscopyImageFrameTypeSequence=Items([item(FrameType=_image_type(picture))]),
        OpticalPathIdentificationSequence=Items([item(OpticalPathIdentifier="1")]),
    )
    put(shared, "PixelMeasuresSequence", Items([_measures(scanner, picture)]))
    yield "SharedFunctionalGroupsSequence", Items([shared])
    yield "ContributingEquipmentSequence", Items([_contribution(case, scanner, picture)])


def _measures(scanner: Scanner, picture: Picture) -> Dataset:
    along_row, along_column = scanner.spacing(picture.columns, picture.rows)
    measures = item(SliceThickness=number_text(_NOMINAL_DEPTH_UM / 1000))
    if picture.flavor in {"VOLUME", "THUMBNAIL"}:
        put(
            measures,
            "PixelSpacing",
            [number_text(along_column / 1000), number_text(along_row / 1000)],
        )
    if picture.planes > 1:
        put(measures, "SpacingBetweenSlices", number_text(_step(scanner, picture) / 1000))
    return measures


def _contribution(case: SlideCase, scanner: Scanner, picture: Picture) -> Dataset:
    return item(
        PurposeOfReferenceCodeSequence=code("109103", "DCM", "Modifying Equipment"),
        Manufacturer="todoke",
        ManufacturerModelName="todoke sender",
        SoftwareVersions=f"slide header {HEADER_VERSION}",
        ContributionDateTime=case.created,
        ContributionDescription=picture.handled + (_GIVEN if scanner.spacing_given else ""),
    )


def _optics(scanner: Scanner, picture: Picture) -> _Pairs:
    path = item(OpticalPathIdentifier="1")
    for keyword, value in illumination(scanner.fluorescence):
        put(path, keyword, value)
    if picture.samples > 1:  # a profile of colours says nothing of grey (C.8.12.5)
        put(path, "ICCProfile", scanner.icc or assumed_srgb())
    if picture.samples > 1 and not scanner.icc:
        light = scanner.fluorescence
        put(path, "OpticalPathDescription", light.description if light else ASSUMED_PROFILE)
        put(path, "ColorSpace", "SRGB")
    if scanner.objective_power:
        put(path, "ObjectiveLensPower", scanner.objective_power)
    yield "OpticalPathSequence", Items([path])
