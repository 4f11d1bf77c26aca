"""An MR series of a head, T1-weighted: classic MR Image Storage, unsigned 12 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.uid import MRImageStorage

from samples.head import HEIGHT, SPACING, Head
from samples.lettering import stamp_test_word
from samples.names import Patient
from samples.pixelcode import draw_code
from samples.study import Study, describe, own, place, write_image

SLICES = 24
QUICK_SLICES = 6
HIGHEST = 4095
WINDOW = (620, 1240)
"""Centre and width."""


def slices(study: Study) -> Iterator[tuple[float, npt.NDArray[np.uint16]]]:
    """Yield position in mm and pixels (256 x 256) of each slice, base first."""
    head = Head(study.generator())
    for number, z in enumerate(np.linspace(4, HEIGHT - 8, study.size), start=1):
        pixels = np.clip(np.rint(head.slice(float(z))), 0, HIGHEST).astype(np.uint16)
        draw_code(pixels, study.patient.code, number, low=0, high=HIGHEST)
        stamp_test_word(pixels, 1100)
        yield float(z), pixels


def write_series(
    folder: Path,
    patient: Patient,
    *,
    seed: int = 1,
    count: int = SLICES,
    step: Callable[[int], None] = lambda number: None,
) -> Study:
    """Write one MR series into a folder of its own below ``folder``.

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
    study = Study("mr", patient, seed, count)
    target = folder / study.folder
    target.mkdir(parents=True, exist_ok=True)
    for number, ds in enumerate(images(study), start=1):
        write_image(target, number, ds)
        step(number)
    return study


def images(study: Study) -> Iterator[Dataset]:
    """Yield the data set of each slice, base first."""
    shared = _describe(study)
    for number, (z, pixels) in enumerate(slices(study), start=1):
        ds = own(shared)
        ds.SOPInstanceUID = study.uid(f"image/{number}")
        ds.InstanceNumber = number
        ds.AcquisitionTime = ds.ContentTime = f"0915{number % 60:02d}"
        place(ds, pixels, spacing=SPACING, thickness=4.0, z=z)
        yield ds


def _describe(study: Study) -> Dataset:
    """Return the attributes of the MR Image module (PS3.3 section C.8.3) and their shared kin."""
    ds = describe(study, sop_class=MRImageStorage, modality="MR", description="Brain MRI")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    ds.SeriesDescription = "T1 SE axial"
    ds.ProtocolName = "T1_SE_TRA"
    ds.BodyPartExamined = "HEAD"
    ds.PatientPosition = "HFS"
    ds.ScanningSequence = "SE"
    ds.SequenceVariant = "NONE"
    ds.ScanOptions = ""
    ds.MRAcquisitionType = "2D"
    ds.SequenceName = "se2d1"
    ds.RepetitionTime = 520
    ds.EchoTime = 12
    ds.EchoTrainLength = 1
    ds.NumberOfAverages = 1
    ds.ImagingFrequency = 123.2
    ds.ImagedNucleus = "1H"
    ds.EchoNumbers = 1
    ds.MagneticFieldStrength = 3
    ds.SpacingBetweenSlices = round((HEIGHT - 12) / max(1, study.size - 1), 3)
    ds.NumberOfPhaseEncodingSteps = 256
    ds.PercentSampling = 100
    ds.PercentPhaseFieldOfView = 100
    ds.PixelBandwidth = 130
    ds.ReceiveCoilName = "HEAD"
    ds.AcquisitionMatrix = [0, 256, 256, 0]
    ds.InPlanePhaseEncodingDirection = "ROW"
    ds.FlipAngle = 90
    ds.VariableFlipAngleFlag = "N"
    ds.SAR = 0.5
    ds.BitsStored, ds.HighBit = 12, 11
    ds.WindowCenter, ds.WindowWidth = WINDOW
    return ds
