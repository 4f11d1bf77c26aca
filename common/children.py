"""Child processes and Ctrl-C: a terminal sends it to every process, and only one may answer."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """Let processes that are started within not hear Ctrl-C: who started them ends them.

    Else one dies in the middle of a request, or says a traceback while it still loads.
    Windows has no mask of signals; there they hear it as ever.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # a child inherits the mask of the thread that starts it, through exec too
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
