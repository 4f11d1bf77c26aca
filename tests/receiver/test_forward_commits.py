"""Storage Commitment asked of the system that a study was handed to, a target of pynetdicom."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, build_role, evt

from common import audit, tls
from common.dicom import commitment
from common.dicom.commitment import SOP_CLASS, SOP_INSTANCE, Reference, Report, Request
from common.free_ports import free_ports
from common.refusals import Refusals
from receiver import forwarding
from receiver.doors.commit_reports import door_of
from receiver.forward_commits import AGAIN, ASKS, Commits
from tests.receiver.filled import CT
from tests.receiver.handing import Handing
from tests.system import peers
from tests.system.ends import until

pytestmark = [pytest.mark.peer, pytest.mark.requirement("REG-02", "DCM-03")]
EXPLICIT = "1.2.840.10008.1.2.1"
Judge = Callable[[Request], Report]


class Viewer:
    """Takes images, and reports on the same association, or never; counts what it is asked."""

    def __init__(self, how: str = "same", judge: Judge | None = None, status: int = 0) -> None:
        self.how, self.status = how, status
        self.judge = judge or (lambda request: Report(request.transaction, request.references))
        self.asked: list[Request] = []
        self.answers: list[int | None] = []
        self.changed = threading.Condition()

    def on_action(self, event: Any) -> tuple[int, Dataset | None]:
        data = event.request.ActionInformation.getvalue()
        request = commitment.decode_request(data, str(event.context.transfer_syntax))
        self.asked.append(request)
        if self.how == "same" and not self.status:
            report = self.judge(request)
            threading.Thread(target=self.later, args=(report, event.assoc)).start()
        return self.status, None

    def later(self, report: Report, association: Any) -> None:
        threading.Event().wait(0.2)  # pynetdicom tells nobody when its response is out
        self.tell(report, association)

    def tell(self, report: Report, association: Any) -> None:
        said = Dataset()
        said.TransactionUID = report.transaction
        said.ReferencedSOPSequence = [_item(one) for one in report.committed]
        if report.failed:
            said.FailedSOPSequence = [_item(one, reason) for one, reason in report.failed]
        status, _ = association.send_n_event_report(
            said, report.event_type, UID(SOP_CLASS), UID(SOP_INSTANCE)
        )
        with self.changed:
            self.answers.append(status.get("Status"))
            self.changed.notify_all()

    def wait(self) -> int | None:
        """Wait for the answer to a report, and return it."""
        with self.changed:
            assert self.changed.wait_for(lambda: bool(self.answers), 60)
        return self.answers[-1]

    @contextlib.contextmanager
    def serve(self, *, offers: bool = True) -> Iterator[int]:
        ae = AE("PACS")
        ae.add_supported_context(UID(CT), UID(EXPLICIT))
        if offers:
            ae.add_supported_context(UID(SOP_CLASS), UID(EXPLICIT))
        handlers: Any = [(evt.EVT_C_STORE, lambda _: 0), (evt.EVT_N_ACTION, self.on_action)]
        server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()


def _item(one: Reference, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.sop_class, one.sop_instance
    if reason is not None:
        item.FailureReason = reason
    return item


def commits(handing: Handing, patience: float = 20.0) -> Commits:
    made = handing.forwarder.commits
    assert made is not None
    made.patience = patience
    return made


def standing(handing: Handing, key: str) -> tuple[str, int] | None:
    found = forwarding.of_study(handing.filled.index, key)[0]["commitment"]
    return found and (found["state"], found["failed"])


def test_what_was_handed_off_is_committed_to_and_that_is_signed(handing: Handing) -> None:
    key, viewer = handing.filled.ct(count=3), Viewer()
    commits(handing)
    with viewer.serve() as port:
        handing.dicom(port)
        made = handing.ask(key)
        handing.forwarder.look()
        handing.forwarder.look()
    assert handing.state(key) == ("done", 3, 3)
    assert standing(handing, key) == ("committed", 0)
    assert viewer.wait() == 0
    (asked,) = viewer.asked
    uids = {row.sop_uid for row in handing.rows()}
    assert {one.sop_instance for one in asked.references} == uids
    said = handing.receipt(key)
    assert (said["statement"], said["forward"], said["failed"]) == ("committed", made, {})
    assert set(said["committed"]) == uids
    of = [one["what"] for event, one in handing.trail.said if event == "forwarded"]
    assert of == ["asked", "done", "committed"]
    (listed,) = forwarding.every(handing.filled.index)
    assert listed["commitment"]["state_ja"] == "保管確約済み"


@pytest.mark.slow
def test_what_the_target_does_not_keep_is_alarmed(handing: Handing) -> None:
    key = handing.filled.ct(count=3)

    def judge(request: Request) -> Report:
        bad, *good = request.references
        return Report(request.transaction, tuple(good), ((bad, commitment.NO_SUCH_OBJECT),))

    commits(handing)
    with Viewer(judge=judge).serve() as port:
        handing.dicom(port)
        handing.ask(key)
        handing.forwarder.look()
    assert standing(handing, key) == ("partly", 1)
    (alarm,) = [facts for event, facts in handing.trail.said if event == "alarm"]
    assert (alarm["of"], alarm["study"], alarm["target"]) == ("not-committed", key, "viewer")
    assert len(handing.receipt(key)["failed"]) == 1


@pytest.mark.slow
def test_a_target_without_the_service_has_the_images_all_the_same(handing: Handing) -> None:
    key, viewer = handing.filled.ct(count=1), Viewer()
    commits(handing)
    with viewer.serve(offers=False) as port:
        handing.dicom(port)
        handing.ask(key)
        handing.forwarder.look()
    assert (handing.state(key)[0], standing(handing, key)) == ("done", ("unsupported", 0))
    assert handing.receipt(key)["statement"] == "forwarded"


@pytest.mark.slow
def test_a_target_that_never_reports_is_asked_so_often_and_no_more(handing: Handing) -> None:
    key, viewer = handing.filled.ct(count=1), Viewer("never")
    commits(handing, patience=0.05)
    with viewer.serve() as port:
        handing.dicom(port)
        handing.ask(key)
        for number in range(1, ASKS + 1):
            handing.forwarder.look()
            handing.forwarder.look()  # not due
            assert len(viewer.asked) == number
            handing.wait(AGAIN.total_seconds() + 1)
        handing.forwarder.look()
    assert len(viewer.asked) == ASKS
    assert standing(handing, key) == ("silent", 0)


@pytest.mark.slow
def test_a_report_of_others_images_or_of_another_target_counts_for_nothing(
    handing: Handing,
) -> None:
    key, viewer = handing.filled.ct(count=1), Viewer("never")
    known = commits(handing, patience=0.05)
    with viewer.serve() as port:
        handing.dicom(port)
        handing.ask(key)
        handing.forwarder.look()
    (asked,) = viewer.asked
    others = Report(asked.transaction, (Reference(CT, "2.25.99"),))
    assert known.take("viewer", others.encode(EXPLICIT), EXPLICIT)[0] != 0
    right = Report(asked.transaction, asked.references).encode(EXPLICIT)
    assert known.take("inbox", right, EXPLICIT)[0] != 0
    assert known.take("viewer", b"\x00", EXPLICIT)[0] != 0
    assert standing(handing, key) == ("asked", 0)
    assert known.take("viewer", right, EXPLICIT)[0] == 0
    assert known.take("viewer", right, EXPLICIT)[0] == 0  # its answer was lost
    assert standing(handing, key) == ("committed", 0)


@pytest.mark.slow
def test_a_report_by_a_call_back_is_taken_from_the_target_alone(
    handing: Handing, tmp_path: Path
) -> None:
    key, viewer = handing.filled.ct(count=2), Viewer("never")
    known = commits(handing, patience=0.05)
    own = peers.own_identity(tmp_path)
    with viewer.serve() as port:
        handing.dicom(port)
        handing.ask(key)
        handing.forwarder.look()
    handing.dicom(port, own.ca)  # it dials by TLS
    trail = audit.Trail(tmp_path / "audit", "forwarder")
    door = door_of(
        handing.filled.index, handing.node, known, Refusals(trail, door="reports"),
        ("127.0.0.1", 0), aet="TODOKE", profile="jp-high13",
    )  # fmt: skip
    door.start()
    trust = [handing.node.ca]
    (tmp_path / "other").mkdir()
    stranger = peers.own_identity(tmp_path / "other")
    (asked,) = viewer.asked
    report = Report(asked.transaction, asked.references)
    try:
        for identity, aet, called, let in (
            (stranger, "PACS", "TODOKE", False),
            (own, "OTHER", "TODOKE", False),
            (own, "PACS", "ANYBODY", False),
            (own, "PACS", "TODOKE", True),
        ):
            credentials = tls.Credentials(identity.key, identity.certificate)
            context = tls.client_context(credentials, trust, check_host=False)
            ae = AE(aet)
            ae.add_requested_context(UID(SOP_CLASS), UID(EXPLICIT))
            association = ae.associate(
                *door.address, ae_title=called, tls_args=(context, "localhost"),
                ext_neg=[build_role(UID(SOP_CLASS), scp_role=True)],
            )  # fmt: skip
            assert association.is_established is let
            if let:
                viewer.tell(report, association)
                association.release()
    finally:
        door.stop()
        trail.close()
    assert viewer.wait() == 0
    assert standing(handing, key) == ("committed", 0)


@pytest.mark.slow
def test_orthanc_commits_to_what_was_handed_to_it(handing: Handing, tmp_path: Path) -> None:
    """It hangs up after its response and dials back."""
    key, (port,) = handing.filled.ct(count=3), free_ports(1)
    known = commits(handing, patience=0.5)
    trail = audit.Trail(tmp_path / "audit", "forwarder")
    door = door_of(
        handing.filled.index, handing.node, known, Refusals(trail, door="reports"),
        ("127.0.0.1", 0), aet="TODOKE", profile="jp-high13",
    )  # fmt: skip
    door.start()
    folder = tmp_path / "pacs"
    folder.mkdir()
    identity = peers.own_identity(folder)
    authority = folder / "authority.crt"
    authority.write_text(identity.ca.read_text())
    identity.ca.write_text(handing.node.ca)
    ours = {"AET": "TODOKE", "Host": "127.0.0.1", "Port": door.address[1], "UseDicomTls": True}
    try:
        with peers.orthanc(folder, port, identity, "PACS", {"todoke": ours}) as client:
            handing.dicom(port, authority)
            handing.ask(key)
            handing.forwarder.look()
            assert handing.state(key) == ("done", 3, 3)
            assert len(client.get("/instances").json()) == 3
            until(lambda: standing(handing, key) == ("committed", 0), "it dials back")
    finally:
        door.stop()
        trail.close()
    assert handing.receipt(key)["statement"] == "committed"
