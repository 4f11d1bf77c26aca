"""A receiver's DICOM door with real partners, and a peer that says what it likes over TLS."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from common import audit
from common.dicom import commands, uids
from common.dicom.association import Context, Outcome, Requestor
from common.dicom.negotiation import Proposal, Request, UserInformation, encode_request
from common.dicom.pdu_stream import Fragment, Pdu, PduReader
from common.errors import PeerError
from common.refusals import Refusals
from common.settings import Receiver
from receiver import setup
from receiver.doors.dicom import DicomDoor
from receiver.index import Index
from receiver.store import Store
from tests.common.dicom.association.rig import outgoing
from tests.receiver.committing import CT, DEADLINE, EXPLICIT, HERE, Receiving, until
from tests.receiver.filled import as_file

ECHO = Context(uids.VERIFICATION, uids.IMPLICIT_VR_LITTLE_ENDIAN)
PRIVATE = "1.2.3.4.5"
MAX_PDU = 1 << 20  # what the door says that it takes
MEMORY = 48 << 20  # bytes by which one bad peer may make the process grow

REQUEST = Request(
    "TODOKE",
    "CT1",
    (
        Proposal(1, CT, (EXPLICIT,)),
        Proposal(3, uids.VERIFICATION, (EXPLICIT,)),
        Proposal(5, PRIVATE, (EXPLICIT,)),  # rejected
    ),
    UserInformation(16384),
)
RQ = encode_request(REQUEST)


def image(uid: str, **changed: Any) -> bytes:
    """A small CT image as it is sent, Explicit VR Little Endian."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CT, uid
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "2.25.10", "2.25.11"
    ds.PatientID, ds.PatientName, ds.Modality = "P1", "TEST^ICHIRO", "CT"
    ds.Rows = ds.Columns = 2
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.SamplesPerPixel, ds.PixelRepresentation = 1, 0
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelData = b"\1\0" * 4
    for keyword, value in changed.items():
        setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole = as_file(ds)
    return whole[144 + int.from_bytes(whole[140:144], "little") :]


class Raw:
    """A connection on which anything may be said."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(DEADLINE)
        self.reader = PduReader(0)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def associate(self, request: bytes = RQ) -> bytes:
        """Say the request; return the answering PDU."""
        self.sock.sendall(request)
        while data := self.sock.recv(65536):
            for event in self.reader.feed(memoryview(data)):
                assert isinstance(event, Pdu)
                return event.data
        raise AssertionError("closed")

    def status(self) -> int:
        """Return the status of the next response."""
        command = b""
        while data := self.sock.recv(65536):
            for event in self.reader.feed(memoryview(data)):
                assert isinstance(event, Fragment), event
                command += event.data
                if event.last:
                    return commands.decode(command).status
        raise AssertionError("closed")

    def rest(self) -> bytes:
        """Return what comes until the other end closes."""
        data = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while part := self.sock.recv(65536):
                data += part
        return data

    def drip(self, data: bytes, ended: Callable[[], bool]) -> None:
        """Send byte by byte, each well within any wait's deadline, until somebody has enough."""
        moment = threading.Event()
        for byte in data:
            try:
                self.sock.sendall(bytes([byte]))
            except OSError:
                return
            if ended():
                return
            moment.wait(0.05)  # the pace is the input that is tested


@dataclass
class Door(Receiving):
    """A door with deadlines and caps of the test's own."""

    limits: dict[str, Any] = field(default_factory=dict)
    seen: int = 0  # refusals given to news
    kept: set[str] = field(default_factory=set)  # what was acknowledged to good peers

    def open(self) -> None:
        """Open the door; refusals are written one by one rather than a minute's together."""
        self.door = DicomDoor(
            self.index, Store(self.store, low_water=0), self.node, self.trail,
            address=("127.0.0.1", 0), aet="TODOKE", profile="jp-high13", limits=self.limits,
        )  # fmt: skip
        self.door.refusals = Refusals(self.trail, interval=0.05)
        self.door.start()

    @property
    def store(self) -> Path:
        """Where instances lie."""
        return self.folder / "receiver" / "store"

    def tcp(self) -> Raw:
        """A connection without TLS."""
        return Raw(socket.create_connection(self.door.acceptor.address, DEADLINE))

    def tls(self, aet: str = "CT1") -> Raw:
        """A connection with a partner's certificate."""
        sock = socket.create_connection(self.door.acceptor.address, DEADLINE)
        # else a first word waits here for the answer to the handshake, and a reset drops it
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Raw(self.client(aet).wrap_socket(sock, server_hostname="localhost"))

    def calling(self, aet: str = "CT2", **options: Any) -> Requestor:
        """A good peer."""
        return Requestor.open(
            self.door.acceptor.address,
            tls=self.client(aet), server_hostname="localhost",
            calling_aet=aet, called_aet="TODOKE",
            contexts=(Context(CT, EXPLICIT), ECHO), timeout=DEADLINE, **options,
        )  # fmt: skip

    def good(self) -> None:
        """A good peer is served; where the test's deadlines are too short for it, later."""
        for _ in range(5):
            with contextlib.suppress(PeerError), self.calling() as peer:
                assert peer.echo() == 0
                return
        raise AssertionError("a good peer is not served")

    def put(self, data: bytes, uid: str, aet: str = "CT2") -> Outcome:
        """Store one instance as a good peer does."""
        with self.calling(aet) as peer:
            (outcome,) = peer.store([outgoing(data, uid=uid)])
        if outcome.error is None:
            self.kept.add(uid)
        return outcome

    def rows(self, event: str = "security-alert") -> list[dict[str, Any]]:
        """Return the audit trail's lines of one kind."""
        lines = self.trail.path.read_bytes().splitlines()
        return [row for row in map(json.loads, lines) if row["event"] == event]

    def news(self) -> list[dict[str, Any]]:
        """Return the refusals that were written since the last call."""
        rows = self.rows()
        fresh, self.seen = rows[self.seen :], len(rows)
        return fresh

    def told(self) -> list[dict[str, Any]]:
        """Wait for refusals to be written; return them."""
        found: list[dict[str, Any]] = []

        def come() -> bool:
            found.extend(self.news())
            return bool(found)

        until(come)
        return found

    def finals(self) -> list[Path]:
        """Return the instances that lie under a final name."""
        return sorted(self.store.rglob("*.dcm"))

    def parts(self) -> list[Path]:
        """Return what lies there half arrived."""
        return sorted(self.store.rglob("*.part"))


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096


@contextlib.contextmanager
def opened(folder: Path, **limits: Any) -> Iterator[Door]:
    """Open a receiver's DICOM door with the partners CT1 and CT2."""
    node = setup.init(folder / "receiver", HERE, Receiver(hosts=("localhost",)), operator="試験")
    with (
        closing(Index.at(folder / "receiver")) as known,
        closing(audit.Trail(folder / "receiver" / "audit", "dicom")) as trail,
    ):
        made = Door(folder, node, known, trail, limits=limits)
        made.add("CT1")
        made.add("CT2")
        made.open()
        try:
            yield made
        finally:
            made.door.stop()
