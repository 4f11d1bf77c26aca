"""One study whose series go from stored pixels to grey by every way of PS3.3 C.11."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels import apply_modality_lut, apply_voi, apply_windowing
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage, PositronEmissionTomographyImageStorage

from samples import ct, names
from tests.receiver.filled import uid

ROWS, COLUMNS = 96, 128
Grey = npt.NDArray[np.float64]
Change = Callable[[pydicom.Dataset], None]


def ramp(low: int, high: int) -> npt.NDArray[np.int32]:
    """Return values from low to high over all pixels, in an order of no symmetry."""
    values = np.linspace(low, high, ROWS * COLUMNS).round().astype(np.int32)
    return values.reshape(COLUMNS, ROWS).T.copy()


def table(first: int, entries: npt.NDArray[np.int64], bits: int, vr: str = "US") -> pydicom.Dataset:
    """Return an item with LUT Descriptor and LUT Data (PS3.3 C.11.1.1.1)."""
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", vr, [len(entries), first, bits])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return item


def put(
    ds: pydicom.Dataset, values: npt.NDArray[np.int32], *, signed: bool, bits: int = 16
) -> None:
    """Set the pixels and what says how to read them."""
    ds.Rows, ds.Columns = values.shape[-2:]
    ds.PixelRepresentation, ds.BitsAllocated = int(signed), 16
    ds.BitsStored, ds.HighBit = bits, bits - 1
    ds.PixelData = values.astype("<i2" if signed else "<u2").tobytes()


def window(ds: pydicom.Dataset, width: float, center: float, function: str | None = None) -> None:
    """Set the image's own window."""
    ds.WindowWidth, ds.WindowCenter = width, center
    if function:
        ds.VOILUTFunction = function


def _fraction(ds: pydicom.Dataset) -> None:
    put(ds, ramp(-500, 1500), signed=True)
    ds.RescaleSlope, ds.RescaleIntercept = 0.37, -12.5
    window(ds, 300, 80)


def _exact(ds: pydicom.Dataset) -> None:
    put(ds, ramp(0, 255), signed=False, bits=12)
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    window(ds, 40, 100, "LINEAR_EXACT")


def _sigmoid(ds: pydicom.Dataset) -> None:
    put(ds, ramp(0, 4095), signed=False, bits=12)
    ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
    window(ds, 900, 700, "SIGMOID")


def _lut(ds: pydicom.Dataset) -> None:
    put(ds, ramp(0, 4095), signed=False, bits=12)
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    curve = (4095 * np.sqrt(np.linspace(0, 1, 3000))).astype(np.int64)
    ds.VOILUTSequence = Sequence([table(500, curve, 12)])
    ds.VOILUTSequence[0].LUTExplanation = "NORMAL"
    window(ds, 100, 3000)


def _signed_lut(ds: pydicom.Dataset) -> None:
    put(ds, ramp(-2000, 2000), signed=True)
    ds.RescaleSlope, ds.RescaleIntercept = 1, -10
    curve = (65535 * np.linspace(0, 1, 2500) ** 2).astype(np.int64)
    ds.VOILUTSequence = Sequence([table(-1200, curve, 16, "SS")])
    _no_window(ds)


def _modality(ds: pydicom.Dataset) -> None:
    put(ds, ramp(0, 1023), signed=False, bits=10)
    del ds.RescaleSlope, ds.RescaleIntercept
    curve = (65535 * np.linspace(0, 1, 900) ** 0.4).astype(np.int64)
    ds.ModalityLUTSequence = Sequence([table(50, curve, 16)])
    ds.ModalityLUTSequence[0].ModalityLUTType = "US"
    window(ds, 30000, 40000)


def _both(ds: pydicom.Dataset) -> None:
    _modality(ds)
    # not of 8 bits: pydicom 3.0 counts the entries of such a table modulo 256
    curve = (4095 * np.linspace(1, 0, 4096)).astype(np.int64)
    ds.VOILUTSequence = Sequence([table(50000, curve, 12)])


def _mono1(ds: pydicom.Dataset) -> None:
    _fraction(ds)
    ds.PhotometricInterpretation = "MONOCHROME1"


def _mono1_lut(ds: pydicom.Dataset) -> None:
    _lut(ds)
    ds.PhotometricInterpretation = "MONOCHROME1"


def _falling(ds: pydicom.Dataset) -> None:
    put(ds, ramp(0, 4095), signed=False, bits=12)
    ds.RescaleSlope, ds.RescaleIntercept = -1.5, 3000
    window(ds, 2500, 500)


