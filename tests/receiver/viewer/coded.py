"""One piece of tissue in the codings that browsers do not know, each as a slide of one level.

The Aperio files of the JPEG 2000 ones are written from the same codestreams, so that
OpenSlide's reading of them is what the page must show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pydicom
import tifffile
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
)

from tests.receiver import jpegs
from tests.receiver.filled import WSI, patient, uid

TILE = 240
ACROSS = DOWN = 2
SIZE = (ACROSS * TILE - 30, DOWN * TILE - 50)  # edge tiles are padded
STUDY = uid("coded/study")
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Coding:
    """How tiles are coded and described.

    Attributes
    ----------
    aperio : int
        Compression of a TIFF that holds the same bytes; 0 for none.
    """

    name: str
    syntax: str
    photometric: str
    encode: Callable[[Pixels], bytes]
    aperio: int = 0

    @property
    def series(self) -> str:
        """Series Instance UID."""
        return uid(f"coded/{self.name}")


def _ycc(tile: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(tile).convert("YCbCr"))


def _j2k(tile: Pixels, **options: Any) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(tile, codecformat="j2k", **options))


CODINGS = (
    Coding("33005", JPEG2000, "YBR_ICT", lambda t: _j2k(t, level=42, mct=True), 33005),
    Coding("33003", JPEG2000, "YBR_FULL", lambda t: _j2k(_ycc(t), level=42, mct=False), 33003),
    Coding("rct", JPEG2000Lossless, "YBR_RCT", lambda t: _j2k(t, reversible=True)),
    Coding("rgb", JPEG2000Lossless, "RGB", lambda t: _j2k(t, reversible=True, mct=False)),
    Coding(
        "htj2k", HTJ2KLossless, "YBR_RCT",
        lambda t: bytes(imagecodecs.htj2k_encode(t, reversible=True)),
    ),
    Coding(
        "htj2k-ict", HTJ2K, "YBR_ICT",
        lambda t: bytes(imagecodecs.htj2k_encode(t, level=0.002, reversible=False)),
    ),
    Coding("jls", JPEGLSLossless, "RGB", lambda t: bytes(imagecodecs.jpegls_encode(t))),
    # its colours are told by the data set alone; one whose JFIF marker says another thing
    Coding(
        "jpeg-rgb", JPEGBaseline8Bit, "RGB",
        lambda t: jpegs.made(t, rgb=True, ids=[0, 1, 2], markers=[]),
    ),
    Coding(
        "jpeg-jfif", JPEGBaseline8Bit, "RGB",
        lambda t: jpegs.made(t, rgb=False, ids=[1, 2, 3], markers=["jfif"]),
    ),
    Coding("native", ExplicitVRLittleEndian, "RGB", lambda t: t.tobytes()),
)  # fmt: skip


def write(coding: Coding, tissue: Pixels, folder: Path) -> tuple[Path, Path | None]:
    """Write tissue as a DICOM slide, and where it can be as an Aperio file too."""
    coded = [coding.encode(tile) for tile in _tiles(tissue)]
    ds = _header(coding)
    if coding.syntax == ExplicitVRLittleEndian:
        ds.PixelData = b"".join(coded)
    else:
        ds.PixelData = encapsulate(coded)
        ds["PixelData"].VR = "OB"
    path = folder / f"{coding.name}.dcm"
    ds.save_as(path, enforce_file_format=True)
    if not coding.aperio:
        return path, None
    svs = folder / f"{coding.name}.svs"
    tifffile.imwrite(
        svs,
        iter(coded),
        shape=(SIZE[1], SIZE[0], 3),
        dtype=np.uint8,
        photometric="ycbcr" if coding.aperio == 33003 else "rgb",
        tile=(TILE, TILE),
        compression=coding.aperio,
        description=f"Aperio Image Library v1\n{SIZE[0]}x{SIZE[1]} |MPP = 0.5|AppMag = 20",
        metadata=None,
    )
    return path, svs


def _tiles(tissue: Pixels) -> Iterator[Pixels]:
    padded = np.pad(
        tissue,
        ((0, DOWN * TILE - tissue.shape[0]), (0, ACROSS * TILE - tissue.shape[1]), (0, 0)),
        constant_values=200,
    )
    for y in range(0, DOWN * TILE, TILE):
        for x in range(0, ACROSS * TILE, TILE):
            yield np.ascontiguousarray(padded[y : y + TILE, x : x + TILE])


def _header(coding: Coding) -> pydicom.Dataset:
    ds = patient("coded")
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, coding.series
    ds.SOPClassUID, ds.SOPInstanceUID = WSI, uid(f"coded/{coding.name}/level")
    ds.Modality, ds.InstanceNumber = "SM", 1
    ds.SeriesNumber, ds.SeriesDescription = 1 + CODINGS.index(coding), coding.name
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 3, coding.photometric
    ds.PlanarConfiguration, ds.PixelRepresentation = 0, 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.Rows = ds.Columns = TILE
    ds.TotalPixelMatrixColumns, ds.TotalPixelMatrixRows = SIZE
    ds.NumberOfFrames = ACROSS * DOWN
    ds.DimensionOrganizationType = "TILED_FULL"
    ds.LossyImageCompression = "01" if coding.photometric in {"YBR_ICT", "YBR_FULL"} else "00"
    measures, shared = pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing = [0.0005, 0.0005]
    shared.PixelMeasuresSequence = Items([measures])
    ds.SharedFunctionalGroupsSequence = Items([shared])
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(coding.syntax)
    ds.file_meta.MediaStorageSOPClassUID = UID(WSI)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds
