"""Ctrl-C: the sender ends within a second, in order where it can.

Nothing hangs on an orderly end: what was acknowledged stands in the outbox, and what was
under way is asked for anew, as after a power cut.  So work gets a moment, then its
connections are broken off, and if something still hangs (a peer that does not answer a
dial, a disk) the process goes.  A service manager's signal leaves it the time it needs.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from common import console, signals

ORDERLY = 0.3  # seconds until connections are broken off
PATIENCE = 0.8  # seconds until the process goes
REPORTING = 25.0  # seconds of a verb that has something to say at its end
INTERRUPTED = (
    "中断しました。送信箱に残っています。todoke sender run で続きから送ります",
    "Interrupted. It stays in the outbox; todoke sender run goes on where it was",
)
ENDED = (
    "送信を終えました。残りは送信箱にあり、次に始めたとき続きから送ります",
    "The sender has ended. What is left stays in the outbox and goes on from there the next time",
)


class Leaving:
    """The end of a verb that a person wants now.

    Parameters
    ----------
    code : int
        Exit code.
    words : tuple of str
        What is said, in ja and en, once.
    patience : float
        Seconds that an orderly end may take.
    """

    def __init__(self, code: int, words: tuple[str, str], patience: float = PATIENCE) -> None:
        self.code = code
        self._patience = patience
        self._words = words
        self._begun = threading.Event()
        self._said = threading.Lock()

    @property
    def begun(self) -> bool:
        """Whether a person wants it to end."""
        return self._begun.is_set()

    def begin(self, stop: Callable[[], object] = lambda: None) -> None:
        """Ask all to stop, and see to it that it does; the second wish changes nothing."""
        if not self._begun.is_set():
            self._begun.set()  # first: who sees the stop asks whether a person wanted it
            threading.Thread(target=self._end, name="leaving", daemon=True).start()
        stop()

    def say(self) -> None:
        """Say the words, unless they were said."""
        if self._said.acquire(blocking=False):
            console.say(*self._words)

    def _end(self) -> None:
        began = time.monotonic()
        time.sleep(ORDERLY)
        links = sys.modules.get("sender.links.http")  # not loaded: there is no connection
        if links is not None:
            links.break_off()
        time.sleep(max(0.0, self._patience - (time.monotonic() - began)))
        self.say()
        sys.stdout.flush()
        os._exit(self.code)


@contextlib.contextmanager
def interruptible(leaving: Leaving) -> Iterator[threading.Event]:
    """Give what Ctrl-C sets; the second one is as ever.

    An exception out of nowhere is lost where Python calls back into Python (a finalizer,
    the collector), and with it the wish.
    """
    asked = threading.Event()
    with signals.first_interrupt(partial(leaving.begin, asked.set)):
        yield asked


def by_signals(stop: Callable[[], object], patience: float = PATIENCE) -> Leaving:
    """Call `stop` on Ctrl-C and on the signal that a service manager sends.

    Returns
    -------
    Leaving
        Begun by Ctrl-C alone, which ends the process soon.
    """
    leaving = Leaving(0, ENDED, patience)
    begin = partial(leaving.begin, stop)
    signals.act_on({"SIGINT": begin, "SIGTERM": stop, "SIGBREAK": stop})
    return leaving
