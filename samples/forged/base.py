"""The CT that the cases start from, and what several of them do with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from samples.aperio import Picture
from samples.ct import HIGHEST, LOWEST, images, slices
from samples.forged.case import Files
from samples.names import TAKAHASHI
from samples.pixelcode import draw_code
from samples.study import Study, encode

Slice = tuple[float, npt.NDArray[np.int16]]


@lru_cache(maxsize=4)
def _first(seed: int, size: int) -> tuple[Slice, ...]:
    """Return the slices that the cases of one size share: only UIDs, names and codes differ."""
    return tuple(slices(Study("forged", TAKAHASHI, seed, size)))


def stack(study: Study) -> Iterator[Slice]:
    """Yield table position in mm and pixels in HU of each slice, with the patient's code."""
    for number, (z, shared) in enumerate(_first(study.seed, study.size), start=1):
        pixels = shared.copy()
        draw_code(pixels, study.patient.code, number, low=LOWEST, high=HIGHEST)
        yield z, pixels


def ct(study: Study) -> Iterator[Dataset]:
    """Yield the data sets of a CT series with nothing wrong in it."""
    return images(study, stack(study))


def first(study: Study) -> Dataset:
    """Return the first of them."""
    return next(ct(study))


def named(
    datasets: Iterable[Dataset], coded: Callable[[Dataset], bytes] = encode, *, after: int = 0
) -> Files:
    """Yield name and content of the file of each data set, numbered after ``after``."""
    for number, ds in enumerate(datasets, start=after + 1):
        yield f"IM{number:04d}.dcm", coded(ds)


def altered(study: Study, alter: Callable[[Dataset], object]) -> Files:
    """Write the CT series with something changed in each data set."""
    for name, ds in zip(_names(), ct(study), strict=False):
        alter(ds)
        yield name, encode(ds)


def _names() -> Iterator[str]:
    return (f"IM{number:04d}.dcm" for number in range(1, 10_000))


def eight_bits(ds: Dataset, pixels: npt.NDArray[Any]) -> None:
    """Make a picture, rows x columns (x 3), the data set's pixels."""
    colour = pixels.ndim == 3
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.add_new("PixelData", "OB", pixels.astype(np.uint8).tobytes())


def pixels_of(ds: Dataset) -> npt.NDArray[np.int16]:
    """Return the HU of one slice, rows x columns."""
    return np.frombuffer(ds.PixelData, "<i2").reshape(ds.Rows, ds.Columns)


def window(pixels: npt.NDArray[np.int16]) -> Picture:
    """Return what a screen shows of HU at the mediastinal window, 8 bits."""
    shown: Picture = np.clip((pixels + 150) * (255 / 400), 0, 255).astype(np.uint8)
    return shown


def encapsulated(ds: Dataset, stream: bytes, syntax: UID, *more: bytes) -> bytes:
    """Return the file whose frames are these streams."""
    ds.PixelData = encapsulate([stream, *more])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return encode(ds, syntax)


def jpeg(picture: npt.NDArray[Any], *, quality: int = 85) -> bytes:
    """Return a picture as baseline JPEG, colour as YCbCr."""
    return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(picture), level=quality))
