"""A sparse slide in Philips' form: TIFF with JPEG tiles, and a description in XML.

As in real files every level is padded to whole tiles, tiles that were not scanned
have no length, and label and macro stand in the description as base64.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from common.dicom.testmark import TEST_DESCRIPTION

Picture = npt.NDArray[np.uint8]
TILE = 512


def jpeg_stream(pixels: Picture, quality: int = 80) -> bytes:
    """Return a picture, rows x columns x 3 (RGB), as a JPEG stream."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, subsampling="4:2:0")
    return out.getvalue()


def write_philips(
    path: Path,
    levels: Sequence[Picture],
    *,
    holes: Sequence[frozenset[int]] = (),
    spacing_um: float = 0.5,
    label: Picture | None = None,
    macro: Picture | None = None,
    description: str | None = None,
) -> Path:
    """Write a Philips TIFF.

    Parameters
    ----------
    levels
        rows x columns x 3, RGB, each half of the one before, largest first; the first
        a whole number of tiles.
    holes
        For each level the tiles that were not scanned.
    description
        Instead of the one that fits.
    """
    words = _described(len(levels), spacing_um, label, macro)
    with tifffile.TiffWriter(path, bigtiff=False, byteorder="<") as tiff:
        for number, pixels in enumerate(levels):
            padded = tuple(-(-side // TILE) * TILE for side in pixels.shape[:2])
            missing = holes[number] if number < len(holes) else frozenset()
            tiff.write(
                _tiles(pixels, padded, missing),
                shape=(*padded, 3),
                dtype=np.uint8,
                tile=(TILE, TILE),
                compression="jpeg",
                photometric="ycbcr",
                subsampling=(2, 2),
                description=(description or words) if number == 0 else None,
                metadata=None,
                software="Philips DP v1.0 TODOKE" if number == 0 else False,
                subfiletype=1 if number else 0,
            )
    return path


def _tiles(pixels: Picture, padded: tuple[int, ...], missing: frozenset[int]) -> Iterator[bytes]:
    whole = np.full((*padded, 3), 255, np.uint8)
    whole[: pixels.shape[0], : pixels.shape[1]] = pixels
    across = padded[1] // TILE
    for number in range(padded[0] // TILE * across):
        row, column = divmod(number, across)
        top, left = row * TILE, column * TILE
        tile = whole[top : top + TILE, left : left + TILE]
        yield b"" if number in missing else jpeg_stream(np.ascontiguousarray(tile))


def _attribute(name: str, value: str, group: str = "0x301D", kind: str = "IString") -> str:
    return (
        f'<Attribute Name="{name}" Group="{group}" Element="0x1001" PMSVR="{kind}">'
        f"{value}</Attribute>"
    )


def _array(name: str, inside: str) -> str:
    return _attribute(name, f"<Array>{inside}</Array>", kind="IDataObjectArray")


def _described(levels: int, spacing_um: float, label: Picture | None, macro: Picture | None) -> str:
    steps = "".join(
        '<DataObject ObjectType="PixelDataRepresentation">'
        + _attribute(
            "DICOM_PIXEL_SPACING",
            "&quot;{0}&quot; &quot;{0}&quot;".format(f"{spacing_um / 1000 * 2**level:.9g}"),
        )
        + _attribute("PIIM_PIXEL_DATA_REPRESENTATION_NUMBER", str(level))
        + "</DataObject>"
        for level in range(levels)
    )
    scan = (
        '<DataObject ObjectType="DPScannedImage">'
        + _attribute("PIM_DP_IMAGE_TYPE", "WSI")
        + _attribute("DICOM_DERIVATION_DESCRIPTION", f"tiff-levels=20,10,5{TEST_DESCRIPTION}")
        + _attribute(
            "DICOM_PIXEL_SPACING", "&quot;{0}&quot; &quot;{0}&quot;".format(spacing_um / 1000)
        )
        + _array("PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE", steps)
        + "</DataObject>"
    )
    for kind, picture in (("MACROIMAGE", macro), ("LABELIMAGE", label)):
        if picture is not None:
            data = base64.b64encode(jpeg_stream(picture)).decode("ascii")
            scan += (
                '<DataObject ObjectType="DPScannedImage">'
                + _attribute("PIM_DP_IMAGE_TYPE", kind)
                + _attribute("PIM_DP_IMAGE_DATA", data)
                + "</DataObject>"
            )
    return (
        '<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport">'
        + _attribute("DICOM_ACQUISITION_DATETIME", "20260401091500.000000")
        + _attribute("DICOM_MANUFACTURER", "PHILIPS")
        + _attribute("DICOM_DEVICE_SERIAL_NUMBER", "TODOKETEST")
        + _array("PIM_DP_SCANNED_IMAGES", scan)
        + "</DataObject>"
    )


def sample_philips(path: Path, levels: list[Picture], um: float) -> None:
    """Write a sparse slide of the largest of `levels`; the tiles beyond it were not scanned."""
    height, width = levels[0].shape[:2]
    rows, columns = -(-height // TILE) + 1, -(-width // TILE)
    whole = np.full((rows * TILE, columns * TILE, 3), 255, np.uint8)
    whole[:height, :width] = levels[0]
    field = Image.fromarray(whole)
    pyramid = [whole, *(np.asarray(field.reduce(factor)) for factor in (2, 4))]
    below = frozenset(range((rows - 1) * columns, rows * columns))
    small = levels[-1]
    write_philips(path, pyramid, holes=[below], spacing_um=um, label=small, macro=small)
