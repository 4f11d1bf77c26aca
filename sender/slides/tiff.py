"""The index of a TIFF or BigTIFF file, read under a budget.

A vendor file is hostile until read: directories may loop (by their chain or by
their SubIFDs), offsets may lie outside the file, counts may be absurd
(CVE-2022-45199 is one of many).  So no array is read before its length is known
to be the one that width, length and tile size ask for, and no tile is believed
that does not lie inside the file.
Pixel bytes are never touched here (TIFF 6.0; BigTIFF of libtiff 4).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from common.durable import read_at
from common.errors import SlideUnreadable

Numbers = npt.NDArray[np.uint64]

MOST_PAGES = 512  # SubIFDs among them
MOST_ENTRIES = 1024
MOST_TILES = 4_000_000  # in all pages; a slide of 400,000 x 400,000 has 2.6 million of 256
LONGEST_TEXT = 1 << 20
LONGEST_FIRST_TEXT = 16 << 20  # of the first directory: Philips keeps pictures in it
LONGEST_BLOB = 16 << 20  # ICC profile, JPEG tables
LARGEST_TILE = 64 << 20

BYTES, TEXT = (1, 7), (2,)  # BYTE, UNDEFINED; ASCII
_RATIONAL = 5
NUMBERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8} | {
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}


@dataclass(frozen=True, slots=True)
class Page:
    """One image of the file.

    Attributes
    ----------
    width, length : int
        Size in pixels.
    tile_width, tile_length : int
        Size of a tile in pixels; of a strip, the width and the rows per strip.
    tiled : bool
        Tiles, not strips.
    offsets, counts : ndarray of uint64
        Where each tile or strip lies in the file, and its length in bytes.
    resolution : tuple of float or None
        Pixels per `resolution_unit` along a row and along a column.
    resolution_unit : int
        1 none, 2 inch, 3 centimetre.
    orientation : int
        1 is upright.
    children : tuple of Page
        SubIFDs (tag 330, TIFF Technical Note 1): smaller copies of this image.
    """

    number: int
    width: int
    length: int
    depth: int
    tiled: bool
    tile_width: int
    tile_length: int
    compression: int
    photometric: int
    bits: tuple[int, ...]
    planar: int
    predictor: int
    description: str
    date: str
    jpeg_tables: bytes
    icc: bytes
    offsets: Numbers
    counts: Numbers
    resolution: tuple[float, float] | None = None
    resolution_unit: int = 2
    orientation: int = 1
    software: str = ""
    make: str = ""
    model: str = ""
    children: tuple[Page, ...] = ()


def sniff(start: bytes) -> bool:
    """Tell from the first eight bytes of a file whether it calls itself TIFF."""
    return start[:4] in (b"II*\0", b"MM\0*") or start[:8] in (
        b"II+\0\x08\0\0\0",
        b"MM\0+\0\x08\0\0",
    )


def read_pages(fd: int) -> tuple[Page, ...]:
    """Read every image directory of the main chain.

    Raises
    ------
    SlideUnreadable
        The index is not sound.
    """
    walk = _Walk(Index(fd))
    pages: list[Page] = []
    at = walk.index.first
    while at:
        page, at = walk.page(at, len(pages))
        pages.append(page)
    if not pages:
        raise SlideUnreadable(cause="a TIFF file without an image")
    return tuple(pages)


class _Walk:
    """Visits every directory once, chain and SubIFDs under one budget."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._seen: set[int] = set()
        self._tiles = 0

    def page(self, at: int, number: int, *, inner: bool = False) -> tuple[Page, int]:
        """Return the image of the directory at `at`, and where the next one lies."""
        if at in self._seen:
            raise SlideUnreadable(cause="TIFF directories that loop")
        if len(self._seen) == MOST_PAGES:
            raise SlideUnreadable(cause=f"more than {MOST_PAGES} TIFF directories")
        self._seen.add(at)
        entries, after = self.index.directory(at)
        directory = Directory(self.index, number, entries)
        page = directory.page(MOST_TILES - self._tiles)
        self._tiles += len(page.offsets)
        if not inner:  # a pyramid is one step deep; what lies deeper is no level
            places = directory.children()
            smaller = tuple(self.page(place, number, inner=True)[0] for place in places)
            page = replace(page, children=smaller)
        return page, after


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a directory."""

    kind: int
    count: int
    at: int  # of the value itself, wherever it lies


class Index:
    """Byte order, word size and bounds of one file."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = os.fstat(fd).st_size
        start = read_at(fd, 16, 0)
        if not sniff(start[:8]):
            raise SlideUnreadable(cause="not a TIFF file")
        self.order = "<" if start[:2] == b"II" else ">"
        self.big = start[2:4] in (b"+\0", b"\0+")
        self.word = 8 if self.big else 4
        self.first = int.from_bytes(
            self.take(8 if self.big else 4, self.word), "little" if self.order == "<" else "big"
        )

    def take(self, at: int, size: int) -> bytes:
        """Read `size` bytes that must lie inside the file."""
        if at < 0 or size < 0 or at + size > self.size:
            raise SlideUnreadable(cause=f"TIFF value at {at} outside the file")
        data = read_at(self.fd, size, at)
        if len(data) != size:
            raise SlideUnreadable(cause="the file is cut")
        return data

    def directory(self, at: int) -> tuple[dict[int, Entry], int]:
        """Return the entries of a directory by tag, and where the next one lies."""
        head = struct.Struct(self.order + ("Q" if self.big else "H"))
        entry = struct.Struct(self.order + ("HHQQ" if self.big else "HHLL"))
        link = struct.Struct(self.order + ("Q" if self.big else "L"))
        (count,) = head.unpack(self.take(at, head.size))
        if not 0 < count <= MOST_ENTRIES:
            raise SlideUnreadable(cause=f"a TIFF directory of {count} entries")
        body = self.take(at + head.size, count * entry.size + link.size)
        entries: dict[int, Entry] = {}
        for i in range(count):
            tag, kind, number, value = entry.unpack_from(body, i * entry.size)
            size = SIZES.get(kind, 0) * number
            here = at + head.size + i * entry.size + entry.size - self.word
            entries.setdefault(tag, Entry(kind, number, here if size <= self.word else value))
        (after,) = link.unpack_from(body, count * entry.size)
        return entries, after


