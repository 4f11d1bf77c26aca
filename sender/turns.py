"""Who works now: one piece of work a line at a time, and a more urgent one overtakes it.

A line is a partner that is delivered to, or a place that is read.  What is
overtaken is not broken off: it gives way between two instances and goes on when
nothing more urgent is left (UX-04).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

AT_ONCE = 3  # pieces of work that share a line


class GaveWay(Exception):
    """Work ended between two instances for a more urgent one; the rest is owed as before."""


class Turn:
    """Whether a piece of work may go on; asked between two instances."""

    def __init__(self) -> None:
        self._ours = threading.Event()
        self._ours.set()
        self._told: Callable[[], object] = lambda: None

    def tell(self, told: Callable[[], object]) -> None:
        """Have `told` called whenever the line becomes ours again."""
        self._told = told

    def gives_way(self) -> bool:
        """Whether something more urgent has the line."""
        return not self._ours.is_set()

    def wait(self) -> None:
        """Wait until the line is ours again, or everything ends."""
        self._ours.wait()

    def give(self, ours: bool) -> None:
        """Say whose the line is; for the side that decides."""
        if ours:
            self._ours.set()
            self._told()
        else:
            self._ours.clear()


@dataclass(frozen=True, slots=True)
class Claim:
    """A piece of work that is owed.

    Attributes
    ----------
    line : str
        What it needs for itself.
    rank : int
        0 is the most urgent.
    work : callable
        Does it; returns when it has ended or given way.
    shares : bool
        It shares its line with others of its urgency that share too.
    """

    id: str
    line: str
    rank: int
    work: Callable[[Turn], None] = field(compare=False, repr=False)
    shares: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What begins, and the ids of what gives way."""

    begin: list[Claim]
    give_way: frozenset[str]


def decide(waiting: Sequence[Claim], at_work: Sequence[Claim]) -> Decision:
    """Say who works now.

    Parameters
    ----------
    waiting : sequence of Claim
        What could begin, in the order in which it should.
    at_work : sequence of Claim
        What has begun and not ended, whether it has given way or not.

    Returns
    -------
    Decision
        On each line the first of the most urgent begins, unless something at least
        as urgent is at work; what is less urgent gives way.  Of those that share,
        :data:`AT_ONCE` go on side by side.  Lines know nothing of one another.
    """
    at: dict[str, list[Claim]] = {}  # the most urgent of each line, at work or to begin
    for claim in at_work:
        best = at.setdefault(claim.line, [])
        if best and claim.rank < best[0].rank:
            best.clear()
        if not best or claim.rank == best[0].rank:
            best.append(claim)
    begin: dict[str, list[Claim]] = {}
    next_alone: set[str] = set()
    for claim in waiting:
        best, begun = at.setdefault(claim.line, []), begin.setdefault(claim.line, [])
        if not best or claim.rank < best[0].rank:
            best[:], begun[:] = [claim], [claim]
        elif claim.rank > best[0].rank or claim.line in next_alone:
            continue
        elif _beside(claim, best):
            best.append(claim)
            begun.append(claim)
        else:
            next_alone.add(claim.line)  # what comes after it does not go before it for ever
    give_way = frozenset(claim.id for claim in at_work if claim.rank > at[claim.line][0].rank)
    return Decision([claim for begun in begin.values() for claim in begun], give_way)


def _beside(claim: Claim, others: Sequence[Claim]) -> bool:
    return len(others) < AT_ONCE and all(one.shares for one in [claim, *others])


class Crew:
    """Threads that do what :func:`decide` says.

    Parameters
    ----------
    name : str
        Of the threads, before their line.
    ended : callable
        Told after each piece of work; with the failure, if it raised.
    """

    def __init__(self, name: str, ended: Callable[[BaseException | None], None]) -> None:
        self._name = name
        self._ended = ended
        self._at_work: dict[str, tuple[Claim, Turn]] = {}
        self._changed = threading.Condition()
        self._closed = False

    def assign(self, claims: Callable[[], Sequence[Claim]]) -> None:
        """Begin what may begin and let give way what has to.

        Parameters
        ----------
        claims : callable
            Returns what is owed, at work or not.  It is asked after a look at what is
            at work: what ends meanwhile does not begin again from what was owed before.
        """
        with self._changed:
            busy = set(self._at_work)
        waiting = [claim for claim in claims() if claim.id not in busy]
        with self._changed:
            if self._closed:
                return
            decision = decide(waiting, [claim for claim, _ in self._at_work.values()])
            for claim, turn in self._at_work.values():
                turn.give(claim.id not in decision.give_way)
            for claim in decision.begin:
                turn, name = Turn(), f"{self._name}-{claim.line}"
                threading.Thread(target=self._do, args=(claim, turn), name=name).start()
                self._at_work[claim.id] = claim, turn

    def _do(self, claim: Claim, turn: Turn) -> None:
        failure: BaseException | None = None
        try:
            claim.work(turn)
        except GaveWay:
            pass
        except BaseException as raised:  # handed on
            failure = raised
        with self._changed:
            del self._at_work[claim.id]
            self._changed.notify_all()
        self._ended(failure)

    def lines(self) -> frozenset[str]:
        """Return the lines on which somebody is at work."""
        with self._changed:
            return frozenset(claim.line for claim, _ in self._at_work.values())

    def close(self, timeout: float | None = None) -> None:
        """Begin nothing more, wake what gave way, and wait for the end of all, in seconds."""
        with self._changed:
            self._closed = True
            for _, turn in self._at_work.values():
                turn.give(True)
            self._changed.wait_for(lambda: not self._at_work, timeout)
