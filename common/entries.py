"""JSON objects with long lists, read entry by entry.

The library's reader makes a dictionary of each of ten thousand entries before the
first is looked at.  Here each becomes what it is to be as soon as it is read; the
reading itself stays the library's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_decode = json.JSONDecoder().raw_decode


def read(text: str, entry: Callable[[Any], Any]) -> Any:
    """Return what ``json.loads`` returns, each entry of a list in the outermost object changed.

    Parameters
    ----------
    entry : callable
        Gives what is kept of an entry.

    Raises
    ------
    ValueError, RecursionError
        The text is no JSON.
    """
    at = _skip(text, 0)
    if not text.startswith("{", at):
        return json.loads(text)
    found: dict[str, Any] = {}
    at = _skip(text, at + 1)
    more = not text.startswith("}", at)
    while more:
        if not text.startswith('"', at):
            raise json.JSONDecodeError("a name expected", text, at)
        name, at = _decode(text, at)
        at = _skip(text, _skip(text, at, ":"))
        found[name], at = (
            _entries(text, at, entry) if text[at : at + 1] == "[" else _decode(text, at)
        )
        at, more = _next(text, at, "}")
    if _skip(text, at + 1) != len(text):
        raise json.JSONDecodeError("extra data", text, at)
    return found


def _entries(text: str, at: int, entry: Callable[[Any], Any]) -> tuple[list[Any], int]:
    """Return the entries of the list that begins here, and the place behind it."""
    found: list[Any] = []
    at = _skip(text, at + 1)
    more = not text.startswith("]", at)
    while more:
        value, at = _decode(text, at)
        found.append(entry(value))
        at, more = _next(text, at, "]")
    return found, at + 1


def _next(text: str, at: int, end: str) -> tuple[int, bool]:
    """Return the place of what follows a comma, or of the end, and which it is."""
    at = _skip(text, at)
    if text.startswith(end, at):
        return at, False
    return _skip(text, at, ","), True


def _skip(text: str, at: int, mark: str = "") -> int:
    """Return the place behind space, and behind a mark and the space around it."""
    if text[at : at + 1] <= " " and (space := _SPACE.match(text, at)):
        at = space.end()
    if not mark:
        return at
    if not text.startswith(mark, at):
        raise json.JSONDecodeError(f"{mark} expected", text, at)
    return _skip(text, at + 1)
