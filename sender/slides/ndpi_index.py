"""The directories of a Hamamatsu NDPI file: classic TIFF whose offsets have 64 bits.

The first directory and the next one of each lie at 8-byte offsets, and after the
entries of a directory stand the high words of their values, which count once the
file is past 4 GiB.  (No public specification: the layout is the one that OpenSlide
and tifffile read, and was compared with a real file.)
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.durable import read_at
from common.errors import SlideUnreadable
from sender.slides.tiff import MOST_ENTRIES, MOST_PAGES, SIZES, TEXT, Directory, Entry, Index

FORMAT_FLAG = 65420
LENS = 65421  # magnification of a level; -1 macro, -2 map of what was scanned
FOCAL_PLANE = 65424  # nm from the plane in focus
MCU_STARTS, MCU_STARTS_HIGH = 65426, 65432
REFERENCE = 65427  # typed in or read from the label: may name the patient
FILTER_SET = 65434
SERIAL = 65442
PROPERTIES = 65449
WAVELENGTH = 65451  # of emission, nm

_SMALL = 1 << 32
_MOST_INTERVALS = 16_000_000
_LONGEST_TEXT = 1 << 20
_SCALARS = {3: "H", 4: "L", 5: "LL", 9: "l", 10: "ll", 11: "f", 12: "d"}


@dataclass(frozen=True, slots=True)
class NdpiPage:
    """One picture of the file: one JPEG stream, or raw pixels for the map.

    Attributes
    ----------
    lens : float
        Magnification above 0 for a level, -1 for the macro, -2 for the map.
    focal_plane : int
        Distance from the plane in focus in nm.
    offset, count : int
        Where its stream lies in the file, and its length in bytes.
    starts : ndarray of uint64
        Where its restart intervals begin, from `offset`; empty when not told.
    texts : dict
        Texts by tag.
    spacing_um : (float, float) or None
        Pixel size along a row and along a column, where the file tells it.
    """

    number: int
    width: int
    length: int
    compression: int
    photometric: int
    lens: float
    focal_plane: int
    offset: int
    count: int
    starts: npt.NDArray[np.uint64]
    texts: dict[int, str]
    wavelength_nm: float | None
    spacing_um: tuple[float, float] | None


def sniff(fd: int) -> bool:
    """Tell whether the first directory, at its 64-bit offset, carries the flag of NDPI."""
    start = read_at(fd, 12, 0)
    if start[:4] != b"II*\0" or len(start) < 12:
        return False
    (at,) = struct.unpack_from("<Q", start, 4)
    if at + 2 > os.fstat(fd).st_size:  # plain TIFF: no offset, but whatever stands there
        return False
    (count,) = struct.unpack("<H", read_at(fd, 2, at))
    entries = read_at(fd, 12 * min(count, MOST_ENTRIES), at + 2)
    return any(
        struct.unpack_from("<H", entries, place)[0] == FORMAT_FLAG
        for place in range(0, len(entries) - 11, 12)
    )


def read_pages(fd: int) -> tuple[NdpiPage, ...]:
    """Read every directory.

    Raises
    ------
    SlideUnreadable
        The index is not sound.
    """
    index = _NdpiIndex(fd)
    pages: list[NdpiPage] = []
    seen: set[int] = set()
    at = index.first
    while at:
        if at in seen:
            raise SlideUnreadable(cause="TIFF directories that loop")
        if len(pages) == MOST_PAGES:
            raise SlideUnreadable(cause=f"more than {MOST_PAGES} TIFF directories")
        seen.add(at)
        index.high = {}
        entries, after = index.directory(at)
        pages.append(_NdpiDirectory(index, len(pages), entries).picture())
        at = after
    if not pages:
        raise SlideUnreadable(cause="a TIFF file without an image")
    return tuple(pages)


class _NdpiIndex(Index):
    """Classic TIFF with 64-bit offsets."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        (self.first,) = struct.unpack("<Q", self.take(4, 8))
        self.high: dict[int, int] = {}  # high words of values that stand in the entry, by tag

    def directory(self, at: int) -> tuple[dict[int, Entry], int]:
        """Return the entries of a directory by tag, and where the next one lies."""
        (count,) = struct.unpack("<H", self.take(at, 2))
        if not 0 < count <= MOST_ENTRIES:
            raise SlideUnreadable(cause=f"a TIFF directory of {count} entries")
        body = self.take(at + 2, count * 12 + 8)
        (after,) = struct.unpack_from("<Q", body, count * 12)
        high = [0] * count
        if self.size >= _SMALL:
            high = list(struct.unpack(f"<{count}L", self.take(at + 2 + count * 12 + 8, count * 4)))
        entries: dict[int, Entry] = {}
        for i in range(count):
            tag, kind, number, value = struct.unpack_from("<HHLL", body, i * 12)
            inside = SIZES.get(kind, 0) * number <= 4
            here = at + 2 + i * 12 + 8
            if tag not in entries:
                place = here if inside else value | high[i] << 32
                entries[tag] = Entry(kind, number, place)
                self.high[tag] = high[i] if inside else 0
        return entries, after


