"""The tiles of one TIFF page as frames: as they are stored where DICOM has a syntax for them.

JPEG gets its tables in front, JPEG 2000 nothing at all; tiles of any other kind
are decoded and coded again (:mod:`sender.slides.coding`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import SlideUnreadable, SlideUnsupported
from sender.slides import encoded, j2k, jpeg, segments
from sender.slides.coding import JPEG_BASELINE, LOSSLESS, Coding, spread
from sender.slides.segments import Pixels
from sender.slides.slide import Encoding, Loss, SourceFile
from sender.slides.tiff import Page

TIFF_JPEG, TIFF_RGB, TIFF_YCBCR = segments.JPEG, 2, 6
APERIO_J2K_YCBCR, APERIO_J2K_RGB, J2K = 33003, 33005, 34712
J2K_KINDS = frozenset({APERIO_J2K_YCBCR, APERIO_J2K_RGB, J2K})

_LARGEST_TILE_PIXELS = 1 << 24
_CUT_TILE = 512  # of pictures in strips
_LARGEST_BAND = 1 << 25  # pixels of the strips that one row of tiles needs
_SAMPLED_ROWS = 4  # rows of tiles of a picture in strips that are coded ahead
_KINDS = {
    1: "uncompressed tiles",
    5: "LZW tiles",
    6: "old-style JPEG tiles",
    8: "Deflate tiles",
    32773: "PackBits tiles",
    32946: "Deflate tiles",
    34887: "LERC tiles",
    34925: "LZMA tiles",
    34926: "Zstandard tiles",
    50000: "Zstandard tiles",
    50001: "WebP tiles",
    50002: "JPEG XL tiles",
} | dict.fromkeys(J2K_KINDS, "JPEG 2000 tiles")


@dataclass(frozen=True, eq=False)
class Tiles:
    """What becomes of the tiles of a page, see :class:`sender.slides.slide.VirtualInstance`.

    Attributes
    ----------
    lossy_bytes : int or None
        Bytes of the lossy streams; None where nothing was lost.
    lossy_method : str
        Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1).
    columns, rows : int
        Size of a tile in pixels.
    recoded : Loss or None
        Of tiles that were coded again with loss.
    """

    transfer_syntax_uid: str
    photometric: str
    encoding: Encoding
    columns: int
    rows: int
    prefix: bytes
    lengths: Any
    unscanned: frozenset[int]
    reader: Callable[[int], bytes]
    lossy_bytes: int | None
    lossy_method: str = "ISO_10918_1"
    recoded: Loss | None = None


def kind(page: Page) -> str:
    """Name the compression of a page."""
    return _KINDS.get(page.compression, f"compression {page.compression}")


def check(page: Page) -> None:
    """Refuse a page whose pixels are of no kind that is sent.

    Raises
    ------
    SlideUnreadable, SlideUnsupported
    """
    if page.depth != 1:
        raise SlideUnsupported(cause=f"{page.depth} focal planes")
    if page.bits != (8, 8, 8) or page.planar != 1:
        raise SlideUnsupported(cause=f"samples of {page.bits} bits, colours {page.photometric}")
    if page.photometric not in {TIFF_RGB, TIFF_YCBCR}:
        raise SlideUnsupported(cause=f"samples of {page.bits} bits, colours {page.photometric}")
    if page.tiled and page.tile_width * page.tile_length > _LARGEST_TILE_PIXELS:
        raise SlideUnsupported(cause=f"tiles of {page.tile_width} x {page.tile_length}")
    there = page.counts[page.counts > 0]
    if not len(there):
        raise SlideUnreadable(cause="a level without a single tile")
    if page.compression != segments.RAW and int(there.min()) < 4:
        raise SlideUnreadable(cause="tiles that are cut")
    if page.compression not in segments.PLAIN | J2K_KINDS | {TIFF_JPEG}:
        raise SlideUnsupported(cause=kind(page))
    jpeg.check_tables(page.jpeg_tables)


def of_planes(
    source: SourceFile,
    planes: Sequence[Page],
    coding: Coding = LOSSLESS,
    *,
    believe_stream: bool,
) -> Tiles:
    """Return the tiles of a level: of one page, or of one page per focal plane.

    Parameters
    ----------
    planes : sequence of Page
        Alike in all but their tiles; from the glass upwards.
    coding : Coding
        Of tiles that cannot go as they are.
    believe_stream : bool
        Where TIFF and JPEG name different colours, the JPEG markers are right
        (files of Bio-Formats); else such a file is refused.

    Raises
    ------
    SlideUnreadable, SlideUnsupported
    """
    for plane in planes:
        check(plane)
        if _form(plane) != _form(planes[0]):
            raise SlideUnsupported(cause="focal planes of different kinds")
    page = planes[0]
    if page.tiled and page.compression == TIFF_JPEG:
        return _jpeg(source, planes, believe_stream=believe_stream)
    if page.tiled and page.compression in J2K_KINDS:
        return _j2k(source, planes)
    return _again(source, planes, coding)


def _form(page: Page) -> tuple[object, ...]:
    return (
        page.width, page.length, page.tiled, page.tile_width, page.tile_length,
        page.compression, page.photometric, page.jpeg_tables, page.predictor,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Places:
    """Where the tiles of all planes lie in the file."""

    source: SourceFile
    offsets: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, source: SourceFile, planes: Sequence[Page]) -> _Places:
        if len(planes) == 1:  # the arrays of a big slide are not copied
            return cls(source, planes[0].offsets, planes[0].counts)
        return cls(
            source,
            np.concatenate([page.offsets for page in planes]),
            np.concatenate([page.counts for page in planes]),
        )

    def read(self, i: int) -> bytes:
        return self.source.read(int(self.counts[i]), int(self.offsets[i]))

    def first(self) -> bytes:
        return self.read(int(np.argmax(self.counts > 0)))

    def lengths(self, added: int, white: int) -> npt.NDArray[np.int64]:
        lengths = self.counts.astype(np.int64) + added
        lengths[self.counts == 0] = white
        return lengths

    def holes(self) -> frozenset[int]:
        return frozenset(np.flatnonzero(self.counts == 0).tolist())

    def reader(self, start: bytes, skip: int, white: bytes) -> Callable[[int], bytes]:
        def read(i: int) -> bytes:
            if not int(self.counts[i]):
                return white
            tile = self.read(i)
            if not tile.startswith(start):
                raise SlideUnreadable(cause=f"tile {i} is of another kind")
            return tile[skip:]

        return read


def _jpeg(source: SourceFile, planes: Sequence[Page], *, believe_stream: bool) -> Tiles:
    page, places = planes[0], _Places.of(source, planes)
    tile = places.first()
    whole = jpeg.prefix(page.jpeg_tables, b"") + tile[2 if page.jpeg_tables else 0 :]
    jpeg.segments(tile)
    code = jpeg.look(whole)
    _same_size(page, code.columns, code.rows, "JPEG")
    if code.tables != {0xDB, 0xC4}:
        raise SlideUnreadable(cause="JPEG tiles without their tables")
    rgb = page.photometric == TIFF_RGB
    if believe_stream:
        rgb = jpeg.says_rgb(code, otherwise=rgb)
    prefix = jpeg.prefix(page.jpeg_tables, jpeg.colour_marker(code, rgb=rgb))
    skip = 2 if prefix else 0  # the prefix brings the start marker
    white = jpeg.blank(page.tile_width, page.tile_length, rgb=rgb)[skip:]
    lengths = places.lengths(len(prefix) - skip, len(prefix) + len(white))
    return Tiles(
        transfer_syntax_uid=JPEG_BASELINE,
        photometric=jpeg.photometric(rgb=rgb),
        encoding="stored",
        columns=page.tile_width,
        rows=page.tile_length,
        prefix=prefix,
        lengths=lengths,
        unscanned=places.holes(),
        reader=places.reader(jpeg.SOI, skip, white),
        lossy_bytes=int(lengths.sum()),
    )


def _j2k(source: SourceFile, planes: Sequence[Page]) -> Tiles:
    page, places = planes[0], _Places.of(source, planes)
    code = j2k.look(places.first())
    _same_size(page, code.columns, code.rows, "JPEG 2000")
    if page.compression == J2K:
        rgb = page.photometric == TIFF_RGB
    else:  # the photometric tag of these files is known to be wrong
        rgb = page.compression == APERIO_J2K_RGB
    photometric = code.photometric(rgb=rgb)
    white = j2k.blank(page.tile_width, page.tile_length, code, photometric)
    lengths = places.lengths(0, len(white))
    # the 5/3 wavelet may still be cut; only the scanner knows whether it lost nothing
    return Tiles(
        transfer_syntax_uid=j2k.JPEG_2000,
        photometric=photometric,
        encoding="stored",
        columns=page.tile_width,
        rows=page.tile_length,
        prefix=b"",
        lengths=lengths,
        unscanned=places.holes(),
        reader=places.reader(j2k.START, 0, white),
        lossy_bytes=int(lengths.sum()),
        lossy_method="ISO_15444_1",
    )


def _same_size(page: Page, columns: int, rows: int, what: str) -> None:
    if (columns, rows) != (page.tile_width, page.tile_length):
        raise SlideUnreadable(
            cause=f"{what} tiles of {columns} x {rows}, not {page.tile_width} x {page.tile_length}"
        )


def _again(source: SourceFile, planes: Sequence[Page], coding: Coding) -> Tiles:
    page, places = planes[0], _Places.of(source, planes)
    if page.photometric != TIFF_RGB and page.compression != TIFF_JPEG:
        raise SlideUnsupported(cause=f"{kind(page)} in YCbCr")
    if page.predictor not in {1, 2}:
        raise SlideUnsupported(cause=f"predictor {page.predictor}")
    sample: Callable[[], Iterator[Pixels]]
    if page.tiled:
        columns, rows = page.tile_width, page.tile_length
        count, holes = len(places.counts), places.holes()
        _tile(places, page, int(np.argmax(places.counts > 0)))  # refused now, not on the way
        tiles = lambda: (_tile(places, page, i) for i in range(count))  # noqa: E731
        there = np.flatnonzero(places.counts)
        sample = lambda: (_tile(places, page, int(there[i])) for i in spread(len(there)))  # noqa: E731
    else:
        columns, rows = min(_CUT_TILE, page.width), min(_CUT_TILE, page.length)
        if (rows + 2 * page.tile_length) * page.width > _LARGEST_BAND:
            raise SlideUnsupported(cause=f"strips of {page.width} x {page.tile_length}")
        if not page.counts.all():
            raise SlideUnreadable(cause="a strip is missing")
        count = len(planes) * -(-page.width // columns) * -(-page.length // rows)
        holes = frozenset()
        tiles = lambda: (t for plane in planes for t in _cut(source, plane, columns, rows))  # noqa: E731
        sample = lambda: _some(source, page, columns, rows)  # noqa: E731
    frames = encoded.Encoded(count, tiles, coding.encode)
    lossy = page.compression == TIFF_JPEG
    return Tiles(
        transfer_syntax_uid=coding.transfer_syntax_uid,
        photometric=coding.photometric,
        encoding="reencoded",
        columns=columns,
        rows=rows,
        prefix=b"",
        lengths=frames.lengths,
        unscanned=holes,
        reader=frames.read,
        lossy_bytes=int(places.counts.sum()) if lossy else None,
        recoded=coding.loss(sample),
    )


def _tile(places: _Places, page: Page, i: int) -> Pixels:
    if not int(places.counts[i]):
        return np.full((page.tile_length, page.tile_width, 3), 255, np.uint8)
    return segments.decode(places.read(i), page, page.tile_length, f"tile {i}")


def _some(source: SourceFile, page: Page, columns: int, rows: int) -> Iterator[Pixels]:
    """Cut some tiles out of strips, evenly spread over the picture."""
    down, across = -(-page.length // rows), -(-page.width // columns)
    tops = spread(down, _SAMPLED_ROWS)
    kept = set(spread(across, _SAMPLED_ROWS))
    every = _cut(source, page, columns, rows, [top * rows for top in tops])
    return (tile for i, tile in enumerate(every) if i % across in kept)


def _cut(
    source: SourceFile, page: Page, columns: int, rows: int, tops: Sequence[int] | None = None
) -> Iterator[Pixels]:
    """Cut strips into tiles, white beyond the image; a row of tiles in memory at a time.

    Parameters
    ----------
    tops : sequence of int, optional
        First rows of those rows of tiles that are cut; all of them else.
    """
    across = -(-page.width // columns)
    band = np.full((rows, across * columns, 3), 255, np.uint8)
    strip, number, at = np.empty((0, page.width, 3), np.uint8), 0, 0
    for top in range(0, page.length, rows) if tops is None else tops:
        if top != at:  # some rows were left out
            number = top // page.tile_length
            strip = _strip(source, page, number)[top - number * page.tile_length :]
            number += 1
        height = min(rows, page.length - top)
        at = top + height
        band[height:] = 255
        filled = 0
        while filled < height:
            if not len(strip):
                strip, number = _strip(source, page, number), number + 1
            part = strip[: height - filled]
            band[filled : filled + len(part), : page.width] = part
            strip, filled = strip[len(part) :], filled + len(part)
        for column in range(across):
            yield band[:, column * columns : (column + 1) * columns].copy()


def _strip(source: SourceFile, page: Page, number: int) -> Pixels:
    height = min(page.tile_length, page.length - number * page.tile_length)
    data = source.read(int(page.counts[number]), int(page.offsets[number]))
    return segments.decode(data, page, height, f"strip {number}")
