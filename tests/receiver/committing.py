"""A receiver's DICOM door and partners that ask it to commit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, evt
from sqlalchemy import select

from common import audit, tls
from common.dicom import commitment
from common.dicom.association import (
    NormalizedRequestor,
)
from common.dicom.commitment import SOP_CLASS, SOP_INSTANCE, Reference, Report
from common.proof.identity import Institution, Node
from common.tls import Credentials
from receiver import index, registry
from receiver.doors.dicom import DicomDoor
from receiver.index import Index
from receiver.store import Store

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
HERE = Institution("髙橋病院", "1310000001")
PARTNERS = {"CT1": Institution("装置", "0110000019"), "CT2": Institution("他院", "0110000027")}
DEADLINE = 60.0  # seconds a test waits for what must happen, on a busy machine


@dataclass
class Receiving:
    """A receiver's DICOM door, and what its partners need."""

    folder: Path
    node: Node
    index: Index
    trail: audit.Trail
    door: DicomDoor = field(init=False)

    def open(self) -> None:
        self.door = DicomDoor(
            self.index, Store(self.folder / "receiver" / "store"), self.node, self.trail,
            address=("127.0.0.1", 0), aet="TODOKE", profile="jp-high13",
        )  # fmt: skip
        self.door.start()

    def own(self, aet: str) -> Credentials:
        stem = self.folder / aet / PARTNERS[aet].code
        return Credentials(stem.with_suffix(".key"), stem.with_suffix(".crt"))

    def client(self, aet: str) -> Any:
        return tls.client_context(self.own(aet), [self.node.ca])

    def server(self, aet: str) -> Any:
        return tls.server_context(self.own(aet), [self.node.ca])

    def add(self, aet: str, commit_address: str = "") -> None:
        registry.add_product(
            self.node, self.index, PARTNERS[aet],
            aet=aet, issue=self.folder / aet, commit_address=commit_address,
        )  # fmt: skip

    def associate(self, aet: str, *contexts: str, reports: Reports | None = None) -> Any:
        ae = AE(aet)
        ae.dimse_timeout = 10
        for name in contexts or (SOP_CLASS, CT):
            ae.add_requested_context(UID(name), UID(EXPLICIT))
        association = ae.associate(
            *self.door.acceptor.address,
            ae_title="TODOKE",
            tls_args=(self.client(aet), "localhost"),
            evt_handlers=reports.handlers() if reports else [],  # type: ignore[arg-type]
        )
        assert association.is_established
        return association

    def ask(
        self,
        aet: str,
        dataset: Dataset,
        reports: Reports | None = None,
        action: int = 1,
        instance: str = SOP_INSTANCE,
    ) -> tuple[Any, int]:
        """Send an N-ACTION with pynetdicom; give the association and the status."""
        # its reactor may take a response from its own caller; what it lost is asked for again
        for _ in range(4):
            association = self.associate(aet, SOP_CLASS, reports=reports)
            status, _ = association.send_n_action(dataset, action, UID(SOP_CLASS), UID(instance))
            if "Status" in status:
                return association, int(status.Status)
            association.abort()
        raise AssertionError("pynetdicom lost every response")

    def release(self, association: Any) -> None:
        """Release an association of pynetdicom: not while it answers, which breaks it."""
        until(lambda: not self.door.commitments._under_way)
        association.release()

    def ours(self, aet: str, **options: Any) -> NormalizedRequestor:
        return NormalizedRequestor.open(
            self.door.acceptor.address,
            tls=self.client(aet),
            server_hostname="localhost",
            calling_aet=aet,
            called_aet="TODOKE",
            contexts=commitment.CONTEXTS,
            **options,
        )

    def pending(self) -> list[str]:
        with self.index.read() as db:
            return list(db.execute(select(index.commitments.c.transaction_uid)).scalars())


@dataclass
class Reports:
    """What a partner of pynetdicom was told."""

    status: int = 0
    came: list[Report] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def handlers(self) -> list[tuple[Any, Callable[[Any], Any]]]:
        return [(evt.EVT_N_EVENT_REPORT, self.on_report)]

    def on_report(self, event: Any) -> tuple[int, Dataset | None]:
        data = event.request.EventInformation.getvalue()
        report = commitment.decode_report(data, str(event.context.transfer_syntax))
        assert event.event_type == report.event_type
        with self.changed:
            self.came.append(report)
            self.changed.notify_all()
        return self.status, None

    def wait(self, count: int = 1) -> list[Report]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.came) >= count, DEADLINE)
            return list(self.came)


def request(transaction: str, *references: Reference) -> Dataset:
    dataset = Dataset()
    dataset.TransactionUID = transaction
    dataset.ReferencedSOPSequence = []
    for one in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.sop_class, one.sop_instance
        dataset.ReferencedSOPSequence.append(item)
    return dataset


def until(holds: Callable[[], bool]) -> None:
    moment = threading.Event()
    for _ in range(int(DEADLINE / 0.02)):
        if holds():
            return
        moment.wait(0.02)
    raise AssertionError("did not happen in time")
