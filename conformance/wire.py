"""A requestor that need not behave: a bare socket with pynetdicom's PDU classes (PS3.8 9.3).

Ordinary cases go through :mod:`conformance.oracle`; this one is for the rude
ones, where a well-made upper layer would not let us send what we want to send.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pydicom.uid import UID
from pynetdicom import dsutils
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RQ, A_RELEASE_RQ, P_DATA_TF
from pynetdicom.pdu_items import ImplementationVersionNameSubItem, MaximumLengthSubItem
from pynetdicom.pdu_primitives import (
    A_ABORT,
    A_ASSOCIATE,
    A_RELEASE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import PresentationContext, build_context

from conformance.objects import Instance, uid
from conformance.target import Target

ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RP, ABORT = 0x02, 0x03, 0x04, 0x06, 0x07
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
APPLICATION = "1.2.840.10008.3.1.1.1"
IMPLEMENTATION = uid("conformance", "implementation")
LARGEST_PDU = 64 << 20  # what we are willing to take from a peer
Context = tuple[str, str]


class Ended(Exception):
    """The peer closed the connection; ``how`` says in which manner."""

    def __init__(self, how: str) -> None:
        self.how = how
        super().__init__(how)


class Silent(Exception):
    """The peer sent nothing within the time granted."""


@dataclass(frozen=True, slots=True)
class Pdu:
    """One PDU of the peer: its type and the bytes after the six of its head."""

    type: int
    body: bytes


class Wire:
    """One connection on which whole PDUs are read and any bytes are written."""

    def __init__(self, sock: socket.socket, patience: float) -> None:
        self.sock = sock
        self.patience = patience
        self.accepted: dict[Context, int] = {}
        self.peer_maximum = 0
        self.peer_implementation = ""
        self.longest_seen = 0

    def send(self, data: bytes) -> None:
        """Write bytes as they are; a connection that is gone is told by the next reading."""
        self.sock.settimeout(self.patience)
        with suppress(OSError):
            self.sock.sendall(data)

    def receive(self, patience: float | None = None) -> Pdu:
        """Read one PDU.

        Raises
        ------
        Ended
            Closed, reset, or a TLS alert.
        Silent
            Nothing, or not all of it, in time.
        """
        deadline = time.monotonic() + (self.patience if patience is None else patience)
        head = self._exactly(6, deadline)
        length = int.from_bytes(head[2:], "big")
        if length > LARGEST_PDU:
            raise Ended(f"not a PDU: {head.hex()}")
        if head[0] == P_DATA:
            self.longest_seen = max(self.longest_seen, length)
        return Pdu(head[0], self._exactly(length, deadline))

    def first_bytes(self, patience: float | None = None) -> bytes:
        """Return what the peer says first, whatever its kind; empty when it closes."""
        self.sock.settimeout(self.patience if patience is None else patience)
        try:
            return self.sock.recv(4096)
        except TimeoutError as error:
            raise Silent from error
        except OSError:
            return b""

    def _exactly(self, count: int, deadline: float) -> bytes:
        parts, missing = [], count
        while missing:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Silent
            self.sock.settimeout(left)
            try:
                part = self.sock.recv(missing)
            except TimeoutError as error:
                raise Silent from error
            except ssl.SSLError as error:
                raise Ended(f"TLS: {error.reason}") from error
            except OSError as error:
                raise Ended(error.strerror or type(error).__name__) from error
            if not part:
                raise Ended("closed")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def associate(self, target: Target, contexts: Sequence[Context], **names: Any) -> Pdu:
        """Ask for an association and return the answer; what was accepted is kept."""
        proposed = list(contexts)
        self.send(associate_rq(target, proposed, **names))
        answer = self.receive()
        if answer.type == ASSOCIATE_AC:
            self._read_acceptance(answer, proposed)
        return answer

    def _read_acceptance(self, answer: Pdu, proposed: list[Context]) -> None:
        pdu: Any = A_ASSOCIATE_AC()
        pdu.decode(bytes([answer.type, 0]) + len(answer.body).to_bytes(4, "big") + answer.body)
        for item in pdu.presentation_context:
            if item.result_reason == 0:
                self.accepted[proposed[(item.context_id - 1) // 2]] = item.context_id
        for entry in pdu.user_information.user_data:
            if isinstance(entry, MaximumLengthSubItem):
                self.peer_maximum = entry.maximum_length_received or 0
            elif isinstance(entry, ImplementationVersionNameSubItem):
                self.peer_implementation = str(entry.implementation_version_name)

    def echo(self) -> int:
        """C-ECHO; return its status (PS3.7 9.1.5)."""
        primitive = C_ECHO()
        primitive.MessageID = 1
        primitive.AffectedSOPClassUID = VERIFICATION
        message = C_ECHO_RQ()
        message.primitive_to_message(primitive)
        self.send(b"".join(_pdus(message, self.accepted[(VERIFICATION, IMPLICIT)], 16384)))
        return self.status()

    def store(self, instance: Instance, maximum: int | None = None) -> int:
        """C-STORE of one instance; return its status."""
        self.send(b"".join(self.store_pdus(instance, maximum)))
        return self.status()

    def store_pdus(
        self,
        instance: Instance,
        maximum: int | None = None,
        *,
        sop_class_uid: str | None = None,
        sop_instance_uid: str | None = None,
    ) -> list[bytes]:
        """Return the PDUs of one C-STORE: the command, then the fragments of the data set.

        Parameters
        ----------
        instance : Instance
            What is sent.
        maximum : int or None
            Bytes in one PDU after its head; None: as much as the peer takes.
        sop_class_uid, sop_instance_uid : str or None
            What the command says, where it is to lie.
        """
        primitive = C_STORE()
        primitive.MessageID = 1
        primitive.Priority = 2
        primitive.AffectedSOPClassUID = sop_class_uid or instance.sop_class_uid
        primitive.AffectedSOPInstanceUID = sop_instance_uid or instance.sop_instance_uid
        primitive.DataSet = BytesIO(instance.data)
        message = C_STORE_RQ()
        message.primitive_to_message(primitive)
        context_id = self.accepted[(instance.sop_class_uid, instance.transfer_syntax_uid)]
        size = maximum or min(self.peer_maximum or 1 << 20, 1 << 20)
        return list(_pdus(message, context_id, size))

    def status(self, patience: float | None = None) -> int:
        """Read one response and return its status; an abort is :class:`Ended`."""
        command = b""
        while True:
            pdu = self.receive(patience)
            if pdu.type == ABORT:
                raise Ended("A-ABORT")
            if pdu.type != P_DATA:
                raise Ended(f"PDU type {pdu.type:02X}H in place of a response")
            fragments, last = _fragments(pdu.body)
            command += fragments
            if last:
                answer = dsutils.decode(BytesIO(command), True, True)
                return int(answer.Status)

    def release(self) -> Pdu:
        """A-RELEASE; return the answer."""
        self.send(release_rq())
        return self.receive()

    def abort(self) -> None:
        """A-ABORT by the service user (PS3.8 9.3.8)."""
        self.send(abort_rq())

    def close(self) -> None:
        """Close without a word."""
        self.sock.close()


@contextmanager
def connected(target: Target, *, context: ssl.SSLContext | None = None) -> Iterator[Wire]:
    """Connect; with TLS when a context is given.

    Raises
    ------
    Ended
        The peer refused the handshake.
    """
    sock = socket.create_connection(target.address, timeout=target.patience)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            sock = _shake(sock, context, target.server_name)
        yield Wire(sock, target.patience)
    finally:
        sock.close()


def _shake(sock: socket.socket, context: ssl.SSLContext, server_name: str) -> socket.socket:
    try:
        return context.wrap_socket(sock, server_hostname=server_name)
    except TimeoutError as error:
        raise Silent from error
    except ssl.SSLCertVerificationError:
        raise  # ours: the receiver's certificate does not verify
    except ssl.SSLError as error:
        raise Ended(f"TLS: {error.reason}") from error
    except OSError as error:
        raise Ended(error.strerror or type(error).__name__) from error


@contextmanager
def associated(
    target: Target, contexts: Sequence[Context], *, maximum: int = 16384
) -> Iterator[Wire]:
    """Open an association as the target knows us, and see that it is accepted."""
    with connected(target, context=target.context()) as wire:
        answer = wire.associate(target, contexts, maximum=maximum)
        if answer.type != ASSOCIATE_AC:
            raise Ended(f"A-ASSOCIATE answered with PDU type {answer.type:02X}H")
        yield wire


def associate_rq(
    target: Target,
    contexts: Iterable[Context],
    *,
    calling: str | None = None,
    called: str | None = None,
    maximum: int = 16384,
) -> bytes:
    """Return an A-ASSOCIATE-RQ (PS3.8 9.3.2), one transfer syntax in each context."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION
    primitive.calling_ae_title = calling or target.calling_aet
    primitive.called_ae_title = called or target.called_aet
    primitive.presentation_context_definition_list = _numbered(contexts)
    length = MaximumLengthNotification()
    length.maximum_length_received = maximum
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(IMPLEMENTATION)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = "TODOKE_TEST"
    primitive.user_information = [length, implementation, version]
    return _encoded(A_ASSOCIATE_RQ(), primitive)


