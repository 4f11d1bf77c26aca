"""A process of its own that reduces tiles: frames may be hostile, and their number is large.

Started as ``python -m receiver.deriver`` by :mod:`receiver.deriving`.
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import durable, workers
from receiver import jpeg_colours

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

MOST_SAMPLES = 1 << 28  # of the tiles that become one
QUALITY = 90
GROUND = 255  # beyond the slide's edge: the pages cut it off
NICENESS = 19

_J2K = {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"}
_HTJ2K = {f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203)}
_JLS = {"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"}
_JPEG = {"1.2.840.10008.1.2.4.50"}
#: Codings whose tiles can be reduced.
CAN = _J2K | _HTJ2K | _JLS | _JPEG


def answer(request: dict[str, Any]) -> bytes:
    """Make tiles.

    Parameters
    ----------
    request : dict
        ``path`` of the source; ``syntax`` and ``photometric`` of its frames; ``tile``
        width and height; ``step``; ``tiles``, for each its ``size`` in pixels of the
        source and the ``parts`` of it: column, row (in tiles), offset, length.

    Returns
    -------
    bytes
        Each tile behind its length (uint64 LE).
    """
    fd = durable.open_file(Path(request["path"]))
    try:
        made = [_tile(fd, request, one) for one in request["tiles"]]
    finally:
        os.close(fd)
    return b"".join(struct.pack("<Q", len(tile)) + tile for tile in made)


def _tile(fd: int, request: dict[str, Any], one: dict[str, Any]) -> bytes:
    import numpy as np
    from PIL import Image

    (width, height), (columns, rows), step = one["size"], request["tile"], request["step"]
    if width * height * 3 > MOST_SAMPLES:
        raise MemoryError
    whole = np.zeros((height, width, 3), np.uint8)
    for column, row, offset, size in one["parts"]:
        pixels = _decoded(durable.read_at(fd, size, offset), request)
        if pixels.shape != (rows, columns, 3):
            raise ValueError(pixels.shape)
        place = whole[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns]
        place[:] = pixels[: place.shape[0], : place.shape[1]]
    small = Image.fromarray(whole).reduce(step)
    padded = Image.new("RGB", (columns, rows), (GROUND,) * 3)
    padded.paste(small)
    kept = io.BytesIO()
    padded.save(kept, "JPEG", quality=QUALITY)
    return kept.getvalue()


def _decoded(frame: bytes, request: dict[str, Any]) -> Pixels:
    """Return rows x columns x 3, as the pages show it: no colour is managed."""
    import imagecodecs
    import numpy as np
    from PIL import Image

    syntax = request["syntax"]
    if syntax in _JPEG:
        told, _ = jpeg_colours.settled(frame, request["photometric"])
        return np.asarray(Image.open(io.BytesIO(told), formats=["JPEG"]).convert("RGB"))
    if syntax in _J2K:
        pixels = imagecodecs.jpeg2k_decode(frame)
    elif syntax in _HTJ2K:
        pixels = imagecodecs.htj2k_decode(frame)
    elif syntax in _JLS:
        pixels = imagecodecs.jpegls_decode(frame)
    else:
        raise ValueError(syntax)
    if pixels.dtype != np.uint8:
        raise ValueError(pixels.dtype)
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    if request["photometric"] in {"YBR_FULL", "YBR_FULL_422"}:
        return np.asarray(Image.fromarray(pixels, "YCbCr").convert("RGB"))
    return np.asarray(pixels)


if __name__ == "__main__":
    workers.serve(answer, niceness=NICENESS)
