"""An honest receiver on pynetdicom, and dishonest ones that differ from it in one point."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from socketserver import BaseServer
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
)
from pynetdicom import AE, evt
from pynetdicom.dimse_messages import C_STORE_RSP
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ, P_DATA_TF

VERIFICATION = "1.2.840.10008.1.1"
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, JPEGLSLossless]
LATE = 0.4  # seconds: within the time the kit grants for an object to appear


@dataclass
class Receiver:
    """Writes one file for one SOP Instance UID; a subclass is a fault."""

    folder: Path
    aet: str = "STORESCP"
    threads: list[threading.Thread] = field(default_factory=list)

    def on_store(self, event: Any) -> int:
        request = event.request
        data = bytes(event.encoded_dataset(include_meta=False))
        file = bytes(event.encoded_dataset())
        head = dcmread(BytesIO(file), stop_before_pixels=True)
        if head.SOPInstanceUID != request.AffectedSOPInstanceUID:
            return 0xA900
        if head.SOPClassUID != request.AffectedSOPClassUID:
            return 0xA900
        return self.keep(str(head.SOPInstanceUID), file, data)

    def keep(self, uid: str, file: bytes, data: bytes) -> int:
        path = self.folder / f"{uid}.dcm"
        if path.exists():
            return 0x0000 if path.read_bytes().endswith(data) else 0xA900
        path.write_bytes(file)
        return 0x0000


class Dropper(Receiver):
    """Acknowledges and throws away."""

    def keep(self, uid: str, file: bytes, data: bytes) -> int:
        return 0x0000


class Coercer(Receiver):
    """Tidies Patient's Name up: the first group alone."""

    def keep(self, uid: str, file: bytes, data: bytes) -> int:
        return super().keep(uid, _changed(file, self.change), data)

    def change(self, dataset: Dataset) -> None:
        dataset.PatientName = dataset.PatientName.alphabetic or "UNKNOWN"


class Recoder(Coercer):
    """Turns every text into UTF-8."""

    def change(self, dataset: Dataset) -> None:
        dataset.decode()
        dataset.SpecificCharacterSet = "ISO_IR 192"


class Stripper(Coercer):
    """Removes private elements."""

    def change(self, dataset: Dataset) -> None:
        dataset.remove_private_tags()


class Lossy(Coercer):
    """Changes one bit of one pixel."""

    def change(self, dataset: Dataset) -> None:
        pixels = bytearray(dataset.PixelData)
        pixels[-2] ^= 1
        dataset.PixelData = bytes(pixels)


class Overwriter(Receiver):
    """Takes other content under a known UID in place of the first."""

    def keep(self, uid: str, file: bytes, data: bytes) -> int:
        (self.folder / f"{uid}.dcm").write_bytes(file)
        return 0x0000


class Hoarder(Receiver):
    """Keeps a file for every C-STORE."""

    def keep(self, uid: str, file: bytes, data: bytes) -> int:
        count = len(list(self.folder.iterdir()))
        (self.folder / f"{count:05d}.dcm").write_bytes(file)
        return 0x0000


class Believer(Receiver):
    """Never compares the command with the data set."""

    def on_store(self, event: Any) -> int:
        file = bytes(event.encoded_dataset())
        data = bytes(event.encoded_dataset(include_meta=False))
        return self.keep(str(event.request.AffectedSOPInstanceUID), file, data)


class Borrower(Receiver):
    """Says success first and writes later."""

    def keep(self, uid: str, file: bytes, data: bytes) -> int:
        timer = threading.Timer(LATE, super().keep, (uid, file, data))
        timer.start()
        self.threads.append(timer)
        return 0x0000


class Refuser(Receiver):
    """Answers that the second delivery of an instance failed."""

    def keep(self, uid: str, file: bytes, data: bytes) -> int:
        if (self.folder / f"{uid}.dcm").exists():
            return 0x0111
        return super().keep(uid, file, data)


@contextmanager
def serving(
    receiver: Receiver, context: ssl.SSLContext | None = None, *, titles: bool = True
) -> Iterator[int]:
    """Serve on a free port; ``titles``: only the tester's title, called by the right one."""
    ae = AE(ae_title=receiver.aet)
    ae.add_supported_context(VERIFICATION)
    for abstract in (CTImageStorage, MRImageStorage):
        ae.add_supported_context(abstract, SYNTAXES)
    ae.maximum_associations = 100  # the silent ones of TLS-008 count
    ae.require_called_aet = titles
    ae.require_calling_aet = ["TESTER"] if titles else []
    # a peer that hangs in the middle of a PDU would keep the server from ending
    ae.network_timeout = ae.acse_timeout = 5
    server: Any = ae.make_server(
        ("127.0.0.1", 0),
        ssl_context=context,
        evt_handlers=[(evt.EVT_C_STORE, receiver.on_store)],
    )
    # start_server looks twice a second whether it is to end
    acceptor = threading.Thread(target=server.serve_forever, args=(0.02,))
    acceptor.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        BaseServer.shutdown(server)
        acceptor.join()
        server.server_close()
        for thread in receiver.threads:
            thread.join()


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Hand each connection on a free port to ``answer``, one thread each."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()
        workers: list[threading.Thread] = []

        def accept() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                if stop.is_set():
                    sock.close()
                    return
                worker = threading.Thread(target=_one, args=(sock, answer))
                worker.start()
                workers.append(worker)

        thread = threading.Thread(target=accept)
        thread.start()
        address = listener.getsockname()
        try:
            yield address[1]
        finally:
            stop.set()
            socket.create_connection(address).close()
            thread.join()
            for worker in workers:
                worker.join()


def _one(sock: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    with sock:
        sock.settimeout(5)
        with suppress(OSError):  # the kit hung up, as it may
            answer(sock)


def hasty(sock: socket.socket) -> None:
    """Accept everything, and say success as soon as a command has come."""
    rest = sock.makefile("rb")
    while head := rest.read(6):
        body = rest.read(int.from_bytes(head[2:], "big"))
        if head[0] == 0x01:
            sock.sendall(_acceptance(head + body))
        elif head[0] == 0x04 and body[5] == 0x03:
            sock.sendall(_success(body[4]))
        elif head[0] == 0x05:
            sock.sendall(b"\x06\x00\x00\x00\x00\x04" + bytes(4))


def _acceptance(request: bytes) -> bytes:
    asked: Any = A_ASSOCIATE_RQ()
    asked.decode(request)
    primitive = asked.to_primitive()
    for context in primitive.presentation_context_definition_list:
        context.result = 0
    primitive.presentation_context_definition_results_list = (
        primitive.presentation_context_definition_list
    )
    primitive.result = 0
    primitive.result_source = 1
    answer: Any = A_ASSOCIATE_AC()
    answer.from_primitive(primitive)
    return bytes(answer.encode())


def _success(context_id: int) -> bytes:
    primitive = C_STORE()
    primitive.MessageIDBeingRespondedTo = 1
    primitive.AffectedSOPClassUID = CTImageStorage
    primitive.AffectedSOPInstanceUID = "1.2.3"
    primitive.Status = 0
    message: Any = C_STORE_RSP()
    message.primitive_to_message(primitive)
    pdus = b""
    for part in message.encode_msg(context_id, 16384):
        pdu: Any = P_DATA_TF()
        pdu.from_primitive(part)
        pdus += pdu.encode()
    return pdus


def _changed(file: bytes, change: Callable[[Dataset], None]) -> bytes:
    dataset = dcmread(BytesIO(file))
    change(dataset)
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