def release_rq() -> bytes:
    """Return an A-RELEASE-RQ (PS3.8 9.3.6)."""
    return _encoded(A_RELEASE_RQ(), A_RELEASE())


def abort_rq() -> bytes:
    """Return an A-ABORT by the service user (PS3.8 9.3.8)."""
    primitive = A_ABORT()
    primitive.abort_source = 0
    return _encoded(A_ABORT_RQ(), primitive)


def _numbered(contexts: Iterable[Context]) -> list[PresentationContext]:
    numbered = []
    for number, (abstract, transfer) in enumerate(contexts):
        context = build_context(abstract, transfer)
        context.context_id = 2 * number + 1
        numbered.append(context)
    return numbered


def _encoded(pdu: Any, primitive: Any) -> bytes:
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def _pdus(message: Any, context_id: int, maximum: int) -> Iterator[bytes]:
    for primitive in message.encode_msg(context_id, maximum):
        yield _encoded(P_DATA_TF(), primitive)


def _fragments(body: bytes) -> tuple[bytes, bool]:
    """Return the command bytes in a P-DATA body, and whether the last is among them."""
    command, last, at = b"", False, 0
    while at + 6 <= len(body):
        length = int.from_bytes(body[at : at + 4], "big")
        control = body[at + 5]
        if control & 1:
            command += body[at + 6 : at + 4 + length]
            last = last or bool(control & 2)
        at += 4 + max(length, 2)
    return command, last
