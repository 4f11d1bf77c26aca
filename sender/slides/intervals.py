"""One JPEG stream with restart markers, cut into frames without decoding.

The coded bytes between two restart markers begin with a fresh prediction, so any
rectangle of such intervals is a stream of its own: the header with another size,
the intervals as they are, and restart markers counted anew.  Unlike a crop of
coefficients (jpegtran, opentile) nothing is coded again, and lengths are known
before a byte of the picture has been read.  (ISO/IEC 10918-1 B.2.4.4, E.1.4.)
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.errors import SlideUnreadable, SlideUnsupported
from sender.slides import jpeg

FRAME_PIXELS = 1 << 18  # aimed at: as many as in a tile of 512 x 512
_FRAME_ROWS, _FRAME_COLUMNS = 1024, 1024
_SIZED = frozenset({0xC0})
_KEPT_APPLICATION = frozenset({0xE0, 0xEE})  # JFIF and Adobe tell the colours


@dataclass(frozen=True, slots=True)
class Grid:
    """How the intervals of a picture are gathered into frames.

    Attributes
    ----------
    across, down : int
        Intervals in the picture.
    columns, rows : int
        Size of one interval in pixels.
    wide, high : int
        Intervals in a frame.
    """

    across: int
    down: int
    columns: int
    rows: int
    wide: int
    high: int

    @property
    def frames_across(self) -> int:
        """Frames beside one another."""
        return -(-self.across // self.wide)

    @property
    def frames(self) -> int:
        """Frames in the picture."""
        return self.frames_across * -(-self.down // self.high)

    def places(self, frame: int) -> npt.NDArray[np.int64]:
        """Return the intervals of a frame in coding order, -1 where the picture has none."""
        top, left = divmod(frame, self.frames_across)
        rows = np.arange(top * self.high, (top + 1) * self.high)[:, None]
        columns = np.arange(left * self.wide, (left + 1) * self.wide)[None, :]
        places = rows * self.across + columns
        places[np.broadcast_to((rows >= self.down) | (columns >= self.across), places.shape)] = -1
        return places.ravel()


def gather(
    width: int, length: int, code: jpeg.Codestream, like: tuple[int, int] | None = None
) -> Grid | None:
    """Return how to cut a picture; None when its intervals form no rectangles.

    Parameters
    ----------
    like : (int, int), optional
        Columns and rows of the largest level's frames: taken where they are whole
        intervals, because some readers (wsidicom) want one size in all levels.
    """
    mcu_columns, mcu_rows = code.mcu
    mcus_across, down = -(-width // mcu_columns), -(-length // mcu_rows)
    if not code.restart or mcus_across % code.restart:
        return None
    across, columns = mcus_across // code.restart, code.restart * mcu_columns
    if like is not None and not like[0] % columns and not like[1] % mcu_rows:
        return Grid(across, down, columns, mcu_rows, like[0] // columns, like[1] // mcu_rows)
    wide = min(max(_FRAME_COLUMNS // columns, 1), across)
    high = min(max(FRAME_PIXELS // (wide * columns) // mcu_rows, 1), _FRAME_ROWS // mcu_rows, down)
    if wide * columns > 0xFFFF:
        return None
    return Grid(across, down, columns, mcu_rows, wide, high)


def sized(header: bytes, columns: int, rows: int) -> bytes:
    """Return a JPEG header of another size, without comments and vendor segments.

    Parameters
    ----------
    header : bytes
        From the start marker at least to the end of the scan header.

    Raises
    ------
    SlideUnreadable
    """
    out = bytearray(jpeg.SOI)
    for marker, begin, end in jpeg.segments(header):
        if marker == 0xFE or (0xE0 <= marker <= 0xEF and marker not in _KEPT_APPLICATION):
            continue
        at = len(out)
        out += header[begin:end]
        if marker in _SIZED:
            struct.pack_into(">HH", out, at + 5, rows, columns)
        if marker == 0xDA:
            return bytes(out)
    raise SlideUnreadable(cause="a JPEG stream without a scan")


class Cut:
    """A picture whose frames are rectangles of its restart intervals.

    Parameters
    ----------
    read : callable
        Reads (size, offset) from the file.
    offset, count : int
        The stream in the file.
    starts : ndarray of uint64, shape (across * down,)
        Where the intervals begin, from `offset`.
    white : bytes
        One interval of white, coded with the picture's own tables.

    Raises
    ------
    SlideUnreadable
        The intervals are not in order inside the stream.
    """

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        offset: int,
        count: int,
        starts: npt.NDArray[np.uint64],
        grid: Grid,
        white: bytes,
    ) -> None:
        if len(starts) != grid.across * grid.down:
            raise SlideUnreadable(cause=f"{len(starts)} restart intervals in a JPEG stream")
        # the last interval ends before the end marker; each other before its restart marker
        ends = np.append(starts[1:], np.uint64(count)).astype(np.int64)
        self._starts = starts.astype(np.int64)
        self._sizes = ends - self._starts
        if int(self._sizes.min()) < 3 or int(ends.max()) > count:
            raise SlideUnreadable(cause="restart intervals out of order in a JPEG stream")
        self._read, self._offset, self.grid, self._white = read, offset, grid, white

    def lengths(self, prefix: int) -> npt.NDArray[np.int64]:
        """Return the length of each frame behind `prefix` bytes."""
        return np.array([prefix + self._length(i) for i in range(self.grid.frames)], np.int64)

    def _length(self, frame: int) -> int:
        places = self.grid.places(frame)
        there = places[places >= 0]
        blanks = len(places) - len(there)
        # every interval is followed by two bytes: a restart marker, or the end
        return int(self._sizes[there].sum()) + blanks * (len(self._white) + 2)

    def frame(self, i: int) -> bytes:
        """Return frame `i` from behind its header to its end marker.

        Raises
        ------
        SlideUnreadable
            An interval does not end with its marker.
        """
        parts: list[bytes] = []
        places = self.grid.places(i)
        for number, place in enumerate(places.tolist()):
            parts.append(self._white if place < 0 else self._interval(place))
            last = number == len(places) - 1
            parts.append(jpeg.EOI if last else bytes((0xFF, 0xD0 + number % 8)))
        return b"".join(parts)

    def _interval(self, place: int) -> bytes:
        size = int(self._sizes[place])
        raw = self._read(size, self._offset + int(self._starts[place]))
        last = place == len(self._sizes) - 1
        marker = 0xD9 if last else 0xD0 + place % 8
        if raw[-2] != 0xFF or raw[-1] != marker:
            raise SlideUnreadable(cause=f"restart interval {place} without its marker")
        return raw[:-2]


def white(header: bytes, mcus: int, *, rgb: bool) -> bytes:
    """Return one interval of `mcus` white MCUs, coded with the tables of a stream.

    Raises
    ------
    SlideUnreadable
        The tables are broken.
    SlideUnsupported
        The stream's tables have no words for it.
    """
    code = jpeg.look(header)
    try:
        quantisers, codes, scan = _tables(header)
    except IndexError:
        raise SlideUnreadable(cause="a JPEG stream with broken tables") from None
    bits: list[str] = []
    following: list[str] = []
    for number, (name, h, v) in enumerate(code.components):
        which = scan.get(name, (-1, -1, -1))
        table = quantisers.get(which[0])
        dc, ac = codes.get((0, which[1])), codes.get((1, which[2]))
        if table is None or dc is None or ac is None or 0 not in dc or 0 not in ac:
            raise SlideUnsupported(cause="JPEG tables that cannot code a blank")
        bright = rgb or number == 0
        value = min(round(127 * 8 / table), 2047) if bright else 0
        while value.bit_length() not in dc:
            value >>= 1
        size = value.bit_length()
        first = dc[size] + (format(value, f"0{size}b") if size else "") + ac[0]
        same = dc[0] + ac[0]
        bits.append(first + same * (h * v - 1))
        following.append(same * (h * v))
    text = "".join(bits) + "".join(following) * (mcus - 1)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")


def _tables(
    header: bytes,
) -> tuple[dict[int, int], dict[tuple[int, int], dict[int, str]], dict[int, tuple[int, int, int]]]:
    """Return DC quantisers, Huffman codes by (class, table), and per component its tables."""
    quantisers: dict[int, int] = {}
    codes: dict[tuple[int, int], dict[int, str]] = {}
    scan: dict[int, tuple[int, int, int]] = {}
    frame: dict[int, int] = {}
    for marker, begin, end in jpeg.segments(header):
        body = header[begin + 4 : end]
        if marker == 0xDB:
            while len(body) >= 65:
                wide = body[0] >> 4
                quantisers[body[0] & 15] = int.from_bytes(body[1 : 3 if wide else 2], "big") or 1
                body = body[1 + (128 if wide else 64) :]
        elif marker == 0xC4:
            while len(body) >= 17:
                used = 17 + sum(body[1:17])
                codes[body[0] >> 4, body[0] & 15] = _huffman(body[1:17], body[17:used])
                body = body[used:]
        elif marker == 0xC0:
            frame = {body[6 + 3 * i]: body[8 + 3 * i] for i in range(body[5])}
        elif marker == 0xDA:
            for i in range(body[0]):
                name, both = body[1 + 2 * i], body[2 + 2 * i]
                scan[name] = frame.get(name, -1), both >> 4, both & 15
    return quantisers, codes, scan


def _huffman(counts: bytes, symbols: bytes) -> dict[int, str]:
    """Return the code of each symbol (ISO/IEC 10918-1 C.2)."""
    found: dict[int, str] = {}
    code, at = 0, 0
    for size, count in enumerate(counts, 1):
        for symbol in symbols[at : at + count]:
            found[symbol] = format(code, f"0{size}b")
            code += 1
        at += count
        code <<= 1
    return found
