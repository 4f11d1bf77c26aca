"""Whether anybody listens in the reading room: open pages say so, with each heartbeat they hear.

A stream that is written into proves nothing of who hears it; a page that answers does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

GONE_SECONDS = 15.0  # without an answer, VIEWING section 6: the same bound as the page's own


class Attendance:
    """Who listens, and whether their alarm can be heard.

    Parameters
    ----------
    clock : callable
        Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pages: dict[str, tuple[float, bool, frozenset[str] | None]] = {}
        self._lock = threading.Lock()

    def heard(self, page: str, *, sound: bool, institutions: frozenset[str] | None = None) -> None:
        """Take it that a page is alive.

        Parameters
        ----------
        page : str
            What tells it from others.
        sound : bool
            Whether its alarm can be heard.
        institutions : frozenset of str or None
            Whose studies it shows; None: of all.
        """
        with self._lock:
            self._pages[page] = self._clock(), sound, institutions

    def left(self, page: str) -> None:
        """Take it that a page is gone."""
        with self._lock:
            self._pages.pop(page, None)

    def somebody(self, institution: str | None = None) -> bool:
        """Tell whether some page is alive.

        Parameters
        ----------
        institution : str, optional
            Whose studies it must be able to show.
        """
        return any(_shows(limit, institution) for _, limit in self.alive())

    def audible(self, institution: str | None = None) -> bool:
        """Tell whether some page is alive whose alarm can be heard; as :meth:`somebody`."""
        return any(sound and _shows(limit, institution) for sound, limit in self.alive())

    def alive(self) -> frozenset[tuple[bool, frozenset[str] | None]]:
        """Return of the pages that are alive, without their number, what answers depend on.

        Returns
        -------
        frozenset of (bool, frozenset of str or None)
            Whether an alarm can be heard, and to which institutions a page is limited.
        """
        after = self._clock() - GONE_SECONDS
        with self._lock:
            self._pages = {k: one for k, one in self._pages.items() if one[0] > after}
            return frozenset((sound, limit) for _, sound, limit in self._pages.values())


def _shows(limit: frozenset[str] | None, institution: str | None) -> bool:
    return limit is None or institution is None or institution in limit
