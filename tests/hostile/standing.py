"""A receiver that stands through everything: whole processes, two partners, a signed-in reader.

What every hostile input must leave as it was is checked around each test: processes,
memory, files under final names, the log, what is dialled, and that others are served.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from common import link, tls
from common.proof.identity import Node
from common.proof.role import Role
from sender.partners import Partner, find_partner
from tests.system.ends import RECEIVER_CODE, SENDER_CODE, Ends, must, until
from tests.system.series import write_series

OTHER_CODE = "0111234567"
READER, PASSWORD = "yamamoto", "Kita-no-Umi-2026"
MEMORY = 96 << 20  # bytes that a process may grow by at its peak during one test
ANSWER = 40.0  # seconds for a good peer's question: the machine is shared
PATIENT = re.compile(r"TAKAHASHI|髙橋|HANAKO|花子|\bT90[01]\b|NAGAI")
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [\w.]+ .*")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass
class Side:
    """One institution that is paired with the receiver."""

    data: Path
    code: str
    node: Node = field(init=False)
    partner: Partner = field(init=False)

    def __post_init__(self) -> None:
        self.node = Node.load(self.data, Role.REQUESTER)
        self.partner = find_partner(self.data, None)

    @property
    def context(self) -> ssl.SSLContext:
        """TLS towards the receiver with this institution's certificate."""
        return tls.client_context(self.partner.credentials, [self.partner.ca])

    def client(self, port: int) -> httpx.Client:
        """Return a client of the link."""
        url = f"https://localhost:{port}{link.ROOT}"
        return httpx.Client(base_url=url, verify=self.context, timeout=ANSWER, trust_env=False)


