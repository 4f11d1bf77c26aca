"""Who gives way when more knock at a door than it has room for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

One = TypeVar("One")


def gives_way(waiting: Mapping[One, str]) -> One:
    """Return the oldest of the address that has most here.

    So a newcomer always gets in: behind an address that floods the door a good
    client is the newest for as long as it needs, and another address has the
    few of its own counted against it alone.

    Parameters
    ----------
    waiting : mapping
        To address, in order of arrival; not empty.
    """
    busiest = Counter(waiting.values()).most_common(1)[0][0]
    return next(one for one, address in waiting.items() if address == busiest)
