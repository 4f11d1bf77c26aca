"""Several senders and one receiver as whole processes, and everything that breaks between them.

Two run ``todoke sender run``, one is a foreign product that knows C-STORE alone.  What was
accepted and what was acknowledged is noted here, outside the processes, as it happens.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common import durable, tls
from common.dicom import dataset
from common.dicom.association import Context, Outgoing, Requestor
from common.errors import TodokeError
from common.tls import Credentials
from sender import sending
from sender.outbox import Outbox
from tests.system.ends import SENDER_CODE, Ends, command, first_object, must, start, until
from tests.system.line import Line

RATE = 2e6  # bytes a second of each line
DISK = 320 << 20  # bytes of the receiver's disk, where it may be filled
FREE = {"low": 200 << 20, "full": 1 << 20}  # bytes left; the first is under the low-water mark
#: Noise does not shrink, and what arrives is compared with what was sent byte by byte.
ENVIRONMENT = os.environ | {"TODOKE_SENDER_COMPRESSION": "off"}


@dataclass
class Ways:
    """An end's two lines to the receiver."""

    dicom: Line
    link: Line

    def cut(self) -> None:
        """Break what is open on both."""
        self.dicom.cut()
        self.link.cut()

    def go_on(self) -> None:
        """Let both carry again."""
        self.dicom.go_on()
        self.link.go_on()


@dataclass
class SenderEnd:
    """One paired sender, and the paths of every job that it accepted."""

    data: Path
    code: str
    ways: Ways
    accepted: dict[int, Path] = field(default_factory=dict)
    running: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the daemon and wait until it is there."""
        log = self.data.with_suffix(".log")
        line = command("sender", "run", "--data", self.data, "--json")
        self.running = start(line, log, ENVIRONMENT)
        first_object(self.running)

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the daemon, by default at once."""
        if self.running is not None:
            os.killpg(self.running.pid, how)
            self.running.communicate(timeout=60)
            self.running = None

    def submit(self, path: Path) -> None:
        """Put a path into the outbox; once this returns, the sender owes it."""
        (partner,) = (self.data / "partners").glob("*.json")
        options = {"request": {}, "slide": SLIDE_WORDS}
        job = sending.submit(self.data, partner.stem, [path], options)
        self.accepted[job] = path

    @contextlib.contextmanager
    def outbox(self) -> Iterator[Outbox]:
        """Open the outbox beside the daemon."""
        with contextlib.closing(Outbox(self.data)) as box:
            yield box


SLIDE_WORDS = {
    "patient_id": "H1",
    "patient_name": "YAMADA^TARO=山田^太郎=ヤマダ^タロウ",
    "birth_date": "19500401",
    "sex": "M",
    "accession_number": "P1",
    "container_id": "P1-1",
    "send_label": False,
    "send_macro": False,
    "spacing_um": None,
}


class Bytes:
    """A data set in memory, as an association reads it."""

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)

    def read(self, places: Sequence[memoryview]) -> None:
        for place in places:
            place[:], self._rest = self._rest[: len(place)], self._rest[len(place) :]

    def close(self) -> None:
        pass


@dataclass
class ForeignEnd:
    """A product that has no outbox: it stores, and what was not acknowledged it stores again.

    Attributes
    ----------
    tried : dict
        Files by SOP Instance UID.
    acknowledged : set
        UIDs that the receiver answered with success.
    """

    code: str
    identity: Credentials
    ca: str
    way: Line
    tried: dict[str, Path] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    _thread: threading.Thread | None = None

    def send(self, paths: Sequence[Path]) -> bool:
        """Begin to store in a thread of its own; False while it is still at it."""
        if self._thread is not None and self._thread.is_alive():
            return False
        parts = {dataset.read_part10(path).sop_instance_uid: path for path in paths}
        self.tried |= parts
        self._thread = threading.Thread(target=self._try, args=(list(parts.values()),), daemon=True)
        self._thread.start()
        return True

    def join(self) -> None:
        """Wait until it has ended, one way or another."""
        if self._thread is not None:
            self._thread.join(90)
            assert not self._thread.is_alive(), "the foreign product waits for ever"

    def again(self) -> None:
        """Store everything once more, also what was acknowledged: now nothing may fail."""
        self.join()
        self.store(list(self.tried.values()))
        assert self.acknowledged >= self.tried.keys(), "refused, with nothing in the way"

    def _try(self, paths: list[Path]) -> None:
        with contextlib.suppress(TodokeError, OSError):
            self.store(paths)

    def store(self, paths: Sequence[Path]) -> None:
        """Store over one association."""
        self.store_at(self.way.port, paths)

    def store_at(self, port: int, paths: Sequence[Path]) -> None:
        """Store over one association to a port of this machine."""
        outgoing = [_outgoing(path) for path in paths]
        contexts = {Context(one.sop_class_uid, one.transfer_syntax_uid) for one in outgoing}
        context = tls.client_context(self.identity, [self.ca])
        with Requestor.open(
            ("127.0.0.1", port),
            tls=context,
            server_hostname="localhost",
            calling_aet="FOREIGN",
            called_aet="TODOKE",
            contexts=sorted(contexts, key=repr),
            window=8,
            timeout=30,
        ) as association:
            for outcome in association.store(outgoing):
                if outcome.error is None and outcome.status == 0:
                    self.acknowledged.add(outcome.outgoing.sop_instance_uid)


