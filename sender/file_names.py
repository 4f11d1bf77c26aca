"""Names of files that are no text: a share of an older system may bring Shift_JIS bytes."""

from __future__ import annotations

from common.errors import FileNameUnreadable


def printable(path: str) -> str:
    """Return a path as text that can be kept and shown: bytes that are no UTF-8 are named."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def check_name(path: str) -> None:
    """Refuse a path that the outbox cannot keep.

    Raises
    ------
    FileNameUnreadable
    """
    if printable(path) != path:
        raise FileNameUnreadable
