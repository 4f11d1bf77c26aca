"""A partner of pynetdicom that stores, and commits as a test says."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, build_role, evt

from common import tls
from common.dicom import commitment
from common.dicom.commitment import SOP_CLASS, SOP_INSTANCE, Reference, Report, Request
from common.proof import certificates
from common.proof.certificates import Authority
from common.proof.identity import Institution, Node
from common.settings import Sender
from common.states import TransferState
from common.tls import Credentials
from sender import pairing
from sender.doors.commitment import open_doors
from sender.engine import Engine
from sender.outbox import Outbox, Transfer
from sender.partners import Partner
from sender.sending import at_rest

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
HERE = Institution("北見依頼病院", "0119876543")
DEADLINE = 90.0  # seconds a test waits for what must happen, on a busy machine

Judge = Callable[[Request], Report]


def everything(request: Request) -> Report:
    return Report(request.transaction, request.references)


@dataclass
class Pacs:
    """Stores, and reports on the same association, by dialling back or never.

    ``how`` is ``same``, ``dial``, ``next`` or ``never``; ``judge`` makes the report.
    """

    folder: Path
    how: str = "same"
    judge: Judge = everything
    action_status: int = 0
    offers: bool = True
    stored: Counter[str] = field(default_factory=Counter)
    asked: list[Request] = field(default_factory=list)
    statuses: list[int | None] = field(default_factory=list)
    dial: tuple[str, int] = ("127.0.0.1", 0)
    client: Any = None
    changed: threading.Condition = field(default_factory=threading.Condition)
    partner: Partner = field(init=False)
    authority: Authority = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority = Authority.create("product CA")
        (self.folder / "ca.crt").write_text(self.authority.pem)
        self.own = self.credentials("pacs", hosts=["127.0.0.1"])

    def credentials(self, name: str, hosts: list[str] | None = None) -> Credentials:
        """A certificate of the product's CA."""
        key = certificates.new_key()
        leaf = self.authority.issue(key.public_key(), name, hosts=hosts or [])
        made = Credentials(self.folder / f"{name}.key", self.folder / f"{name}.crt")
        made.key.write_bytes(certificates.key_to_pem(key))
        made.chain.write_text(certificates.to_pem(leaf))
        return made

    def on_store(self, event: Any) -> int:
        with self.changed:
            self.stored[str(event.request.AffectedSOPInstanceUID)] += 1
            self.changed.notify_all()
        return 0

    def on_action(self, event: Any) -> tuple[int, Dataset | None]:
        data = event.request.ActionInformation.getvalue()
        request = commitment.decode_request(data, str(event.context.transfer_syntax))
        with self.changed:
            self.asked.append(request)
            self.changed.notify_all()
        if self.action_status == 0 and self.how in {"same", "dial"}:
            tell: Callable[..., object] = self.on_same if self.how == "same" else self.call
            threading.Thread(target=tell, args=(self.judge(request), event.assoc)).start()
        return self.action_status, None

    def on_same(self, report: Report, association: Any) -> None:
        threading.Event().wait(0.2)  # pynetdicom tells nobody when its response is out
        self.tell(report, association)

    def call(self, report: Report, _association: Any = None, **options: Any) -> bool:
        """Dial the sender's door; whether it let us in."""
        ae = AE(options.get("aet", "PACS"))
        ae.dimse_timeout = 10
        ae.add_requested_context(UID(SOP_CLASS), UID(EXPLICIT))
        association = ae.associate(
            *self.dial,
            ae_title=options.get("called", self.partner.calling_aet),
            tls_args=(options.get("client") or self.client, "localhost"),
            ext_neg=[build_role(UID(SOP_CLASS), scp_role=True)],
        )
        if not association.is_established:
            return False
        told = self.tell(report, association)
        association.release()
        # its reactor may take a response from its own caller: a report may be said again
        return told or self.call(report, **options)

    def tell(self, report: Report, association: Any) -> bool:
        dataset = Dataset()
        dataset.TransactionUID = report.transaction
        dataset.ReferencedSOPSequence = [_item(one) for one in report.committed]
        if report.failed:
            dataset.FailedSOPSequence = [_item(one, reason) for one, reason in report.failed]
        status, _ = association.send_n_event_report(
            dataset, report.event_type, UID(SOP_CLASS), UID(SOP_INSTANCE)
        )
        if "Status" in status:
            with self.changed:
                self.statuses.append(status.Status)
                self.changed.notify_all()
        return "Status" in status

    def wait(self, holds: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(holds, DEADLINE)


def _item(one: Reference, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.sop_class, one.sop_instance
    if reason is not None:
        item.FailureReason = reason
    return item


@contextmanager
def running(pacs: Pacs, data: Path, commit_listen: str = "") -> Iterator[Partner]:
    """Run the partner and enter it at a sender in `data`."""
    if (data / "sender.toml").exists():
        raise AssertionError("one sender a test")
    node: Node = pairing.init(data, HERE, Sender(), operator="試験")
    partner = pairing.add_product(
        node, "pacs", addresses=["127.0.0.1"], port=1, aet="PACS", calling_aet="SENDER",
        ca=pacs.folder / "ca.crt", commit=True, commit_listen=commit_listen,
    )  # fmt: skip
    trust = [pairing.product_ca_file(partner).read_text()]
    pacs.client = tls.client_context(pacs.own, trust, check_host=False)
    ae = AE("PACS")
    ae.add_supported_context(UID(CT), UID(EXPLICIT))
    if pacs.offers:
        ae.add_supported_context(UID(SOP_CLASS), UID(EXPLICIT))
    handlers: Any = [(evt.EVT_C_STORE, pacs.on_store), (evt.EVT_N_ACTION, pacs.on_action)]
    server: Any = ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        ssl_context=tls.server_context(pacs.own, trust),
        evt_handlers=handlers,
    )
    pacs.partner = replace(partner, dicom_port=server.socket.getsockname()[1])
    pacs.partner.save()
    try:
        yield pacs.partner
    finally:
        server.shutdown()


@contextmanager
def engine(data: Path, pacs: Pacs) -> Iterator[Engine]:
    """The sender's engine with its doors; the partner learns where to dial."""
    made = Engine(data)
    try:
        with open_doors(made) as words:
            if words:
                pacs.dial = words[0]["address"], words[0]["port"]
            yield made
    finally:
        made.close()


def send(made: Engine, folder: Path) -> Transfer:
    """Send a folder and wait until the transfer is at rest."""
    job = made.outbox.submit("pacs", [folder], {"priority": "routine", "purpose": "advice"})
    return work(made, job)


def work(made: Engine, job: int) -> Transfer:
    def done() -> bool:
        transfers = made.outbox.transfers(job)
        return bool(transfers) and all(at_rest(one) for one in transfers)

    timer = threading.Timer(DEADLINE, made.stop.set)
    timer.start()
    made.run(done)
    timer.cancel()
    (transfer,) = made.outbox.transfers(job)
    assert at_rest(transfer), transfer
    return transfer


def delivered(outbox: Outbox, transfer: str) -> bool:
    return outbox.transfer(transfer).state is TransferState.DELIVERED
