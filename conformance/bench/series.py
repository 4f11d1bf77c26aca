"""A seeded CT series: a body with organs, vessels and the noise of a real scan.

What lossless compression reaches is decided by noise and by what lies around the
field of view: 14 HU, correlated over neighbouring pixels as a reconstruction kernel
leaves it, and one value outside of the circle that a scanner reconstructs.  JPEG-LS
makes 3.4 to 1 of it; of the real CT series that were tried it made 2.7 to 5.2, of the
one in the middle 3.3 (docs/benchmarks.md).
Every file carries 試験 and a synthetic patient, TODOKE-TEST.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

SIDE = 512  # rows and columns
NOISE = 14.0  # HU, standard deviation
PADDING = -1024.0  # HU: nothing is written below it
DISTINCT = 40  # slices with pixels of their own; a longer series repeats them
_SPACE = uuid.UUID("f1b5d9c2-6f0e-5a7b-8d3c-2b94a1e07c55")


@dataclass(frozen=True, slots=True)
class Series:
    """One series in a folder of its own.

    Attributes
    ----------
    files : tuple of Path
        In the order of Instance Number.
    instance_uids : tuple of str
        In the same order.
    bytes : int
        Of all files.
    """

    folder: Path
    files: tuple[Path, ...]
    study_uid: str
    series_uid: str
    instance_uids: tuple[str, ...]
    bytes: int


def make(folder: Path, count: int, seed: str) -> Series:
    """Write a series; the same arguments give the same bytes.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    count : int
        Slices of 512 x 512 x 16 bit.
    seed : str
        Decides every UID; another seed is another study of another patient.
    """
    folder.mkdir(parents=True, exist_ok=True)
    common = _study(seed)
    files, uids, size = [], [], 0
    for number in range(1, count + 1):
        path = folder / f"{number:05d}.dcm"
        uids.append(_slice(path, common, seed, number))
        files.append(path)
        size += path.stat().st_size
    return Series(
        folder,
        tuple(files),
        str(common.StudyInstanceUID),
        str(common.SeriesInstanceUID),
        tuple(uids),
        size,
    )


def _uid(*parts: object) -> str:
    return f"2.25.{uuid.uuid5(_SPACE, '/'.join(map(str, parts))).int}"


def _study(seed: str) -> Dataset:
    """Return what all slices have in common."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "SHIKEN^SOKUDO=試験^速度=シケン^ソクド"
    dataset.PatientID = f"TODOKE-TEST-{_uid(seed, 'patient')[-10:]}"
    dataset.IssuerOfPatientID = "TODOKE-TEST"
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "O"
    dataset.StudyInstanceUID = _uid(seed, "study")
    dataset.SeriesInstanceUID = _uid(seed, "series")
    dataset.FrameOfReferenceUID = _uid(seed, "frame")
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = "20260101"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "120000"
    dataset.StudyID = dataset.AccessionNumber = "TEST"
    dataset.StudyDescription = dataset.SeriesDescription = "試験"
    dataset.ReferringPhysicianName = ""
    dataset.Manufacturer, dataset.ManufacturerModelName = "TODOKE", "TODOKE BENCH"
    dataset.Modality, dataset.BodyPartExamined, dataset.PatientPosition = "CT", "ABDOMEN", "HFS"
    dataset.PositionReferenceIndicator = ""
    dataset.SeriesNumber = dataset.AcquisitionNumber = 1
    dataset.SOPClassUID = UID(CTImageStorage)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.KVP, dataset.SliceThickness = 120, 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = SIDE
    dataset.PixelSpacing = [0.7, 0.7]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "HU"
    return dataset


def _slice(path: Path, common: Dataset, seed: str, number: int) -> str:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = common.SOPClassUID
    meta.MediaStorageSOPInstanceUID = UID(_uid(seed, number))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(path, Dataset(), file_meta=meta, preamble=bytes(128))
    dataset.update(common)
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = [-180, -180, number]
    dataset.PixelData = _pixels(number % DISTINCT)
    dataset["PixelData"].VR = "OW"
    dataset.save_as(path, enforce_file_format=True)
    return str(dataset.SOPInstanceUID)


@lru_cache(maxsize=DISTINCT)
def _pixels(level: int) -> bytes:
    """Return one slice in HU, little endian."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j].astype(np.float32)
    picture = np.full((SIDE, SIDE), -1000, np.float32)
    picture[(x / 0.85) ** 2 + (y / 0.62) ** 2 < 1] = -90  # fat
    picture[(x / 0.78) ** 2 + (y / 0.55) ** 2 < 1] = 45  # muscle
    grown = 0.25 + 0.1 * np.sin(level / 7)
    picture[((x + 0.35) / (grown + 0.1)) ** 2 + ((y + 0.05) / grown) ** 2 < 1] = 65  # liver
    picture[(x / 0.1) ** 2 + ((y - 0.33) / 0.1) ** 2 < 1] = 600  # vertebra
    picture[((x - 0.06) / 0.05) ** 2 + ((y - 0.18) / 0.05) ** 2 < 1] = 180  # aorta
    picture = np.maximum(picture + _noise(level), PADDING)
    picture[x**2 + y**2 > 1] = PADDING  # outside of what the scanner reconstructs
    whole: bytes = picture.round().astype("<i2").tobytes()
    return whole


def _noise(level: int) -> NDArray[np.float32]:
    """Noise of the given deviation, smoothed a little over neighbours."""
    rough = np.random.default_rng(level).standard_normal((SIDE, SIDE), np.float32)
    smooth = rough + 0.5 * (np.roll(rough, 1, 0) + np.roll(rough, 1, 1))
    return np.float32(NOISE / np.sqrt(1.5)) * smooth
