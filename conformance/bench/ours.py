"""Our two ends as processes, driven by their verbs."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from common.errors import VerbFailed
from conformance.bench import series as series_of
from conformance.bench.pairing import OPERATOR, PEER, PLAIN, Pair
from conformance.bench.processes import (
    Sample,
    connections,
    cpu_seconds,
    first_object,
    peaks,
    running,
    todoke,
)
from conformance.bench.series import Series

DONE = {"receipted", "delivered"}
RECEIVING = {"receiver.dicom_process": "receiver_dicom"}  # its process that takes the images
AUTO, OFF = "auto", "off"  # of the sender's setting `compression`
READING = 0.01  # seconds between two looks of a reader
LOOKING = 0.02  # seconds between two looks at the daemon's connections
PATIENCE = 120.0  # seconds
LONGEST = 900.0  # seconds that a transfer may take


@dataclass
class Ends:
    """A sender and a receiver below one folder, on a copy of a pair.

    Parameters
    ----------
    far : dict
        Ports that the receiver listens at, where a line lies between.
    receiver_environ : dict of str
        More of its settings.
    """

    folder: Path
    pair: Pair
    far: dict[str, int]
    viewer: str = ""
    receiver_environ: dict[str, str] = field(default_factory=dict)
    _receiver: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _sender: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _pids: dict[str, int] = field(default_factory=dict)
    _compression: str | None = None
    _warmed: int = 0
    _delivered: float = 0.0
    _receipted: float = 0.0

    @property
    def log(self) -> Path:
        """Where the processes' words go."""
        return self.folder / "todoke.log"

    # -- the two processes --------------------------------------------------

    def start(self) -> None:
        """Make the copy and run the receiver; the sender starts when it is asked to send."""
        self.folder.mkdir()
        self.pair.copy(self.folder, "sender", "receiver")
        self._start_receiver()

    def close(self) -> None:
        """End both."""
        self.stop_sender()
        self._stop_receiver()

    def _start_receiver(self) -> None:
        real = {f"TODOKE_RECEIVER_{n}_PORT".upper(): str(self.far[n]) for n in ("dicom", "link")}
        real |= self.receiver_environ
        self.viewer = self._run("receiver", self._receiver, real)["viewer"]

    def _stop_receiver(self) -> None:
        self._pids.pop("receiver", None)
        self._receiver.close()

    def _start_sender(self, compression: str) -> None:
        self._run("sender", self._sender, {"TODOKE_SENDER_COMPRESSION": compression})
        self._compression = compression

    def stop_sender(self) -> None:
        """End the sender's daemon."""
        self._pids.pop("sender", None)
        self._compression = None
        self._sender.close()

    def _run(self, room: str, into: contextlib.ExitStack, environ: dict[str, str]) -> Any:
        """Start a room's daemon and return the words with which it is ready."""
        line = todoke(room, "run", "--data", self.folder / room)
        process = into.enter_context(running(line, self.log, os.environ | environ))
        self._pids[room] = process.pid
        return first_object(process)

    def ready(self, compression: str = AUTO) -> None:
        """Have a daemon of that setting, which has sent before and holds no connection of it.

        One stands at each receiver that is asked for news; what is sent goes by another.

        Raises
        ------
        VerbFailed
            It keeps one more: what is timed would not begin unconnected.
        """
        if self._compression != compression:
            self.stop_sender()
            self._start_sender(compression)
            self.warm_up()
        end = time.monotonic() + PATIENCE
        news = Counter({self.pair.near["link"]: 1})
        while held := connections(self._pids["sender"], self.pair.near.values()) - news:
            if time.monotonic() > end:
                raise VerbFailed(verb="sender run", cause=f"still connected: {sorted(held)}")
            time.sleep(LOOKING)

    def warm_up(self) -> None:
        """Let a new daemon send one image: its first job alone pays for what it loads."""
        self._warmed += 1
        folder = self.folder / f"warm-{self._warmed}"
        one = series_of.make(folder, 1, f"{self.folder}/{folder.name}")
        self.wait(self.send_verb(one.folder, self.pair.key))

    # -- what is timed ------------------------------------------------------

    def process_start(self, room: str) -> Sample:
        """Start a daemon: from the command to the word that it is ready."""
        sender = room == "sender"
        stop = self.stop_sender if sender else self._stop_receiver
        start = partial(self._start_sender, AUTO) if sender else self._start_receiver
        stop()
        began = time.monotonic()
        start()
        sample = Sample(time.monotonic() - began, cpu_seconds(self._pids[room]), self.memory(room))
        if sender:
            stop()  # it has not been warmed up
        return sample

    def send(self, series: Series, *, product: bool = False, compression: str = AUTO) -> Sample:
        """Send a series; from the job's submission to the last acknowledgement.

        Parameters
        ----------
        product : bool
            To the product that listens, rather than to our receiver.
        compression : {'auto', 'off'}
            The sender's setting.

        Raises
        ------
        VerbFailed
            Not everything arrived, or not as it was.
        """
        self.ready(compression)
        to = PEER if product else self.pair.key
        return self._send(series, to, product=product)[1]

    def without_evidence(self, series: Series) -> Sample:
        """Send a series to our receiver as a product without the link is sent to."""
        self.ready(OFF)
        return self._send(series, PLAIN)[1]

    def receipt(self, series: Series) -> Sample:
        """Send a series; from the last acknowledgement to the receipt, compared and kept."""
        self.ready(OFF)
        whole = self._send(series, self.pair.key)[1]
        return replace(whole, seconds=self._receipted - self._delivered)

    def _send(self, series: Series, to: str, *, product: bool = False) -> tuple[float, Sample]:
        """Return when the job was submitted (seconds since 1970), and the run."""
        used = ("sender",) if product else ("sender", "receiver")
        before = self.cpu(*used)
        said = self.wait(self.send_verb(series.folder, to))
        rows = said["transfers"]
        whole = sum(row["held"] for row in rows) == len(series.files)
        if not whole or any(row["state"] not in DONE for row in rows):
            raise VerbFailed(verb="sender send", cause=json.dumps(said, ensure_ascii=False))
        submitted = at(said["submitted"])
        self._delivered = max(at(row["delivered"]) for row in rows)
        self._receipted = max(at(row["finished"]) for row in rows)
        seconds = self._delivered - submitted
        return submitted, Sample(seconds, self.cpu(*used) - before, self.memory(*used))

    def first_view(self, series: Series) -> Sample:
        """Send a series; until its first instance can be read over WADO-RS."""
        self.ready(AUTO)
        with _Reader(self.viewer, self.pair.password, series) as reader:
            submitted, whole = self._send(series, self.pair.key)
        return Sample(reader.result() - submitted, whole.cpu, whole.memory)

    def send_one(
        self, series: Series, first_byte: Callable[[float], float], *, daemon: bool
    ) -> Sample:
        """Send one file as a person does: from the command to the first byte on the line.

        Parameters
        ----------
        first_byte : callable
            Given a time, returns when a first byte came after it; both in seconds since 1970.
        daemon : bool
            Whether a daemon runs that takes it.
        """
        if daemon:
            self.ready(AUTO)
        else:
            self.stop_sender()
        before = self.cpu(*self._pids) + _ended_cpu()
        began = time.time()
        self.wait(self.send_verb(series.files[0], self.pair.key, polite=False))
        cpu = self.cpu(*self._pids) + _ended_cpu() - before
        return Sample(first_byte(began) - began, cpu, self.memory(*self._pids))

    def received(self, send: Callable[[], Sample]) -> Sample:
        """Take what a product sends, and add what our receiver took."""
        before = self.cpu("receiver")
        sent = send()
        cpu = sent.cpu + self.cpu("receiver") - before
        return Sample(sent.seconds, cpu, sent.memory | self.memory("receiver"))

    def pid(self, room: str) -> int:
        """Return the process of a room's daemon."""
        return self._pids[room]

    def cpu(self, *rooms: str) -> float:
        """Return the processor seconds that daemons have taken."""
        return sum(cpu_seconds(self._pids[room]) for room in rooms)

    def memory(self, *rooms: str) -> dict[str, int]:
        """Return the peak resident bytes of daemons by role, see :func:`processes.peaks`."""
        found: dict[str, int] = {}
        for room in rooms:
            found |= peaks(self._pids[room], room, RECEIVING)
        return found

    # -- the verb -----------------------------------------------------------

    def send_verb(
        self, what: Path, to: str, *options: str, polite: bool = True
    ) -> subprocess.Popen[str]:
        """Start `sender send`; a polite one, which only watches, yields the processor."""
        data = ("--data", self.folder / "sender")
        line = todoke("sender", "send", what, "--to", to, *options, *data)
        with self.log.open("a") as log:
            started = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=log, text=True)
        if polite:
            os.setpriority(os.PRIO_PROCESS, started.pid, 19)
        return started

    def wait(self, started: subprocess.Popen[str]) -> Any:
        """Return what a verb printed at its end.

        Raises
        ------
        VerbFailed
        """
        try:
            said, _ = started.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            started.kill()
            said, _ = started.communicate()
        if started.returncode:
            self._forget()
            raise VerbFailed(verb="sender send", cause=said.strip() or started.returncode)
        return json.loads(said)

    def _forget(self) -> None:
        """Begin with an empty outbox: what failed would be tried again in others' time."""
        self.stop_sender()
        self.pair.copy(self.folder, "sender")


