"""What both processes of a receiver do alike: live no longer than their supervisor, and once."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from common import durable
from common.errors import DataInUse

PATIENCE = 10.0  # seconds that a predecessor whose supervisor died may take to end


@contextlib.contextmanager
def attended(data: Path, name: str) -> Iterator[None]:
    """Hold this process's own lock; end at once when the supervisor is gone.

    A supervisor that is killed closes our standard input; no door stays open
    that nobody watches over.
    """
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    with alone(data, name):
        yield


@contextlib.contextmanager
def alone(data: Path, name: str) -> Iterator[None]:
    """Hold the lock of one of the processes, once a predecessor has ended.

    Raises
    ------
    DataInUse
        It did not end in time.
    """
    deadline = time.monotonic() + PATIENCE
    with contextlib.ExitStack() as held:
        while True:
            try:
                held.enter_context(durable.lock(data / f"lock.{name}"))
                break
            except DataInUse:
                if time.monotonic() > deadline:
                    raise
                threading.Event().wait(0.05)
        yield


def _end_with_supervisor() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock would outlive us at exit
        pass
    os._exit(0)
