"""A slide's frames over the link: smallest level first, what a reader waits for before all.

Batches are sized in bytes and several are under way at a time, because one at a
time would leave a third of a long line unused.  What is missing is asked, never
remembered.
"""

from __future__ import annotations

import array
import hashlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from common import link
from common.dicom import digest
from common.link import Digest
from sender.links.http import LinkClient
from sender.slides import Slide, VirtualInstance
from sender.turns import Turn

BATCH = 200_000  # bytes of one request
IN_FLIGHT = 5  # requests

Place = tuple[int, int]  # place in the opening, frame


def packed_lengths(level: VirtualInstance) -> bytes:
    """Return frame lengths as the link carries them: uint32 LE."""
    lengths = array.array("I", [int(n) for n in level.lengths])
    if sys.byteorder == "big":
        lengths.byteswap()
    return lengths.tobytes()


def digests(slide: Slide) -> list[Digest]:
    """Digest every level from the vendor's file, in one pass in order.

    Returns
    -------
    list of Digest
        `d1` of the whole data set, `root` of its frames.
    """
    return [_digest(level) for level in slide.instances]


def _digest(level: VirtualInstance) -> Digest:
    layout = level.layout
    leaves: list[bytes] = []

    def read(i: int) -> bytes:
        frame = level.prefix + level.read(i)
        leaves.append(hashlib.sha256(frame).digest())
        return frame

    d1 = digest.sha256(layout.stream(read))
    return Digest(level.sop_instance_uid, layout.length, d1, root=digest.merkle_root(leaves))


class Push:
    """Sends the missing frames of one slide.

    Parameters
    ----------
    held : callable
        Told (SOP Instance UID, frames newly held) after each batch.
    stop : threading.Event
        Set to end after the batches under way.
    turn : Turn
        Asked before each batch; while something more urgent has the line, the
        batches under way are answered and no other begins.
    """

    def __init__(
        self,
        client: LinkClient,
        transfer: str,
        slide: Slide,
        held: Callable[[str, int], None],
        stop: threading.Event,
        turn: Turn,
    ) -> None:
        self.client = client
        self.transfer = transfer
        self.levels = slide.instances
        self.held = held
        self.stop = stop
        self.turn = turn
        self._wanted: deque[Place] = deque()
        self._missing: dict[int, set[int]] = {}
        self._laid_out: set[int] = set()

    def run(self) -> None:
        """Send all that the receiver misses.

        Raises
        ------
        PeerError, SourceChanged
            What was acknowledged stays so.
        """
        _, bitmaps = self.client.missing(self.transfer)
        self._missing = self._from_bitmaps(bitmaps)
        with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="frames") as pool:
            under_way: set[Future[None]] = set()
            try:
                for batch in filter(None, self._batches()):
                    under_way.add(pool.submit(self._send, batch))
                    if len(under_way) >= IN_FLIGHT:
                        under_way = self._settle(under_way)
                while under_way:
                    under_way = self._settle(under_way)
            finally:
                for future in under_way:
                    future.cancel()

    @staticmethod
    def _settle(under_way: set[Future[None]]) -> set[Future[None]]:
        done, rest = wait(under_way, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
        return rest

    def _from_bitmaps(self, bitmaps: Mapping[int, str]) -> dict[int, set[int]]:
        missing: dict[int, set[int]] = {}
        for place, level in enumerate(self.levels):
            if place in bitmaps:
                here = link.unpack_bits(bitmaps[place], level.frames)
                missing[place] = set(range(level.frames)) - here
                self.held(level.sop_instance_uid, len(here))
        return missing

    def _batches(self) -> Iterator[list[Place]]:
        """Give batches of places by size, what readers wait for first."""
        for place, missing in self._missing.items():
            if not missing:
                continue
            self._lay_out(place)
            order = iter(sorted(missing))
            while missing and not self.stop.is_set():
                if self.turn.gives_way():
                    self.turn.wait()
                else:
                    yield list(self._next_batch(place, order))

    def _lay_out(self, place: int) -> None:
        """Tell a level's frame lengths ahead of its frames, so no level waits for a big one's."""
        if place not in self._laid_out:
            self.client.lengths(self.transfer, place, packed_lengths(self.levels[place]))
            self._laid_out.add(place)

    def _next_batch(self, place: int, order: Iterator[int]) -> Iterator[Place]:
        size = 0
        while size < BATCH:
            if self._wanted:
                at, frame = self._wanted.popleft()
            elif (following := next(order, None)) is not None:
                at, frame = place, following
            else:
                return
            if frame not in self._missing.get(at, ()):
                continue
            self._lay_out(at)
            self._missing[at].discard(frame)
            size += int(self.levels[at].lengths[frame])
            yield at, frame

    def _send(self, batch: list[Place]) -> None:
        parts: list[bytes] = []
        for place, frame in batch:
            level = self.levels[place]
            data = level.read(frame)
            whole = hashlib.sha256(level.prefix)
            whole.update(data)
            parts.append(link.pack_frame(place, frame, data, whole.digest()))
        wanted = self.client.frames(self.transfer, b"".join(parts))
        self._wanted.extend(p for p in wanted if p[0] < len(self.levels))
        for place in {place for place, _ in batch}:
            count = sum(1 for at, _ in batch if at == place)
            self.held(self.levels[place].sop_instance_uid, count)
