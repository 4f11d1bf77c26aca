"""Two ends as whole processes, driven by their verbs."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.free_ports import free_ports
from receiver.index import Index
from sender import sending
from sender.outbox import Outbox

DEADLINE = 50.0  # seconds
SENDER_CODE, RECEIVER_CODE = "0119876543", "0110123456"


def until(holds: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
    """Wait for another process to make something true."""
    end = time.monotonic() + deadline
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}")
        time.sleep(0.01)  # other processes give no event to wait on


def command(*words: object) -> list[str]:
    """Return a `todoke` command line."""
    return [sys.executable, "-m", "common.command", *map(str, words)]


@dataclass
class Said:
    """What a verb printed, and its exit code."""

    words: Any
    code: int
    errors: str


def verb(*words: object, env: dict[str, str] | None = None, stdin: str | None = None) -> Said:
    """Run a verb with ``--json``."""
    done = subprocess.run(
        command(*words, "--json"),
        capture_output=True,
        text=True,
        check=False,
        env=env,
        input=stdin,
        timeout=DEADLINE,
    )
    return Said(json.loads(done.stdout or "null"), done.returncode, done.stderr)


def must(*words: object, stdin: str | None = None) -> Any:
    """Run a verb that has to succeed."""
    said = verb(*words, stdin=stdin)
    assert said.code == 0, said.errors
    return said.words


def start(line: list[str], log: Path, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a process in a group of its own; what it says on stderr goes to a log."""
    with log.open("a") as errors:
        return subprocess.Popen(
            line,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=env,
            start_new_session=True,
        )


def first_object(running: subprocess.Popen[str]) -> Any:
    """Return the JSON object in which a daemon says that it is ready."""
    text = ""
    assert running.stdout is not None
    for line in running.stdout:
        text += line
        if line.startswith("}"):
            return json.loads(text)
    raise AssertionError(f"{running.args!r}: ended with {running.wait()}")


def _ports() -> dict[str, int]:
    return dict(zip(("dicom", "link", "pairing", "viewer"), free_ports(4), strict=True))


@functools.cache
def _pattern() -> Ends:
    """Return two ends that were paired by their verbs and stand still."""
    folder = tempfile.TemporaryDirectory(prefix="todoke-ends-")
    atexit.register(folder.cleanup)
    pattern = Ends(Path(folder.name))
    pattern._pair_by_verbs()
    return pattern


@dataclass
class Ends:
    """A sender and a receiver that are paired."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    running: subprocess.Popen[str] | None = None
    viewer: str = ""

    @property
    def sender(self) -> Path:
        """The sender's data directory."""
        return self.folder / "sender"

    @property
    def receiver(self) -> Path:
        """The receiver's data directory."""
        return self.folder / "receiver"

    def pair(self) -> None:
        """Set both up and pair them; the receiver runs afterwards.

        Verbs do so once a process of tests; who pairs later gets a copy with ports of its own.
        """
        pattern = _pattern()
        self.ports = _ports()
        for end in ("receiver", "sender"):
            shutil.copytree(pattern.folder / end, self.folder / end, dirs_exist_ok=True)
        (partner,) = (self.sender / "partners").glob("*.json")
        for words in (self.receiver / "receiver.toml", partner):
            text = words.read_text("utf-8")
            for name, port in pattern.ports.items():
                text = text.replace(f" {port}", f" {self.ports[name]}")
            words.write_text(text, "utf-8")
        self.start_receiver()

    def _pair_by_verbs(self) -> None:
        self.ports = _ports()
        options = [word for n, port in self.ports.items() for word in (f"--{n}-port", port)]
        must(
            *("receiver", "init", "--data", self.receiver, "--name", "旭川支援病院"),
            *("--code", RECEIVER_CODE, "--address", "旭川市", "--operator", "試験"),
            *("--host", "localhost", "--bind", "127.0.0.1", *options),
        )
        self.start_receiver()
        invited = must(
            *("receiver", "invite", "北見依頼病院", "--code", SENDER_CODE),
            *("--address", "localhost", "--out", self.folder, "--data", self.receiver),
        )
        must(
            *("sender", "init", "--data", self.sender, "--name", "北見依頼病院"),
            *("--code", SENDER_CODE, "--address", "北見市", "--operator", "試験"),
        )
        must("sender", "join", invited["path"], "--data", self.sender)
        self.stop_receiver()

    def start_receiver(self, env: dict[str, str] | None = None) -> None:
        """Start the receiver and wait until its doors are open."""
        line = command("receiver", "run", "--data", self.receiver, "--json")
        self.running = start(line, self.folder / "receiver.log", env)
        self.viewer = first_object(self.running)["viewer"]

    def stop_receiver(self) -> None:
        """End the receiver as a service manager does."""
        if self.running is not None:
            self.running.terminate()
            self.running.wait(30)
            self._forget()

    def kill_receiver(self) -> None:
        """SIGKILL every process of the receiver at once."""
        assert self.running is not None
        with contextlib.suppress(ProcessLookupError):  # it ended by itself
            os.killpg(self.running.pid, signal.SIGKILL)
        self.running.wait(30)
        self._forget()

    def _forget(self) -> None:
        assert self.running is not None
        if self.running.stdout is not None:
            self.running.stdout.close()
        self.running = None

    def send(self, *paths: object) -> subprocess.Popen[str]:
        """Start `sender send` and leave it running."""
        line = command("sender", "send", *paths, "--data", self.sender, "--json")
        return start(line, self.folder / "sender.log")

    @contextlib.contextmanager
    def daemon(self, env: dict[str, str] | None = None) -> Iterator[Any]:
        """Run `sender run`; gives what it said of its doors, and its process id."""
        line = command("sender", "run", "--data", self.sender, "--json")
        running = start(line, self.folder / "sender.log", env)
        try:
            yield {**first_object(running), "pid": running.pid}
        finally:
            running.terminate()
            running.communicate(timeout=30)

    def let_go(self, states: frozenset[str] = frozenset({"receipted"})) -> None:
        """Release what is held, as 参考 and in a person's name, and let a daemon send it."""

        def rest() -> set[str]:
            with self.outbox() as box:
                return {str(one.state) for one in box.transfers()}

        with self.outbox() as box:
            held = [one.id for one in box.transfers() if str(one.state) == "held"]
        for name in held:
            sending.release(self.sender, name, by="試験", reason="試験", way="reference")
        with self.daemon():
            until(lambda: rest() <= states, f"all are {sorted(states)}", 2 * DEADLINE)

    @contextlib.contextmanager
    def through(self, **ports: int) -> Iterator[None]:
        """Let the sender reach the receiver through other ports for a while."""
        (path,) = (self.sender / "partners").glob("*.json")
        before = path.read_text("utf-8")
        words = json.loads(before)
        words |= {f"{name}_port": port for name, port in ports.items()}
        path.write_text(json.dumps(words), "utf-8")
        try:
            yield
        finally:
            path.write_text(before, "utf-8")

    @contextlib.contextmanager
    def outbox(self) -> Iterator[Outbox]:
        """Open the sender's outbox beside its processes."""
        with contextlib.closing(Outbox(self.sender)) as box:
            yield box

    @contextlib.contextmanager
    def index(self) -> Iterator[Index]:
        """Open the receiver's index beside its processes."""
        with contextlib.closing(Index.at(self.receiver)) as known:
            yield known
