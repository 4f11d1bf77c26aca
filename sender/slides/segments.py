"""One strip or tile of a TIFF decoded to pixels, within bounds set before a byte is decoded.

Used only where no tile of the file can travel as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from common.errors import SlideUnreadable, SlideUnsupported, TodokeError
from sender.slides import jpeg

if TYPE_CHECKING:
    from sender.slides.tiff import Page

Pixels = npt.NDArray[np.uint8]

RAW, LZW, JPEG = 1, 5, 7
DEFLATE = frozenset({8, 32946})
ZSTD = frozenset({50000, 34926})
PLAIN = DEFLATE | ZSTD | {RAW, LZW}  # of these the decoded length is known ahead
LARGEST = 1 << 26  # pixels decoded at once: 8192 x 8192

_NONE, _HORIZONTAL = 1, 2  # predictors


def decode(segment: bytes, page: Page, rows: int, what: str) -> Pixels:
    """Return the pixels of a strip or tile.

    Parameters
    ----------
    segment : bytes
        As it lies in the file.
    rows : int
        Its height in pixels; its width is the page's tile width.
    what : str
        Names it in an error, "strip 3".

    Returns
    -------
    pixels : ndarray
        uint8, rows x columns x 3 (RGB).

    Raises
    ------
    SlideUnreadable, SlideUnsupported
    """
    try:
        return _decoded(segment, page, (rows, page.tile_width, 3))
    except TodokeError:
        raise
    except Exception as failure:  # each codec of imagecodecs has an error of its own
        raise SlideUnreadable(cause=f"{what}: {type(failure).__name__}") from failure


def _decoded(segment: bytes, page: Page, shape: tuple[int, int, int]) -> Pixels:
    import imagecodecs

    if page.compression == JPEG:
        return _jpeg(segment, page, shape)
    size = shape[0] * shape[1] * shape[2]
    if page.compression == RAW:
        raw: bytes | bytearray = segment
    elif page.compression == LZW:
        raw = imagecodecs.lzw_decode(segment, out=size)
    elif page.compression in DEFLATE:
        raw = imagecodecs.zlib_decode(segment, out=size)
    elif page.compression in ZSTD:
        raw = imagecodecs.zstd_decode(segment, out=size)
    else:
        raise SlideUnsupported(cause=f"compression {page.compression}")
    if len(raw) != size or page.photometric != 2:
        raise SlideUnreadable(cause="a strip or tile of another size")
    pixels = np.frombuffer(raw, np.uint8).reshape(shape)
    if page.predictor == _HORIZONTAL:
        return np.asarray(imagecodecs.delta_decode(pixels, axis=1))
    if page.predictor != _NONE:
        raise SlideUnsupported(cause=f"predictor {page.predictor}")
    return pixels


def _jpeg(segment: bytes, page: Page, shape: tuple[int, int, int]) -> Pixels:
    import imagecodecs

    whole = jpeg.prefix(page.jpeg_tables, b"") + segment[2 if page.jpeg_tables else 0 :]
    code = jpeg.look(whole)
    if (code.rows, code.columns) != shape[:2]:
        raise SlideUnreadable(cause="a JPEG strip of another size")
    space = "RGB" if page.photometric == 2 else "YCBCR"
    pixels = imagecodecs.jpeg8_decode(
        segment, tables=page.jpeg_tables or None, colorspace=space, outcolorspace="RGB"
    )
    return np.asarray(pixels)