@dataclass
class Standing:
    """The receiver, what it holds, and how to reach it."""

    folder: Path
    ends: Ends = field(init=False)
    side: Side = field(init=False)
    other: Side = field(init=False)
    studies: dict[str, str] = field(default_factory=dict)  # institution -> Study Instance UID
    log_from: int = 0  # where in the log the test begins
    arriving: int = 0  # files that a test lets arrive under final names

    def __post_init__(self) -> None:
        self.ends = Ends(self.folder)
        self.dialled = self.folder / "dialled"
        self.dialled.touch()
        self.ends.pair()
        self.restart()
        self.side = Side(self.ends.sender, SENDER_CODE)
        self.other = Side(self._pair_another(), OTHER_CODE)
        for number, side in enumerate((self.side, self.other)):
            files = self.folder / f"ct{number}"
            write_series(files, 900 + number, slices=3)
            said = must("sender", "send", files, "--data", side.data)
            (transfer,) = said["transfers"]
            assert transfer["state"] == "receipted"
            self.studies[side.code] = transfer["study_uid"]
        add = ("receiver", "user", "add", READER, "--password-stdin", "--data", self.ends.receiver)
        must(*add, stdin=f"{PASSWORD}\n")

    def restart(self) -> None:
        """Start the receiver anew, with its dialling written down."""
        self.ends.stop_receiver()
        here = str(Path(__file__).with_name("outbound"))
        path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
        noted = {"PYTHONPATH": path, "TODOKE_TEST_DIALLED": str(self.dialled)}
        self.ends.start_receiver({**os.environ, **noted})

    def _pair_another(self) -> Path:
        data = self.folder / "other"
        invited = must(
            *("receiver", "invite", "釧路依頼病院", "--code", OTHER_CODE, "--address", "localhost"),
            *("--out", self.folder, "--data", self.ends.receiver),
        )
        must(
            *("sender", "init", "--data", data, "--name", "釧路依頼病院", "--code", OTHER_CODE),
            *("--address", "釧路市", "--operator", "試験"),
        )
        must("sender", "join", invited["path"], "--data", data)
        return data

    # -- ways in ------------------------------------------------------------

    @contextlib.contextmanager
    def page(self, *, signed_in: bool = True, address: str = "127.0.0.1") -> Iterator[httpx.Client]:
        """A client of the viewer, from an address of the loopback net."""
        with httpx.Client(
            base_url=self.ends.viewer,
            headers={"X-Todoke": "1"},
            timeout=ANSWER,
            transport=httpx.HTTPTransport(local_address=address),
        ) as made:
            if signed_in:
                words = {"name": READER, "password": PASSWORD}
                made.post("/api/sign-in", json=words).raise_for_status()
            yield made

    @contextlib.contextmanager
    def connection(self, door: str, address: str = "127.0.0.1") -> Iterator[socket.socket]:
        """A connection to a door from an address, with its TLS, to write raw bytes on."""
        there, here = ("127.0.0.1", self.ends.ports[door]), (address, 0)
        with socket.create_connection(there, ANSWER, source_address=here) as plain:
            if door == "viewer":
                yield plain
                return
            with self.side.context.wrap_socket(plain, server_hostname="localhost") as secure:
                yield secure

    def exchange(self, door: str, sent: bytes, address: str = "127.0.0.1") -> bytes:
        """Write raw bytes and return all that is answered until the door closes or is silent."""
        answer = bytearray()
        with self.connection(door, address) as line:
            with contextlib.suppress(OSError):  # it may be closed before all is written
                line.sendall(sent)
            with contextlib.suppress(OSError):
                while piece := line.recv(1 << 16):
                    answer += piece
                    line.settimeout(1.0)  # what follows an answer comes at once
        return bytes(answer)

    # -- what must hold -----------------------------------------------------

    def processes(self) -> dict[int, str]:
        """Return the receiver's process ids and what each runs."""
        assert self.ends.running is not None
        group, found = self.ends.running.pid, {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError):
                if os.getpgid(int(folder.name)) == group:
                    words = (folder / "cmdline").read_text("utf-8").split("\0")
                    if "common.workers" not in words:  # decoders come and go
                        found[int(folder.name)] = words[2] if len(words) > 2 else ""
        return {
            pid: name
            for pid, name in found.items()
            if name.endswith(("_process", "common.command"))
        }

    def files(self) -> set[Path]:
        """Return everything in the store that has a final name."""
        store = self.ends.receiver / "store"
        return {path for path in store.rglob("*.dcm") if path.parent.name != "aside"}

    def log(self, since: int = 0) -> str:
        """Return what was logged from an offset on."""
        return (self.folder / "receiver.log").read_bytes()[since:].decode("utf-8")

    def logged(self, words: str) -> int:
        """Return how often this test made the log say something."""
        return self.log(self.log_from).count(words)

    def told(self, words: str) -> int:
        """Return how many lines of this test's log say something, but for the audit's own."""
        lines = self.log(self.log_from).splitlines()
        return sum(words in line for line in lines if "todoke.audit" not in line)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Check around a test that a hostile input leaves everything as it was."""
        processes, files, dialled = self.processes(), self.files(), self.dialled.read_bytes()
        self.log_from = (self.folder / "receiver.log").stat().st_size
        self.arriving = 0
        before = {pid: _reset_peak(pid) for pid in processes}
        with self._others_served():
            yield
        assert self.processes() == processes, "a process ended"
        for pid, name in processes.items():
            grown = _memory(pid, "VmHWM") - before[pid]
            assert grown < MEMORY, f"{name} grew by {grown >> 20} MB"
        assert len(self.files() - files) == self.arriving
        assert files <= self.files()
        assert self.dialled.read_bytes() == dialled, "the receiver dialled out"
        for line in self.log(self.log_from).splitlines():
            assert LINE.fullmatch(line), f"not one line an event: {line!r}"
            assert not PATIENT.search(line), line
            assert not CONTROL.search(line), repr(line)

    @contextlib.contextmanager
    def _others_served(self) -> Iterator[None]:
        """Ask both web doors as a good peer, again and again until the test is over."""
        over, asked, failures = threading.Event(), [0], list[str]()

        def ask() -> None:
            try:
                with self.side.client(self.ends.ports["link"]) as peer, self.page() as reader:
                    while asked[0] < 2 or not over.is_set():
                        assert peer.get("/hello").status_code == 200
                        assert reader.get("/api/session").status_code == 200
                        asked[0] += 1
                        over.wait(0.1)
            except Exception as failure:  # told below
                failures.append(repr(failure))

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield
        finally:
            over.set()
            asking.join()
        assert not failures, failures
        assert asked[0] >= 2


def _memory(pid: int, field: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    assert found, field
    return int(found[1]) << 10


def _reset_peak(pid: int) -> int:
    """Begin to measure the peak anew; return the memory of now in bytes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _memory(pid, "VmRSS")


def status_of(answer: bytes) -> int:
    """Return the status of a raw HTTP answer, 0 for none."""
    found = re.match(rb"HTTP/1\.1 (\d{3})", answer)
    return int(found[1]) if found else 0


def error_of(answer: httpx.Response) -> str:
    """Return the fault number of an answer of ours."""
    words: Any = answer.json()
    return str(words["error"]["number"])


def soon(holds: Any, what: str) -> None:
    """Wait for what another process does."""
    until(holds, what, ANSWER)


def clock() -> float:
    """Return seconds that only go on."""
    return time.monotonic()


__all__ = [
    "RECEIVER_CODE",
    "SENDER_CODE",
    "Side",
    "Standing",
    "clock",
    "error_of",
    "soon",
    "status_of",
]
