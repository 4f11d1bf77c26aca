"""Objects of known lengths and values: one study of small series, and an earlier one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.sequence import Sequence
from pydicom.uid import ComputedRadiographyImageStorage, UltrasoundImageStorage

from samples import ct, names
from tests.receiver.filled import uid
from tests.receiver.viewer.room import Instances

SIZE = 128
ROWS, COLUMNS = 0.5, 1.25  # mm of the oblong pixels
IMAGER = 0.2
ULTRASOUND = 0.03  # cm


def earlier(folder: Path) -> Instances:
    """Write a CT of the same patient of a year before, 8 slices as far apart as the present 12."""
    study = ct.write_series(folder, names.TAKAHASHI, seed=2, count=8)
    files = sorted((folder / study.folder).rglob("*.dcm"))
    for path in files:
        ds = pydicom.dcmread(path)
        ds.StudyDate = "20250401"
        ds.save_as(path)
    return Instances(files)


def current(folder: Path) -> Instances:
    """Write the CT and, in the same study, one series for each kind of pixel."""
    study = ct.write_series(folder, names.TAKAHASHI, count=12)
    files = sorted((folder / study.folder).rglob("*.dcm"))
    template = pydicom.dcmread(files[0])
    for number, make in enumerate((_oblong, _coronal, _plate, _sound), start=10):
        ds = _one(template, number)
        make(ds)
        path = folder / f"phantom-{number}.dcm"
        ds.save_as(path)
        files.append(path)
    return Instances(files)


def _one(template: pydicom.Dataset, number: int) -> pydicom.Dataset:
    ds = pydicom.dcmread(template.filename)
    ds.SeriesInstanceUID, ds.SOPInstanceUID = uid(f"ph/{number}"), uid(f"ph/{number}/1")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.SeriesNumber, ds.InstanceNumber = number, 1
    ds.Rows = ds.Columns = SIZE
    values = np.add.outer(3 * np.arange(SIZE), np.arange(SIZE)).astype(np.int16)
    ds.PixelData = values.tobytes()
    return ds


def _oblong(ds: pydicom.Dataset) -> None:
    """Pixels of 0.5 x 1.25 mm on a plane that leans by 30 degrees."""
    ds.SeriesDescription = "oblong"
    ds.PixelSpacing = [ROWS, COLUMNS]
    ds.ImageOrientationPatient = [1, 0, 0, 0, float(np.cos(np.pi / 6)), float(np.sin(np.pi / 6))]
    ds.RescaleSlope, ds.RescaleIntercept = 2, -1000


def _coronal(ds: pydicom.Dataset) -> None:
    ds.SeriesDescription = "coronal"
    ds.PixelSpacing = [2, 2]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    x, y, z = (float(part) for part in ds.ImagePositionPatient)
    ds.ImagePositionPatient = [x, y + 100, z + 1]


def _plate(ds: pydicom.Dataset) -> None:
    """A radiograph whose pixels are known at the detector alone."""
    ds.SeriesDescription, ds.Modality = "plate", "CR"
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    for name in ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"):
        delattr(ds, name)
    ds.ImagerPixelSpacing = [IMAGER, IMAGER]
    ds.PatientOrientation = ["L", "F"]


def _sound(ds: pydicom.Dataset) -> None:
    """Ultrasound: the left half is measured in centimetres, the right half is not."""
    ds.SeriesDescription, ds.Modality = "sound", "US"
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = UltrasoundImageStorage
    for name in ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"):
        delattr(ds, name)
    region = pydicom.Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = SIZE // 2 - 1, SIZE - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = ULTRASOUND
    ds.SequenceOfUltrasoundRegions = Sequence([region])
