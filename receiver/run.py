"""`receiver run`: a supervisor with processes that share the database only."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from common import children, durable, signals
from common.errors import DatabaseDamaged, IndexLost, StorageError, SyncFailed
from common.proof.identity import Node
from common.proof.role import Role
from common.settings import Receiver
from receiver import index, upkeep
from receiver.child import alone
from receiver.index import Index
from receiver.startup import mend
from receiver.store import Store
from receiver.viewer_names import viewer_address

log = logging.getLogger("todoke.receiver")
DOORS = {"dicom": "receiver.dicom_process", "web": "receiver.web_process"}
FILLER = "describe"  # no door waits for it, nor for the keeper
PROCESSES = {
    **DOORS,
    FILLER: "receiver.describe_process",
    "keeper": "receiver.keeper_process",
}
QUICK = 5.0  # seconds; a door that dies sooner ends the receiver
BROKEN = {kind.exit_code: kind for kind in (SyncFailed, DatabaseDamaged)}
ENDING = 15.0  # seconds that a process has to end
WANTED = 0.8  # seconds that all have where a person wants it: nothing hangs on an orderly end
PAUSE = 30.0  # seconds between two starts of the filler, whatever ends it
#: Seconds after the doors have opened until the keeper begins: the first belong to who waits.
LATER = {"keeper": 4.0}


@dataclass(slots=True)
class _Process:
    name: str
    module: str
    data: Path
    started: float = 0.0
    due: float = 0.0
    said: str = ""
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def door(self) -> bool:
        """Whether the receiver is none without this process."""
        return self.name in DOORS

    def start(self) -> None:
        """Start the process and wait for the line in which it says its ports."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start the process."""
        self.stop()
        self.started = time.monotonic()
        with children.deaf():  # Ctrl-C is ours: we end them
            running = subprocess.Popen(
                [sys.executable, "-m", self.module, str(self.data)],
                stdin=subprocess.PIPE,  # its end tells the process that we are gone
                stdout=subprocess.PIPE,
                text=True,
            )
        self.running = [running]

    def wait(self) -> None:
        """Wait for the line in which the process says its ports.

        Raises
        ------
        StorageError
            It ended instead.
        """
        (running,) = self.running
        self.said = running.stdout.readline() if running.stdout else ""
        if not self.said:
            raise StorageError(cause=f"{self.name}: {running.wait()}")

    def ended(self) -> int | None:
        """Return the exit code of a process that has ended, None while it runs."""
        return self.running[0].poll() if self.running else 0

    def again(self, ending: threading.Event | None = None) -> None:
        """Start the process, which has ended or was never started.

        Parameters
        ----------
        ending : threading.Event, optional
            Set where everything ends: what does not begin then is no failure.

        Raises
        ------
        StorageError
            It cannot live, and the receiver cannot live without it.
        """
        lived = time.monotonic() - self.started
        if self.door:
            log.error("process %s ended (%s)", self.name, self.ended())
            if lived < QUICK:
                raise StorageError(cause=f"{self.name}: {self.ended()}")
            self.start()
        elif lived > PAUSE if self.started else time.monotonic() >= self.due:
            try:
                self.launch()
                if ending is not None and ending.is_set():
                    self.ask()  # Ctrl-C fell between its start and our knowing of it
                self.wait()
            except StorageError as failure:
                if ending is not None and ending.is_set():
                    return
                log.error("process %s cannot be started: %s", self.name, failure)

    def ask(self) -> None:
        """Ask it to end."""
        for running in self.running:
            running.terminate()

    def stop(self, seconds: float = ENDING) -> None:
        """Ask it to end, then make it."""
        for running in self.running:
            running.terminate()
            try:
                running.wait(seconds)
            except subprocess.TimeoutExpired:
                running.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    # what yields the processor takes long to die where others want it
                    running.wait(None if seconds >= ENDING else WANTED / 4)
            for stream in (running.stdin, running.stdout):
                if stream is not None:
                    stream.close()


