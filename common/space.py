"""Room on a disk: asked before something is taken, so that the disk is never quite full.

What stays free below the mark is for what was begun: the index and its WAL, the
audit trail, the receipts of what has arrived.
"""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from common.errors import DiskFull

log = logging.getLogger("todoke.disk")
MIB = 1 << 20
GB = 1_000_000_000  # bytes; what the setting max_instance_gb counts in
NAMES = 256  # files that a file system with a fixed number of them must still be able to make


@dataclass(frozen=True, slots=True)
class Free:
    """What a disk has left for us.

    Attributes
    ----------
    size : int
        Bytes.
    names : int or None
        Files that can still be made; None where the file system has no fixed number.
    """

    size: int
    names: int | None


def free(folder: Path) -> Free:
    """Return what is left on the disk of a folder (statvfs, 2 us)."""
    if not hasattr(os, "statvfs"):
        return Free(shutil.disk_usage(folder).free, None)
    found = os.statvfs(folder)
    return Free(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


class Space:
    """The low-water mark of one disk.

    Parameters
    ----------
    folder : Path
        On that disk.
    low_water : int
        Bytes that stay free; 0 to refuse only what does not fit at all.
    """

    def __init__(self, folder: Path, low_water: int) -> None:
        self.folder = folder
        self.low_water = low_water
        self._low = False

    def low(self, needed: int = 0, *, ending: bool = False) -> bool:
        """Whether `needed` bytes more would bring the disk below its mark.

        Parameters
        ----------
        ending : bool
            It brings to an end what was begun, and may use most of what stays free.
        """
        left = free(self.folder)
        mark, names = self.low_water, NAMES if self.low_water else 0
        if self._low:  # not to and fro at the mark
            mark, names = mark + mark // 8, names + names // 8
        if ending:
            mark, names = mark // 4, names // 4
        return left.size < mark + needed or (left.names is not None and left.names < names)

    def check(self, needed: int = 0, *, ending: bool = False) -> None:
        """Refuse what would bring the disk below its mark; see :meth:`low`.

        Raises
        ------
        DiskFull
        """
        low = self.low(needed, ending=ending)
        if low != self._low and not ending:
            self._low = low
            self._say(low)
        if low:
            raise DiskFull(path=self.folder)

    def _say(self, low: bool) -> None:
        """Log the change, not each refusal."""
        left = free(self.folder)
        words = f"{left.size // MIB} MB, {left.names} files, mark {self.low_water // MIB} MB"
        if low:
            error = DiskFull(path=self.folder)
            log.error("%s / %s (%s)", error.words("ja"), error.words("en"), words)
        else:
            log.warning("空きができました / there is room again (%s)", words)
