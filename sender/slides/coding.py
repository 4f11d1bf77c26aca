"""How pixels are coded again that cannot go as they are stored: without loss, or as decided.

Without loss is what every site has that decides nothing.  With loss a level becomes JPEG
baseline, and its header says so: codec, quality, about how much smaller, and who decided
(PS3.3 C.7.6.1.1.5).  Labels, macros and thumbnails never lose anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from common.errors import InputError
from sender.slides import encoded
from sender.slides.case import SlideCase
from sender.slides.segments import Pixels
from sender.slides.slide import Loss

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
SAMPLED = 16  # tiles of a level that are coded ahead, to say about how much smaller it becomes


@dataclass(frozen=True, slots=True)
class Coding:
    """One way of coding a level again.

    Attributes
    ----------
    photometric : str
        Photometric Interpretation of what comes out (PS3.5 8.2.1, 8.2.4).
    encode : callable
        Pixels, rows x columns x 3, to a stream.
    quality : int
        Of JPEG; 0 where nothing is lost.
    by : str
        Who decided that something may be lost.
    """

    transfer_syntax_uid: str
    photometric: str
    encode: Callable[[Pixels], bytes]
    quality: int = 0
    by: str = ""

    def loss(self, sample: Callable[[], Iterable[Pixels]]) -> Loss | None:
        """Return what this coding does to a level; None where it loses nothing.

        Parameters
        ----------
        sample : callable
            Gives some tiles of the level.  The header goes before the tiles are coded, so
            its ratio is an estimate from these, as PS3.3 C.7.6.1.1.5.2 allows.
        """
        if not self.quality:
            return None
        raw = coded = 0
        for pixels in sample():
            raw += pixels.size
            coded += len(self.encode(pixels))
        ratio = raw / coded
        words = (
            f"Decoded and encoded again with loss: JPEG baseline, quality {self.quality},"
            f" 4:2:2, about {ratio:.1f}:1; decided by {self.by}"
        )
        return Loss("ISO_10918_1", ratio, words)


def _without_loss(pixels: Pixels) -> bytes:
    return encoded.encode(pixels)


LOSSLESS = Coding(encoded.TRANSFER_SYNTAX, encoded.PHOTOMETRIC, _without_loss)


def of_case(case: SlideCase) -> Coding:
    """Return how a case's levels are coded again.

    Raises
    ------
    InputError
        A lossy coding of which codec, quality or the person who decided is missing.
    """
    decided = case.lossy_codec, case.lossy_quality, case.lossy_by
    if not any(decided):
        return LOSSLESS
    if case.lossy_codec != "jpeg" or not 1 <= case.lossy_quality <= 100 or not case.lossy_by:
        raise InputError(cause="slide case: lossy_codec, lossy_quality, lossy_by")
    # one word of the standard for it, so chrominance is as that word says: 4:2:2 (C.8.12.4.1.5)
    encode = partial(_jpeg, case.lossy_quality)
    return Coding(JPEG_BASELINE, "YBR_FULL_422", encode, case.lossy_quality, case.lossy_by)


def spread(count: int, most: int = SAMPLED) -> list[int]:
    """Return at most `most` whole numbers below `count`, evenly apart."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, most))})


def _jpeg(quality: int, pixels: Pixels) -> bytes:
    import imagecodecs

    stream = imagecodecs.jpeg8_encode(
        np.ascontiguousarray(pixels),
        level=quality,
        colorspace="RGB",
        outcolorspace="YCBCR",
        subsampling="422",
    )
    return bytes(stream)
