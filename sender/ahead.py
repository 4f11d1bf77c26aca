"""What a delivery finds ready because it was begun while the job was read.

A connection takes two round trips and more, and a slide is opened in some 50 ms:
its overview waits for neither where both were begun with the reading.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import TodokeError
from sender.links import dicom
from sender.links.dialling import Dialling
from sender.partners import Partner, find_partner

if TYPE_CHECKING:
    from sender.links.http import LinkClient
    from sender.slides import Slide

FRESH = 5.0  # seconds for which something is kept that nobody takes


@dataclass(slots=True)
class Ready:
    """What one delivery finds; what it does not take is given up by :meth:`close`."""

    dialled: Dialling | None = None
    connecting: Future[LinkClient] | None = None
    slide: Slide | None = None

    def take_slide(self) -> Slide | None:
        """Return the slide for good."""
        slide, self.slide = self.slide, None
        return slide

    def take_connection(self) -> Future[LinkClient] | None:
        """Return the connection for good."""
        connecting, self.connecting = self.connecting, None
        return connecting

    def close(self) -> None:
        """Give up what was not taken."""
        if self.dialled is not None:
            self.dialled.give_up()
        if (connecting := self.take_connection()) is not None:
            connecting.add_done_callback(_close)
        if (slide := self.take_slide()) is not None:
            slide.close()


class Ahead:
    """Keeps, by partner, connections that were made ahead, and one slide that is open.

    Parameters
    ----------
    data : Path
        The sender's data directory.
    profile : str
        Of TLS, as the settings name it.
    connect : callable
        Makes a connection of the link to a partner, with those that a slide needs besides.
    busy : callable
        Returns the partners to which something is being delivered: they are connected.
    clock : callable
        Seconds that only go on.
    """

    def __init__(
        self,
        data: Path,
        profile: str,
        connect: Callable[[Partner], LinkClient],
        busy: Callable[[], frozenset[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._data, self._profile = data, profile
        self._connect, self._busy, self._clock = connect, busy, clock
        self._ready: dict[str, tuple[float, Ready]] = {}
        self._slide: tuple[float, Slide, str] | None = None
        self._lock = threading.Lock()

    def dial(self, key: str) -> None:
        """Begin an association's connection to the partner of a job that has images."""
        if not key or key in self._busy():
            return
        with contextlib.suppress(TodokeError, OSError):  # the delivery says so
            partner = find_partner(self._data, key)
            with self._lock:
                _, ready = self._ready.setdefault(key, (self._clock(), Ready()))
                if ready.dialled is None:
                    tls = dicom.tls_towards(partner, self._profile)
                    first = partner.addresses[0], partner.dicom_port
                    ready.dialled = Dialling(first, tls, partner.host)

    def link(self, key: str) -> None:
        """Begin the link's connections to the partner of a job that has a slide."""
        if not key or key in self._busy():
            return
        with contextlib.suppress(TodokeError, OSError):
            partner = find_partner(self._data, key)
            if partner.kind != "todoke":
                return
            with self._lock:
                _, ready = self._ready.setdefault(key, (self._clock(), Ready()))
                if ready.connecting is not None:
                    return
                made: Future[LinkClient] = Future()
                ready.connecting = made
            work = threading.Thread(target=self._made, args=(partner, made), name="link-ahead")
            work.daemon = True
            work.start()

    def _made(self, partner: Partner, made: Future[LinkClient]) -> None:
        try:
            made.set_result(self._connect(partner))
        except BaseException as failure:
            made.set_exception(failure)

    def keep(self, slide: Slide, words: str) -> bool:
        """Keep a slide open for its delivery, if none is kept; else its caller closes it.

        Parameters
        ----------
        words : str
            As what it was opened: a transfer's :attr:`~sender.outbox.Transfer.slide`.
        """
        with self._lock:
            if self._slide is not None:
                return False
            self._slide = self._clock(), slide, words
            return True

    def take(self, key: str, words: str | None, *, images: bool) -> Ready:
        """Return what is ready for a delivery.

        Parameters
        ----------
        words : str or None
            The transfer's slide: another patient or spacing since makes other headers.
        images : bool
            It goes over an association; else frame by frame.
        """
        found = Ready()
        with self._lock:
            _, kept = self._ready.get(key, (0.0, Ready()))
            if images:
                found.dialled, kept.dialled = kept.dialled, None
                return found
            made = kept.take_connection()
            if made is not None and made.done() and made.exception() is not None:
                made = None  # it may be there by now
            found.connecting = made
            if self._slide is not None and self._slide[2] == words:
                found.slide, self._slide = self._slide[1], None
        return found

    def no_images(self, key: str) -> None:
        """Give up an association's connection to a partner: nothing goes over it."""
        self.take(key, None, images=True).close()

    def look(self, seconds: float = FRESH) -> None:
        """Give up what nobody took for so long."""
        before = self._clock() - seconds
        with self._lock:
            keys = [key for key, (since, _) in self._ready.items() if since <= before]
            old = [self._ready.pop(key)[1] for key in keys]
            slide = None
            if self._slide is not None and self._slide[0] <= before:
                slide, self._slide = self._slide[1], None
        for ready in old:
            ready.close()
        if slide is not None:
            slide.close()

    def close(self) -> None:
        """Give up everything."""
        self.look(0.0)


def _close(made: Future[LinkClient]) -> None:
    if made.exception() is None:
        made.result().close()
