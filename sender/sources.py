"""Instances in the files where they lie: read for sending, and once more before the closing."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from common import durable
from common.dicom import digest
from common.dicom.association import Pieces
from common.errors import NotDicom, SourceChanged, TodokeError
from common.link import NATIVE, Digest
from sender.outbox import Instance, stamp

if TYPE_CHECKING:
    from sender.slides import Slide

EVERY = 1.0  # seconds between two looks at a source that is being sent


class FileSource:
    """A data set in its file, digested while it is read.

    The last piece is given only when the whole is known to be what was found when
    the job was read, so a changed source never becomes a complete instance at the peer.

    Raises
    ------
    SourceChanged
        By ``read`` too.
    """

    def __init__(self, instance: Instance, read: Callable[[str], None]) -> None:
        self._instance = instance
        self._told = read
        self._digest = hashlib.sha256()
        self._done = 0
        self._path = Path(instance.path)
        try:
            self._fd = durable.open_file(self._path)
        except TodokeError as failure:
            raise SourceChanged(path=self._path) from failure
        try:
            self._check()
        except TodokeError:
            self.close()
            raise

    def read(self, places: Sequence[memoryview]) -> None:
        """Fill the places with the next bytes; what is beyond the data set is its padding."""
        known = self._instance
        beyond = self._done + sum(map(len, places)) - known.length
        if beyond > 0:
            places[-1][-beyond:] = bytes(beyond)
            places = [*places[:-1], places[-1][:-beyond]]
        count = durable.read_into(self._fd, places, known.offset + self._done)
        if count != sum(map(len, places)):
            raise SourceChanged(path=self._path)
        for place in places:
            self._digest.update(place)
        self._done += count
        if self._done == known.length:
            self._end()

    def _end(self) -> None:
        self._check()
        d1 = self._digest.hexdigest()
        if self._instance.d1 not in (None, d1):
            raise SourceChanged(path=self._path)
        self._told(d1)

    def _check(self) -> None:
        known = self._instance
        if stamp(os.fstat(self._fd)) != (known.size, known.mtime_ns, known.inode):
            raise SourceChanged(path=self._path)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class LevelSource:
    """A data set made of a slide's header and tiles, digested while it is read.

    Each opening gives the same bytes, and they are those of the same level over the
    link.  As of :class:`FileSource`, the last piece is given only of what is unchanged.

    Parameters
    ----------
    slide : Slide
        Open for as long as the source is.

    Raises
    ------
    SourceChanged
        By ``read`` too.
    """

    def __init__(self, slide: Slide, instance: Instance, read: Callable[[str], None]) -> None:
        self._slide = slide
        self._instance = instance
        self._told = read
        self._pieces = Pieces(instance.length, self._stream())

    def read(self, places: Sequence[memoryview]) -> None:
        """Fill the places with the next bytes."""
        self._pieces.read(places)

    def close(self) -> None:
        """Read no further; the slide stays open."""
        self._pieces.close()

    def _stream(self) -> Iterator[bytes]:
        known = self._instance
        level = next(i for i in self._slide.instances if i.sop_instance_uid == known.sop_uid)
        layout = level.layout
        if layout.length != known.length:
            raise SourceChanged(path=self._slide.path)
        found = hashlib.sha256()
        for piece in layout.stream(level.frame):
            found.update(piece)
            yield piece
        self._slide.check()
        if known.d1 not in (None, found.hexdigest()):
            raise SourceChanged(path=self._slide.path)
        self._told(found.hexdigest())


class Watch:
    """Asks now and then whether a source is still the same, while it is being sent.

    Parameters
    ----------
    check : callable
        Raises if it is not.
    """

    def __init__(
        self, check: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._check = check
        self._clock = clock
        self._due = 0.0

    def look(self) -> None:
        """Check, at most every `EVERY` seconds: on a network share each costs a question."""
        if self._clock() >= self._due:
            self._due = self._clock() + EVERY
            self._check()


def digests(instance: Instance) -> Digest:
    """Digest an instance from its file, read again from the disk.

    Raises
    ------
    SourceChanged
        The file is not what it was when it was sent.
    """
    path = Path(instance.path)
    try:
        if stamp(path.stat()) != (instance.size, instance.mtime_ns, instance.inode):
            raise SourceChanged(path=path)
        found = digest.of_file(path, instance.offset, instance.transfer_syntax)
    except (OSError, NotDicom) as failure:
        raise SourceChanged(path=path) from failure
    if instance.d1 not in (None, found.d1):
        raise SourceChanged(path=path)
    known = Digest(instance.sop_uid, instance.length, found.d1, found.d2, found.d3)
    if instance.transfer_syntax != NATIVE or found.rest is None:
        return known
    # it may have been sent coded, now or before
    return replace(known, syntax=instance.sent_as or NATIVE, rest=found.rest)
