"""Signals are acted on by a thread of their own.

Python runs a handler in the main thread, between any two of its steps.  Where that thread
just holds a lock which the handler wants as well, neither ever goes on: ``Event.set``
against ``Event.wait``, or against itself when a second signal comes.  ``SimpleQueue.put``
may be interrupted by itself, so it is all that a handler here does.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue

#: Ctrl-C, and what a service manager or a supervisor sends.
ENDING = ("SIGINT", "SIGTERM", "SIGBREAK")


def act_on(actions: Mapping[str, Callable[[], object]]) -> None:
    """Call what belongs to a signal each time that it comes; from the main thread only.

    Parameters
    ----------
    actions : dict of str to callable
        By the signal's name; those that the system does not have are left out.
        They are called in a thread of their own, one after another.
    """
    came: SimpleQueue[str] = SimpleQueue()

    def act() -> None:
        while True:
            actions[came.get()]()

    threading.Thread(target=act, name="signals", daemon=True).start()
    for name in actions:
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, lambda *_, name=name: came.put(name))


def end_by(stop: Callable[[], object]) -> None:
    """Call `stop` on each signal that asks a process to end."""
    act_on(dict.fromkeys(ENDING, stop))


@contextmanager
def first_interrupt(act: Callable[[], object]) -> Iterator[None]:
    """Call `act` on the first Ctrl-C, in a thread of its own; the second one is as ever."""
    came: SimpleQueue[bool] = SimpleQueue()
    pressed = False

    def press(*_: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        came.put(True)

    def wait() -> None:
        if came.get():
            act()

    before = signal.signal(signal.SIGINT, press)
    threading.Thread(target=wait, name="signals", daemon=True).start()
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        came.put(False)
