"""The most that something takes of memory while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Most:
    """Looks at a figure again and again, in a thread of its own, from entry to exit.

    Parameters
    ----------
    look : callable
        Returns bytes.
    every : float
        Seconds between two looks.

    Attributes
    ----------
    bytes : int
        The largest figure so far, 0 before the first.
    """

    def __init__(self, look: Callable[[], int], every: float) -> None:
        self.bytes = 0
        self._look = look
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Most:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            self.bytes = max(self.bytes, self._look())
