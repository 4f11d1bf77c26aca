"""Storage Commitment at the receiver, with pynetdicom as the partner, over mutual TLS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import UID
from pynetdicom import AE, build_role
from sqlalchemy import update

from common import audit
from common.dicom import commands, commitment
from common.dicom.association import (
    Context,
    Requestor,
    Role,
)
from common.dicom.commitment import SOP_CLASS, SOP_INSTANCE, Reference, Report
from common.dicom.normalized import Request
from common.dicom.services import MAX_DATA_SET
from common.errors import AssociationAborted, RequestTooLarge
from common.settings import Receiver
from common.states import InstanceState
from receiver import dial_back, index, registry, setup
from receiver.commitment import KEPT_DAYS, MOST_PENDING, Commitments
from receiver.index import Index
from tests.common.dicom.association.rig import outgoing
from tests.receiver.committing import (
    CT,
    DEADLINE,
    EXPLICIT,
    HERE,
    PARTNERS,
    Receiving,
    Reports,
    request,
    until,
)
from tests.system.objects import Object
from tests.system.series import write_series

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiving]:
    monkeypatch.setattr(dial_back, "FIRST_PAUSE", 0.1)
    node = setup.init(tmp_path / "receiver", HERE, Receiver(hosts=("localhost",)), operator="試験")
    with (
        closing(Index.at(tmp_path / "receiver")) as known,
        closing(audit.Trail(tmp_path / "receiver" / "audit", "dicom")) as trail,
    ):
        made = Receiving(tmp_path, node, known, trail)
        made.add("CT1")
        made.add("CT2")
        made.open()
        yield made
        made.door.stop()


@pytest.fixture
def stored(there: Receiving, tmp_path: Path) -> list[Reference]:
    """Two instances that CT1 has stored."""
    objects = [Object.read(path) for path in write_series(tmp_path / "ct", seed=5, slices=2)]
    sent = [outgoing(one.data, uid=one.sop_uid) for one in objects if one is not None]
    with Requestor.open(
        there.door.acceptor.address,
        tls=there.client("CT1"),
        server_hostname="localhost",
        calling_aet="CT1",
        called_aet="TODOKE",
        contexts=[Context(CT, EXPLICIT)],
    ) as association:
        assert [one.status for one in association.store(sent)] == [0, 0]
    return [Reference(CT, one.sop_instance_uid) for one in sent]


@pytest.mark.peer
@pytest.mark.requirement("DCM-03")
def test_what_is_held_is_reported_on_the_same_association(
    there: Receiving, stored: list[Reference]
) -> None:
    reports = Reports()
    asked = [*stored, Reference("1.2.840.10008.5.1.4.1.1.4", "1.2.3"), Reference(CT, "1.2.4")]
    association, status = there.ask("CT1", request("2.25.1", *asked), reports)
    assert status == 0
    report = reports.wait()[-1]
    there.release(association)
    assert report.committed == tuple(stored)
    assert report.failed == tuple((one, commitment.NO_SUCH_OBJECT) for one in asked[2:])
    until(lambda: not there.pending())


def test_another_class_is_a_conflict_and_another_institution_has_nothing(
    there: Receiving, stored: list[Reference]
) -> None:
    mine, theirs = Reports(), Reports()
    other_class = Reference("1.2.840.10008.5.1.4.1.1.4", stored[0].sop_instance)
    first, status = there.ask("CT1", request("2.25.1", other_class, stored[1]), mine)
    assert status == 0
    # a transaction is a partner's own
    second, status = there.ask("CT2", request("2.25.1", *stored), theirs)
    assert status == 0
    assert mine.wait()[0].failed == ((other_class, commitment.CLASS_CONFLICT),)
    assert mine.came[0].committed == (stored[1],)
    assert theirs.wait()[0].failed == tuple((one, commitment.NO_SUCH_OBJECT) for one in stored)
    there.release(first)
    there.release(second)


@pytest.mark.parametrize("state", [InstanceState.EXPECTED, InstanceState.RECEIVED])
def test_what_is_not_durable_is_not_promised(
    there: Receiving, stored: list[Reference], state: InstanceState
) -> None:
    with there.index.write() as db:
        rows = index.instances
        db.execute(update(rows).where(rows.c.sop_uid == stored[0].sop_instance).values(state=state))
    reports = Reports()
    association, status = there.ask("CT1", request("2.25.1", *stored), reports)
    assert status == 0
    assert reports.wait()[0].committed == (stored[1],)
    there.release(association)


def test_a_partner_that_hangs_up_is_told_on_its_next_association(
    there: Receiving, stored: list[Reference]
) -> None:
    with there.ours("CT1") as association:
        sent = commitment.Request("2.25.1", tuple(stored))
        response = association.ask(commands.N_ACTION_RQ, SOP_CLASS, SOP_INSTANCE, 1, sent.encode)
        assert response.status == 0
    until(lambda: not there.door.commitments._under_way)
    assert there.pending() == ["2.25.1"]
    there.door.stop()
    there.open()  # it survives a restart
    reports = Reports()
    stored_only = there.associate("CT1", CT)  # nobody there who would understand a report
    association = there.associate("CT1", reports=reports)
    assert reports.wait()[0] == Report("2.25.1", tuple(stored))
    until(lambda: not there.pending())
    stored_only.release()
    there.release(association)


def test_a_refused_report_stays_pending(there: Receiving, stored: list[Reference]) -> None:
    reports = Reports(status=0x0110)
    association, status = there.ask("CT1", request("2.25.1", *stored), reports)
    assert status == 0
    reports.wait()
    there.release(association)
    until(lambda: not there.door.commitments._under_way)
    assert there.pending() == ["2.25.1"]


@contextmanager
def listening(there: Receiving, aet: str, shown: str, reports: Reports) -> Iterator[int]:
    """A partner of pynetdicom that takes reports, with the certificate of `shown`."""
    ae = AE(aet)
    ae.add_supported_context(UID(SOP_CLASS), scu_role=False, scp_role=True)
    server: Any = ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        ssl_context=there.server(shown),
        evt_handlers=reports.handlers(),  # type: ignore[arg-type]
    )
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


@pytest.mark.peer
@pytest.mark.requirement("DCM-03")
def test_a_partner_with_an_address_is_dialled_back(
    there: Receiving, stored: list[Reference]
) -> None:
    reports = Reports()
    with listening(there, "CT1", "CT1", reports) as port:
        with there.index.write() as db:
            values = {"institution": PARTNERS["CT1"].code, "host": "127.0.0.1", "port": port}
            db.execute(index.commit_addresses.insert().values(**values))
        with there.ours("CT1") as association:
            sent = commitment.Request("2.25.1", tuple(stored))
            association.ask(commands.N_ACTION_RQ, SOP_CLASS, SOP_INSTANCE, 1, sent.encode)
        assert reports.wait()[-1] == Report("2.25.1", tuple(stored))
        until(lambda: not there.pending())


@pytest.mark.requirement("NET-06")
def test_whoever_answers_at_the_address_with_another_certificate_is_told_nothing(
    there: Receiving, stored: list[Reference]
) -> None:
    reports, known = Reports(), Reports()
    with there.index.write() as db:
        values = {"institution": PARTNERS["CT1"].code, "host": "127.0.0.1", "port": 1}
        db.execute(index.commit_addresses.insert().values(**values))
    with listening(there, "CT1", "CT2", reports) as port:
        with there.index.write() as db:
            db.execute(update(index.commit_addresses).values(port=port))
        with there.ours("CT1") as association:
            sent = commitment.Request("2.25.1", tuple(stored))
            association.ask(commands.N_ACTION_RQ, SOP_CLASS, SOP_INSTANCE, 1, sent.encode)
        until(lambda: bool(there.door.dial_back._due))
    with listening(there, "CT1", "CT1", known) as port:
        with there.index.write() as db:
            db.execute(update(index.commit_addresses).values(port=port))
        known.wait()
    assert not reports.came


def test_addresses_are_entered_with_the_partner(there: Receiving) -> None:
    there.add("CT2", "[::1]:11113")
    shown = {one.aet: one.commit_address for one in registry.list_partners(there.index)}
    assert shown == {"CT1": None, "CT2": "[::1]:11113"}
    there.add("CT2")
    assert registry.list_partners(there.index)[1].commit_address is None


@pytest.mark.parametrize(
    ("action", "instance", "status"),
    [(2, SOP_INSTANCE, 0x0123), (1, "1.2.3", 0x0112)],
)
def test_what_is_no_request_for_commitment(
    there: Receiving, stored: list[Reference], action: int, instance: str, status: int
) -> None:
    made = there.ask("CT1", request("2.25.1", *stored), action=action, instance=instance)
    association, answered = made
    assert answered == status
    there.release(association)
    assert there.pending() == []


def test_hostile_requests_are_answered_and_harm_nobody(
    there: Receiving, stored: list[Reference]
) -> None:
    with there.ours("CT1") as association:

        def send(data: bytes, field: int = commands.N_ACTION_RQ) -> int:
            return association.ask(field, SOP_CLASS, SOP_INSTANCE, 1, lambda _: data).status

        assert send(b"\xff" * 1000) == commands.INVALID_ARGUMENT_VALUE
        assert send(b"") == commands.INVALID_ARGUMENT_VALUE
        assert send(bytes(MAX_DATA_SET + 2)) == 0x0213
        assert send(b"", commands.N_EVENT_REPORT_RQ) == commands.UNRECOGNIZED_OPERATION
        assert send(commitment.Request("2.25.9", tuple(stored)).encode(EXPLICIT)) == 0
        request_ = association.next_request(DEADLINE)
        assert request_ is not None
        association.answer(request_, 0)
    until(lambda: not there.pending())


def test_a_response_to_nothing_ends_the_association(there: Receiving) -> None:
    stray = commands.Command(commands.N_EVENT_REPORT_RQ, 7, SOP_CLASS, SOP_INSTANCE, type_id=1)
    with there.ours("CT1") as association:
        context = next(iter(association._contexts.values()))
        association.answer(Request(stray, context, EXPLICIT, b""), 0)
        with pytest.raises(AssociationAborted):
            association.next_request(DEADLINE)


def test_roles_are_answered(there: Receiving) -> None:
    ae = AE("CT1")
    ae.add_requested_context(UID(SOP_CLASS), UID(EXPLICIT))
    for role, agreed in (
        (build_role(UID(SOP_CLASS), scu_role=True, scp_role=True), (True, False)),
        (build_role(UID(SOP_CLASS), scu_role=True), (True, False)),
    ):
        association = ae.associate(
            *there.door.acceptor.address,
            ae_title="TODOKE",
            tls_args=(there.client("CT1"), "localhost"),
            ext_neg=[role],
        )
        assert association.is_established
        answered = association.acceptor.role_selection[UID(SOP_CLASS)]
        assert (answered.scu_role, answered.scp_role) == agreed
        there.release(association)
    with there.ours("CT1", roles=(Role(SOP_CLASS, scu=False, scp=True),)) as association_:
        assert association_.accepted == frozenset()  # nobody reports to us


def test_pending_requests_are_bounded_and_forgotten(there: Receiving) -> None:
    code = PARTNERS["CT1"].code
    then = datetime(2026, 1, 1, tzinfo=UTC)
    with there.index.write() as db:
        for number in range(MOST_PENDING):
            db.execute(
                index.commitments.insert().values(
                    institution=code, transaction_uid=f"1.2.{number}", requested=b"",
                    asked_at=then.isoformat(timespec="milliseconds"),
                )
            )  # fmt: skip
    now = [then + timedelta(days=1)]
    made = Commitments(there.index, there.trail, lambda _: code, clock=lambda: now[0])
    data = commitment.Request("2.25.5", (Reference(CT, "1.2.3"),)).encode(EXPLICIT)
    with pytest.raises(RequestTooLarge):
        made._keep(code, data, EXPLICIT)
    now[0] = then + timedelta(days=KEPT_DAYS, seconds=1)
    assert made._keep(code, data, EXPLICIT) is not None
    assert there.pending() == ["2.25.5"]


def test_ten_thousand_instances_in_one_request(there: Receiving, stored: list[Reference]) -> None:
    unknown = tuple(Reference(CT, f"1.2.826.0.1.3680043.8.498.{n}") for n in range(10_000 - 2))
    sent = commitment.Request("2.25.1", (*unknown, *stored))
    with there.ours("CT1") as association:
        response = association.ask(commands.N_ACTION_RQ, SOP_CLASS, SOP_INSTANCE, 1, sent.encode)
        assert response.status == 0
        came = association.next_request(DEADLINE)
        assert came is not None
        association.answer(came, 0)
    report = commitment.decode_report(came.data, came.transfer_syntax)
    assert report.committed == tuple(stored)
    assert report.failed == tuple((one, commitment.NO_SUCH_OBJECT) for one in unknown)
    until(lambda: not there.pending())
