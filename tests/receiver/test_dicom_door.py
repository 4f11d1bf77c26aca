"""The DICOM door, from inside: whose an instance is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import delete

from common import audit
from common.dicom import greeting
from common.dicom.association import Incoming, Peer
from common.errors import CertificateRevoked, PeerNotRegistered
from common.proof import certificates
from common.proof.identity import Institution
from common.settings import Receiver
from receiver import index, registry, setup
from receiver.doors.dicom import LOOKED_UP, DicomDoor
from receiver.index import Index
from receiver.store import Store

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
HERE, THERE = Institution("髙橋病院", "1310000001"), Institution("装置", "0110000019")


class Clock:
    """Seconds that pass when the test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def door(tmp_path: Path) -> Iterator[tuple[DicomDoor, Incoming, Clock]]:
    data, clock = tmp_path / "receiver", Clock()
    node = setup.init(data, HERE, Receiver(hosts=("localhost",)), operator="test")
    with closing(Index.at(data)) as known, closing(audit.Trail(data / "audit", "dicom")) as trail:
        registry.add_product(node, known, THERE, aet="CT1", issue=tmp_path / "issued")
        issued = (tmp_path / "issued" / f"{THERE.code}.crt").read_text()
        leaf = certificates.to_der(certificates.from_pem(issued))
        peer = Peer("127.0.0.1", 1, "CT1", "TODOKE", leaf, None, None, "TLSv1.3", None)
        made = DicomDoor(
            known, Store(data / "store"), node, trail,
            address=("127.0.0.1", 0), aet="TODOKE", profile="jp-high13", clock=clock,
        )  # fmt: skip
        made.start()
        yield made, Incoming(peer, CT, "1.2.3", EXPLICIT), clock
        made.stop()


@pytest.mark.requirement("NET-06")
def test_partner_taken_away_is_refused_within_a_second(
    door: tuple[DicomDoor, Incoming, Clock],
) -> None:
    open_door, incoming, clock = door
    open_door.begin(incoming).abandon()
    with open_door.index.write() as db:
        db.execute(delete(index.partners).where(index.partners.c.code == THERE.code))
    clock.now += LOOKED_UP - 0.01
    open_door.begin(incoming).abandon()
    clock.now += 0.02
    with pytest.raises(PeerNotRegistered):
        open_door.begin(incoming)


@pytest.mark.tls
@pytest.mark.requirement("NET-11")
def test_partner_revoked_is_refused_within_a_second_on_the_association_it_has(
    door: tuple[DicomDoor, Incoming, Clock],
) -> None:
    open_door, incoming, clock = door
    open_door.begin(incoming).abandon()
    registry.revoke(open_door.index, THERE.code, "lost")
    clock.now += LOOKED_UP + 0.01
    with pytest.raises(CertificateRevoked):
        open_door.begin(incoming)


@pytest.mark.requirement("NET-06")
def test_stranger_is_refused_each_time(door: tuple[DicomDoor, Incoming, Clock]) -> None:
    open_door, incoming, _ = door
    stranger = Incoming(
        Peer("127.0.0.1", 1, "CT1", "TODOKE", b"leaf", None, None, "TLSv1.3", None),
        CT, "1.2.3", EXPLICIT,
    )  # fmt: skip
    open_door.begin(incoming).abandon()
    for _ in range(2):
        with pytest.raises(PeerNotRegistered):
            open_door.begin(stranger)


def test_a_partner_that_connects_and_says_nothing_is_no_alert(
    door: tuple[DicomDoor, Incoming, Clock],
) -> None:
    """A sender connects while it still reads its job; a stranger who does so is told of."""
    open_door, incoming, _ = door
    noted: list[str] = []
    trail = open_door.trail
    before = trail.note
    try:
        trail.note = lambda kind, **_: noted.append(kind)  # type: ignore[method-assign]
        open_door._refused("127.0.0.1", greeting.CLOSED, incoming.peer.certificate)
        assert noted == []
        open_door._refused("127.0.0.1", greeting.CLOSED, None)
        open_door._refused("127.0.0.1", greeting.CLOSED, b"leaf of a stranger")
        open_door._refused("127.0.0.1", greeting.SLOW, incoming.peer.certificate)
        assert noted == 3 * ["security-alert"]
    finally:
        trail.note = before  # type: ignore[method-assign]
