"""Where every byte of an encapsulated data set lies, before a frame has been seen.

A data set is a header followed by frames.  From the header and the length of
each frame follows the offset of every byte of the final file, so one instance
can be streamed from first byte to last (C-STORE) or laid out at once and filled
in any order (frames over the link), and both give the same bytes.

::

    header | (7FE0,0001) (7FE0,0002) when 4 GiB or more | (7FE0,0010) OB, undefined length
           | item: Basic Offset Table | item: frame 0 | ... | sequence delimiter

What another maker wrote may have no offsets in Pixel Data, or has them in elements of
its own before it; such a header is kept as it is and the first item is empty.

One fragment per frame, each padded to even length with one zero byte
(PS3.5 section 8.2 and annex A.4).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import InputError, IntegrityError

Frame = bytes | bytearray | memoryview

_ITEM = struct.Struct("<HHI")
_LONG_ELEMENT = struct.Struct("<HH2sxxI")  # explicit VR with a 32 bit length, PS3.5 7.1.2
_ITEM_BYTES = _ITEM.size
_UNDEFINED = 0xFFFFFFFF
_LONGEST_FRAME = 0xFFFFFFFE  # FFFFFFFFH says undefined length
_MOST_FRAMES = (1 << 29) - 1  # the tables of 64 bit values have a 32 bit length
_FIRST_EXTENDED = 1 << 32
_TAIL = _ITEM.pack(0xFFFE, 0xE0DD, 0)


class Layout:
    """The byte layout of one data set with encapsulated Pixel Data.

    A Basic Offset Table is written while the frames with their item headers
    take less than 4 GiB; above, the Basic Offset Table is empty and the
    Extended Offset Table elements are there instead.  The lengths in the
    latter are those of the padded fragments, as pydicom writes them.

    Parameters
    ----------
    header : bytes
        All elements before group 7FE0, Explicit VR Little Endian, even length.
    lengths : sequence of int
        Length of each frame in bytes, without padding; at least one frame.
    offsets : bool
        Make the tables above.  Else the Basic Offset Table is empty (PS3.5 section A.4
        allows it), whatever the header holds.

    Raises
    ------
    InputError
        Lengths or header that no data set can have.
    """

    __slots__ = ("_ends", "_lengths", "head", "header", "length", "offsets", "tail")

    header: bytes
    head: bytes
    tail: bytes
    length: int
    offsets: bool

    def __init__(
        self,
        header: bytes,
        lengths: Sequence[int] | npt.NDArray[Any],
        *,
        offsets: bool = True,
    ) -> None:
        self.header = bytes(header)
        self.offsets = offsets
        self._lengths = _checked(self.header, lengths)
        padded = self._lengths + (self._lengths & np.uint64(1))
        self._ends = np.cumsum(padded + np.uint64(_ITEM_BYTES), dtype=np.uint64)
        self.head = self.header + self._tables(padded)
        self.tail = _TAIL
        self.length = len(self.head) + int(self._ends[-1]) + len(self.tail)

    def _tables(self, padded: npt.NDArray[np.uint64]) -> bytes:
        starts = self._ends - padded - np.uint64(_ITEM_BYTES)  # of the item headers
        pixels = _LONG_ELEMENT.pack(0x7FE0, 0x0010, b"OB", _UNDEFINED)
        if not self.offsets:
            return pixels + _ITEM.pack(0xFFFE, 0xE000, 0)
        if int(self._ends[-1]) < _FIRST_EXTENDED:
            basic = starts.astype("<u4").tobytes()
            return pixels + _ITEM.pack(0xFFFE, 0xE000, len(basic)) + basic
        return b"".join(
            (
                _LONG_ELEMENT.pack(0x7FE0, 0x0001, b"OV", starts.nbytes),
                starts.astype("<u8").tobytes(),
                _LONG_ELEMENT.pack(0x7FE0, 0x0002, b"OV", padded.nbytes),
                padded.astype("<u8").tobytes(),
                pixels,
                _ITEM.pack(0xFFFE, 0xE000, 0),
            )
        )

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self._lengths)

    @property
    def extended(self) -> bool:
        """Whether the offsets are in an Extended Offset Table made here."""
        return self.offsets and int(self._ends[-1]) >= _FIRST_EXTENDED

    def frame_length(self, i: int) -> int:
        """Return the length of frame `i` in bytes, without padding."""
        return int(self._lengths[self._index(i)])

    def offset(self, i: int) -> int:
        """Return where the first byte of frame `i` lies in the data set (after its item header)."""
        return len(self.head) + int(self._ends[self._index(i)]) - self._padded(i)

    def item(self, i: int) -> bytes:
        """Return the eight bytes before frame `i`: item tag and padded length."""
        return _ITEM.pack(0xFFFE, 0xE000, self._padded(i))

    def place(self, i: int, frame: Frame) -> tuple[int, bytes]:
        """Return the one positioned write that puts frame `i` where it belongs.

        Returns
        -------
        offset : int
            Of the item header in the data set.
        data : bytes
            Item header, frame and padding.

        Raises
        ------
        IntegrityError
            `frame` has not the length that the layout was made for.
        """
        return self.offset(i) - _ITEM_BYTES, self._fragment(i, frame)

    def stream(self, read: Callable[[int], Frame]) -> Iterator[bytes]:
        """Yield the data set in order, one frame in memory at a time.

        Parameters
        ----------
        read : callable
            Gives frame `i`, whole and without padding.

        Raises
        ------
        IntegrityError
            A frame has not the length that the layout was made for.
        """
        yield self.head
        for i in range(self.frames):
            yield self._fragment(i, read(i))
        yield self.tail

    def frame_table(self) -> bytes:
        """Return offset in the data set and length of each frame as uint64 LE pairs."""
        table = np.empty((self.frames, 2), dtype="<u8")
        table[:, 0] = self._ends - self._lengths - (self._lengths & np.uint64(1))
        table[:, 0] += np.uint64(len(self.head))
        table[:, 1] = self._lengths
        return table.tobytes()

    def _fragment(self, i: int, frame: Frame) -> bytes:
        if len(frame) != self.frame_length(i):
            raise IntegrityError(cause=f"frame {i}: {len(frame)} bytes, not {self.frame_length(i)}")
        return b"".join((self.item(i), frame, b"\0" * (len(frame) & 1)))

    def _padded(self, i: int) -> int:
        length = self.frame_length(i)
        return length + (length & 1)

    def _index(self, i: int) -> int:
        if not 0 <= i < self.frames:
            raise InputError(cause=f"frame {i} of {self.frames}")
        return i


def _checked(header: bytes, lengths: Sequence[int] | npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    # lengths come from a peer or from a vendor file: neither is believed
    if len(header) & 1:
        raise InputError(cause="header of odd length")
    if not 0 < len(lengths) <= _MOST_FRAMES:
        raise InputError(cause=f"{len(lengths)} frames")
    try:
        given = np.asarray(lengths)
        if given.dtype.kind not in "iu" or given.ndim != 1:
            raise InputError(cause="frame lengths that are no integers")
        low, high = int(given.min()), int(given.max())
    except (OverflowError, ValueError) as failure:
        raise InputError(cause="frame lengths that are no integers") from failure
    if low < 1 or high > _LONGEST_FRAME:
        raise InputError(cause=f"a frame of {low if low < 1 else high} bytes")
    return given.astype(np.uint64)
