"""How long things have been as they are: what is being written is not taken."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path


class Still:
    """Remembers since when each thing has looked the same.

    Parameters
    ----------
    clock : callable
        Seconds; the dates of files say nothing here, a share may give old ones.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[Path, tuple[Hashable, float]] = {}

    def seconds(self, thing: Path, looks: Hashable) -> float:
        """Return for how long a thing has looked like this, 0.0 at the first look."""
        before, since = self._seen.get(thing, (None, 0.0))
        if before != looks:
            self._seen[thing] = looks, self._clock()
            return 0.0
        return self._clock() - since

    def forget(self, thing: Path) -> None:
        """Forget a thing: it was taken, or is gone."""
        self._seen.pop(thing, None)
