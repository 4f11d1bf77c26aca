"""A signal ends a process wherever its main thread is, and however often it comes."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
DEADLINE = 40.0

#: A main thread that waits to be told, again and again, and is told wherever it is.
WAITS = """
import os, signal, sys, threading
from common import signals
sys.setswitchinterval(1e-6)
stop = threading.Event()
signals.end_by(stop.set)
def tell():
    while True:
        os.kill(os.getpid(), signal.{name})
threading.Thread(target=tell, daemon=True).start()
print("ready", flush=True)
for _ in range(5_000):
    stop.wait()
    stop.clear()
os._exit(0)
"""
#: A worker that a first Ctrl-C asks to end; it takes its time.
ASKED = """
import sys, threading
from common import signals
asked, never = threading.Event(), threading.Event()
with signals.first_interrupt(asked.set):
    print("ready", flush=True)
    while not asked.wait(0.0001):
        pass
    try:
        print("asked", flush=True)
        never.wait()
    except KeyboardInterrupt:
        print("at once", flush=True)
"""


@contextlib.contextmanager
def started(code: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as made:
        try:
            assert said(made) == "ready"
            yield made
        finally:
            made.kill()


def said(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_signals_upon_signals_end_in_no_lock(name: str) -> None:
    with started(WAITS.replace("{name}", name)) as running:
        assert running.wait(DEADLINE) == 0


def test_the_second_interrupt_is_as_ever() -> None:
    with started(ASKED) as running:
        running.send_signal(signal.SIGINT)
        assert said(running) == "asked"
        running.send_signal(signal.SIGINT)
        assert said(running) == "at once"
        assert running.wait(DEADLINE) == 0
