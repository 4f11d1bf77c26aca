"""CT of which something was changed: depth, coding, what it says of itself, who it is of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import imagecodecs
import numpy as np
from pydicom import Dataset
from pydicom.uid import JPEG2000, JPEG2000Lossless, RLELossless

from samples.forged.base import (
    altered,
    ct,
    eight_bits,
    encapsulated,
    jpeg,
    named,
    pixels_of,
    window,
)
from samples.forged.case import Files
from samples.names import YAMAZAKI, Patient
from samples.study import Study, encode

LOSSY_DB: Final = 80
"""Peak signal to noise of the lossy cases: about 18 : 1, 5 HU of error."""
LOSSY: Final = {
    "LossyImageCompression": "01",
    "LossyImageCompressionRatio": 18,
    "LossyImageCompressionMethod": "ISO_15444_1",
    "ImageType": ["DERIVED", "PRIMARY", "AXIAL"],
}
"""What an object that was ever compressed with loss must say (PS3.3 section C.7.6.1.1.5)."""
OF_THE_DEVICE: Final = (
    "KVP", "DataCollectionDiameter", "ReconstructionDiameter", "DistanceSourceToDetector",
    "DistanceSourceToPatient", "GantryDetectorTilt", "ExposureTime", "XRayTubeCurrent", "Exposure",
    "FilterType", "GeneratorPower", "FocalSpots", "ConvolutionKernel", "DeviceSerialNumber",
    "StationName", "SoftwareVersions", "ManufacturerModelName", "FrameOfReferenceUID",
    "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient", "SliceLocation",
)  # fmt: skip


def stating(study: Study, /, **values: object) -> Files:
    """Write the CT series with other values of these attributes."""

    def alter(ds: Dataset) -> None:
        for keyword, value in values.items():
            setattr(ds, keyword, value)

    return altered(study, alter)


def without_device(study: Study) -> Files:
    """Write CT as an eager anonymiser or an old archive leaves it: nothing of device and place."""

    def alter(ds: Dataset) -> None:
        for keyword in OF_THE_DEVICE:
            delattr(ds, keyword)

    return altered(study, alter)


def windowed(study: Study) -> Files:
    """Write CT whose 16 bits were windowed down to 8: the rest is gone."""
    return altered(study, lambda ds: eight_bits(ds, window(pixels_of(ds))))


def windowed_hidden(study: Study) -> Files:
    """Write CT of 8 bits, JPEG too, put back into 16: 256 values, blocks of 8 x 8."""

    def alter(ds: Dataset) -> None:
        shown = imagecodecs.jpeg8_decode(jpeg(window(pixels_of(ds)), quality=70))
        ds.PixelData = np.rint(shown * (400 / 255) - 150).astype("<i2").tobytes()

    return altered(study, alter)


def projection(study: Study) -> Dataset:
    """Return a maximum intensity projection that a workstation made."""
    slices = list(ct(study))
    ds = slices[0]
    ds.SOPInstanceUID, ds.InstanceNumber = study.uid("image/mip"), 900
    ds.SeriesInstanceUID, ds.SeriesNumber = study.uid("series/mip"), 90
    ds.ImageType = ["DERIVED", "SECONDARY", "AXIAL", "MIP"]
    ds.DerivationDescription = "Maximum intensity projection"
    ds.PixelData = np.maximum.reduce([pixels_of(one) for one in slices]).tobytes()
    return ds


def rle(ds: Dataset) -> bytes:
    """Return the file in RLE Lossless (PS3.5 annex G)."""
    low, high = (pixels_of(ds).view(np.uint16) >> shift & 0xFF for shift in (0, 8))
    rows = [[plane[row].astype(np.uint8) for row in range(ds.Rows)] for plane in (high, low)]
    segments = [b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in one) for one in rows]
    segments = [one + b"\0" * (len(one) % 2) for one in segments]
    offsets = [2, 64, 64 + len(segments[0]), *[0] * 13]  # PS3.5 annex G.5
    header = np.array(offsets, "<u4").tobytes()
    return encapsulated(ds, header + b"".join(segments), RLELossless)


def j2k(ds: Dataset) -> bytes:
    """Return the file in JPEG 2000, reversible."""
    stream = imagecodecs.jpeg2k_encode(pixels_of(ds), level=0, reversible=True, codecformat="j2k")
    return encapsulated(ds, bytes(stream), JPEG2000Lossless)


def j2k_lossy(ds: Dataset, *, as_lossless: bool = False) -> bytes:
    """Return the file in JPEG 2000 with loss; as_lossless: under the other syntax's name."""
    stream = imagecodecs.jpeg2k_encode(
        pixels_of(ds), level=LOSSY_DB, reversible=False, codecformat="j2k"
    )
    return encapsulated(ds, bytes(stream), JPEG2000Lossless if as_lossless else JPEG2000)


def lossy(
    study: Study,
    coded: Callable[[Dataset], bytes] = encode,
    *,
    restored: bool = True,
    flagged: bool,
) -> Files:
    """Write CT that was compressed with loss.

    Parameters
    ----------
    coded
        How it is sent.
    restored
        It was decompressed again before; else ``coded`` takes the loss.
    flagged
        It says so.
    """

    def alter(ds: Dataset) -> Dataset:
        if flagged:
            for keyword, value in LOSSY.items():
                setattr(ds, keyword, value)
        if restored:
            stream = imagecodecs.jpeg2k_encode(pixels_of(ds), level=LOSSY_DB, codecformat="j2k")
            ds.PixelData = imagecodecs.jpeg2k_decode(stream).astype("<i2").tobytes()
        return ds

    return named(map(alter, ct(study)), coded)


def mixed(study: Study, other: Patient = YAMAZAKI) -> Files:
    """Write one study, one series, two patients."""
    datasets = list(ct(study))
    for ds in ct(replace(study, patient=other, kind=f"{study.kind}-other")):
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study.study_uid, study.uid("series")
        ds.InstanceNumber = int(ds.InstanceNumber) + study.size
        datasets.append(ds)
    return named(datasets)


def twice(study: Study, *, other_pixels: bool) -> Files:
    """Write a series in which one instance comes twice under one UID."""
    datasets = list(ct(study))
    yield from named(datasets)
    twin = datasets[-1]
    if other_pixels:
        twin.PixelData = pixels_of(twin)[::-1].tobytes()
    yield from named([twin], after=len(datasets))
