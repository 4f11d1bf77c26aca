"""Whether a file is still what was acknowledged, asked before anything of it is shown.

A frame of a slide level is compared with its own digest each time.  Of any other
instance D1 is taken the first time that this process reads the file, and again
when the file has changed: a digest of all costs less than reading it from a disk.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from common import durable
from common.dicom import digest
from common.errors import ImageDamaged, StorageError
from receiver import index
from receiver.stored import Stored

log = logging.getLogger("todoke.receiver")
KEPT = 50_000  # files that are known to be sound
_instances, _frames = index.instances, index.frames
_Version = tuple[str, int, int, int]  # path, inode, size, mtime in nanoseconds


class Soundness:
    """Looks at files before they are shown; safe from several threads."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._sound: OrderedDict[_Version, None] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, row: Row[Any], numbers: Sequence[int] | None = None) -> None:
        """Refuse what is not as it came.

        Parameters
        ----------
        row : Row
            Of the index, as :meth:`Stored.find` gives it.
        numbers : sequence of int, optional
            Frames (0-based) that are to be shown; all of the instance without.

        Raises
        ------
        ImageDamaged
            The file is gone, or not as long or not the same as what was acknowledged.
        """
        with self._stored.index.read() as db:
            d1 = db.execute(select(_instances.c.d1).where(_instances.c.id == row.id)).scalar()
            digests: dict[int, bytes] = {}
            if numbers is not None:
                asked = (_frames.c.instance == row.id) & _frames.c.frame.in_(numbers)
                rows = db.execute(select(_frames.c.frame, _frames.c.digest).where(asked))
                digests = {frame: bytes(found) for frame, found in rows}
        path = self._stored.path(row)
        try:
            if numbers and digests.keys() >= set(numbers):
                sound = self._frames_are(row, digests)
            else:
                sound = d1 is None or self._is(path, row, d1)
        except StorageError as failure:
            if path.exists():
                raise
            log.error("%s is gone: %s", row.path, ImageDamaged.number)
            raise ImageDamaged from failure
        if not sound:
            log.error("%s is not what came: %s", row.path, ImageDamaged.number)
            raise ImageDamaged

    def _frames_are(self, row: Row[Any], digests: dict[int, bytes]) -> bool:
        spans = self._stored.spans(row, list(digests))
        if spans is None:
            return False
        fd = durable.open_file(self._stored.path(row))
        try:
            return all(
                hashlib.sha256(durable.read_at(fd, size, offset)).digest() == wanted
                for (offset, size), wanted in zip(spans, digests.values(), strict=True)
            )
        finally:
            os.close(fd)

    def _is(self, path: Path, row: Row[Any], d1: str) -> bool:
        fd = durable.open_file(path)
        try:
            known = os.fstat(fd)
            version = str(path), known.st_ino, known.st_size, known.st_mtime_ns
            with self._lock:
                if version in self._sound:
                    return True
            if known.st_size != row.prefix_length + row.length:
                return False
            if digest.sha256(digest.pieces(fd, row.prefix_length, row.length)) != d1:
                return False
        finally:
            os.close(fd)
        with self._lock:
            self._sound[version] = None
            while len(self._sound) > KEPT:
                self._sound.popitem(last=False)
        return True
