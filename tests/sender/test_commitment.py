"""Storage Commitment at the sender, with a partner of pynetdicom, over mutual TLS."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import UID
from pynetdicom import AE

from common import tls
from common.dicom import commitment, uids
from common.dicom.commitment import SOP_CLASS, Reference, Report, Request
from common.errors import CommitmentPending, NotCommitted, UsageError
from common.proof import certificates, jws, record
from common.proof.identity import Node
from common.proof.role import Role
from common.states import TransferState
from sender import commitment as settling
from sender import pairing, record_checking, transactions
from sender.commitment import Settling
from sender.delivery import Delivery
from sender.doors.commitment import is_partners
from sender.engine import Engine
from sender.outbox import Outbox, Transfer
from sender.partners import find_partner
from sender.sending import retry
from sender.transactions import Transactions
from sender.turns import Turn
from tests.sender.committing import (
    CT,
    EXPLICIT,
    Pacs,
    engine,
    everything,
    running,
    send,
    work,
)
from tests.system.series import write_series

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    write_series(tmp_path / "ct", seed=9, slices=3, side=16)
    return tmp_path / "ct"


def failing(reason: int, first: int = 1, times: int = 99) -> Any:
    """A judge that does not commit to the first instances, so many times."""
    left = [times]

    def judge(request: Request) -> Report:
        if left[0] == 0:
            return everything(request)
        left[0] -= 1
        bad, good = request.references[:first], request.references[first:]
        return Report(request.transaction, good, tuple((one, reason) for one in bad))

    return judge


@pytest.mark.requirement("DCM-03")
def test_a_report_on_the_same_association_commits(tmp_path: Path, images: Path) -> None:
    pacs = Pacs(tmp_path / "pacs")
    with running(pacs, tmp_path / "sender"), engine(tmp_path / "sender", pacs) as made:
        transfer = send(made, images)
    assert transfer.state is TransferState.COMMITTED
    assert transfer.error is None
    assert transfer.delivered is not None
    assert transfer.finished is not None
    (asked,) = pacs.asked
    assert {one.sop_instance for one in asked.references} == set(pacs.stored)
    assert {one.sop_class for one in asked.references} == {CT}


@pytest.mark.evidence
@pytest.mark.requirement("EVD-01", "DIR-15")
def test_the_record_of_a_peer_without_the_link_says_what_it_could_establish(
    tmp_path: Path, images: Path
) -> None:
    pacs = Pacs(tmp_path / "pacs")
    data = tmp_path / "sender"
    with running(pacs, data), engine(data, pacs) as made:
        transfer = send(made, images)
        (row,) = made.outbox.records_of(transfer.id)
        ledger = record_checking.ledger(data, made.outbox, "pacs")
        assert not made.outbox.partners_with_records(row.day), "nothing more is owed"
    said = record.read_record(jws.verify(row.statement, row.certificate))
    assert (said.number, said.state, said.digests_equal) == (1, "committed", None)
    assert row.countersignature is None
    parts = {name: (part["is"], part["by"]) for name, part in said.established.items()}
    assert parts["P3"] == ("open", "acknowledgement")
    assert parts["P4"] == ("open", ""), "no institution code was entered"
    assert parts["P5"] == ("partly", "storage commitment")
    assert {"clock", "identity", "endpoint"} <= set(said.not_proven)
    assert said.clock is None
    assert said.tls["link"] is None
    assert (said.tls["dicom"] or {})["version"].startswith("TLS")
    assert said.instances["count"] == len(pacs.stored)
    assert not ledger.check()


@pytest.mark.requirement("DCM-03")
def test_a_report_by_dialling_back_commits(tmp_path: Path, images: Path) -> None:
    pacs = Pacs(tmp_path / "pacs", how="dial")
    data = tmp_path / "sender"
    with running(pacs, data, "127.0.0.1:0"), engine(data, pacs) as made:
        transfer = send(made, images)
    assert transfer.state is TransferState.COMMITTED
    assert pacs.statuses == [0]
    assert len(pacs.asked) == 1


def test_what_was_not_committed_is_sent_once_more(tmp_path: Path, images: Path) -> None:
    pacs = Pacs(tmp_path / "pacs", judge=failing(0x0112, times=1))
    with running(pacs, tmp_path / "sender"), engine(tmp_path / "sender", pacs) as made:
        transfer = send(made, images)
    assert transfer.state is TransferState.COMMITTED
    assert sorted(pacs.stored.values()) == [1, 1, 2]
    assert len({one.transaction for one in pacs.asked}) == 2


def test_what_stays_uncommitted_fails_in_words(tmp_path: Path, images: Path) -> None:
    pacs = Pacs(tmp_path / "pacs", judge=failing(0x0112, first=2))
    data = tmp_path / "sender"
    with running(pacs, data):
        with engine(data, pacs) as made:
            transfer = send(made, images)
        assert transfer.state is TransferState.FAILED
        assert transfer.error is not None
        assert transfer.error["number"] == "E-6012"
        assert "2 / 3; 0112H no such object instance: 2" in transfer.error["en"]
        assert sorted(pacs.stored.values()) == [1, 2, 2]
        pacs.judge = everything
        retry(data, transfer.id)  # a person says: again
        with engine(data, pacs) as again:
            assert work(again, transfer.job).state is TransferState.COMMITTED
    assert sorted(pacs.stored.values()) == [1, 3, 3]


def test_an_instance_that_no_report_names_is_not_committed(tmp_path: Path, images: Path) -> None:
    def judge(request: Request) -> Report:
        return Report(request.transaction, request.references[1:])

    pacs = Pacs(tmp_path / "pacs", judge=judge)
    with running(pacs, tmp_path / "sender"), engine(tmp_path / "sender", pacs) as made:
        transfer = send(made, images)
    assert transfer.state is TransferState.FAILED
    assert "not named in the report: 1" in (transfer.error or {})["en"]


@pytest.mark.parametrize(
    ("options", "words"),
    [({"offers": False}, SOP_CLASS), ({"action_status": 0x0124}, "not authorized, status 0124")],
)
def test_a_partner_that_does_not_commit_has_the_images_all_the_same(
    tmp_path: Path, images: Path, options: dict[str, Any], words: str
) -> None:
    pacs = Pacs(tmp_path / "pacs", **options)
    with running(pacs, tmp_path / "sender"), engine(tmp_path / "sender", pacs) as made:
        transfer = send(made, images)
    assert transfer.state is TransferState.DELIVERED
    assert transfer.finished is not None
    assert transfer.error is not None
    assert transfer.error["number"] == "E-6012"
    assert words in transfer.error["en"]
    assert "originals" in transfer.error["en"]


# -- time -------------------------------------------------------------------


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def settle(data: Path, outbox: Outbox, transfer: str, clock: Clock, patience: float = 0.1) -> bool:
    partner = find_partner(data)
    node = Node.load(data, Role.REQUESTER)
    engine_ = Engine(data)
    to = Delivery(outbox, node, engine_.settings, partner, threading.Event())._destination()
    engine_.close()
    made = Settling(outbox, partner, to, 10, threading.Event(), clock, patience)
    return made.settle(transfer)


def stored(made: Engine, images: Path, clock: Clock) -> Transfer:
    """A transfer that the partner has, before anybody asked."""
    made.outbox.submit("pacs", [images], {"priority": "routine", "purpose": "advice"})
    (job,) = made.outbox.jobs(unscanned=True)
    made._scan(job, Turn())
    (transfer,) = made.outbox.transfers()
    made.outbox.set_state(transfer.id, TransferState.SENDING)
    made.outbox.acknowledged(transfer.id, [i.sop_uid for i in made.outbox.instances(transfer.id)])
    return transfer


def test_asks_again_after_minutes_and_says_so_in_the_end(tmp_path: Path, images: Path) -> None:
    pacs, clock, data = Pacs(tmp_path / "pacs", how="never"), Clock(), tmp_path / "sender"
    with running(pacs, data), engine(data, pacs) as made:
        transfer = stored(made, images, clock)
        for asks in range(1, settling.ASKS + 1):
            for _ in range(2):  # the second look comes too early to ask
                with pytest.raises(CommitmentPending):
                    settle(data, made.outbox, transfer.id, clock)
                assert len(pacs.asked) == asks
            assert made.outbox.transfer(transfer.id).finished is None
            clock.now += 601
        assert settle(data, made.outbox, transfer.id, clock)
        kept = made.outbox.transfer(transfer.id)
        assert kept.state is TransferState.DELIVERED
        assert kept.finished is not None
        assert "3 requests, no report" in (kept.error or {})["en"]
        assert len({one.transaction for one in pacs.asked}) == settling.ASKS


def test_a_report_of_an_earlier_request_counts_and_survives_a_restart(
    tmp_path: Path, images: Path
) -> None:
    pacs, clock, data = Pacs(tmp_path / "pacs", how="never"), Clock(), tmp_path / "sender"
    with running(pacs, data, "127.0.0.1:0"):
        with engine(data, pacs) as made:
            transfer = stored(made, images, clock)
            for _ in range(2):
                with pytest.raises(CommitmentPending):
                    settle(data, made.outbox, transfer.id, clock)
                clock.now += 601
        with engine(data, pacs) as made:  # another process, as it were
            assert pacs.call(everything(pacs.asked[0]))
            assert pacs.statuses == [0]
            assert work(made, transfer.job).state is TransferState.COMMITTED
    assert len(pacs.asked) == 2


def test_a_report_that_comes_too_late_still_commits(tmp_path: Path, images: Path) -> None:
    pacs, clock, data = Pacs(tmp_path / "pacs", how="never"), Clock(), tmp_path / "sender"
    with running(pacs, data, "127.0.0.1:0"), engine(data, pacs) as made:
        transfer = stored(made, images, clock)
        for _ in range(settling.ASKS):
            with pytest.raises(CommitmentPending):
                settle(data, made.outbox, transfer.id, clock)
            clock.now += 601
        assert settle(data, made.outbox, transfer.id, clock)
        assert pacs.call(everything(pacs.asked[-1]))
        kept = made.outbox.transfer(transfer.id)
    assert kept.state is TransferState.COMMITTED
    assert kept.error is None


def test_a_report_waits_for_our_next_association(tmp_path: Path, images: Path) -> None:
    """No door, and the report comes when we look again: on an association of ours."""
    pacs, clock, data = Pacs(tmp_path / "pacs", how="never"), Clock(), tmp_path / "sender"
    with running(pacs, data), engine(data, pacs) as made:
        transfer = stored(made, images, clock)
        with pytest.raises(CommitmentPending):
            settle(data, made.outbox, transfer.id, clock)
        from pynetdicom import evt

        def opened(event: Any) -> None:
            work_ = (everything(pacs.asked[0]), event.assoc)
            threading.Thread(target=pacs.on_same, args=work_).start()

        with running_again(pacs, data, [(evt.EVT_ESTABLISHED, opened)]):
            assert settle(data, made.outbox, transfer.id, clock, patience=20)
        assert made.outbox.transfer(transfer.id).state is TransferState.COMMITTED
    assert len(pacs.asked) == 1


def running_again(pacs: Pacs, data: Path, handlers: list[Any]) -> Any:
    """The same partner at another port, with other handlers."""
    from contextlib import contextmanager
    from dataclasses import replace

    @contextmanager
    def serve() -> Any:
        partner = find_partner(data)
        trust = [pairing.product_ca_file(partner).read_text()]
        ae = AE("PACS")
        ae.add_supported_context(UID(SOP_CLASS), UID(EXPLICIT))
        server: Any = ae.start_server(
            ("127.0.0.1", 0),
            block=False,
            ssl_context=tls.server_context(pacs.own, trust),
            evt_handlers=handlers,
        )
        replace(partner, dicom_port=server.socket.getsockname()[1]).save()
        try:
            yield
        finally:
            server.shutdown()

    return serve()


def test_a_long_study_is_asked_about_in_parts(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "PART", 2)
    pacs = Pacs(tmp_path / "pacs")
    with running(pacs, tmp_path / "sender"), engine(tmp_path / "sender", pacs) as made:
        transfer = send(made, images)
    assert transfer.state is TransferState.COMMITTED
    assert [len(one.references) for one in pacs.asked] == [2, 1]


# -- who may report, and what -----------------------------------------------


@pytest.mark.requirement("NET-06")
def test_the_door_is_for_that_partner_alone(tmp_path: Path, images: Path) -> None:
    pacs, clock, data = Pacs(tmp_path / "pacs", how="never"), Clock(), tmp_path / "sender"
    with running(pacs, data, "127.0.0.1:0") as partner, engine(data, pacs) as made:
        transfer = stored(made, images, clock)
        with pytest.raises(CommitmentPending):
            settle(data, made.outbox, transfer.id, clock)
        report = everything(pacs.asked[0])
        trust = [pairing.product_ca_file(partner).read_text()]
        same_ca = pacs.credentials("other", hosts=["192.0.2.1"])
        stranger = Pacs(tmp_path / "stranger").own
        for own in (same_ca, stranger):
            client = tls.client_context(own, trust, check_host=False)
            assert not pacs.call(report, client=client)
        assert not pacs.call(report, aet="OTHER")
        assert not pacs.call(report, called="OTHER")
        assert not made.outbox.transfer(transfer.id).finished
        assert pacs.call(report)
    assert pacs.statuses == [0]


def test_nothing_but_reports_comes_through_the_door(tmp_path: Path, images: Path) -> None:
    pacs, data = Pacs(tmp_path / "pacs", how="never"), tmp_path / "sender"
    with running(pacs, data, "127.0.0.1:0") as partner, engine(data, pacs):
        ae = AE("PACS")
        for name in (CT, SOP_CLASS, uids.VERIFICATION):
            ae.add_requested_context(UID(name), UID(EXPLICIT))
        association = ae.associate(
            *pacs.dial, ae_title=partner.calling_aet, tls_args=(pacs.client, "localhost")
        )
        accepted = {str(one.abstract_syntax) for one in association.accepted_contexts}
        assert accepted == {SOP_CLASS, uids.VERIFICATION}
        assert association.send_c_echo().Status == 0
        request = Request("2.25.1", (Reference(CT, "1.2.3"),))
        from pydicom import dcmread
        from pydicom.filebase import DicomBytesIO

        dataset = dcmread(DicomBytesIO(request.encode(uids.IMPLICIT_VR_LITTLE_ENDIAN)), force=True)
        status, _ = association.send_n_action(
            dataset, 1, UID(SOP_CLASS), UID(commitment.SOP_INSTANCE)
        )
        association.release()
    assert status.Status == 0x0211


def test_a_report_that_lies_changes_nothing(tmp_path: Path, images: Path) -> None:
    pacs, clock, data = Pacs(tmp_path / "pacs", how="never"), Clock(), tmp_path / "sender"
    with running(pacs, data, "127.0.0.1:0"), engine(data, pacs) as made:
        transfer = stored(made, images, clock)
        with pytest.raises(CommitmentPending):
            settle(data, made.outbox, transfer.id, clock)
        (asked,) = pacs.asked
        never_sent = Reference(CT, "1.2.3.4")
        other_class = Reference("1.2.840.10008.5.1.4.1.1.4", asked.references[0].sop_instance)
        for lie in (
            Report("2.25.999", asked.references),
            Report(asked.transaction, (*asked.references, never_sent)),
            Report(asked.transaction, (other_class, *asked.references[1:])),
            Report(asked.transaction, asked.references, ((never_sent, 0x0112),)),
        ):
            assert pacs.call(lie)
        assert pacs.statuses == [0x0115] * 4
        with closing(Transactions(made.outbox.path)) as known:
            assert known.standing(transfer.id).parts
            honest = everything(asked)
            # a report of another partner for a transaction of this one
            assert known.take("another", honest) == (0x0115, None)
            assert known.take("pacs", honest) == (0, transfer.id)
            # said again it is taken, and cannot be taken back
            withdrawn = Report(asked.transaction, (), ((asked.references[0], 0x0112),))
            assert known.take("pacs", withdrawn) == (0, transfer.id)
            assert not known.standing(transfer.id).failed


def test_committed_and_failed_at_once_is_failed(tmp_path: Path, images: Path) -> None:
    def judge(request: Request) -> Report:
        return Report(request.transaction, request.references, ((request.references[0], 0x0110),))

    pacs = Pacs(tmp_path / "pacs", judge=judge)
    with running(pacs, tmp_path / "sender"), engine(tmp_path / "sender", pacs) as made:
        transfer = send(made, images)
    assert transfer.state is TransferState.FAILED


def test_whose_certificate_it_is(tmp_path: Path) -> None:
    pacs = Pacs(tmp_path / "pacs")
    with running(pacs, tmp_path / "sender") as partner:
        pass
    from dataclasses import replace

    def shown(*hosts: str) -> bytes:
        own = pacs.credentials(uids.new_uid(), hosts=list(hosts))
        return certificates.to_der(certificates.from_pem(own.chain.read_text()))

    assert is_partners(partner, shown("127.0.0.1"))
    assert not is_partners(partner, shown("127.0.0.2"))
    assert not is_partners(partner, shown())
    assert not is_partners(partner, None)
    named = replace(partner, host="PACS.example")
    assert is_partners(named, shown("pacs.example"))
    der = shown("elsewhere.example")
    assert is_partners(replace(partner, leaf=tls.fingerprint(der)), der)
    assert not is_partners(replace(partner, leaf=tls.fingerprint(der)), shown("127.0.0.1"))


@pytest.mark.parametrize("listen", ["0.0.0.0:104", "[::]:104", "here", "127.0.0.1:70000"])
def test_an_address_to_listen_at_is_one_address(tmp_path: Path, listen: str) -> None:
    pacs = Pacs(tmp_path / "pacs")
    with pytest.raises(UsageError, match="commit-listen"), running(pacs, tmp_path / "s", listen):
        pass


def test_a_person_is_told_what_was_not_committed() -> None:
    words = NotCommitted(cause="2 / 3; 0112H no such object instance: 2").words("ja")
    assert "2 / 3" in words
    assert "E-6012" in words
