"""Some rows of a bench alone, by the names of their groups."""

from __future__ import annotations

from collections.abc import Sequence

from common.errors import NotFound


def chosen(groups: Sequence[str], only: Sequence[str]) -> tuple[str, ...]:
    """Return the groups that are asked for in a bench's own order, all where none is.

    Raises
    ------
    NotFound
        There is no such group.
    """
    for name in only:
        if name not in groups:
            raise NotFound(thing=f"--only {name} ({', '.join(groups)})")
    return tuple(name for name in groups if name in (only or groups))
