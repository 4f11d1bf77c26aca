"""A small CT series whose pixels say nothing, for tests of the way and not of the picture."""

from __future__ import annotations

import random
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from common.dicom import uids


def write_series(folder: Path, seed: int, slices: int = 40, side: int = 176) -> list[Path]:
    """Write a series of its own patient and study; return the files in order."""
    draw = random.Random(seed)
    folder.mkdir(parents=True)
    study, series = uids.new_uid(), uids.new_uid()
    files = []
    for number in range(1, slices + 1):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = uids.new_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.PatientName = "TAKAHASHI^HANAKO=髙橋^花子=タカハシ^ハナコ"
        ds.PatientID, ds.PatientBirthDate, ds.PatientSex = f"T{seed}", "19580307", "F"
        ds.Modality, ds.InstanceNumber = "CT", number
        ds.Rows = ds.Columns = side
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
        ds.SamplesPerPixel, ds.PixelRepresentation = 1, 0
        ds.PhotometricInterpretation = "MONOCHROME2"
        ds.PixelData = draw.randbytes(side * side * 2)
        path = folder / f"IM{number:04}.dcm"
        ds.save_as(path, enforce_file_format=True)
        files.append(path)
    return files
