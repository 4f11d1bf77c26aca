"""Digests of a slide's frames, taken once: while they are read for sending."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

from common.dicom import digest
from common.errors import PeerError
from common.link import Digest
from common.proof import merkle
from sender.slides import Slide, VirtualInstance

_SIZE = 32  # bytes of a SHA-256


class Leaves:
    """SHA-256 of each frame that was read for sending, for who digests the whole levels."""

    def __init__(self, slide: Slide) -> None:
        self._digests = [bytearray(_SIZE * level.frames) for level in slide.instances]
        self._known = [bytearray(level.frames) for level in slide.instances]
        self._changed = threading.Condition()
        self._ended = self._given_up = False

    def put(self, place: int, frame: int, leaf: bytes) -> None:
        """Keep the digest of a frame; :meth:`more` tells of it."""
        self._digests[place][_SIZE * frame : _SIZE * (frame + 1)] = leaf
        self._known[place][frame] = 1

    def more(self) -> None:
        """Wake who waits for what was put."""
        with self._changed:
            self._changed.notify_all()

    def end(self, *, well: bool) -> None:
        """Nothing more is read for sending; if not `well`, nobody needs the digests."""
        with self._changed:
            self._ended = True
            self._given_up = not well
            self._changed.notify_all()

    def wait_for_last(self) -> bool:
        """Wait until the largest level has begun: what is not urgent has time until then.

        Returns
        -------
        bool
            False if sending has failed.
        """
        known = self._known[-1]
        with self._changed:
            self._changed.wait_for(lambda: self._ended or any(known))
            return not self._given_up

    def wait_for_end(self) -> bool:
        """Wait until nothing more is read for sending; False if that has failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended)
            return not self._given_up

    def wait(self, place: int, frame: int) -> bytes | None:
        """Wait until a frame has been read for sending; None where it never was.

        Raises
        ------
        PeerError
            Sending has failed.
        """
        known = self._known[place]
        if not known[frame] or self._given_up:
            with self._changed:
                self._changed.wait_for(lambda: known[frame] or self._ended)
            if self._given_up:
                raise PeerError(cause="stopped")
        if not known[frame]:
            return None  # it was held by the receiver before we began
        return bytes(self._digests[place][_SIZE * frame : _SIZE * (frame + 1)])


def digests(slide: Slide, sent: Leaves | None = None) -> list[Digest]:
    """Digest every level from the vendor's file, in one pass in order.

    Parameters
    ----------
    sent : Leaves, optional
        Digests of the frames that are being sent; the pass follows them, so that it
        takes neither the disk nor the processor from the first frames.  A frame that
        changed between the two readings shows in `d1`: the receiver has another.

    Returns
    -------
    list of Digest
        `d1` of the whole data set, `root` of its frames.
    """
    return [_digest(place, level, sent) for place, level in enumerate(slide.instances)]


def _digest(place: int, level: VirtualInstance, sent: Leaves | None) -> Digest:
    layout = level.layout
    found = bytearray(_SIZE * level.frames)

    def read(i: int) -> bytes:
        leaf = sent.wait(place, i) if sent is not None else None
        frame = level.prefix + level.read(i)
        found[_SIZE * i : _SIZE * (i + 1)] = leaf or hashlib.sha256(frame).digest()
        return frame

    d1 = digest.sha256(layout.stream(read))
    root = merkle.root(list(_leaves(found)))
    return Digest(level.sop_instance_uid, layout.length, d1, root=root)


def _leaves(found: bytearray) -> Iterator[bytes]:
    for start in range(0, len(found), _SIZE):
        yield bytes(found[start : start + _SIZE])