class Directory:
    """The values of one directory, each read only after its count was found right."""

    def __init__(self, index: Index, number: int, entries: dict[int, Entry]) -> None:
        self.index = index
        self.number = number
        self.entries = entries

    def _refuse(self, cause: str) -> SlideUnreadable:
        return SlideUnreadable(cause=f"{cause} in TIFF directory {self.number}")

    def array(self, tag: int, count: int) -> Numbers:
        """Return the `count` numbers of a tag; another count is refused."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in NUMBERS:
            raise self._refuse(f"no numbers under tag {tag}")
        if entry.count != count:
            raise self._refuse(f"{entry.count} values, not {count}, under tag {tag}")
        kind = np.dtype(self.index.order + NUMBERS[entry.kind])
        raw = self.index.take(entry.at, count * kind.itemsize)
        return np.frombuffer(raw, kind).astype(np.uint64)

    def number_of(self, tag: int, missing: int | None = None) -> int:
        """Return the one number of a tag."""
        if tag not in self.entries and missing is not None:
            return missing
        return int(self.array(tag, 1)[0])

    def blob(self, tag: int, kinds: tuple[int, ...], longest: int) -> bytes:
        """Return the bytes of a tag, b"" when it is not there."""
        entry = self.entries.get(tag)
        if entry is None:
            return b""
        if entry.kind not in kinds or entry.count > longest:
            raise self._refuse(f"{entry.count} bytes under tag {tag}")
        return self.index.take(entry.at, entry.count)

    def text(self, tag: int) -> str:
        """Return the text of a tag up to its first NUL."""
        raw = self.blob(tag, TEXT, LONGEST_TEXT if self.number else LONGEST_FIRST_TEXT).split(
            b"\0", 1
        )[0]
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("latin-1")

    def children(self) -> list[int]:
        """Return where the SubIFDs lie."""
        entry = self.entries.get(330)
        if entry is None:
            return []
        if entry.count > MOST_PAGES:
            raise self._refuse(f"{entry.count} SubIFDs")
        return [int(at) for at in self.array(330, entry.count)]

    def resolution(self) -> tuple[float, float] | None:
        """Return pixels per unit along a row and a column; None where it is not said."""
        found = []
        for tag in (282, 283):
            entry = self.entries.get(tag)
            if entry is None or (entry.kind, entry.count) != (_RATIONAL, 1):
                return None
            above, below = struct.unpack(self.index.order + "LL", self.index.take(entry.at, 8))
            if not above or not below:
                return None
            found.append(above / below)
        return found[0], found[1]

    def page(self, tiles_left: int) -> Page:
        """Return the image, with every tile inside the file."""
        width, length = self.number_of(256), self.number_of(257)
        tiled = 322 in self.entries or 324 in self.entries
        if tiled:
            tile_width, tile_length = self.number_of(322), self.number_of(323)
        else:
            tile_width = width
            tile_length = min(self.number_of(278, missing=length), length)
        if min(width, length, tile_width, tile_length) < 1:
            raise self._refuse("an image or a tile without pixels")
        if max(width, length) >= 1 << 31 or (tiled and max(tile_width, tile_length) > 0xFFFF):
            raise self._refuse(f"{width} x {length} pixels in {tile_width} x {tile_length}")
        samples = self.number_of(277, missing=1)
        if not 1 <= samples <= 16:
            raise self._refuse(f"{samples} samples per pixel")
        planar = self.number_of(284, missing=1)
        tiles = -(-width // tile_width) * -(-length // tile_length)
        tiles *= samples if planar == 2 else 1
        if tiles > tiles_left:
            raise self._refuse(f"{tiles} tiles")
        offsets, counts = self._where(324 if tiled else 273, 325 if tiled else 279, tiles)
        return Page(
            number=self.number,
            width=width,
            length=length,
            depth=self.number_of(32997, missing=1),
            tiled=tiled,
            tile_width=tile_width,
            tile_length=tile_length,
            compression=self.number_of(259, missing=1),
            photometric=self.number_of(262, missing=1),
            bits=tuple(self.array(258, samples).tolist()) if 258 in self.entries else (1,),
            planar=planar,
            predictor=self.number_of(317, missing=1),
            description=self.text(270),
            date=self.text(306),
            jpeg_tables=self.blob(347, BYTES, LONGEST_BLOB),
            icc=self.blob(34675, BYTES, LONGEST_BLOB),
            resolution=self.resolution(),
            resolution_unit=self.number_of(296, missing=2),
            orientation=self.number_of(274, missing=1),
            software=self.text(305),
            make=self.text(271),
            model=self.text(272),
            offsets=offsets,
            counts=counts,
        )

    def _where(self, offsets_tag: int, counts_tag: int, tiles: int) -> tuple[Numbers, Numbers]:
        offsets, counts = self.array(offsets_tag, tiles), self.array(counts_tag, tiles)
        size = np.uint64(self.index.size)
        there = counts > 0
        if bool((offsets[there] > size).any()) or bool(
            (counts[there] > size - offsets[there]).any()
        ):
            raise self._refuse("a tile outside the file")
        if bool((counts > LARGEST_TILE).any()):
            raise self._refuse(f"a tile of more than {LARGEST_TILE} bytes")
        return offsets, counts
