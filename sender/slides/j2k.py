"""JPEG 2000 codestreams as they lie in a TIFF file: looked at, never decoded.

What the stream holds is what Photometric Interpretation must say (PS3.5 8.2.4):
a TIFF tag of these files is known to be wrong (OpenSlide's notes on Aperio
33003), so only the markers of the stream are believed.  (ISO/IEC 15444-1 annex A.)
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.errors import SlideUnreadable, SlideUnsupported

START = b"\xff\x4f\xff\x51"  # SOC, then SIZ: always together
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"

_SIZ, _COD, _SOT = 0xFF51, 0xFF52, 0xFF90
_HEAD = 1 << 12  # bytes in which the main header's SIZ and COD must lie


@dataclass(frozen=True, slots=True)
class Codestream:
    """What the main header of a stream says.

    Attributes
    ----------
    subsampled : bool
        A component has fewer samples than the first.
    transformed : bool
        A multiple component transform was applied (SGcod).
    reversible : bool
        The wavelet is the 5/3 that loses nothing.
    """

    columns: int
    rows: int
    subsampled: bool
    transformed: bool
    reversible: bool

    def photometric(self, *, rgb: bool) -> str:
        """Return what the stream holds (PS3.5 8.2.4, CP-2650 for the subsampled).

        Parameters
        ----------
        rgb : bool
            Of a stream without a transform: the file says red, green and blue.
        """
        if self.transformed:
            return "YBR_RCT" if self.reversible else "YBR_ICT"
        if rgb:
            return "RGB"
        return "YBR_FULL_422" if self.subsampled else "YBR_FULL"


def look(stream: bytes) -> Codestream:
    """Read the main header of a stream, or of its first 4096 bytes.

    Raises
    ------
    SlideUnreadable
        The markers are not sound, or boxes stand around the stream.
    SlideUnsupported
        Not three components of 8 bits.
    """
    if stream[:4] != START:
        raise SlideUnreadable(cause="a JPEG 2000 tile without its start")
    size: tuple[int, int, bool] | None = None
    coding: tuple[bool, bool] | None = None
    at = 2
    while at + 4 <= min(len(stream), _HEAD):
        marker, length = struct.unpack_from(">HH", stream, at)
        if marker == _SOT:
            break
        body = stream[at + 4 : at + 2 + length]
        if not 0xFF4F <= marker <= 0xFF6F or length < 2 or len(body) != length - 2:
            raise SlideUnreadable(cause="a JPEG 2000 tile with broken markers")
        if marker == _SIZ:
            size = _size(body)
        elif marker == _COD:
            coding = _coding(body)
        at += 2 + length
    if size is None or coding is None:
        raise SlideUnreadable(cause="a JPEG 2000 tile without a picture")
    columns, rows, subsampled = size
    return Codestream(columns, rows, subsampled, *coding)


def _size(body: bytes) -> tuple[int, int, bool]:
    if len(body) < 36:
        raise SlideUnreadable(cause="a JPEG 2000 tile with a broken size")
    right, bottom, left, top = struct.unpack_from(">4L", body, 2)
    (count,) = struct.unpack_from(">H", body, 34)
    if not (left < right and top < bottom) or len(body) != 36 + 3 * count:
        raise SlideUnreadable(cause="a JPEG 2000 tile with a broken size")
    components = [tuple(body[36 + 3 * i : 39 + 3 * i]) for i in range(count)]
    if count != 3 or any(depth != 7 for depth, _, _ in components):
        raise SlideUnsupported(cause=f"JPEG 2000 tiles of {count} components, not 3 of 8 bits")
    if components[0][1:] != (1, 1) or any(0 in component[1:] for component in components):
        raise SlideUnsupported(cause="JPEG 2000 tiles with odd sampling")
    return right - left, bottom - top, any(c[1:] != (1, 1) for c in components)


def _coding(body: bytes) -> tuple[bool, bool]:
    if len(body) < 10 or body[4] > 1 or body[9] > 1:
        raise SlideUnreadable(cause="a JPEG 2000 tile with broken coding parameters")
    return body[4] == 1, body[9] == 1


@functools.lru_cache(maxsize=8)
def blank(columns: int, rows: int, code: Codestream, photometric: str) -> bytes:
    """Return a whole white stream of the kind of `code`."""
    white = np.full((rows, columns, 3), 255, np.uint8)
    if photometric.startswith("YBR_FULL"):
        white[..., 1:] = 128
    return encode(white, transformed=code.transformed, reversible=code.reversible)


def encode(pixels: npt.NDArray[np.uint8], *, transformed: bool, reversible: bool) -> bytes:
    """Return pixels, rows x columns x 3, as a stream without boxes."""
    import imagecodecs

    stream = imagecodecs.jpeg2k_encode(
        pixels,
        level=0,
        codecformat="j2k",
        reversible=reversible,
        mct=transformed,
        numthreads=1,
    )
    return bytes(stream)
