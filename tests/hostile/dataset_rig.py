"""A receiver that stays up while one hostile instance after another comes to its DICOM door."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from common import audit, tls
from common.dicom.association import Context, Outgoing, Pieces, Requestor
from common.errors import TodokeError
from common.proof.identity import Institution
from common.settings import Receiver
from receiver import index, registry, setup
from receiver.describe_process import Filler
from receiver.doors.dicom import DicomDoor
from receiver.held import Held, rows
from receiver.verifying import Verifiers
from sender import ingest
from sender.outbox import Outbox
from tests.hostile.dataset_objects import Instance, instance
from tests.receiver.filled import Filled, client

HERE, THERE = Institution("髙橋病院", "1310000001"), Institution("装置", "0110000042")
DEADLINE = 50.0  # seconds: the machine is shared
MEMORY = 256 << 20  # bytes that one instance may make the receiver grow by, at its peak
PATIENT = ("TAKAHASHI", "髙橋", "0012345", "19580307")


class Log(logging.Handler):
    """What the receiver says in its log."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass
class Answer:
    """What became of one instance at the DICOM door.

    Attributes
    ----------
    growth : int
        Bytes by which the process's memory grew at its peak.
    lines : list of str
        What the log got.
    files : set of Path
        What lies in the store besides what lay there before.
    """

    status: int
    growth: int
    lines: list[str]
    files: set[Path]


@dataclass
class Standing:
    """A receiver's DICOM door over TLS, its viewer, and a partner with a certificate."""

    folder: Path
    filled: Filled
    door: DicomDoor
    log: Log
    viewer: httpx.Client
    own: tls.Credentials
    numbers: count[int] = field(default_factory=count)

    def store(self, sent: Instance) -> int:
        """Send an instance in an association of its own; return the status."""
        outgoing = Outgoing(
            sent.sop_class,
            sent.uid,
            sent.syntax,
            len(sent.data),
            lambda: Pieces(len(sent.data), iter([sent.data])),
        )
        host, port = self.door.acceptor.address[:2]
        with closing(
            Requestor.open(
                (host, port),
                tls=tls.client_context(self.own, [self.door.authority]),
                server_hostname="localhost",
                contexts=[Context(sent.sop_class, sent.syntax)],
                calling_aet="CT1",
                called_aet="TODOKE",
                timeout=DEADLINE,
            )
        ) as association:
            [outcome] = association.store([outgoing])
        return outcome.status

    def meet(self, sent: Instance) -> Answer:
        """Send a hostile instance, then a good one, which has to be stored."""
        before, said = self._files(), len(self.log.lines)
        with _memory() as growth:
            status = self.store(sent)
        files = self._files() - before
        lines = self.log.lines[said:]
        good = instance(f"good {next(self.numbers)}")
        assert self.store(good) == 0, "a good instance is no longer taken"
        [row] = self.rows(good.uid)
        assert self.bytes_of(row) == good.data
        return Answer(status, growth[0], lines, files)

    def refuses(self, sent: Instance, error: type[TodokeError]) -> Answer:
        """Hold a refusal to all that is asked of one."""
        answer = self.meet(sent)
        assert answer.status == error.dimse_status, f"{answer.status:04X}H"
        assert answer.files == set(), "something of it is left"
        # the audit's own line comes once a kind, however many are refused
        said = [line for line in answer.lines if "security-alert" not in line]
        assert [line for line in said if error.number in line] == said
        assert len(said) == 1, "not one log line"
        self._check(answer)
        assert self.rows(sent.uid) == []
        return answer

    def takes(self, sent: Instance) -> Held:
        """Hold an acceptance to all that is asked of one; return the row."""
        answer = self.meet(sent)
        assert answer.status == 0, f"{answer.status:04X}H {answer.lines}"
        self._check(answer)
        [row] = self.rows(sent.uid)
        assert answer.files == {self.filled.store.path(str(row.path))}
        assert self.bytes_of(row) == sent.data
        return row

    def _check(self, answer: Answer) -> None:
        assert answer.growth < MEMORY
        assert not [line for line in answer.lines for word in PATIENT if word in line]
        assert not list(self.filled.store.incoming.iterdir())

    def _files(self) -> set[Path]:
        return {path for path in self.filled.store.root.rglob("*") if path.is_file()}

    def rows(self, uid: str) -> list[Held]:
        """Return the rows of a SOP Instance UID."""
        with self.filled.index.read() as db:
            return rows(db, index.instances.c.sop_uid == uid)

    def bytes_of(self, row: Held) -> bytes:
        """Return the data set of a stored instance."""
        path = self.filled.store.path(str(row.path))
        return path.read_bytes()[row.prefix_length :]

    def describe(self) -> None:
        """Make the attributes of all that came."""
        filler = Filler(self.filled.index, self.filled.store.root)
        while filler.fill():
            pass
        filler._reader.shutdown()

    def row(self, uid: str) -> Any:
        """Return the light row of a stored instance as its pages see it."""
        columns = index.instances.c
        with self.filled.index.read() as db:
            return db.execute(
                select(columns.study_uid, columns.series_uid, columns.sop_uid).where(
                    columns.sop_uid == uid
                )
            ).one()

    def at(self, uid: str) -> str:
        """Return the path of an instance in DICOMweb."""
        row = self.row(uid)
        return f"/dicomweb/studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_uid}"


@contextlib.contextmanager
def standing(folder: Path) -> Iterator[Standing]:
    """Set up a receiver of two processes' work in this one, with a viewer."""
    data = folder / "receiver"
    node = setup.init(data, HERE, Receiver(hosts=("localhost",)), operator="test")
    filled = Filled(data)
    filled.user()
    log = Log()
    logging.getLogger("todoke").addHandler(log)
    logging.getLogger("todoke").setLevel(logging.INFO)
    try:
        with closing(audit.Trail(data / "audit", "dicom")) as trail:
            registry.add_product(node, filled.index, THERE, aet="CT1", issue=folder / "issued")
            stem = folder / "issued" / THERE.code
            own = tls.Credentials(stem.with_suffix(".key"), stem.with_suffix(".crt"))
            door = DicomDoor(
                filled.index, filled.store, node, trail,
                address=("127.0.0.1", 0), aet="TODOKE", profile="jp-high13",
            )  # fmt: skip
            door.start()
            try:
                with filled.serve() as url, client(url) as viewer:
                    yield Standing(folder, filled, door, log, viewer, own)
            finally:
                door.stop()
    finally:
        logging.getLogger("todoke").removeHandler(log)
        filled.close()


def send_file(folder: Path, content: bytes, name: str = "one.dcm") -> TodokeError | None:
    """Put a file into a sender's outbox; return why it was refused, None where it was not."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    with closing(Outbox(folder / "outbox")) as outbox:
        found = ingest.scan(outbox.job(outbox.submit("north", [path], {})))
    assert found.files == 1
    assert len(found.refused) + sum(len(some) for _, some in found.transfers) == 1
    return found.refused[0][1] if found.refused else None


def verified(verifiers: Verifiers, row: Held) -> str | None:
    """Read an instance back; return its D1, None where it cannot be read."""
    found = verifiers.read_back("routine", [row], slide=False).result(DEADLINE)
    return found[row.id].d1 if row.id in found else None


@contextlib.contextmanager
def _memory() -> Iterator[list[int]]:
    """Give the bytes by which this process grew at its peak, where the system tells."""
    growth = [0]
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        yield growth
        return
    with contextlib.suppress(OSError):
        reset.write_text("5")  # forget the peak so far
    before = _status("VmRSS")
    yield growth
    growth[0] = _status("VmHWM") - before


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    return 0
