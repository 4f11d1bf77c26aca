"""What every sample DICOM image says about patient, study, series and device."""

from __future__ import annotations

import binascii
import copy
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom import Dataset, config
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from common.dicom.testmark import TEST_WORD, mark_test_dataset
from common.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION, derived_uid
from common.errors import InputError
from samples.names import Patient

HOSPITAL = "TODOKE TEST HOSPITAL"


@dataclass(frozen=True, slots=True)
class Study:
    """One study of one invented person; every UID and date follows from its key.

    Attributes
    ----------
    kind
        'ct', 'mr', or 'slide-' and its form: 'slide-rgb', 'slide-ome'.
    seed
        Seed of the run.
    size
        Number of slices or width of the slide: another size is another study, so that
        a quick sample never claims the UIDs of a full one.
    """

    kind: str
    patient: Patient
    seed: int
    size: int

    @property
    def key(self) -> str:
        """Text that stands for this study in seeds of UIDs."""
        return f"todoke-sample/{self.kind}/{self.patient.patient_id}/{self.seed}/{self.size}"

    @property
    def folder(self) -> str:
        """Name of the study's folder, plain ASCII."""
        return f"seed{self.seed}-{self.patient.slug}-{self.size}"

    @property
    def date(self) -> str:
        """Study Date, DICOM DA."""
        return f"202604{1 + self.seed % 28:02d}"

    @property
    def study_uid(self) -> str:
        """Study Instance UID."""
        return self.uid("study")

    @property
    def accession_number(self) -> str:
        """Accession Number, at most 16 letters."""
        return f"T{self.patient.code:05d}-{binascii.crc_hqx(self.key.encode(), 0):05d}"

    def uid(self, part: str) -> str:
        """Return the UID of a part of this study."""
        return derived_uid(f"{self.key}/{part}")

    def generator(self) -> np.random.Generator:
        """Return the source of chance for this study's pixels."""
        words = [self.seed, self.patient.code, self.size, *self.kind.encode()]
        return np.random.default_rng(words)


@contextmanager
def raising() -> Iterator[None]:
    """Make pydicom refuse text that its character set cannot hold, rather than write '??'."""
    before = config.settings.writing_validation_mode
    config.settings.writing_validation_mode = config.RAISE
    try:
        yield
    finally:
        config.settings.writing_validation_mode = before


def describe(study: Study, *, sop_class: str, modality: str, description: str) -> Dataset:
    """Return patient, study, series, equipment and mark: all that the series' images share.

    Parameters
    ----------
    description
        Study Description; the word 試験 is put before it.
    """
    patient = study.patient
    ds = Dataset()
    ds.SpecificCharacterSet = _value(patient.charset)
    ds.InstanceCreationDate = ds.StudyDate = ds.SeriesDate = study.date
    ds.AcquisitionDate = ds.ContentDate = study.date
    ds.InstanceCreationTime = ds.StudyTime = ds.SeriesTime = "091500"
    ds.SOPClassUID = sop_class
    ds.Modality = modality
    ds.AccessionNumber = study.accession_number
    ds.ReferringPhysicianName = "TEST^PHYSICIAN"
    ds.Manufacturer = "TODOKE"
    ds.ManufacturerModelName = f"Synthetic {modality}"
    ds.DeviceSerialNumber = "0"
    ds.SoftwareVersions = "1"
    ds.StationName = f"SAMPLE{modality}"
    ds.InstitutionName = HOSPITAL
    ds.InstitutionalDepartmentName = TEST_WORD
    ds.StudyDescription = f"{TEST_WORD} {description}"
    ds.PatientName = patient.name
    ds.PatientID = patient.patient_id
    ds.IssuerOfPatientID = patient.issuer
    ds.PatientBirthDate = patient.birth_date
    ds.PatientSex = patient.sex
    ds.PatientAge = f"{_years(patient.birth_date, study.date):03d}Y"
    ds.PatientComments = f"{TEST_WORD}: synthetic, no real person"
    ds.StudyInstanceUID = study.study_uid
    ds.SeriesInstanceUID = study.uid("series")
    ds.FrameOfReferenceUID = study.uid("frame-of-reference")
    ds.PositionReferenceIndicator = None
    ds.StudyID = str(study.seed)
    ds.SeriesNumber = 1
    ds.AcquisitionNumber = 1
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    with raising():
        mark_test_dataset(ds)
    return ds


def own(shared: Dataset) -> Dataset:
    """Return a data set with the elements of another, to be changed without changing that one.

    ``Dataset(shared)`` of pydicom 3.0 would hold the very same elements.
    """
    ds = Dataset()
    for element in shared:
        ds.add(copy.deepcopy(element))
    return ds


def place(
    ds: Dataset, pixels: npt.NDArray[Any], *, spacing: float, thickness: float, z: float
) -> None:
    """Say where an axial slice lies and how its pixels are stored.

    Parameters
    ----------
    pixels
        Rows x columns, int16 or uint16.
    spacing, thickness, z
        mm; the image is centred on the axis x = y = 0.
    """
    rows, columns = pixels.shape
    ds.SliceThickness = thickness
    ds.PixelSpacing = [spacing, spacing]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient = [-spacing * columns / 2, -spacing * rows / 2, round(z, 3)]
    ds.SliceLocation = round(z, 3)
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = rows, columns
    ds.BitsAllocated = 16
    ds.PixelRepresentation = 1 if pixels.dtype.kind == "i" else 0
    ds.add_new("PixelData", "OW", pixels.astype(pixels.dtype.newbyteorder("<")).tobytes())


def encode(ds: Dataset, transfer_syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """Return the data set, whose pixels are coded so already, as a DICOM file.

    Raises
    ------
    InputError
        Text that the data set's Specific Character Set cannot hold.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    ds.file_meta = meta
    file = io.BytesIO()
    with raising():
        try:
            pydicom.dcmwrite(file, ds, enforce_file_format=True)
        except (UnicodeEncodeError, TypeError) as error:
            # pydicom 3.0.2 adds the tag to the message and so breaks UnicodeEncodeError
            if not isinstance(error.__context__ or error, UnicodeEncodeError):
                raise
            raise InputError(cause="text beyond its character set") from error
    return file.getvalue()


def write_image(folder: Path, number: int, ds: Dataset) -> Path:
    """Write one image of a series as ``IMnnnn.dcm`` and return its path."""
    path = folder / f"IM{number:04d}.dcm"
    path.write_bytes(encode(ds))
    return path


def _value(charset: tuple[str, ...]) -> str | list[str]:
    return charset[0] if len(charset) == 1 else list(charset)


def _years(birth: str, day: str) -> int:
    return int(day[:4]) - int(birth[:4]) - (day[4:] < birth[4:])