def _outgoing(path: Path) -> Outgoing:
    part, data = dataset.read_part10(path), path.read_bytes()
    return Outgoing(
        part.sop_class_uid,
        part.sop_instance_uid,
        part.transfer_syntax_uid,
        part.length,
        lambda: Bytes(data[part.offset :]),
    )


class Hospital:
    """The receiver, its senders, the lines between them and the receiver's disk."""

    def __init__(self, folder: Path) -> None:
        self.ends = Ends(folder)
        self.held = contextlib.ExitStack()
        self.senders: list[SenderEnd] = []
        self.foreign: ForeignEnd
        self.ballast: Path | None = None

    def __enter__(self) -> Hospital:
        try:
            self._open()
        except BaseException:
            self.held.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.held.close()

    def _open(self) -> None:
        ends = self.ends
        if os.geteuid() == 0:
            self._mount(ends.receiver)
        self.held.callback(ends.stop_receiver)
        ends.pair()
        self._line_up(ends.sender, SENDER_CODE)
        second, code = ends.folder / "sender2", "0118765438"
        invited = must(
            *("receiver", "invite", "網走依頼病院", "--code", code, "--address", "localhost"),
            *("--out", ends.folder, "--data", ends.receiver),
        )
        must(
            *("sender", "init", "--data", second, "--name", "網走依頼病院", "--code", code),
            *("--address", "網走市", "--operator", "試験"),
        )
        must("sender", "join", invited["path"], "--data", second)
        self._line_up(second, code)
        self._enter_foreign()
        for sender in self.senders:
            sender.start()

    def _mount(self, folder: Path) -> None:
        """Give the receiver a disk of its own that can be filled."""
        folder.mkdir()
        line = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "todoke-test", str(folder)]
        if subprocess.run(line, check=False, capture_output=True).returncode == 0:
            self.held.callback(subprocess.run, ["umount", "-l", str(folder)], check=True)
            self.ballast = folder / "ballast"

    def _line(self, name: str) -> Line:
        return self.held.enter_context(Line(self.ends.ports[name], RATE))

    def _line_up(self, data: Path, code: str) -> None:
        """Lead a sender's connections over lines of its own."""
        ways = Ways(self._line("dicom"), self._line("link"))
        (path,) = (data / "partners").glob("*.json")
        words = json.loads(path.read_text("utf-8"))
        words |= {"dicom_port": ways.dicom.port, "link_port": ways.link.port}
        path.write_text(json.dumps(words), "utf-8")
        sender = SenderEnd(data, code, ways)
        self.senders.append(sender)
        self.held.callback(sender.end)

    def _enter_foreign(self) -> None:
        code, folder = "0112345678", self.ends.folder / "foreign"
        must(
            *("receiver", "partner", "add", "FOREIGN", "--aet", "FOREIGN", "--code", code),
            *("--issue", folder, "--data", self.ends.receiver),
        )
        own = Credentials(folder / f"{code}.key", folder / f"{code}.crt")
        ca = (folder / "ca.crt").read_text("ascii")
        self.foreign = ForeignEnd(code, own, ca, self._line("dicom"))

    # -- what breaks ----------------------------------------------------------

    def receiver_back(self) -> bool:
        """Start the receiver where it has ended; tell whether it had."""
        running = self.ends.running
        if running is not None and running.poll() is None:
            return False
        if running is not None:
            self.ends.kill_receiver()
        self.ends.start_receiver()
        return True

    def kill_door(self, module: str) -> bool:
        """SIGKILL one process of the receiver; its supervisor starts it again, or ends."""
        running = self.ends.running
        assert running is not None
        with contextlib.suppress(OSError):
            for child in (
                Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
            ):
                if module in Path(f"/proc/{child}/cmdline").read_text():
                    os.kill(int(child), signal.SIGKILL)
                    return True
        return False

    def fill(self, how: str) -> bool:
        """Leave so little of the disk; False where it cannot be filled."""
        if self.ballast is None:
            return False
        disk = os.statvfs(self.ballast.parent)
        spare = disk.f_bavail * disk.f_frsize - FREE[how]
        if spare > 0:
            with self.ballast.open("ab") as file, contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), file.tell(), spare)
        return True

    def make_room(self) -> None:
        """Give the disk back."""
        if self.ballast is not None:
            self.ballast.unlink(missing_ok=True)

    def carried(self) -> int:
        """Bytes that went towards the receiver so far."""
        ways = [line for one in self.senders for line in (one.ways.dicom, one.ways.link)]
        return sum(line.bytes for line in (*ways, self.foreign.way))

    def wait_for_traffic(self, count: int, seconds: float) -> None:
        """Wait until so many more bytes have passed, or nothing of the kind happens."""
        goal, latest = self.carried() + count, time.monotonic() + seconds
        with contextlib.suppress(AssertionError):
            until(
                lambda: self.carried() >= goal or time.monotonic() > latest, "traffic", 2 * seconds
            )

    def heal(self) -> None:
        """Take every fault away and have everything run."""
        self.make_room()
        for sender in self.senders:
            sender.ways.go_on()
        self.foreign.way.go_on()
        self.receiver_back()
        for sender in self.senders:
            sender.end(signal.SIGTERM)  # its next try may be a minute away
            sender.start()


def of_file(path: Path, offset: int) -> str:
    """SHA-256 of a data set in its file."""
    fd = durable.open_file(path)
    try:
        return hashlib.sha256(
            durable.read_at(fd, os.fstat(fd).st_size - offset, offset)
        ).hexdigest()
    finally:
        os.close(fd)