class _NdpiDirectory(Directory):
    """The values of one directory."""

    index: _NdpiIndex

    def wide(self, tag: int) -> int:
        """Return the one number of a tag, with its high word."""
        return self.number_of(tag) | self.index.high[tag] << 32

    def scalar(self, tag: int, missing: float | None = None) -> float:
        """Return the one number of a tag, whole, broken or with a sign."""
        entry = self.entries.get(tag)
        if entry is None and missing is not None:
            return missing
        if entry is None or entry.count != 1 or entry.kind not in _SCALARS:
            raise self._refuse(f"no number under tag {tag}")
        form = struct.Struct("<" + _SCALARS[entry.kind])
        values = form.unpack(self.index.take(entry.at, form.size))
        if len(values) == 2:
            return float(values[0] / values[1]) if values[1] else 0.0
        return float(values[0])

    def picture(self) -> NdpiPage:
        """Return the picture, its stream inside the file."""
        width, length = self.number_of(256), self.number_of(257)
        if min(width, length) < 1 or max(width, length) >= 1 << 31:
            raise self._refuse(f"{width} x {length} pixels")
        offset, count = self.wide(273), self.wide(279)
        if offset > self.index.size or count > self.index.size - offset:
            raise self._refuse("a picture outside the file")
        texts = {
            tag: self._text(tag)
            for tag in (270, 271, 272, 305, 306, REFERENCE, FILTER_SET, SERIAL, PROPERTIES)
            if tag in self.entries
        }
        return NdpiPage(
            number=self.number,
            width=width,
            length=length,
            compression=self.number_of(259, missing=1),
            photometric=self.number_of(262, missing=1),
            lens=self.scalar(LENS),
            focal_plane=round(self.scalar(FOCAL_PLANE, missing=0.0)),
            offset=offset,
            count=count,
            starts=self._starts(),
            texts=texts,
            wavelength_nm=self.scalar(WAVELENGTH, missing=0.0) or None,
            spacing_um=self._spacing(),
        )

    def _text(self, tag: int) -> str:
        entry = self.entries[tag]
        if entry.kind not in TEXT:
            return ""
        if entry.count > _LONGEST_TEXT:
            raise self._refuse(f"{entry.count} bytes under tag {tag}")
        raw = self.index.take(entry.at, entry.count).split(b"\0", 1)[0]
        try:
            return raw.decode("utf-8").strip()
        except UnicodeDecodeError:
            return raw.decode("cp932", "replace").strip()

    def _starts(self) -> npt.NDArray[np.uint64]:
        entry = self.entries.get(MCU_STARTS)
        if entry is None:
            return np.zeros(0, np.uint64)
        if entry.count > _MOST_INTERVALS:
            raise self._refuse(f"{entry.count} restart intervals")
        starts = self.array(MCU_STARTS, entry.count)
        if MCU_STARTS_HIGH in self.entries:
            starts = starts + (self.array(MCU_STARTS_HIGH, entry.count) << np.uint64(32))
        return starts

    def _spacing(self) -> tuple[float, float] | None:
        """Pixel size from the resolution (TIFF 6.0: 2 = per inch, 3 = per centimetre)."""
        length = {2: 25_400.0, 3: 10_000.0}.get(self.number_of(296, missing=2))
        along = self.scalar(282, missing=0.0), self.scalar(283, missing=0.0)
        if length is None or min(along) <= 0:
            return None
        return length / along[0], length / along[1]
