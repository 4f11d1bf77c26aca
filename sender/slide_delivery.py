"""The frames of one slide to a receiver, and the digests that its closing names."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from common.errors import SourceChanged
from common.link import Digest
from sender.links.frames import Push
from sender.links.http import LinkClient
from sender.links.leaves import Leaves, digests
from sender.links.window import Window
from sender.outbox import Outbox, now
from sender.slides import Slide
from sender.sources import Watch
from sender.turns import Turn

NOTED = 0.1  # seconds between two notes of progress: each is a transaction


class Progress:
    """Notes in the outbox how many frames of each level are held.

    What counts is what the receiver says it misses; this is for who watches.

    Parameters
    ----------
    check : callable
        Raises if the source is no longer the same: it is not sent to its end.
    """

    def __init__(self, outbox: Outbox, transfer: str, check: Callable[[], None]) -> None:
        self._outbox, self._transfer = outbox, transfer
        self._watch = Watch(check)
        self._held: dict[str, int] = {}
        self._changed: set[str] = set()
        self._noted = 0.0
        self._lock = threading.Lock()

    def more(self, uid: str, count: int) -> None:
        """Count frames of a level that are newly held."""
        with self._lock:
            self._held[uid] = self._held.get(uid, 0) + count
            self._changed.add(uid)
            if time.monotonic() - self._noted >= NOTED:
                self._note()
        self._watch.look()

    def end(self) -> None:
        """Note what is left."""
        with self._lock:
            self._note()

    def _note(self) -> None:
        for uid in self._changed:
            self._outbox.acknowledged(self._transfer, [uid], self._held[uid])
        self._changed.clear()
        self._noted = time.monotonic()


@dataclass(slots=True)
class SlideDelivery:
    """Sends slides of one transfer; see :class:`sender.delivery.Delivery` for the attributes.

    Attributes
    ----------
    taken : str
        When the last frame that was sent had been acknowledged; "" before.
    """

    client: LinkClient
    transfer: str
    outbox: Outbox
    stop: threading.Event
    turn: Turn
    window: Window
    taken: str = ""

    def send_missing(self, slide: Slide) -> None:
        """Send what the receiver misses, of what was acknowledged before.

        Raises
        ------
        SourceChanged
        """
        counted = lambda _uid, _count: None  # noqa: E731 - all was acknowledged before
        self._push(slide, counted, Leaves(slide))
        slide.check()

    def send(self, slide: Slide, known: str | None = None) -> tuple[list[Digest], dict[str, Any]]:
        """Send what the receiver misses and digest the whole source meanwhile.

        Parameters
        ----------
        known : str, optional
            Digest of the vendor's file set as it was when the job was read.  It is
            taken once more when the last frame has been sent: a tile that changes
            behind the file's date, before it is read, is never receipted.

        Returns
        -------
        digests : list of Digest
            Empty where everything ends before the slide does.
        source : dict
            Digest of the vendor's file set, as a closing names it.

        Raises
        ------
        SourceChanged
        """
        leaves = Leaves(slide)
        with ThreadPoolExecutor(2, thread_name_prefix="digest") as beside:
            found: Future[list[Digest]] = beside.submit(digests, slide, leaves)
            # both digests from before the last frame would not tell of it, so with `known`
            # the second is from after it; without, it is read beside the largest level
            begin = leaves.wait_for_last if known is None else leaves.wait_for_end
            file_set: Future[str] = beside.submit(_file_digest, slide, begin)
            progress = Progress(self.outbox, self.transfer, slide.check)
            well = False
            try:
                self._push(slide, progress.more, leaves)
                self.taken = now()
                well = not self.stop.is_set()
            finally:
                leaves.end(well=well)
                progress.end()
            if not well:
                return [], {}
            source = {"files": len(slide.files), "sha256": file_set.result()}
            slide.check()
            if known not in (None, source["sha256"]):
                raise SourceChanged(path=slide.path)
            self.outbox.digested(self.transfer, found.result())
            return found.result(), source

    def _push(self, slide: Slide, held: Callable[[str, int], None], leaves: Leaves) -> None:
        ours = self.stop, self.turn, self.window
        Push(self.client, self.transfer, slide, held, *ours, leaves).run()


def _file_digest(slide: Slide, begin: Callable[[], bool]) -> str:
    """Body of a thread: digest the files once it may begin; "" where nobody needs it."""
    return slide.file_digest() if begin() else ""
