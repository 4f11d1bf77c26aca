"""Whether a file is still what was acknowledged, asked before anything of it is shown.

A frame of a slide level is compared with its own digest each time.  Of any other
instance D1 is taken the first time that this process reads the file, and again
when the file has changed: a digest of all costs less than reading it from a disk.
What is refused is told the keeper, whose scrub (:mod:`receiver.scrub`) judges it: it
alone marks an instance damaged, alarms, and has it asked for again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Row, bindparam, select

from common import durable
from common.dicom import dataset, digest
from common.dicom.uids import IMPLEMENTATION_VERSION
from common.errors import ImageDamaged, StorageError
from receiver import index, repairs
from receiver.stored import Stored

log = logging.getLogger("todoke.receiver")
KEPT = 50_000  # files that are known to be sound
_instances, _frames = index.instances, index.frames
# made once: building a statement takes longer than running it
_D1 = select(_instances.c.d1).where(_instances.c.id == bindparam("id"))
_DIGESTS = select(_frames.c.frame, _frames.c.digest).where(
    _frames.c.instance == bindparam("id"),
    _frames.c.frame.in_(bindparam("numbers", expanding=True)),
)
_VERSION = re.compile(rb"TODOKE_[0-9A-Za-z.]+ ?")
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
        path = self._stored.path(row)
        try:
            sound = self._known(path) or self._looked_at(path, row, numbers)
        except (StorageError, FileNotFoundError) as failure:
            self._refuse(row, "cannot be read")  # a sector, or all of it
            if path.exists():
                raise
            raise ImageDamaged from failure
        if not sound:
            self._refuse(row, "is not what came")
            raise ImageDamaged

    def _refuse(self, row: Row[Any], what: str) -> None:
        log.error("%s %s: %s", row.path, what, ImageDamaged.number)
        try:
            repairs.suspect(self._stored.index, row.id)
        except StorageError as error:  # the next reader says it again, and the pass finds it
            if not error.retryable:
                raise
            log.error("%s", error)

    def _known(self, path: Path) -> bool:
        version = _version(path, path.stat())
        with self._lock:
            return version in self._sound

    def _looked_at(self, path: Path, row: Row[Any], numbers: Sequence[int] | None) -> bool:
        with self._stored.index.read() as db:
            asked = {"id": row.id, "numbers": list(numbers or ())}
            digests = {n: bytes(found) for n, found in db.execute(_DIGESTS, asked)}
            if not (numbers and digests.keys() >= set(numbers)):
                d1 = db.execute(_D1, asked).scalar()
                digests = {}
        if digests:
            return self._frames_are(row, digests)
        return d1 is None or self._is(path, row, d1)

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
            if known.st_size != row.prefix_length + row.length:
                return False
            if not head_is(fd, row, row.prefix_length):
                return False
            if digest.sha256(digest.pieces(fd, row.prefix_length, row.length)) != d1:
                return False
        finally:
            os.close(fd)
        with self._lock:
            self._sound[_version(path, known)] = None
            while len(self._sound) > KEPT:
                self._sound.popitem(last=False)
        return True


def head_is(fd: int, row: Row[Any] | repairs.Seen, size: int) -> bool:
    """Whether the bytes before a data set are those that were written for its row.

    Parameters
    ----------
    size : int
        Bytes of preamble and group 0002.
    """
    made = dataset.file_prefix(row.sop_class, row.sop_uid, row.transfer_syntax)
    if len(made) != size:  # written by another version of this program
        return True
    here = durable.read_at(fd, size, 0)
    end = len(IMPLEMENTATION_VERSION) + len(IMPLEMENTATION_VERSION) % 2
    other = _VERSION.fullmatch(here[-end:]) is not None
    return here == made or (other and here[:-end] == made[:-end])


def _version(path: Path, known: os.stat_result) -> _Version:
    return str(path), known.st_ino, known.st_size, known.st_mtime_ns
