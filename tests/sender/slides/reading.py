"""How the tests of TIFF slides read files and instances."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from pydicom import dcmread
from pydicom.encaps import generate_frames

from samples.formats import UM
from sender.slides import VirtualInstance
from tests.sender.slides.conftest import stored
from tests.sender.slides.vendor_files import CASE

ATTESTED = replace(CASE, spacing_um=UM)


def frames_of(instance: VirtualInstance) -> Iterator[bytes]:
    """Frames as a receiver keeps them, without padding."""
    read = dcmread(io.BytesIO(stored(instance)))
    assert read.NumberOfFrames == instance.frames
    found = generate_frames(read.PixelData, number_of_frames=instance.frames)
    for frame, length in zip(found, instance.lengths, strict=True):
        assert frame[length:] in (b"", b"\0")
        yield frame[:length]


def pages_of(tiff: tifffile.TiffFile, width: int, height: int) -> list[Any]:
    """Tiled directories of one size, SubIFDs too: more than one only for focal planes."""
    pages: list[Any] = [page.aspage() for page in tiff.pages]
    pages += [page for above in list(pages) for page in above.pages or ()]
    size = (width, height)
    return [p for p in pages if p.is_tiled and (p.imagewidth, p.imagelength) == size]


def joined(instance: VirtualInstance) -> np.ndarray[Any, Any]:
    """The picture of a level from its frames."""
    across = -(-instance.columns // instance.tile_columns)
    down = -(-instance.rows // instance.tile_rows)
    rows, columns = instance.tile_rows, instance.tile_columns
    whole = np.empty((down * rows, across * columns, 3), np.uint8)
    for i, frame in enumerate(frames_of(instance)):
        y, x = divmod(i, across)
        part = imagecodecs.jpeg2k_decode(frame)
        whole[y * rows : (y + 1) * rows, x * columns : (x + 1) * columns] = part
    return whole[: instance.rows, : instance.columns]
