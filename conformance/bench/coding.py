"""`todoke bench coding DIR`: what lossless coding reaches on a hospital's own CT and MR series.

The rows "compression" of `todoke bench dicom` are as good as the series they send;
this says where that series stands beside others.  Whole cells of 16 bits are coded,
one frame at a time, on one core, by the libraries that the sender uses.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from conformance.bench import series

NATIVE = {ExplicitVRLittleEndian, ImplicitVRLittleEndian}
OWN = "todoke bench dicom"  # the series that the other bench sends
SLICES = 40  # of a series at most, evenly spread
LEAST = 256  # rows and columns: smaller ones say little

Image = NDArray[np.uint16]


@dataclass(slots=True)
class _Coded:
    bytes: int = 0
    seconds: float = 0.0


def measure(folder: Path) -> list[dict[str, Any]]:
    """Return a row a series found below a folder, and one for the bench's own.

    A row holds no patient data: maker, modality, kernel, slices, and for each coding
    ``ratio`` (native bytes by coded bytes) and ``rate`` (native bytes a second).
    """
    with warnings.catch_warnings(action="ignore"):  # whatever pydicom finds odd in the headers
        return _measure(folder)


def _measure(folder: Path) -> list[dict[str, Any]]:
    found = defaultdict(list)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with contextlib.suppress(InvalidDicomError, OSError, ValueError, KeyError, AttributeError):
            head = dcmread(path, stop_before_pixels=True)
            if _fits(head):
                found[str(head.SeriesInstanceUID)].append(path)
    rows = [row for files in found.values() if (row := _row(files)) is not None]
    with tempfile.TemporaryDirectory(prefix="todoke-bench-") as made:
        own = series.make(Path(made), SLICES, "coding")
        rows += [row | {"maker": OWN} for row in [_row(list(own.files))] if row]
    return sorted(rows, key=lambda row: float(row["jpegls"]["ratio"]))


def _fits(head: Dataset) -> bool:
    return bool(
        head.file_meta.TransferSyntaxUID in NATIVE
        and head.Modality in {"CT", "MR"}
        and head.BitsAllocated == 16
        and head.SamplesPerPixel == 1
        and int(head.get("NumberOfFrames") or 1) == 1
        and min(head.Rows, head.Columns) >= LEAST
    )


def _row(files: list[Path]) -> dict[str, Any] | None:
    """Code the slices of one series; None where none can be read."""
    native, codings = 0, {"htj2k": _Coded(), "jpegls": _Coded()}
    head, count = Dataset(), 0
    for dataset, image in _images(files[:: -(-len(files) // SLICES)]):
        head, count = dataset, count + 1
        native += image.nbytes
        for name, coded in codings.items():
            began = time.perf_counter()
            coded.bytes += len(_encode(name, image))
            coded.seconds += time.perf_counter() - began
    if not count:
        return None
    row: dict[str, Any] = {
        "maker": str(head.get("Manufacturer", "")),
        "modality": str(head.Modality),
        "kernel": str(head.get("ConvolutionKernel", "")),
        "slices": count,
    }
    for name, coded in codings.items():
        rate = round(native / coded.seconds)
        row[name] = {"ratio": round(native / coded.bytes, 2), "rate": rate}
    return row


def _images(files: list[Path]) -> Iterator[tuple[Dataset, Image]]:
    for path in files:
        with contextlib.suppress(InvalidDicomError, OSError, ValueError, AttributeError):
            dataset = dcmread(path)
            cells = np.frombuffer(dataset.PixelData, "<u2", dataset.Rows * dataset.Columns)
            # a signed cell moved by half the range has neighbours near it, as coders want
            cells = cells + np.uint16(0x8000 * dataset.PixelRepresentation)
            yield dataset, cells.reshape(dataset.Rows, dataset.Columns)


def _encode(name: str, image: Image) -> bytes:
    if name == "htj2k":
        return bytes(imagecodecs.htj2k_encode(image, reversible=True))
    return bytes(imagecodecs.jpegls_encode(image))


def page(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table in Markdown."""
    heads = "maker", "modality", "kernel", "slices", "JPEG-LS", "MB/s", "HTJ2K", "MB/s"
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        codings = [
            words
            for name in ("jpegls", "htj2k")
            for words in (f"{row[name]['ratio']:.2f}", f"{row[name]['rate'] / 1e6:.0f}")
        ]
        what = [str(row[name]) for name in ("maker", "modality", "kernel", "slices")]
        lines.append(f"| {' | '.join(what + codings)} |")
    return "\n".join(lines)
