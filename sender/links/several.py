"""Several associations to a peer that answers one instance before it takes the next.

Without the asynchronous operations window (PS3.7 D.3.3.3) each instance waits a
round trip, so the line stands idle.  How many associations are worth it depends
on line and peer: one more step is taken as long as the step before brought
something, up to a limit, and a peer that takes no more is left at what it took.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from common.dicom.association import Requestor
from common.errors import TodokeError
from sender.outbox import Instance

GAIN = 1.1  # times the rate before, that a step must bring for the next to be taken
EACH = 2  # acknowledgements per association, over which a rate is taken

#: Stores what it is given over one association; returns the errors of instances refused.
Store = Callable[[Requestor, Iterator[Instance]], list[TodokeError]]


class Several:
    """Stores one list of instances over a growing number of associations.

    Parameters
    ----------
    open_another : callable
        Opens a further association, to the same peer under the same terms.
    store : callable
        Used by several threads.
    most : int
        Associations at a time.
    clock : callable
        Seconds that only go on.
    """

    def __init__(
        self,
        open_another: Callable[[], Requestor],
        store: Store,
        most: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_another = open_another
        self._store = store
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._remaining: Iterator[Instance] = iter(())
        self._refused: list[TodokeError] = []
        self._failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._serving = 1  # associations that are open
        self._opening = 0
        self._settled = self._over = False
        self._before = 0.0  # bytes a second, with fewer associations
        self._since = 0.0
        self._acknowledged = self._bytes = 0

    @property
    def serving(self) -> int:
        """Associations that were open at a time."""
        return self._serving

    def run(self, first: Requestor, instances: Iterator[Instance]) -> list[TodokeError]:
        """Store all instances; return the errors of those refused.

        Raises
        ------
        TodokeError
            What the first association broke with; what others broke with, where
            something is left that none was there to send.
        """
        self._remaining = instances
        self._since = self._clock()
        try:
            self._refused += self._store(first, self._pull())
        finally:
            with self._lock:
                self._over = True
                self._remaining = iter(())
            for thread in self._threads:
                thread.join()
        if self._failures:
            raise self._failures[0]
        return self._refused

    def acknowledged(self, instance: Instance) -> None:
        """Note an acknowledgement; now and then it decides for more associations."""
        with self._lock:
            self._acknowledged += 1
            self._bytes += instance.length
            if self._settled or self._opening:
                return
            if self._acknowledged < EACH * self._serving:
                return
            rate = self._bytes / max(self._clock() - self._since, 1e-9)
            if rate < GAIN * self._before or self._serving >= self._most:
                self._settled = True
                return
            self._before = rate
            self._opening = min(self._serving, self._most - self._serving)
            more = self._opening
        for number in range(more):
            name = f"store-{self._serving + number}"
            threading.Thread(target=self._further, name=name, daemon=True).start()

    def _pull(self) -> Iterator[Instance]:
        while True:
            with self._lock:
                instance = next(self._remaining, None)
            if instance is None:
                return
            yield instance

    def _further(self) -> None:
        """Body of a further association: opened, fed, released."""
        try:
            association = self._open_another()
        except TodokeError:  # the peer takes no more: that is an answer too
            self._opened(0)
            return
        with association:
            if self._opened(1):
                self._feed(association)

    def _feed(self, association: Requestor) -> None:
        try:
            refused = self._store(association, self._pull())
        except BaseException as failure:  # raised by run()
            with self._lock:
                self._failures.append(failure)
                self._remaining = iter(())
        else:
            with self._lock:
                self._refused += refused

    def _opened(self, count: int) -> bool:
        """Count an association in, unless all is over: a peer may answer late, or never."""
        with self._lock:
            self._opening -= 1
            if self._over or not count:
                self._settled = True
                return False
            self._threads.append(threading.current_thread())
            self._serving += 1
            self._since = self._clock()
            self._acknowledged = self._bytes = 0
            return True