class _Reader:
    """A reader's browser, waiting for the first instance of a series."""

    def __init__(self, viewer: str, password: str, series: Series) -> None:
        self._viewer, self._password = viewer, password
        self._path = (
            f"/dicomweb/studies/{series.study_uid}/series/{series.series_uid}"
            f"/instances/{series.instance_uids[0]}"
        )
        self._seen: list[float] = []
        self._signed_in = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> _Reader:
        self._thread.start()
        self._signed_in.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def result(self) -> float:
        """Return when it could be read, in seconds since 1970."""
        self._thread.join()
        if not self._seen:
            raise VerbFailed(verb="WADO-RS", cause=self._path)
        return self._seen[0]

    def _look(self) -> None:
        headers = {"X-Todoke": "1", "Origin": self._viewer, "Accept": "multipart/related"}
        with httpx.Client(base_url=self._viewer, headers=headers, trust_env=False) as browser:
            signed = {"name": OPERATOR, "password": self._password}
            browser.post("/api/sign-in", json=signed).raise_for_status()
            self._signed_in.set()
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                if browser.get(self._path).status_code == 200:
                    self._seen.append(time.time())
                    return
                time.sleep(READING)


def _ended_cpu() -> float:
    """Return the processor seconds of our children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def at(text: str) -> float:
    """Return a time as verbs print it, in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()
