"""One study whose series have colour in every way of PS3.3 C.7.6.3.1.2, and nuclear ones."""

from __future__ import annotations

import io
from pathlib import Path

import imagecodecs
import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, convert_color_space, pixel_array
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
    RLELossless,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from tests.receiver.viewer import greys

ROWS, COLUMNS = greys.ROWS, greys.COLUMNS
FRAMES = 3
Colours = npt.NDArray[np.uint8]

#: A phantom whose uptake is known: 370 MBq of F-18 an hour before the scan, 74 kg.
DOSE, HALF_LIFE, HOUR, WEIGHT = 370e6, 6586.2, 3600, 74.0
#: Bq/ml of SUV 1 in it: what of the dose is left, over the body as if it were water.
ONE = DOSE * 2 ** (-HOUR / HALF_LIFE) / (WEIGHT * 1000)
PET_SLOPE = 0.5


def picture(turn: int = 0) -> Colours:
    """Return rows x columns x RGB: smooth ramps, and squares of full colours."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    made = np.stack([2 * x % 256, 2 * y, 255 - x - y], axis=-1).astype(np.uint8)
    for place, colour in enumerate(np.eye(3, dtype=np.uint8) * 255):
        made[40:56, 16 + 32 * place : 32 + 32 * place] = colour
    return np.roll(made, turn, axis=-1)


def _sound(ds: pydicom.Dataset, *, frames: int = 1) -> None:
    several = frames > 1
    ds.Modality = "US"
    ds.SOPClassUID = UltrasoundMultiFrameImageStorage if several else UltrasoundImageStorage
    if several:
        ds.NumberOfFrames = frames
    for name in ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"):
        if name in ds:
            delattr(ds, name)
    ds.Rows, ds.Columns = ROWS, COLUMNS
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0


def _samples(
    ds: pydicom.Dataset, photometric: str, pixels: bytes, planar: int = 0, syntax: UID | None = None
) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = (
        3,
        photometric,
        planar,
    )
    ds.PixelData = pixels if syntax is None else encapsulate([pixels])
    ds["PixelData"].VR = "OB"
    if syntax is not None:
        ds.file_meta.TransferSyntaxUID = syntax


def _rgb(ds: pydicom.Dataset) -> None:
    _sound(ds)
    _samples(ds, "RGB", picture().tobytes())


def _rgb_planes(ds: pydicom.Dataset) -> None:
    _sound(ds)
    _samples(ds, "RGB", picture().transpose(2, 0, 1).tobytes(), planar=1)


def _rgb_16(ds: pydicom.Dataset, bits: int = 16, planar: int = 0) -> None:
    """Colours of more than a byte: the eye gets the eight highest of the stored bits."""
    _sound(ds)
    deep = picture().astype("<u2") << (bits - 8)
    deep |= np.arange(ROWS * COLUMNS * 3, dtype="<u2").reshape(deep.shape) % (1 << (bits - 8))
    _samples(ds, "RGB", (deep.transpose(2, 0, 1) if planar else deep).tobytes(), planar=planar)
    ds["PixelData"].VR = "OW"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, bits, bits - 1


def _rgb_12_planes(ds: pydicom.Dataset) -> None:
    _rgb_16(ds, 12, planar=1)


def _ybr(ds: pydicom.Dataset) -> None:
    _sound(ds)
    _samples(ds, "YBR_FULL", convert_color_space(picture(), "RGB", "YBR_FULL").tobytes())


def _ybr_planes(ds: pydicom.Dataset) -> None:
    _sound(ds)
    ycc = convert_color_space(picture(), "RGB", "YBR_FULL")
    _samples(ds, "YBR_FULL", ycc.transpose(2, 0, 1).tobytes(), planar=1)


def _ybr_422(ds: pydicom.Dataset) -> None:
    """Y Y Cb Cr: two pixels of a row have one colour (PS3.3 C.7.6.3.1.2)."""
    _sound(ds)
    ycc = convert_color_space(picture(), "RGB", "YBR_FULL")
    pairs = np.stack([ycc[:, ::2, 0], ycc[:, 1::2, 0], ycc[:, ::2, 1], ycc[:, ::2, 2]], axis=-1)
    _samples(ds, "YBR_FULL_422", np.ascontiguousarray(pairs).tobytes())


def _jpeg(ds: pydicom.Dataset) -> None:
    _sound(ds)
    held = io.BytesIO()
    Image.fromarray(picture()).save(held, "JPEG", quality=95, subsampling=0)
    _samples(ds, "YBR_FULL_422", held.getvalue(), syntax=JPEGBaseline8Bit)
    ds.LossyImageCompression = "01"


def _jls(ds: pydicom.Dataset) -> None:
    _sound(ds)
    _samples(ds, "RGB", bytes(imagecodecs.jpegls_encode(picture())), syntax=JPEGLSLossless)


def _j2k(ds: pydicom.Dataset) -> None:
    _sound(ds)
    coded = imagecodecs.jpeg2k_encode(picture(), codecformat="j2k", reversible=True)
    _samples(ds, "YBR_RCT", bytes(coded), syntax=JPEG2000Lossless)


def _htj2k(ds: pydicom.Dataset) -> None:
    _sound(ds)
    coded = imagecodecs.htj2k_encode(picture(), reversible=True)
    _samples(ds, "YBR_RCT", bytes(coded), syntax=HTJ2KLossless)


def _rle(ds: pydicom.Dataset) -> None:
    _rgb(ds)
    ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1")
    uid = ds.SOPInstanceUID
    ds.compress(RLELossless, generate_instance_uid=False)
    assert uid == ds.SOPInstanceUID


def _loop(ds: pydicom.Dataset) -> None:
    """Ultrasound in motion: each frame has colours of its own."""
    _sound(ds, frames=FRAMES)
    _samples(ds, "RGB", b"".join(picture(turn).tobytes() for turn in range(FRAMES)))


def _grey_loop(ds: pydicom.Dataset) -> None:
    _sound(ds, frames=FRAMES)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.PixelData = b"".join(
        np.ascontiguousarray(picture(n)[..., 0]).tobytes() for n in range(FRAMES)
    )
    ds["PixelData"].VR = "OB"


def _palette(ds: pydicom.Dataset, pixels: npt.NDArray[np.integer], first: int, count: int) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "PALETTE COLOR"
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW"
    curve = np.linspace(0, 65535, count)
    for name, table in (
        ("Red", curve),
        ("Green", curve[::-1]),
        ("Blue", 65535 * np.sin(np.linspace(0, np.pi, count))),
    ):
        descriptor = [count % 65536, first, 16]
        ds.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", descriptor)
        entries = table.round().astype("<u2").tobytes()
        setattr(ds, f"{name}PaletteColorLookupTableData", entries)


def _palette_8(ds: pydicom.Dataset) -> None:
    _sound(ds)
    _palette(ds, picture()[..., 0], 0, 256)


def _palette_16(ds: pydicom.Dataset) -> None:
    """Fewer entries than values: beyond the table's ends are its first and last colours."""
    _sound(ds)
    values = greys.ramp(0, 4095)
    greys.put(ds, values, signed=False)
    _palette(ds, values.astype("<u2"), 100, 3000)


