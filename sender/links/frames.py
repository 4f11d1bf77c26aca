"""A slide's frames over the link: smallest level first, what a reader waits for before all.

Batches are sized in bytes and several are under way at a time, as many as the line
needs (:mod:`sender.links.window`).  What readers wait for comes on a question that
is always open, so it comes at once whether or not anything is under way.  What is
missing is asked, never remembered.
"""

from __future__ import annotations

import array
import hashlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from common import link
from common.errors import TodokeError
from sender.links.http import LinkClient
from sender.links.leaves import Leaves
from sender.links.window import REQUESTS, Batch, Window
from sender.slides import Slide, VirtualInstance
from sender.turns import Turn

AHEAD = 2  # levels whose lengths are told while it is asked what is missing
FOLLOWING = 500_000  # bytes of the levels after the one that is sent, whose lengths are told
ASK_AGAIN = 5.0  # seconds after a question for wanted frames that went wrong

Place = tuple[int, int]  # place in the opening, frame


def packed_lengths(level: VirtualInstance) -> bytes:
    """Return frame lengths as the link carries them: uint32 LE."""
    lengths = array.array("I", [int(n) for n in level.lengths])
    if sys.byteorder == "big":
        lengths.byteswap()
    return lengths.tobytes()


class Push:
    """Sends the missing frames of one slide.

    Parameters
    ----------
    held : callable
        Told (SOP Instance UID, frames newly held) after each batch.
    stop : threading.Event
        Set to end after the batches under way.
    turn : Turn
        Asked before each batch; while something more urgent has the line, nothing
        goes out but single batches of what readers wait for.
    window : Window, optional
        What may be under way, shared with other slides to the same partner.
    leaves : Leaves, optional
        Told the digests of what is read.
    """

    def __init__(
        self,
        client: LinkClient,
        transfer: str,
        slide: Slide,
        held: Callable[[str, int], None],
        stop: threading.Event,
        turn: Turn,
        window: Window | None = None,
        leaves: Leaves | None = None,
    ) -> None:
        self.client = client
        self.transfer = transfer
        self.levels = slide.instances
        self.held = held
        self.stop = stop
        self.turn = turn
        self.window = window or Window()
        self.leaves = leaves or Leaves(slide)
        self._missing: dict[int, set[int]] = {}
        self._laid_out: dict[int, Future[None]] = {}
        self._changed = threading.Condition()
        self._wanted: deque[Place] = deque()
        self._next: Place | None = None  # in order, looked at and not sent
        self._under_way = 0
        self._failure: BaseException | None = None
        self._over = threading.Event()

    def run(self) -> None:
        """Send all that the receiver misses.

        Raises
        ------
        PeerError, SourceChanged
            What was acknowledged stays so.
        """
        self.turn.tell(self._look)
        try:
            with ThreadPoolExecutor(REQUESTS, thread_name_prefix="frames") as pool:
                # most likely missing, and told again without harm: one round trip less
                for place in self._readers_order(range(len(self.levels)))[:AHEAD]:
                    if self.levels[place].encoding != "reencoded":  # whose lengths cost much
                        self._begin(place, pool)
                _, bitmaps = self.client.missing(self.transfer)
                self._missing = self._from_bitmaps(bitmaps)
                threading.Thread(target=self._listen, name="wanted", daemon=True).start()
                self._send_all(pool)
                self._wait(lambda: not self._under_way)
        finally:
            self._over.set()
            self._look()
        if self._failure is not None:
            raise self._failure

    def _send_all(self, pool: ThreadPoolExecutor) -> None:
        order = self._order(pool)
        while any(self._missing.values()) and not self._ended():
            if self.turn.gives_way() and (not self._wanted or self._under_way):
                self._wait(lambda: not self.turn.gives_way() or self._may_answer())
                continue
            place = self.window.enter(self, first=bool(self._wanted))
            chosen = list(self._next_batch(order, place.size, pool))
            if not chosen or self._ended():
                self.window.leave(place, answered=False)
                continue
            place.size = sum(int(self.levels[at].lengths[frame]) for at, frame in chosen)
            with self._changed:
                self._under_way += 1
            pool.submit(self._carry, chosen, place)

    def _may_answer(self) -> bool:
        return bool(self._wanted) and not self._under_way

    def _ended(self) -> bool:
        return self.stop.is_set() or self._failure is not None

    def _wait(self, holds: Callable[[], bool]) -> None:
        with self._changed:
            while not (holds() or self._failure is not None):
                # who sets `stop` does not tell us
                self._changed.wait(0.5)
                if self.stop.is_set() and not self._under_way:
                    return

    def _look(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _from_bitmaps(self, bitmaps: Mapping[int, str]) -> dict[int, set[int]]:
        missing: dict[int, set[int]] = {}
        for place, level in enumerate(self.levels):
            if place in bitmaps:
                here = link.unpack_bits(bitmaps[place], level.frames)
                missing[place] = set(range(level.frames)) - here
                self.held(level.sop_instance_uid, len(here))
        return missing

    def _order(self, pool: ThreadPoolExecutor) -> Iterator[Place]:
        """Give what is missing, smallest level first; the next ones are laid out meanwhile."""
        places = self._readers_order(place for place, missing in self._missing.items() if missing)
        for number, place in enumerate(places):
            self._begin(place, pool)
            following = 0
            for ahead in places[number + 1 :]:
                if following >= FOLLOWING:
                    break
                self._begin(ahead, pool)
                following += self.levels[ahead].expected
            for frame in sorted(self._missing[place]):
                yield place, frame

    def _following(self, order: Iterator[Place], level: int | None) -> Place | None:
        """Return the next place in order; None at the end, or where another level begins."""
        if self._next is None:
            self._next = next(order, None)
        if self._next is None or level not in (None, self._next[0]):
            return None
        found, self._next = self._next, None
        return found

    def _readers_order(self, places: Iterable[int]) -> list[int]:
        """Put the smallest level before the pictures beside it, which may be larger."""
        pyramid = [place for place, one in enumerate(self.levels) if one.level is not None]
        return sorted(places, key=lambda place: (place not in pyramid[:1], place))

    def _begin(self, place: int, pool: ThreadPoolExecutor) -> Future[None]:
        """Tell a level's frame lengths ahead of its frames, so no level waits for a big one's."""
        if place not in self._laid_out:
            packed = packed_lengths(self.levels[place])
            self._laid_out[place] = pool.submit(self.client.lengths, self.transfer, place, packed)
        return self._laid_out[place]

    def _next_batch(
        self, order: Iterator[Place], most: int, pool: ThreadPoolExecutor
    ) -> Iterator[Place]:
        """Choose frames for one batch.

        In order, none begins in one level and ends in another: the overview waits
        neither for what comes after it nor until that may be sent.
        """
        size, level = 0, None
        while size < most:
            with self._changed:
                wanted = self._wanted.popleft() if self._wanted else None
                self._changed.notify_all()
            if wanted is not None:
                at, frame = wanted
            elif self.turn.gives_way() or (following := self._following(order, level)) is None:
                return
            else:
                at, frame = following
                level = at
            if frame not in self._missing.get(at, ()):
                continue
            try:
                self._begin(at, pool).result()
            except BaseException as failure:  # raised by run()
                self._failure = failure
                return
            self._missing[at].discard(frame)
            size += int(self.levels[at].lengths[frame])
            yield at, frame

    def _carry(self, chosen: list[Place], place: Batch) -> None:
        """Body of a thread: send one batch and say what came of it."""
        answered, busy = False, 0.0
        try:
            busy = self._send(chosen)
            answered = True
        except BaseException as failure:  # raised by run()
            self._failure = self._failure or failure
        finally:
            self.window.leave(place, answered=answered, busy=busy)
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _send(self, batch: list[Place]) -> float:
        """Send a batch; return the seconds that the receiver worked on it."""
        parts: list[bytes] = []
        for place, frame in batch:
            level = self.levels[place]
            data = level.read(frame)
            whole = hashlib.sha256(level.prefix)
            whole.update(data)
            leaf = whole.digest()
            self.leaves.put(place, frame, leaf)
            parts += (link.frame_head(place, frame, len(data), leaf), data)
        self.leaves.more()
        wanted, busy = self.client.frames(self.transfer, b"".join(parts))
        self._want(wanted)
        for place in {place for place, _ in batch}:
            count = sum(1 for at, _ in batch if at == place)
            self.held(self.levels[place].sop_instance_uid, count)
        return busy

    def _want(self, wanted: list[Place]) -> None:
        if wanted:
            with self._changed:
                # the newest first: a reader has turned away from what it wanted before
                self._wanted.extendleft(reversed([p for p in wanted if p[0] < len(self.levels)]))
                self._changed.notify_all()

    def _listen(self) -> None:
        """Body of a thread: keep a question for wanted frames open.

        It is asked again only once what it brought is on its way: until then the
        receiver puts what readers want in order, and forgets what they want no more.
        """
        while not self._over.is_set():
            with self._changed:
                self._changed.wait_for(lambda: not self._wanted or self._over.is_set())
            if self._over.is_set():
                return
            try:
                self._want(self.client.wanted_frames(self.transfer))
            except TodokeError:  # a hint that did not come: frames go on in their order
                self._over.wait(ASK_AGAIN)
            except RuntimeError:  # the client was closed
                return
