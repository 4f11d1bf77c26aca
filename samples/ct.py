"""A CT series of a chest: classic CT Image Storage, signed 16 bits, about 12 HU of noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from samples.chest import HEIGHT, SPACING, Chest
from samples.lettering import stamp_test_word
from samples.names import Patient
from samples.pixelcode import draw_code
from samples.study import Study, describe, own, place, write_image

SLICES = 120
QUICK_SLICES = 12
LOWEST, HIGHEST = -1024, 3071
"""Stored range in HU: 12 bits, as most devices reconstruct."""


def slices(study: Study) -> Iterator[tuple[float, npt.NDArray[np.int16]]]:
    """Yield table position in mm and pixels in HU (512 x 512) of each slice, head first."""
    chest = Chest(study.generator())
    for number, z in enumerate(np.linspace(HEIGHT, 0, study.size), start=1):
        pixels = np.clip(np.rint(chest.slice(float(z))), LOWEST, HIGHEST).astype(np.int16)
        draw_code(pixels, study.patient.code, number, low=LOWEST, high=HIGHEST)
        stamp_test_word(pixels, 300)
        yield float(z), pixels


def write_series(
    folder: Path,
    patient: Patient,
    *,
    seed: int = 1,
    count: int = SLICES,
    step: Callable[[int], None] = lambda number: None,
) -> Study:
    """Write one CT series into a folder of its own below ``folder``.

    Parameters
    ----------
    folder
        Where the series' folder is made.
    count
        Number of slices.
    step
        Called with the number of each slice once it is written.

    Returns
    -------
    Study
        Its UIDs, and its ``folder``'s name.
    """
    study = Study("ct", patient, seed, count)
    target = folder / study.folder
    target.mkdir(parents=True, exist_ok=True)
    for number, ds in enumerate(images(study), start=1):
        write_image(target, number, ds)
        step(number)
    return study


def images(
    study: Study, stack: Iterable[tuple[float, npt.NDArray[np.int16]]] | None = None
) -> Iterator[Dataset]:
    """Yield the data set of each slice, head first.

    Parameters
    ----------
    stack
        As :func:`slices` yields them, where they are made already.
    """
    shared = _describe(study)
    thickness = HEIGHT / (study.size - 1) if study.size > 1 else HEIGHT
    for number, (z, pixels) in enumerate(stack or slices(study), start=1):
        ds = own(shared)
        ds.SOPInstanceUID = study.uid(f"image/{number}")
        ds.InstanceNumber = number
        place(ds, pixels, spacing=SPACING, thickness=round(min(thickness, 5.0), 3), z=z)
        ds.TableHeight = 124.0
        ds.AcquisitionTime = ds.ContentTime = f"0915{number * 6 // 60:02d}"
        yield ds


def _describe(study: Study) -> Dataset:
    """Return the attributes of the CT Image module (PS3.3 section C.8.2) and their shared kin."""
    ds = describe(study, sop_class=CTImageStorage, modality="CT", description="Chest CT")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SeriesDescription = "Chest 2.5 mm CE"
    ds.ProtocolName = "CHEST"
    ds.BodyPartExamined = "CHEST"
    ds.PatientPosition = "HFS"
    ds.ContrastBolusAgent = "SYNTHETIC"
    ds.ScanOptions = "HELICAL MODE"
    ds.KVP = 120
    ds.DataCollectionDiameter = 500
    ds.ReconstructionDiameter = 380
    ds.DistanceSourceToDetector = 950
    ds.DistanceSourceToPatient = 540
    ds.GantryDetectorTilt = 0
    ds.RotationDirection = "CW"
    ds.ExposureTime = 500
    ds.XRayTubeCurrent = 240
    ds.Exposure = 120
    ds.FilterType = "BODY"
    ds.GeneratorPower = 28
    ds.FocalSpots = 1.2
    ds.ConvolutionKernel = "STANDARD"
    ds.BitsStored, ds.HighBit = 16, 15
    ds.WindowCenter = [50, -550]
    ds.WindowWidth = [400, 1500]
    ds.WindowCenterWidthExplanation = ["MEDIASTINUM", "LUNG"]
    ds.RescaleIntercept = 0
    ds.RescaleSlope = 1
    ds.RescaleType = "HU"
    return ds
