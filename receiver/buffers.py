"""Memory that instances arrive in: bounded, aligned, used again and again.

A buffer holds a file as it will lie on the disk, so what is read from the
connection is written from where it came to.
"""

from __future__ import annotations

import mmap
from collections import deque

SIZE = 1 << 20  # bytes; most images fit in one
KEPT = 48  # empty buffers that stay


class Buffers:
    """Gives buffers to whom brings bytes, and takes them back from whom wrote them."""

    def __init__(self) -> None:
        self._free: deque[mmap.mmap] = deque(maxlen=KEPT)

    def take(self) -> mmap.mmap:
        """Return a buffer that begins at a page; what it holds is anything."""
        try:
            return self._free.pop()
        except IndexError:
            return mmap.mmap(-1, SIZE)

    def give(self, buffer: mmap.mmap) -> None:
        """Take a buffer back; one too many is let go."""
        self._free.append(buffer)
