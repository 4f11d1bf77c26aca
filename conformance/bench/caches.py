"""The page cache before a run on a disk: the same for everyone (Linux).

What is written and read is dropped from it, then the series is read once: a
sender finds its files in memory, a receiver finds all other memory free of them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

STATE = {
    "ja": "ディスクの行: 毎回、sync、すべて破棄、送る画像を1回読む",
    "en": "rows on disk: before each run synced, all dropped, the series read once",
}


def settle(below: Path, files: Iterable[Path]) -> None:
    """Bring the page cache into the same state before every run.

    Parameters
    ----------
    below : Path
        Folder whose files are dropped from it: those of earlier runs too.
    files : iterable of Path
        Read once after that, in this order.
    """
    os.sync()  # only clean pages can be dropped
    for path in below.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a daemon may remove one of its own
            if path.is_file():
                drop(path)
    for path in files:
        path.read_bytes()


def drop(path: Path) -> None:
    """Drop a file's clean pages (posix_fadvise, POSIX.1-2001)."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)
