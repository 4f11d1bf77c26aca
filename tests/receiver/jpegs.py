"""JPEGs that say one thing or another of their colours."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

MARKERS = {
    "jfif": b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0",
    "adobe0": b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0",
    "adobe1": b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\1",
    "adobe-short": b"\xff\xee\0\x0cAdobe\0\0\0\0\0",
    # a quarter turn: one entry (0112, SHORT, 1, 6) of little-endian TIFF
    "exif": b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0",
}
#: Sampling factors of the first component, and what Pillow calls them.
SAMPLING = {0x11: 0, 0x21: 1, 0x22: 2}


_ASKED = {"rgb", "ids", "markers", "factors"}


def asked(case: dict[str, Any]) -> dict[str, Any]:
    """Return what :func:`made` is to make for a case of the table."""
    return {name: value for name, value in case.items() if name in _ASKED}


def made(
    picture: npt.NDArray[np.uint8],
    *,
    rgb: bool,
    ids: Sequence[int],
    markers: Sequence[str],
    factors: Sequence[int] = (0x11, 0x11, 0x11),
) -> bytes:
    """Return a picture (rows x columns x RGB) as JPEG, its samples RGB or YCbCr.

    Parameters
    ----------
    rgb : bool
        The samples are red, green and blue; else YCbCr.
    ids : Sequence[int]
        Identifiers of the components.
    markers : Sequence[str]
        What stands before the frame, of :data:`MARKERS`.
    factors : Sequence[int]
        Sampling factors, as ISO/IEC 10918-1 B.2.2 packs them.
    """
    held = io.BytesIO()
    image = Image.fromarray(picture)
    image.save(held, "JPEG", quality=95, keep_rgb=rgb, subsampling=SAMPLING[factors[0]])
    stream = held.getvalue()
    parts = [stream[:2], *(MARKERS[name] for name in markers)]
    at = 2
    while stream[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
        segment = bytearray(stream[at:end])
        if segment[1] == 0xC0:
            assert list(segment[11::3]) == list(factors)
            segment[10::3] = bytes(ids)
        if segment[1] not in (0xE0, 0xEE):
            parts.append(bytes(segment))
        at = end
    end = at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    scan = bytearray(stream[at:end])
    scan[5:11:2] = bytes(ids)
    return b"".join([*parts, bytes(scan), stream[end:]])
