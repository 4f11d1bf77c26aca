"""What the receiver has acknowledged, kept beside the sending and not in its way."""

from __future__ import annotations

import threading

from sender.outbox import Outbox

TOGETHER = 64  # acknowledgements that are written at once
PATIENCE = 0.1  # seconds that one waits at most, while others come


class Acknowledgements:
    """Keeps acknowledgements of instances a few at a time: each write waits for the disk.

    A thread of its own writes, so no association waits for it.  One waits at most
    :data:`PATIENCE`, also when no other follows.  What is lost with the machine is
    asked of the receiver again, or sent again.
    """

    def __init__(self, outbox: Outbox, transfer: str) -> None:
        self._outbox = outbox
        self._transfer = transfer
        self._noted: dict[str, str] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    def add(self, uid: str, d1: str) -> None:
        """Note that the receiver holds an instance.

        Parameters
        ----------
        d1 : str
            Of what it was sent.

        Raises
        ------
        BaseException
            What a write failed with that nobody waited for.
        """
        with self._changed:
            if self._failure is not None:
                raise self._failure
            self._noted[uid] = d1
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="kept", daemon=True)
                self._thread.start()
            elif len(self._noted) in (1, TOGETHER):
                self._changed.notify()

    def flush(self) -> None:
        """Keep what was noted, and end; raises as :meth:`add`."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _write(self) -> None:
        try:
            while noted := self._next():
                self._outbox.stored(self._transfer, noted)
        except BaseException as failure:  # raised to the sender by its next add or flush
            self._failure = failure

    def _next(self) -> dict[str, str]:
        """Return what has gathered; nothing once it has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._noted or self._ended)
            full = lambda: len(self._noted) >= TOGETHER or self._ended  # noqa: E731
            self._changed.wait_for(full, PATIENCE)
            noted, self._noted = self._noted, {}
        return noted
