"""The values that stand for one association and one instance in both roles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from common.dicom.channel import Channel
from common.errors import TodokeError


@dataclass(frozen=True, slots=True)
class Context:
    """One presentation context: an abstract syntax in one transfer syntax (DCM-05)."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is on the other end of an association.

    ``certificate`` is the peer's leaf in DER, None on a plain connection.
    """

    address: str
    port: int
    calling_aet: str
    called_aet: str
    certificate: bytes | None
    implementation_class_uid: str | None
    implementation_version: str | None
    tls_version: str | None
    cipher: str | None


def peer_of(
    channel: Channel,
    address: tuple[str, int],
    *,
    calling_aet: str,
    called_aet: str,
    implementation: tuple[str | None, str | None],
) -> Peer:
    """Return the peer of an open channel; the certificate is read from the socket itself."""
    tls = channel.tls
    cipher = tls.cipher() if tls is not None else None
    return Peer(
        address=address[0],
        port=address[1],
        calling_aet=calling_aet,
        called_aet=called_aet,
        certificate=channel.certificate,
        implementation_class_uid=implementation[0],
        implementation_version=implementation[1],
        tls_version=tls.version() if tls is not None else None,
        cipher=cipher[0] if cipher is not None else None,
    )


class Source(Protocol):
    """Gives the bytes of one encoded data set, in order."""

    def read(self, places: Sequence[memoryview]) -> None:
        """Fill every place with the next bytes; a TodokeError if they cannot be had.

        The last call is the one that brings the data set to its length: a source
        that is found to have changed raises there at the latest, so that it never
        becomes a complete instance at the peer.
        """

    def close(self) -> None:
        """Give up what is held; called once, whether or not all was read."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One instance to be stored at the peer.

    Parameters
    ----------
    length : int
        Bytes of the encoded data set.
    open : callable
        Opens the encoded data set, without group 0002.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    length: int
    open: Callable[[], Source]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one instance.

    ``status`` is the peer's (PS3.4 table B.2-1), or the one that says the
    same where the instance was never sent; warnings count as stored and have
    no error.
    """

    outgoing: Outgoing
    status: int
    error: TodokeError | None


@dataclass(frozen=True, slots=True)
class Incoming:
    """One instance that a peer begins to send."""

    peer: Peer
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


class Writing(Protocol):
    """Takes the bytes of one instance as they come.

    Either ``finish`` is called once after the last byte, or ``abandon`` once:
    when the association broke before, or another method raised.  An
    association that breaks after ``finish`` returned changes nothing.
    """

    def write(self, data: memoryview) -> None:
        """Take the next bytes of the data set; the buffer is used again afterwards."""

    def finish(self, answer: Callable[[int], None]) -> None:
        """Make the instance safe and call ``answer(status)`` once, from any thread."""

    def abandon(self) -> None:
        """Forget the bytes."""


@runtime_checkable
class Placing(Writing, Protocol):
    """A ``Writing`` that says where the bytes go, so that they are read there at once."""

    def room(self, wanted: int) -> memoryview:
        """Return a place for the next bytes: at least one, at most `wanted`."""

    def filled(self, count: int) -> None:
        """Take the first `count` bytes of the room that was given last."""


class Sink(Protocol):
    """Where an acceptor puts instances; called from the threads of the associations."""

    def begin(self, incoming: Incoming) -> Writing:
        """Start one instance; a TodokeError is answered and its bytes are drained."""