@dataclass(slots=True)
class Supervisor:
    """Holds the data directory's lock while the receiver runs."""

    data: Path
    stop: threading.Event = field(default_factory=threading.Event)
    hurried: bool = False
    _processes: list[_Process] = field(default_factory=list)

    def end(self, *, hurried: bool) -> None:
        """End, as a signal asks; `hurried` by Ctrl-C, within a second."""
        self.hurried = self.hurried or hurried
        self.stop.set()
        for process in self._processes:
            process.ask()

    def run(self, ready: Callable[[dict[str, Any]], None]) -> None:
        """Run until stopped.

        Parameters
        ----------
        ready : callable
            Called once, with the ports, when every door is open.

        Raises
        ------
        DataInUse
            Another receiver runs on this data directory.
        """
        with durable.lock(self.data / "lock"):
            node = Node.load(self.data, Role.SUPPORTER)
            settings = Receiver.load(self.data)
            self._mend()
            with contextlib.closing(Index.at(self.data)) as known:
                upkeep.prepare(node, known)
            processes = [_Process(name, module, self.data) for name, module in PROCESSES.items()]
            self._processes = processes
            try:
                doors = [process for process in processes if process.door]
                for process in doors:  # side by side: each takes a second to begin
                    process.launch()
                for process in doors:
                    process.wait()
                for process in processes:
                    process.due = time.monotonic() + LATER.get(process.name, 0.0)
                ready(self._words(node, settings, processes))
                self._watch(processes)
            except StorageError:
                if not self.stop.is_set():  # else a door ended while it opened, as it was asked
                    raise
            finally:
                for process in processes:  # side by side
                    process.ask()
                until = time.monotonic() + WANTED
                for process in processes:
                    left = until - time.monotonic()
                    process.stop(max(0.0, left) if self.hurried else ENDING)

    def _mend(self) -> None:
        """Bring index and store together while no process of a killed supervisor writes there."""
        with contextlib.ExitStack() as held:
            for name in PROCESSES:
                held.enter_context(alone(self.data, name))
            if not (self.data / "index.sqlite").exists() and any(self.data.glob("index*.sqlite*")):
                raise IndexLost(cause="index.sqlite")  # between the old one and the new
            # a cut leaves a WAL; without one somebody may have taken it away, and rows with it
            cut = (self.data / "index.sqlite-wal").exists()
            known = Index.at(self.data)
            mend(known, Store(self.data / "store"), aside=not cut)
            known.close()

    def _words(self, node: Node, settings: Receiver, processes: list[_Process]) -> dict[str, Any]:
        said = {process.name: process.said for process in processes}
        ports = {"dicom": int(said["dicom"]), **json.loads(said["web"])}
        return {
            "pid": os.getpid(),
            "institution": node.institution.name,
            "ports": ports,
            "viewer": viewer_address(settings, ports["viewer"]),
        }

    def _watch(self, processes: list[_Process]) -> None:
        """Start a process again that died; a door that cannot live ends the receiver."""
        while not self.stop.wait(0.2):
            for process in processes:
                code = process.ended()
                if self.stop.is_set():
                    return
                if code in BROKEN:
                    self._begin_clean(processes, process, BROKEN[code])
                    break
                if code is not None:
                    process.again(self.stop)

    def _begin_clean(
        self, processes: list[_Process], ended: _Process, kind: type[StorageError]
    ) -> None:
        """Start all anew, from what is on the disk: the disk broke its word to one of them.

        Raises
        ------
        StorageError
            It did so before, a moment ago.
        DatabaseDamaged
        """
        log.error("process %s ended by the disk (%s)", ended.name, kind.number)
        if time.monotonic() - ended.started < QUICK:
            raise kind(cause=ended.name, path=self.data)
        for process in processes:
            process.stop()
        index.check(self.data)
        self._mend()
        for process in processes:
            if process.door:
                process.start()


def run(data: Path, ready: Callable[[dict[str, Any]], None]) -> None:
    """Run a receiver in this process's foreground until Ctrl-C or a service manager's signal."""
    supervisor = Supervisor(data)
    orderly = partial(supervisor.end, hurried=False)
    hurried = partial(supervisor.end, hurried=True)
    signals.act_on({"SIGINT": hurried, "SIGTERM": orderly, "SIGBREAK": orderly})
    supervisor.run(ready)
