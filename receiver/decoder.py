"""A process of its own that decodes pictures, so that a hostile one harms nothing else.

Started as ``python -m receiver.decoder`` by :mod:`receiver.decoding`.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import workers
from common.dicom import dataset
from receiver import jpeg_colours

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pydicom

    Pixels = npt.NDArray[Any]

MOST_SAMPLES = 1 << 28  # of one frame, before it is decoded
MOST_EDGE = 4096  # pixels of a rendered picture's longer side


def _answer(request: dict[str, Any]) -> bytes:
    if request["do"] == "frames":
        return _raw_frames(request["path"], request["frames"])
    if request["do"] == "colours":
        from receiver import colours

        return colours.cube(Path(request["path"]))
    if request["do"] == "overlay":
        from receiver import overlays

        return overlays.bits(Path(request["path"]), request["tag"])
    return _picture(request)


def _raw_frames(path: str, numbers: list[int]) -> bytes:
    """Return frames that are no runs of bytes, each behind its length (uint64 LE)."""
    import pydicom
    from pydicom.encaps import get_frame

    dataset.open_header(Path(path))  # a parser sees nothing that the budget has not passed
    ds = pydicom.dcmread(path)
    count = int(ds.get("NumberOfFrames") or 1)
    value = ds.PixelData
    found = []
    for number in numbers:
        if ds.file_meta.TransferSyntaxUID.is_encapsulated:
            frame = get_frame(value, number, number_of_frames=count)
        else:
            frame = _native_frame(ds, value, number, count)
        found.append(struct.pack("<Q", len(frame)) + frame)
    return b"".join(found)


def _native_frame(ds: pydicom.Dataset, value: bytes, number: int, count: int) -> bytes:
    bits = int(ds.Rows) * int(ds.Columns) * int(ds.get("SamplesPerPixel") or 1)
    bits *= int(ds.BitsAllocated)
    if bits % 8 == 0:
        size = bits // 8
        frame = value[number * size : (number + 1) * size]
        if not size or len(frame) != size:
            raise EOFError  # less than a frame is none
        return frame
    # 1-bit frames follow one another without a gap (PS3.5 8.1.1)
    import numpy as np

    packed = np.frombuffer(value, np.uint8)
    if not bits or (number + 1) * bits > 8 * len(packed):
        raise EOFError
    all_bits = np.unpackbits(packed, bitorder="little")[: bits * count]
    return np.packbits(all_bits[number * bits : (number + 1) * bits], bitorder="little").tobytes()


def _picture(request: dict[str, Any]) -> bytes:
    """Return a JPEG of one frame, as a display would show it."""
    from PIL import Image

    path, frame = request["path"], int(request["frame"])
    ds, _ = dataset.open_header(Path(path))
    if int(ds.Rows) * int(ds.Columns) * int(ds.get("SamplesPerPixel") or 1) > MOST_SAMPLES:
        raise MemoryError
    pixels = _pixels(ds, path, frame)
    shown = _colours(ds, pixels) if _is_colour(ds) else _greys(ds, pixels, request.get("window"))
    image = Image.fromarray(shown)
    edge = min(int(request.get("edge") or MOST_EDGE), MOST_EDGE)
    image.thumbnail((edge, edge))
    kept = io.BytesIO()
    image.save(kept, "JPEG", quality=88)
    return kept.getvalue()


def _pixels(ds: pydicom.Dataset, path: str, frame: int) -> Pixels:
    """Return a frame, rows x columns (x RGB): of JPEG by the colours that are meant."""
    import numpy as np
    from PIL import Image
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import JPEGBaseline8Bit

    if ds.file_meta.TransferSyntaxUID != JPEGBaseline8Bit or ds.get("SamplesPerPixel") != 3:
        return pixel_array(path, index=frame)
    coded = _raw_frames(path, [frame])[8:]
    told, _ = jpeg_colours.settled(coded, str(ds.get("PhotometricInterpretation") or ""))
    return np.asarray(Image.open(io.BytesIO(told), formats=["JPEG"]).convert("RGB"))


def _is_colour(ds: pydicom.Dataset) -> bool:
    return int(ds.get("SamplesPerPixel") or 1) > 1 or "PALETTE" in str(
        ds.get("PhotometricInterpretation")
    )


def _colours(ds: pydicom.Dataset, pixels: Pixels) -> npt.NDArray[np.uint8]:
    import numpy as np
    from pydicom.pixels.processing import apply_color_lut

    bits = int(ds.get("BitsStored") or 8)
    if "PALETTE" in str(ds.PhotometricInterpretation):
        pixels = apply_color_lut(pixels, ds)
        bits = 8 * pixels.dtype.itemsize
    pixels = pixels >> max(0, bits - 8)
    return np.ascontiguousarray(pixels.astype(np.uint8))


def _greys(
    ds: pydicom.Dataset, pixels: Pixels, window: list[float] | None
) -> npt.NDArray[np.uint8]:
    import numpy as np
    from pydicom.pixels.processing import apply_modality_lut

    values = apply_modality_lut(pixels, ds).astype(np.float64)
    centre, width = window or _own_window(ds) or _range(values)
    # linear function of PS3.3 C.11.2.1.2.1
    width = max(width, 1.0)
    low = centre - 0.5 - (width - 1) / 2
    scaled = np.clip((values - low) / max(width - 1, 1e-6), 0, 1) * 255
    if ds.get("PhotometricInterpretation") == "MONOCHROME1":
        scaled = 255 - scaled
    return np.ascontiguousarray(np.nan_to_num(scaled).astype(np.uint8))


def _own_window(ds: pydicom.Dataset) -> tuple[float, float] | None:
    try:
        centre, width = ds.get("WindowCenter"), ds.get("WindowWidth")
        centre = centre if not hasattr(centre, "__iter__") else next(iter(centre))
        width = width if not hasattr(width, "__iter__") else next(iter(width))
        return (float(centre), float(width)) if float(width) >= 1 else None
    except (TypeError, ValueError, StopIteration):
        return None


def _range(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    import numpy as np

    low, high = (float(value) for value in np.percentile(values, (1, 99)))
    return (low + high) / 2, max(high - low, 1.0)


if __name__ == "__main__":
    workers.serve(_answer)
