"""A recorder between a foreign sender and our receiver: what passes, in plain text.

It ends the sender's TLS with the receiver's own certificate, keeps every C-STORE,
and goes on to the receiver with the sender's certificate.  PDUs are taken apart
here by hand (PS3.8 section 9.3, PS3.7 section 6.3): what judges is not what it judges.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

ACCEPT, DATA = 0x02, 0x04  # PDU types
COMMAND, LAST = 0x01, 0x02  # bits of a message control header, PS3.8 annex E.2
STORE, STORE_ANSWER = 0x0001, 0x8001  # command fields
PIECE = 1 << 18


@dataclass
class Store:
    """One C-STORE as it passed; ``status`` stays None when no answer came."""

    sop_class: str
    sop_uid: str
    transfer_syntax: str
    data: bytes = b""
    status: int | None = None


@dataclass
class _Association:
    """What one association said so far."""

    stores: list[Store]
    syntaxes: dict[int, str] = field(default_factory=dict)
    open: dict[int, Store] = field(default_factory=dict)  # by message id
    filling: Store | None = None
    parts: list[bytes] = field(default_factory=list)

    def request(self, pdu: bytes) -> None:
        for context, control, fragment in _values(pdu):
            self.parts.append(fragment)
            if not control & LAST:
                continue
            whole, self.parts = b"".join(self.parts), []
            if control & COMMAND:
                self._command(context, _elements(whole))
            elif self.filling is not None:
                self.filling.data, self.filling = whole, None

    def _command(self, context: int, command: dict[int, bytes]) -> None:
        if _number(command[0x0100]) == STORE:
            store = Store(_uid(command[0x0002]), _uid(command[0x1000]), self.syntaxes[context])
            self.stores.append(store)
            self.filling = self.open[_number(command[0x0110])] = store

    def answer(self, pdu: bytes) -> None:
        if pdu[0] == ACCEPT:
            self.syntaxes = _accepted(pdu)
        for _, control, fragment in _values(pdu):
            assert control == COMMAND | LAST, "an answer is one short command"
            command = _elements(fragment)
            if _number(command[0x0100]) == STORE_ANSWER:
                store = self.open.pop(_number(command[0x0120]))
                store.status = _number(command[0x0900])


def _values(pdu: bytes) -> list[tuple[int, int, bytes]]:
    """Presentation data values of a P-DATA-TF: context, control header, fragment."""
    found, at = [], 6
    while pdu[0] == DATA and at < len(pdu):
        (length,) = struct.unpack_from(">I", pdu, at)
        found.append((pdu[at + 4], pdu[at + 5], pdu[at + 6 : at + 4 + length]))
        at += 4 + length
    return found


def _accepted(pdu: bytes) -> dict[int, str]:
    """Transfer syntax of each presentation context of an A-ASSOCIATE-AC."""
    found, at = {}, 74
    while at < len(pdu):
        kind, length = struct.unpack_from(">BxH", pdu, at)
        if kind == 0x21:
            sub = pdu[at + 8 : at + 4 + length]
            found[pdu[at + 4]] = _uid(sub[4:])
        at += 4 + length
    return found


def _elements(command: bytes) -> dict[int, bytes]:
    """Elements of a command set, Implicit VR Little Endian, by element number."""
    found, at = {}, 0
    while at < len(command):
        _, element, length = struct.unpack_from("<HHI", command, at)
        found[element] = command[at + 8 : at + 8 + length]
        at += 8 + length
    return found


def _number(value: bytes) -> int:
    return int.from_bytes(value, "little")


def _uid(value: bytes) -> str:
    return value.rstrip(b"\0 ").decode("ascii")


class Recorder:
    """Listens on a port of its own; everything that comes goes on to `port`.

    Parameters
    ----------
    inward, onward : ssl.SSLContext
        Of the receiver, and of the sender.
    """

    def __init__(self, inward: ssl.SSLContext, onward: ssl.SSLContext, port: int) -> None:
        self.inward, self.onward, self.target = inward, onward, port
        self.stores: list[Store] = []
        self.versions: set[str | None] = set()
        self.failures: list[Exception] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._workers: list[threading.Thread] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _t: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for worker in self._workers:
            worker.join(10)
        if error is None and self.failures:
            raise self.failures[0]

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            worker = threading.Thread(target=self._carry, args=(near,), daemon=True)
            worker.start()
            self._workers.append(worker)

    def _carry(self, plain: socket.socket) -> None:
        try:
            with contextlib.ExitStack() as held:
                near = held.enter_context(self.inward.wrap_socket(plain, server_side=True))
                far = held.enter_context(socket.create_connection(("127.0.0.1", self.target), 10))
                far = held.enter_context(self.onward.wrap_socket(far, server_hostname="localhost"))
                self.versions.add(near.version())
                self._forward(near, far)
        except Exception as failure:  # told by the test that reads it
            self.failures.append(failure)

    def _forward(self, near: ssl.SSLSocket, far: ssl.SSLSocket) -> None:
        """Carry both ways in one thread: a TLS connection is no place for two."""
        association = _Association(self.stores)
        ways = {near: (far, association.request), far: (near, association.answer)}
        held = {near: bytearray(), far: bytearray()}
        while True:
            pending = [one for one in ways if one.pending()]
            for one in pending or select.select(list(ways), [], [], 30)[0]:
                piece = one.recv(PIECE)
                if not piece:
                    return
                held[one] += piece
                other, told = ways[one]
                while pdu := _whole(held[one]):
                    told(pdu)
                    other.sendall(pdu)


def _whole(buffer: bytearray) -> bytes:
    """Take one PDU off a buffer, or nothing when it is not complete."""
    if len(buffer) < 6:
        return b""
    length = 6 + int.from_bytes(buffer[2:6], "big")
    if len(buffer) < length:
        return b""
    pdu = bytes(buffer[:length])
    del buffer[:length]
    return pdu
