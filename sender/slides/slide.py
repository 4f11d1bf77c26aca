"""A slide as virtual DICOM instances: headers are made, pixels stay where they lie."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt

from common.dicom import uids
from common.dicom.layout import Layout
from common.durable import open_file, read_at
from common.errors import InputError, SourceChanged, SourceGone

WSI_SOP_CLASS = uids.WHOLE_SLIDE

Flavor = Literal["VOLUME", "THUMBNAIL", "OVERVIEW", "LABEL"]
Encoding = Literal["stored", "joined", "reencoded"]

_CHUNK = 1 << 20


class SourceFile:
    """One file of the vendor's set, open for positioned reads and watched for change.

    Parameters
    ----------
    path : Path
        A regular file.

    Raises
    ------
    StorageError
        It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = open_file(path)
        self._was = self._seen(os.fstat(self.fd))

    @property
    def size(self) -> int:
        """Length in bytes at opening."""
        return self._was[0]

    @staticmethod
    def _seen(stat: os.stat_result) -> tuple[int, int, int]:
        return stat.st_size, stat.st_mtime_ns, stat.st_ino

    def read(self, size: int, offset: int) -> bytes:
        """Read exactly `size` bytes at `offset`.

        Raises
        ------
        SourceChanged
            The file ends before.
        """
        data = read_at(self.fd, size, offset)
        if len(data) != size:
            raise SourceChanged(path=self.path)
        return data

    def check(self) -> None:
        """Raise SourceChanged unless size, mtime and inode are as at opening."""
        try:
            same = self._seen(self.path.stat()) == self._was
        except OSError as failure:
            raise SourceGone(path=self.path) from failure
        if not same:
            raise SourceChanged(path=self.path)

    def digest(self) -> str:
        """Return the SHA-256 of the whole file in hex."""
        hasher = hashlib.sha256()
        for offset in range(0, self.size, _CHUNK):
            hasher.update(self.read(min(_CHUNK, self.size - offset), offset))
        return hasher.hexdigest()

    def close(self) -> None:
        """Close the file; nothing can be read from it any more."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@dataclass(frozen=True, slots=True)
class Loss:
    """What coding a level again with loss did to it (PS3.3 C.7.6.1.1.5).

    Attributes
    ----------
    method : str
        Lossy Image Compression Method.
    ratio : float
        About how many times smaller it became by this step alone.
    words : str
        Codec, quality, ratio and who decided, for Derivation Description.
    """

    method: str
    ratio: float
    words: str


@dataclass(frozen=True, eq=False)
class VirtualInstance:
    """One DICOM instance whose frames are read from the vendor's file when needed.

    Attributes
    ----------
    flavor : str
        Value 3 of Image Type.
    level : int or None
        0 is the largest of the pyramid; None for label, macro and thumbnail.
    columns, rows : int
        Size of the whole image in pixels.
    tile_columns, tile_rows : int
        Size of one frame in pixels.
    spacing_um : float or None
        Pixel size along a row in micrometres, where it is known.
    photometric : str
        Photometric Interpretation: what the codestream holds.
    encoding : {'stored', 'joined', 'reencoded'}
        Tiles as they are; strips joined without decoding; coded again, once.
    header : bytes
        Data set before group 7FE0, for :class:`common.dicom.layout.Layout`.
    prefix : bytes
        Stands before what :meth:`read` gives, in every frame.
    lengths : ndarray
        Length of each whole frame in bytes, without padding; of frames that are
        coded again known only when asked (:class:`sender.slides.encoded.Lengths`).
    unscanned : frozenset of int
        Frames that the scanner left out; they are one white frame made here.
    offsets : bool
        Whether Pixel Data has a table of offsets: False for what another maker wrote so.
    recoded : Loss or None
        Of what was coded again with loss.
    """

    sop_instance_uid: str
    transfer_syntax_uid: str
    flavor: Flavor
    level: int | None
    columns: int
    rows: int
    tile_columns: int
    tile_rows: int
    spacing_um: float | None
    photometric: str
    encoding: Encoding
    header: bytes = field(repr=False)
    prefix: bytes = field(repr=False)
    lengths: npt.NDArray[Any] = field(repr=False)
    unscanned: frozenset[int] = field(repr=False)
    reader: Callable[[int], bytes] = field(repr=False)
    sop_class_uid: str = WSI_SOP_CLASS
    offsets: bool = True
    recoded: Loss | None = None

    @property
    def layout(self) -> Layout:
        """The byte layout of the data set."""
        return Layout(self.header, self.lengths, offsets=self.offsets)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.lengths)

    @property
    def expected(self) -> int:
        """Length of the data set in bytes; a guess where frames have yet to be coded."""
        if self.encoding == "reencoded" and self.frames > 1:
            raw = 3 * self.frames * self.tile_columns * self.tile_rows
            return len(self.header) + int(raw / (self.recoded.ratio if self.recoded else 3))
        return self.layout.length

    def read(self, i: int) -> bytes:
        """Return frame `i` without its prefix, by one positioned read.

        Raises
        ------
        SourceChanged
            The file no longer holds what it held at opening.
        """
        if not 0 <= i < self.frames:
            raise InputError(cause=f"frame {i} of {self.frames}")
        return self.reader(i)

    def frame(self, i: int) -> bytes:
        """Return frame `i` whole: prefix and rest, without padding."""
        return self.prefix + self.read(i)


@dataclass(frozen=True, eq=False)
class Slide:
    """One slide, open.

    Attributes
    ----------
    path : Path
        What was opened.
    files : tuple of Path
        The vendor's file set.
    instances : tuple of VirtualInstance
        In the order in which a reader wants them: thumbnail, macro and label,
        then the pyramid from its smallest level to its largest.
    omitted : tuple of str
        Pictures in the file that are not among the instances, and why.
    test : bool
        Carries the mark 試験.
    icc : bool
        The file holds a colour profile of its own.
    untried : bool
        Read as others say that it is to be read; never tried on a file of its maker.
    ended : callable
        Called when the slide is closed.
    """

    path: Path
    vendor: str
    instances: tuple[VirtualInstance, ...]
    sources: tuple[SourceFile, ...] = field(repr=False)
    omitted: tuple[str, ...] = ()
    test: bool = False
    icc: bool = False
    untried: bool = False
    ended: Callable[[], None] = field(default=lambda: None, repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """The vendor's file set."""
        return tuple(source.path for source in self.sources)

    def file_digest(self) -> str:
        """Return the SHA-256 of the vendor file set in hex.

        Of one file, its own; of several, that of their digests in order
        (each as 64 hex digits).
        """
        digests = [source.digest() for source in self.sources]
        if len(digests) == 1:
            return digests[0]
        return hashlib.sha256("".join(digests).encode("ascii")).hexdigest()

    def check(self) -> None:
        """Raise SourceChanged if a file's size, mtime or inode differ from opening."""
        for source in self.sources:
            source.check()

    def close(self) -> None:
        """Close the files, and end what reads them."""
        self.ended()
        for source in self.sources:
            source.close()

    def __enter__(self) -> Slide:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
