"""Our two ends as processes, driven by their verbs."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from common.errors import VerbFailed
from conformance.bench.peers import Identity
from conformance.bench.processes import (
    Sample,
    cpu_seconds,
    first_object,
    free_ports,
    peak_memory,
    running,
    todoke,
    verb,
    with_listener,
)
from conformance.bench.series import Series

OPERATOR = "bench"
RECEIVER, SENDER, PRODUCT = "0110000001", "0110000002", "0110000003"
DONE = {"receipted", "delivered"}
READING = 0.01  # seconds between two looks of a reader
PATIENCE = 120.0  # seconds


@dataclass
class Ends:
    """A sender and a receiver below one folder, paired.

    Parameters
    ----------
    near : dict
        Ports that the sender is told, where a line lies between: ``dicom``, ``link``.
    far : dict
        Ports that the receiver listens at.
    """

    folder: Path
    near: dict[str, int]
    far: dict[str, int]
    key: str = ""
    viewer: str = ""
    password: str = field(default_factory=lambda: secrets.token_urlsafe(9) + "-7aZ")
    _doors: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _daemon: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _pids: dict[str, int] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """Where the processes' words go."""
        return self.folder / "todoke.log"

    @property
    def _sender(self) -> tuple[str, Path]:
        return ("--data", self.folder / "sender")

    @property
    def _receiver(self) -> tuple[str, Path]:
        return ("--data", self.folder / "receiver")

    @property
    def _issued(self) -> Path:
        return self.folder / "issued"

    @property
    def product(self) -> Identity:
        """What a product shows to our receiver, and trusts."""
        key, certificate = (self._issued / f"{PRODUCT}.{end}" for end in ("key", "crt"))
        return Identity(key, certificate, self._issued / "ca.crt")

    def pair(self) -> None:
        """Set both up and pair them; the product `BENCH` may send too."""
        log, here = self.log, ("--address", "localhost", "--operator", OPERATOR)
        pairing, viewer = free_ports(2)
        verb(
            *("receiver", "init", "--name", "旭川支援病院 (試験)", "--code", RECEIVER, *here),
            *("--host", "localhost", "--bind", "127.0.0.1", "--pairing-port", pairing),
            *("--viewer-port", viewer, *self._receiver),
            *(word for name, port in self.near.items() for word in (f"--{name}-port", port)),
            log=log,
        )
        verb(
            *("receiver", "user", "add", OPERATOR, "--display", "試験", "--password-stdin"),
            *self._receiver,
            log=log,
            stdin=f"{self.password}\n",
        )
        verb(
            *("receiver", "partner", "add", "BENCH", "--aet", "BENCH", "--code", PRODUCT),
            *("--issue", self._issued, *self._receiver),
            log=log,
        )
        with self._receiving({}):  # it tells its ports when the sender joins
            invited = verb(
                *("receiver", "invite", "北見依頼病院 (試験)", "--code", SENDER),
                *("--address", "localhost", "--out", self.folder, *self._receiver),
                log=log,
            )
            verb(
                *("sender", "init", "--name", "北見依頼病院 (試験)", "--code", SENDER, *here),
                *self._sender,
                log=log,
            )
            self.key = verb("sender", "join", invited["path"], *self._sender, log=log)["key"]

    def start(self) -> None:
        """Run both."""
        real = {f"TODOKE_RECEIVER_{n}_PORT".upper(): str(p) for n, p in self.far.items()}
        process = self._doors.enter_context(self._receiving(real))
        self._pids["receiver"] = process.pid
        self.start_sender()

    @contextlib.contextmanager
    def _receiving(self, environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
        line = todoke("receiver", "run", *self._receiver)
        with running(line, self.log, os.environ | environ) as process:
            self.viewer = first_object(process)["viewer"]
            yield process

    def start_sender(self) -> None:
        """Start the sender's daemon."""
        line = todoke("sender", "run", *self._sender)
        process = self._daemon.enter_context(running(line, self.log))
        first_object(process)
        self._pids["sender"] = process.pid

    def stop_sender(self) -> None:
        """End the sender's daemon."""
        self._daemon.close()
        del self._pids["sender"]

    def close(self) -> None:
        """End both."""
        self._daemon.close()
        self._doors.close()

    def add_product(self, name: str, port: int, identity: Identity) -> None:
        """Enter a product that the sender sends to; both show and trust the same."""
        shown = ("--cert", identity.certificate, "--key", identity.key, "--ca", identity.ca)
        verb(
            *("sender", "partner", "add", name, "--address", f"localhost:{port}"),
            *("--aet", "PEER", "--calling", "BENCH", *shown, *self._sender),
            log=self.log,
        )

    def receiver_cpu(self) -> float:
        """Return the processor seconds of our receiver until now."""
        return cpu_seconds(self._pids["receiver"])

    def with_receiver(self, sample: Sample, before: float) -> Sample:
        """Add what our receiver took to a product's run."""
        return with_listener(sample, self._pids["receiver"], before)

    def send(self, series: Series, to: str = "") -> Sample:
        """Send a series; from the job's submission to the last acknowledgement.

        Raises
        ------
        VerbFailed
            Not everything arrived, or not as it was.
        """
        return self._send(series, to)[1]

    def _send(self, series: Series, to: str) -> tuple[float, Sample]:
        """Return when the job was submitted (seconds since 1970), and the run."""
        pids = self._pids.values()
        before = sum(map(cpu_seconds, pids))
        said = self._wait(self._start(series.folder, "--to", to or self.key))
        rows = said["transfers"]
        if not rows or any(row["state"] not in DONE or row["held"] != row["of"] for row in rows):
            raise VerbFailed(verb="sender send", cause=json.dumps(said, ensure_ascii=False))
        submitted = _at(said["submitted"])
        return submitted, Sample(
            max(_at(row["delivered"]) for row in rows) - submitted,
            sum(map(cpu_seconds, pids)) - before,
            max(map(peak_memory, pids)),
        )

    def _start(self, *words: object, polite: bool = True) -> subprocess.Popen[str]:
        """Start `sender send`; a polite one, which only watches, yields the processor."""
        line = todoke("sender", "send", *words, *self._sender)
        with self.log.open("a") as log:
            started = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=log, text=True)
        if polite:
            os.setpriority(os.PRIO_PROCESS, started.pid, 19)
        return started

    @staticmethod
    def _wait(started: subprocess.Popen[str]) -> Any:
        said, _ = started.communicate()
        if started.returncode:
            raise VerbFailed(verb="sender send", cause=said.strip() or started.returncode)
        return json.loads(said)

    def first_view(self, series: Series) -> Sample:
        """Send a series; until its first instance can be read over WADO-RS."""
        with _Reader(self.viewer, self.password, series) as reader:
            submitted, whole = self._send(series, "")
        return Sample(reader.result() - submitted, whole.cpu, whole.memory)

    def send_one(self, series: Series) -> float:
        """Send one file as a person does; return when the command was started (since 1970)."""
        began = time.time()
        self._wait(self._start(series.files[0], "--to", self.key, polite=False))
        return began


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


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