def _nuclear(ds: pydicom.Dataset) -> None:
    """A whole body in counts, front and back, without any window."""
    counts = np.stack([greys.ramp(0, 900), greys.ramp(20, 200)[::-1]])
    greys.put(ds, counts, signed=False)
    ds.Modality, ds.SOPClassUID, ds.NumberOfFrames = "NM", NuclearMedicineImageStorage, 2
    for name in ("RescaleType", "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"):
        if name in ds:
            delattr(ds, name)


def _pet(ds: pydicom.Dataset) -> None:
    """Left half SUV 1, right half SUV 2.5, as near as its slope allows."""
    values = np.full((ROWS, COLUMNS), round(ONE / PET_SLOPE), np.int32)
    values[:, COLUMNS // 2 :] = round(2.5 * ONE / PET_SLOPE)
    greys.put(ds, values, signed=False)
    ds.Modality, ds.SOPClassUID = "PT", PositronEmissionTomographyImageStorage
    ds.RescaleSlope, ds.RescaleIntercept = PET_SLOPE, 0
    del ds.RescaleType
    greys.window(ds, 4 * ONE, 2 * ONE)
    ds.Units, ds.DecayCorrection, ds.CorrectedImage = "BQML", "START", ["ATTN", "DECY", "SCAT"]
    ds.PatientWeight = WEIGHT
    ds.SeriesDate = ds.AcquisitionDate = "20261120"
    ds.SeriesTime, ds.AcquisitionTime = "100000", "100130"
    tracer = pydicom.Dataset()
    tracer.Radiopharmaceutical = "FDG"
    tracer.RadionuclideTotalDose, tracer.RadionuclideHalfLife = DOSE, HALF_LIFE
    tracer.RadiopharmaceuticalStartTime = "090000"
    ds.RadiopharmaceuticalInformationSequence = Sequence([tracer])


def _pet_without_weight(ds: pydicom.Dataset) -> None:
    _pet(ds)
    del ds.PatientWeight


COLOURED: dict[str, greys.Change] = {
    "rgb": _rgb,
    "rgb-planes": _rgb_planes,
    "rgb-16": _rgb_16,
    "rgb-12-planes": _rgb_12_planes,
    "ybr": _ybr,
    "ybr-planes": _ybr_planes,
    "ybr-422": _ybr_422,
    "jpeg": _jpeg,
    "jls": _jls,
    "j2k": _j2k,
    "htj2k": _htj2k,
    "rle": _rle,
    "palette-8": _palette_8,
    "palette-16": _palette_16,
}
KINDS: dict[str, greys.Change] = {
    **COLOURED,
    "loop": _loop,
    "grey-loop": _grey_loop,
    "nuclear": _nuclear,
    "pet": _pet,
    "pet-no-weight": _pet_without_weight,
}


def expected(ds: pydicom.Dataset, frame: int | None = None) -> Colours:
    """Return rows x columns x RGB as pydicom has it, and no code of ours."""
    stored = pixel_array(ds, raw=True, index=frame)
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        shown = apply_color_lut(stored, ds)
        return np.asarray(shown >> (8 * (shown.dtype.itemsize - 1))).astype(np.uint8)
    if str(ds.PhotometricInterpretation).startswith("YBR_FULL"):
        return np.asarray(convert_color_space(stored, "YBR_FULL", "RGB"))
    return np.asarray(stored >> (int(ds.BitsStored) - 8)).astype(np.uint8)


def write(folder: Path) -> list[Path]:
    """Write one instance of each kind, each a series of one study."""
    return greys.write(folder, KINDS)
