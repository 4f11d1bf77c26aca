"""Frames that are coded again: once, in order, kept outside memory until they are sent.

A layout wants the length of every frame before the first one goes, and nothing
but coding tells it.  So the first question for a level's lengths codes the level
and keeps the streams in a nameless file, which the system takes back with the
last handle; frames are read from there.  Memory holds a few tiles and eight
bytes a frame, whatever the slide's size.
"""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from common.durable import read_at, write_at
from common.errors import InputError, SlideUnreadable, StorageError
from sender.slides import j2k
from sender.slides.segments import Pixels

TRANSFER_SYNTAX = j2k.JPEG_2000_LOSSLESS
PHOTOMETRIC = "RGB"

_WORKERS = 4  # at most; one core is left where there are more than two
_HERE = Path("/var/tmp")  # noqa: S108 - nameless; /tmp may lie in memory, this does not


def encode(pixels: Pixels) -> bytes:
    """Return pixels, rows x columns x 3, as a reversible JPEG 2000 stream.

    Without colour transform: what stands in the stream is what the header says, RGB.
    """
    return j2k.encode(np.ascontiguousarray(pixels), transformed=False, reversible=True)


class Encoded:
    """The frames of one level, made when first asked for.

    Parameters
    ----------
    count : int
        Number of frames, at least one.
    tiles : callable
        Gives the pixels of every frame in order, rows x columns x 3; called at
        most once, unless it failed.
    code : callable
        Makes a stream of them.
    """

    def __init__(
        self,
        count: int,
        tiles: Callable[[], Iterator[Pixels]],
        code: Callable[[Pixels], bytes] = encode,
    ) -> None:
        self._count = count
        self._tiles = tiles
        self._code = code
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._lengths: npt.NDArray[np.int64] | None = None
        self._ends = np.empty(0, np.int64)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Length of each frame, coded when the first is asked for."""
        return cast("npt.NDArray[np.int64]", Lengths(self))

    def __len__(self) -> int:
        return self._count

    def known(self) -> npt.NDArray[np.int64]:
        """Return the length of each stream, and code them all first if need be.

        Raises
        ------
        SlideUnreadable, SlideUnsupported
            A tile cannot be decoded.
        StorageError
            The disk is full.
        """
        with self._lock:
            if self._lengths is None:
                self._lengths = self._coded()
                self._ends = np.cumsum(self._lengths)
            return self._lengths

    def read(self, i: int) -> bytes:
        """Return frame `i`."""
        size = int(self.known()[i])
        if self._file is None:
            raise InputError(cause=f"frame {i}: closed")
        data = read_at(self._file.fileno(), size, int(self._ends[i]) - size)
        if len(data) != size:
            raise StorageError(path=_folder() or tempfile.gettempdir())
        return data

    def _coded(self) -> npt.NDArray[np.int64]:
        try:
            # no context manager: it stays open as long as this object lives
            file = tempfile.TemporaryFile(dir=_folder())  # noqa: SIM115
        except OSError as failure:
            raise StorageError(path=_folder() or tempfile.gettempdir()) from failure
        weakref.finalize(self, file.close)
        try:
            lengths = self._written(file)
        except BaseException:
            file.close()  # a half-made level is given back at once
            raise
        self._file = file
        return lengths

    def _written(self, file: IO[bytes]) -> npt.NDArray[np.int64]:
        lengths = np.zeros(self._count, np.int64)
        at = number = 0
        workers = min(_WORKERS, max(1, (os.cpu_count() or 1) - 1))
        with ThreadPoolExecutor(workers, thread_name_prefix="encode") as pool:
            for stream in _in_order(pool, self._tiles(), self._code, 2 * workers):
                if number == self._count:
                    raise SlideUnreadable(cause="more tiles than frames")
                write_at(file.fileno(), stream, at)
                at += len(stream)
                lengths[number] = len(stream)
                number += 1
        if number != self._count:
            raise SlideUnreadable(cause=f"{number} tiles, not {self._count}")
        return lengths


def _in_order(
    pool: ThreadPoolExecutor,
    tiles: Iterator[Pixels],
    code: Callable[[Pixels], bytes],
    window: int,
) -> Iterator[bytes]:
    """Encode side by side, at most `window` tiles in memory, and give the streams in order."""
    waiting: deque[Future[bytes]] = deque()
    for pixels in tiles:
        waiting.append(pool.submit(code, pixels))
        if len(waiting) >= window:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _folder() -> Path | None:
    return _HERE if "TMPDIR" not in os.environ and _HERE.is_dir() else None


class Lengths:
    """Frame lengths that are not known yet; how many they are is known at once.

    Stands for an array of int64: everything but its length asks for the numbers,
    and the level is coded.
    """

    def __init__(self, encoded: Encoded) -> None:
        self._encoded = encoded

    def __len__(self) -> int:
        return len(self._encoded)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        lengths = self._encoded.known()
        return lengths if dtype is None else lengths.astype(dtype)

    def __getitem__(self, i: Any) -> Any:
        return self._encoded.known()[i]

    def __iter__(self) -> Iterator[int]:
        return iter(self._encoded.known())

    def __eq__(self, other: object) -> Any:
        return self._encoded.known() == other

    __hash__ = None  # type: ignore[assignment]  # as of an array

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # no protocol of numpy's may code a level unasked
            raise AttributeError(name)
        return getattr(self._encoded.known(), name)
