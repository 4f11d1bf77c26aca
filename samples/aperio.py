"""A pyramidal JPEG TIFF in Aperio's form, as its scanners write it.

As in real files the tables stand once per page in JPEGTables, tiles carry neither
JFIF nor Adobe marker, and the components of JPEG/RGB are numbered 0, 1, 2: nothing
in a tile but the TIFF's photometric tag says which colours it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import imagecodecs
import numpy as np
import numpy.typing as npt
import simplejpeg
import tifffile

from common.errors import InputError

Picture = npt.NDArray[np.uint8]
Colour = Literal["rgb", "ycbcr"]

LIBRARY = "Aperio Image Library v12.0.15\r\n"
STRIP_ROWS = 16
_TABLES = (0xDB, 0xC4)  # DQT, DHT: ITU-T T.81 B.2.4
_APPLICATION = range(0xE0, 0xF0)
_SOF0, _SOS, _EOI = 0xC0, 0xDA, b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class Coding:
    """How the pictures of one file are coded.

    Attributes
    ----------
    colour
        'rgb': RGB, 4:4:4. 'ycbcr': YCbCr, 4:2:0.
    quality
        1 to 100.
    """

    colour: Colour
    quality: int

    @property
    def words(self) -> str:
        """How Aperio names it in a description."""
        return f"JPEG/{'RGB' if self.colour == 'rgb' else 'YCC'} Q={self.quality}"

    def encode(self, pixels: Picture) -> tuple[bytes, bytes]:
        """Return tables and abbreviated stream of a picture, rows x columns x 3 (RGB)."""
        pixels = np.ascontiguousarray(pixels)
        if self.colour == "rgb":
            stream = imagecodecs.jpeg8_encode(
                pixels, level=self.quality, colorspace="RGB", outcolorspace="RGB", subsampling="444"
            )
        else:
            stream = simplejpeg.encode_jpeg(pixels, self.quality, "RGB", "420")
        return _split(bytes(stream), renumber=self.colour == "rgb")


class AperioFile:
    """An SVS file that is being written, page after page.

    Parameters
    ----------
    path
        Where to write.
    coding
        How its pictures are coded.
    icc
        ICC profile of every level.
    large
        Write a BigTIFF: the file may pass 4 GiB.
    """

    def __init__(self, path: Path, coding: Coding, *, icc: bytes, large: bool) -> None:
        self._writer = tifffile.TiffWriter(path, bigtiff=large, byteorder="<")
        self._coding, self._icc = coding, icc

    def __enter__(self) -> AperioFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def level(
        self, size: tuple[int, int], tile: int, tiles: Iterable[Picture], description: str
    ) -> None:
        """Write one level; ``size`` is (width, height), ``tiles`` come row by row."""
        self._page(size, tiles, description, tile=(tile, tile), extra={"iccprofile": self._icc})

    def picture(self, pixels: Picture, description: str, *, subfiletype: int = 0) -> None:
        """Write thumbnail or macro as JPEG in strips."""
        height, width = pixels.shape[:2]
        strips = (pixels[top : top + STRIP_ROWS] for top in range(0, height, STRIP_ROWS))
        self._page(
            (width, height),
            strips,
            description,
            extra={"rowsperstrip": STRIP_ROWS, "subfiletype": subfiletype},
        )

    def label(self, pixels: Picture, description: str) -> None:
        """Write the label as LZW, as Aperio does."""
        self._writer.write(
            pixels,
            compression="lzw",
            predictor=True,
            photometric="rgb",
            rowsperstrip=7,
            description=LIBRARY + description,
            metadata=None,
            software=False,
            subfiletype=1,
        )

    def _page(
        self,
        size: tuple[int, int],
        pictures: Iterable[Picture],
        description: str,
        *,
        tile: tuple[int, int] | None = None,
        extra: dict[str, Any],
    ) -> None:
        segments = _Segments(self._coding, pictures)
        self._writer.write(
            iter(segments),
            shape=(size[1], size[0], 3),
            dtype=np.uint8,
            tile=tile,
            compression="jpeg",
            # real files of both kinds say (2, 2) here, and JPEG/RGB has no subsampling
            subsampling=(2, 2),
            compressionargs={"outcolorspace": self._coding.colour.upper()},
            jpegtables=segments.tables,
            description=LIBRARY + description,
            metadata=None,
            software=False,
            **extra,
        )


class _Segments:
    """Abbreviated streams of pictures that share one set of tables."""

    def __init__(self, coding: Coding, pictures: Iterable[Picture]) -> None:
        self._coding, self._pictures = coding, iter(pictures)
        self.tables, self._first = coding.encode(next(self._pictures))

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        for picture in self._pictures:
            tables, stream = self._coding.encode(picture)
            if tables != self.tables:
                raise InputError(cause="the encoder changed its tables")
            yield stream


def cut(strips: Callable[[int], Picture], rows: int, columns: int, tile: int) -> Iterator[Picture]:
    """Yield the tiles of a level, row by row, from strips one tile high.

    Parameters
    ----------
    strips
        Returns the strip of the given number, ``tile`` rows high.
    rows, columns
        Number of tiles down and across.
    """
    for row in range(rows):
        strip = strips(row)
        for column in range(columns):
            yield strip[:, column * tile : (column + 1) * tile]


def _split(stream: bytes, *, renumber: bool) -> tuple[bytes, bytes]:
    """Split a JPEG stream into tables and an abbreviated stream without application markers."""
    tables, rest, at = bytearray(stream[:2]), bytearray(stream[:2]), 2
    while True:
        marker, length = stream[at + 1], int.from_bytes(stream[at + 2 : at + 4], "big")
        segment = bytearray(stream[at : at + 2 + length])
        at += 2 + length
        if marker in _TABLES:
            tables += segment
            continue
        if marker in _APPLICATION:
            continue
        if renumber and marker == _SOF0:
            segment[10::3] = bytes(range(segment[9]))
        if renumber and marker == _SOS:
            segment[5 : 5 + 2 * segment[4] : 2] = bytes(range(segment[4]))
        rest += segment
        if marker == _SOS:
            return bytes(tables + _EOI), bytes(rest + stream[at:])