def _pet(ds: pydicom.Dataset) -> None:
    put(ds, ramp(0, 32767), signed=False)
    ds.Modality = "PT"
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = PositronEmissionTomographyImageStorage
    ds.RescaleSlope, ds.RescaleIntercept = 0.000813, 0
    window(ds, 9, 4.5, "LINEAR_EXACT")


def _frames(ds: pydicom.Dataset) -> None:
    """Three frames, each with its own rescale and window (PS3.3 C.7.6.16.2.9, .10)."""
    put(ds, np.stack([ramp(0, 1000 + 500 * i) for i in range(3)]), signed=False)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    ds.NumberOfFrames = 3
    del ds.RescaleSlope, ds.RescaleIntercept
    _no_window(ds)
    groups = []
    for slope, intercept, width, center in (
        (1, -1000, 800, -400),
        (0.25, 7, 200, 100),
        (2, 0, 3000, 1500),
    ):
        values, voi, group = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = slope, intercept, "HU"
        voi.WindowWidth, voi.WindowCenter = width, center
        group.PixelValueTransformationSequence = Sequence([values])
        group.FrameVOILUTSequence = Sequence([voi])
        groups.append(group)
    ds.PerFrameFunctionalGroupsSequence = Sequence(groups)
    ds.SharedFunctionalGroupsSequence = Sequence([pydicom.Dataset()])


def _no_window(ds: pydicom.Dataset) -> None:
    for name in ("WindowWidth", "WindowCenter"):
        if name in ds:
            delattr(ds, name)


KINDS: dict[str, Change] = {
    "fraction": _fraction,
    "exact": _exact,
    "sigmoid": _sigmoid,
    "voi-lut": _lut,
    "signed-lut": _signed_lut,
    "modality-lut": _modality,
    "both-luts": _both,
    "mono1": _mono1,
    "mono1-lut": _mono1_lut,
    "falling": _falling,
    "pet": _pet,
    "frames": _frames,
}


def write(folder: Path, kinds: dict[str, Change], start: int = 1) -> list[Path]:
    """Write one instance of each kind, each a series of one study."""
    study = ct.write_series(folder, names.TAKAHASHI, count=1)
    template = next((folder / study.folder).rglob("*.dcm"))
    paths = []
    for number, (kind, change) in enumerate(kinds.items(), start=start):
        ds = pydicom.dcmread(template)
        ds.SeriesInstanceUID, ds.SOPInstanceUID = uid(f"grey/{kind}"), uid(f"grey/{kind}/1")
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.SeriesNumber, ds.InstanceNumber, ds.SeriesDescription = number, 1, kind
        change(ds)
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        paths.append(folder / f"{kind}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    return paths


def expected(ds: pydicom.Dataset, stored: npt.NDArray[np.int32] | None = None) -> Grey:
    """Return 0-255 as pydicom has it, and no code of ours."""
    values = apply_modality_lut(ds.pixel_array if stored is None else stored, ds)
    if "VOILUTSequence" in ds:
        bits = ds.VOILUTSequence[0].LUTDescriptor[2]
        level = apply_voi(values.astype(np.int32), ds) / (2**bits - 1)
    else:
        black, white = _range(ds)
        level = (apply_windowing(values, ds) - black) / (white - black)
    if ds.PhotometricInterpretation == "MONOCHROME1":
        level = 1 - level
    return np.asarray(level * 255.0)


def _range(ds: pydicom.Dataset) -> tuple[float, float]:
    """Return pydicom's black and white: the ends of what its output can be."""
    if "ModalityLUTSequence" in ds:
        return 0, 2 ** ds.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    low, high = 0, 2**ds.BitsStored - 1
    if ds.PixelRepresentation == 1:
        low, high = -(2 ** (ds.BitsStored - 1)), 2 ** (ds.BitsStored - 1) - 1
    slope, intercept = float(ds.get("RescaleSlope", 1)), float(ds.get("RescaleIntercept", 0))
    return low * slope + intercept, high * slope + intercept


def of_frame(ds: pydicom.Dataset, frame: int) -> Grey:
    """Return one frame of an enhanced object, by its own functional groups."""
    group = ds.PerFrameFunctionalGroupsSequence[frame]
    own = pydicom.Dataset()
    for name in ("BitsStored", "PixelRepresentation", "PhotometricInterpretation"):
        setattr(own, name, getattr(ds, name))
    for item in (group.PixelValueTransformationSequence[0], group.FrameVOILUTSequence[0]):
        own.update(item)
    return expected(own, ds.pixel_array[frame])
