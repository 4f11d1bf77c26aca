"""Both ends of an association for tests: certificates, a sink in memory, instances."""

from __future__ import annotations

import hashlib
import queue
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import durable, tls
from common.dicom import uids
from common.dicom.association import (
    Acceptor,
    Context,
    Incoming,
    Outgoing,
    Peer,
    Pieces,
    Requestor,
)
from common.errors import TodokeError
from common.proof import certificates
from common.proof.certificates import Authority

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = uids.EXPLICIT_VR_LITTLE_ENDIAN
CT_CONTEXT = Context(CT, EXPLICIT)
ECHO_CONTEXT = Context(uids.VERIFICATION, uids.IMPLICIT_VR_LITTLE_ENDIAN)
HOST = "receiver.example"
DEADLINE = 20.0  # seconds a test waits for what must happen


@dataclass(frozen=True)
class Pki:
    """One CA and a leaf for each end; ``stranger`` is of a CA nobody trusts."""

    folder: Path
    authority: Authority
    receiver: tls.Credentials
    sender: tls.Credentials
    stranger: tls.Credentials

    @classmethod
    def make(cls, folder: Path) -> Pki:
        ours, other = Authority.create("CA"), Authority.create("other CA")
        durable.save(folder / "ca.crt", ours.pem.encode())
        return cls(
            folder,
            ours,
            _leaf(folder, ours, "receiver", hosts=(HOST, "localhost", "127.0.0.1")),
            _leaf(folder, ours, "sender"),
            _leaf(folder, other, "stranger"),
        )

    def server(self) -> ssl.SSLContext:
        return tls.server_context(self.receiver, [self.authority.pem], profile="dicom-b12")

    def client(self, own: tls.Credentials | None = None) -> ssl.SSLContext:
        return tls.client_context(own or self.sender, [self.authority.pem], profile="dicom-b12")

    def nameless(self) -> ssl.SSLContext:
        """A client that has no certificate."""
        return tls.client_context(None, [self.authority.pem])


def _leaf(folder: Path, by: Authority, name: str, hosts: Sequence[str] = ()) -> tls.Credentials:
    key = certificates.new_key()
    certificate = by.issue(key.public_key(), name, hosts=hosts)
    own = tls.Credentials(folder / f"{name}.key", folder / f"{name}.crt")
    durable.save(own.key, certificates.key_to_pem(key), private=True)
    durable.save(own.chain, certificates.to_pem(certificate).encode())
    return own


class Shelf:
    """A sink that keeps what came; answers at once, later, or with an error."""

    def __init__(self, *, error: TodokeError | None = None, when: str = "finish") -> None:
        self.stored: dict[str, bytes] = {}
        self.began: list[Incoming] = []
        self.abandoned: list[str] = []
        self.finished = 0
        self.error = error
        self.when = when
        self.later: queue.SimpleQueue[Callable[[int], None]] | None = None
        self.largest = 0  # longest piece given to write
        self.unanswered = 0
        self.most_unanswered = 0
        self.changed = threading.Condition()

    def begin(self, incoming: Incoming) -> Slot:
        with self.changed:
            self.began.append(incoming)
            self.changed.notify_all()
        self.fail("begin")
        return Slot(self, incoming)

    def fail(self, when: str) -> None:
        if self.error is not None and self.when == when:
            raise self.error

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, DEADLINE), "did not happen in time"

    def digests(self) -> dict[str, str]:
        return {uid: hashlib.sha256(data).hexdigest() for uid, data in self.stored.items()}


class Slot:
    def __init__(self, shelf: Shelf, incoming: Incoming) -> None:
        self.shelf = shelf
        self.incoming = incoming
        self.data = bytearray()

    def write(self, data: memoryview) -> None:
        self.shelf.fail("write")
        self.shelf.largest = max(self.shelf.largest, len(data))
        self.data += data

    def finish(self, answer: Callable[[int], None]) -> None:
        self.shelf.fail("finish")
        shelf = self.shelf
        with shelf.changed:
            shelf.stored[self.incoming.sop_instance_uid] = bytes(self.data)
            shelf.finished += 1
            shelf.unanswered += 1
            shelf.most_unanswered = max(shelf.most_unanswered, shelf.unanswered)
            shelf.changed.notify_all()

        def say(status: int) -> None:
            with shelf.changed:
                shelf.unanswered -= 1
            answer(status)

        if shelf.later is None:
            say(0)
        else:
            shelf.later.put(say)

    def abandon(self) -> None:
        with self.shelf.changed:
            self.shelf.abandoned.append(self.incoming.sop_instance_uid)
            self.shelf.changed.notify_all()


@dataclass
class Refusals:
    """What the acceptor gave to ``refused``."""

    seen: list[tuple[str, str, bytes | None]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, address: str, cause: str, certificate: bytes | None) -> None:
        with self.changed:
            self.seen.append((address, cause, certificate))
            self.changed.notify_all()

    def wait(self, count: int = 1) -> list[tuple[str, str, bytes | None]]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.seen) >= count, DEADLINE)
            return list(self.seen)


def admit_all(_peer: Peer) -> None:
    pass


@contextmanager
def accepting(
    sink: Any,
    context: ssl.SSLContext | Callable[[], ssl.SSLContext] | None = None,
    **options: Any,
) -> Iterator[Acceptor]:
    options = {"admit": admit_all, "refused": Refusals(), **options}
    acceptor = Acceptor(("127.0.0.1", 0), tls=context, sink=sink, **options)
    acceptor.start()
    try:
        yield acceptor
    finally:
        acceptor.stop(grace=5)


def calling(
    acceptor: Acceptor | tuple[str, int],
    context: ssl.SSLContext | None = None,
    contexts: Sequence[Context] = (CT_CONTEXT, ECHO_CONTEXT),
    **options: Any,
) -> Requestor:
    address = acceptor if isinstance(acceptor, tuple) else acceptor.address
    options = {"calling_aet": "SENDER", "called_aet": "TODOKE", "timeout": DEADLINE, **options}
    return Requestor.open(
        address,
        tls=context,
        server_hostname=HOST if context is not None else None,
        contexts=contexts,
        **options,
    )


def outgoing(data: bytes, *, uid: str | None = None, piece: int = 1 << 16) -> Outgoing:
    """An instance whose bytes are `data`, handed out in pieces."""
    return Outgoing(
        CT,
        uid or uids.new_uid(),
        EXPLICIT,
        len(data),
        lambda: Pieces(len(data), (data[i : i + piece] for i in range(0, len(data), piece))),
    )


def expected(instances: Sequence[Outgoing]) -> dict[str, str]:
    return {i.sop_instance_uid: hashlib.sha256(read_whole(i)).hexdigest() for i in instances}


def read_whole(instance: Outgoing) -> bytes:
    """Return the bytes of an instance."""
    data = bytearray(instance.length)
    source = instance.open()
    source.read([memoryview(data)])
    source.close()
    return bytes(data)
