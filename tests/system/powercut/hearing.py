"""What was acknowledged, as it was heard, and cuts at random instants of that."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.system.powercut.disk import KINDS, Cut, Disk

DEADLINE = 120.0  # seconds without an acknowledgement
UNDER_WAY = 40  # instances that may be unanswered at a cut
INSTANT = 0.03  # seconds after an acknowledgement at most


@dataclass(frozen=True)
class Ack:
    """Something that was acknowledged.

    Attributes
    ----------
    what : str
        instance, frame, level, transfer, job or receipt.
    uid : str
        SOP Instance UID, or id of the transfer or job.
    digest : str
        SHA-256 of what was sent, where that is bytes: of a data set, or of a frame
        with its level's prefix.
    """

    what: str
    uid: str
    frame: int = -1
    digest: str = ""


class Heard:
    """Acknowledgements as they come, from any thread."""

    def __init__(self) -> None:
        self._acks: list[Ack] = []
        self._answers = 0
        self._pushing = 0
        self._allowed = 0  # instances that may have gone out by now
        self._changed = threading.Condition()
        self.stop = threading.Event()
        self.failures: list[BaseException] = []

    def note(self, *acks: Ack) -> None:
        """Take one answer that has just been heard, and all that it acknowledges."""
        with self._changed:
            self._acks += acks
            self._answers += 1
            self._changed.notify_all()

    def acks(self) -> list[Ack]:
        """Return what has been heard up to now."""
        with self._changed:
            return list(self._acks)

    def more(self, count: int) -> None:
        """Wait for so many answers more."""
        with self._changed:
            wanted = self._answers + count
            self._changed.wait_for(
                lambda: self._answers >= wanted or bool(self.failures) or not self._pushing,
                DEADLINE,
            )
            if self.failures:
                raise self.failures[0]
            assert self._answers >= wanted, f"{self._answers} answers, then no more"

    def allow(self, count: int) -> None:
        """Let instances go out until so many have gone in all."""
        with self._changed:
            self._allowed = count
            self._changed.notify_all()

    def may_go(self, gone: int) -> bool:
        """Whether another may go out now, so many having gone."""
        return gone < self._allowed and not self.stop.is_set()

    def wait_to_go(self, gone: int) -> None:
        """Wait until another may go out, or it is all over."""
        with self._changed:
            self._changed.wait_for(lambda: gone < self._allowed or self.stop.is_set(), DEADLINE)

    def end(self) -> None:
        """Push nothing more; what breaks off now is no failure."""
        with self._changed:
            self.stop.set()
            self._changed.notify_all()

    def during(self, push: Callable[[], None]) -> threading.Thread:
        """Run what pushes in a thread until it ends or :attr:`stop` is set."""

        def run() -> None:
            try:
                push()
            except BaseException as failure:
                if not self.stop.is_set():  # it was cut off from a service that was killed
                    self.failures.append(failure)
            finally:
                with self._changed:
                    self._pushing -= 1
                    self._changed.notify_all()

        self._pushing += 1
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread


@dataclass(frozen=True)
class Taken:
    """One cut, and what had been acknowledged before it."""

    cut: Cut
    acks: list[Ack]


def cut_at_random(
    disk: Disk,
    heard: Heard,
    draw: random.Random,
    instants: int,
    most: int,
    latest: float = INSTANT,
) -> list[Taken]:
    """Cut at random instants while a service runs.

    Parameters
    ----------
    most : int
        Answers between two cuts at most.
    latest : float
        Seconds from the last of those answers to the cut at most.
    """
    taken = []
    for number in range(instants):
        heard.allow((number + 1) * most + UNDER_WAY)
        heard.more(draw.randint(1, most))
        threading.Event().wait(draw.uniform(0, latest))  # the instant is what is drawn
        acks = heard.acks()
        taken.append(Taken(disk.cut(KINDS[number % len(KINDS)]), acks))
    return taken
