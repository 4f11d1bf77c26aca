"""Processes apart for bytes that anybody may have made: what hangs, swells or crashes fails alone.

A worker is ``python -m MODULE``: one JSON line in, one answer out.  Its memory is
limited before it reads a byte of a file, its time by the parent, and it ends with
its parent, whatever it is doing then.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from common import children

HEAD = struct.Struct("<BQ")  # 1 = good, 0 = a cause in words; bytes that follow
MEMORY = 3 << 30  # bytes of address space
MOST_ANSWER = 512 << 20  # bytes


class WorkerLost(Exception):
    """The process ended or was ended before it had answered.

    Attributes
    ----------
    late : bool
        It took longer than it may.
    """

    def __init__(self, *, late: bool) -> None:
        super().__init__("late" if late else "ended")
        self.late = late


class Worker:
    """The parent's side: a process that is started when first needed and after a failure.

    Parameters
    ----------
    module : str
        Calls :func:`serve` when it is run.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, None while there is none."""
        return self._process.pid if self._process is not None else None

    def ask(self, request: dict[str, Any], seconds: float) -> tuple[bool, bytes]:
        """Return whether a request succeeded, and the answer or else its cause.

        Raises
        ------
        WorkerLost
        """
        late = threading.Event()
        try:
            process = self.start()

            def end() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(seconds, end)
            timer.start()
            try:
                return _exchange(process, json.dumps(request).encode() + b"\n")
            finally:
                timer.cancel()
        except (OSError, ValueError, struct.error) as failure:  # ValueError: closed by stop()
            self.stop()
            raise WorkerLost(late=late.is_set()) from failure

    def stop(self) -> None:
        """End the process, if it runs; the next request starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def kill(self) -> None:
        """End the process from another thread than the one that asks it."""
        process = self._process
        if process is not None:
            process.kill()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the process if none runs.

        Raises
        ------
        OSError
            The system has no room for it.
        """
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        if self._process is None:
            with children.deaf():  # it dies with us, and not before our request is answered
                self._process = subprocess.Popen(
                    [sys.executable, "-m", self.module],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
        return self._process


def _exchange(process: subprocess.Popen[bytes], line: bytes) -> tuple[bool, bytes]:
    if process.stdin is None or process.stdout is None:
        raise BrokenPipeError
    process.stdin.write(line)
    process.stdin.flush()
    good, size = HEAD.unpack(process.stdout.read(HEAD.size))
    if size > MOST_ANSWER:
        raise BrokenPipeError
    body = process.stdout.read(size)
    if len(body) != size:
        raise BrokenPipeError
    return bool(good), body


def serve(answer: Callable[[dict[str, Any]], bytes], *, niceness: int = 0) -> None:
    """Answer requests from standard input until it ends: the worker's side.

    Parameters
    ----------
    niceness : int
        By how much others come first, where the system has it.
    """
    limit_memory()
    if niceness and hasattr(os, "nice"):
        os.nice(niceness)
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing that a library prints may come between
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    while True:
        good, body = 1, b""
        try:
            body = answer(json.loads(lines.get()))
        except Exception as failure:  # any bytes may come in here, so anything may come out
            good, body = 0, type(failure).__name__.encode()
        answers.write(HEAD.pack(good, len(body)) + body)
        answers.flush()


def _read(lines: queue.SimpleQueue[bytes]) -> None:
    """Hand requests on; without a parent there is nobody to work for, or to stop what hangs."""
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)


def limit_memory(most: int = MEMORY) -> None:
    """Let this process have no more than `most` bytes of address space, and write no core."""
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
