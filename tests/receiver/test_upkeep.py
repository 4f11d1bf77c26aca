"""What a receiver renews by itself, and what it alarms, by a clock of the test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common import audit, tls
from common.errors import (
    CertificateRevoked,
    NotRenewable,
    PeerNotRegistered,
    RevocationListUnusable,
    UsageError,
)
from common.proof import certificates, renewal, revocation
from common.proof.identity import Institution, Node
from common.settings import Receiver
from receiver import partners, registry, setup, upkeep
from receiver.index import Index
from receiver.revocation import Lists, renew

pytestmark = pytest.mark.tls
HERE, THERE = Institution("髙橋病院", "1310000001"), Institution("山﨑診療所", "0110000019")
DAY = timedelta(days=1)


@dataclass
class Place:
    """A receiver's data directory, and the moment."""

    node: Node
    index: Index
    trail: audit.Trail
    now: datetime

    def clock(self) -> datetime:
        return self.now

    @property
    def lists(self) -> Lists:
        return Lists(self.index, self.node.ca, self.node.revocation_list, self.clock)

    def keeper(self) -> upkeep.Upkeep:
        return upkeep.Upkeep(self.node, self.index, self.lists, self.trail, clock=self.clock)

    def alarms(self) -> list[str]:
        lines = map(json.loads, self.trail.path.read_text("utf-8").splitlines())
        return [str(line["cause"]) for line in lines if line["event"] == "alarm"]

    def list(self) -> revocation.RevocationList:
        return revocation.read_list(self.node.revocation_list, self.node.ca)

    def pair(self, now: datetime | None = None) -> tuple[bytes, Any]:
        """Enter a todoke sender with a certificate of that moment."""
        key = certificates.new_key().public_key()
        leaf = self.node.authority.issue(key, THERE.name, institution=THERE.code, now=now)
        with self.index.write() as db:
            registry.put_row(
                db, code=THERE.code, name=THERE.name, kind="todoke", aet="TDK1", added_at="-"
            )
            registry.put_certificate(db, THERE.code, leaf, ours=True)
        der = certificates.to_der(leaf)
        return der, partners.of_certificate(self.index, der, self.node.ca)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    data = tmp_path / "receiver"
    node = setup.init(data, HERE, Receiver(hosts=("localhost",)), operator="test")
    with closing(Index.at(data)) as known, closing(audit.Trail(data / "audit", "web")) as trail:
        yield Place(node, known, trail, datetime.now(UTC))


def test_the_own_list_is_written_anew_every_day_and_after_a_clock_that_went_wrong(
    place: Place,
) -> None:
    first = place.list()
    assert not renew(place.node, place.index, now=place.now)
    place.now += DAY
    assert renew(place.node, place.index, now=place.now)
    assert place.list().until - first.until == pytest.approx(DAY, abs=timedelta(minutes=5))
    assert place.list().number > first.number
    assert renew(place.node, place.index, now=place.now - 30 * DAY)  # not good yet: made anew


def test_a_list_that_is_not_renewed_is_alarmed_at_half_its_age_and_refused_at_its_end(
    place: Place,
) -> None:
    der, partner = place.pair()
    (place.node.data / "identity" / "ca.key").write_bytes(b"gone")
    keeper = place.keeper()
    place.now += 3 * DAY
    keeper.look()
    assert not any("half" in cause for cause in place.alarms())
    place.now += DAY
    for _ in range(3):
        keeper.look()
    assert sum("half" in cause for cause in place.alarms()) == 1
    place.lists.check(partner, der)
    warnings = upkeep.standing(place.node, place.index, place.clock)["warnings"]
    assert any("half" in en for _, en in warnings)
    place.now += 3 * DAY
    keeper.look()
    assert sum("stale" in cause for cause in place.alarms()) == 1
    with pytest.raises(RevocationListUnusable, match="stale"):
        place.lists.check(partner, der)


def test_what_was_revoked_stays_in_the_list_though_the_index_is_lost(place: Place) -> None:
    der, _ = place.pair()
    assert registry.revoke(place.index, THERE.name, "lost").revoked_at
    assert renew(place.node, place.index, now=place.now)
    serials = set(place.list().serials)
    assert len(serials) == 1
    with pytest.raises(CertificateRevoked):
        partners.of_certificate(place.index, der, place.node.ca)
    with place.index.write() as db:
        db.exec_driver_sql("DELETE FROM certificates")
    renew(place.node, place.index, now=place.now + 2 * DAY)
    assert set(place.list().serials) == serials


def test_a_partner_of_before_certificates_were_listed_is_revoked_too(place: Place) -> None:
    der, _ = place.pair()
    with place.index.write() as db:
        db.exec_driver_sql("DELETE FROM certificates")
    partners.of_certificate(place.index, der, place.node.ca)
    registry.revoke(place.index, THERE.code, "lost")
    with pytest.raises(CertificateRevoked):
        partners.of_certificate(place.index, der, place.node.ca)
    with pytest.raises(UsageError):
        registry.revoke(place.index, THERE.code, " ")


def test_the_own_certificate_renews_itself_before_its_end(place: Place) -> None:
    keeper, shown = place.keeper(), place.node.credentials.chain.read_text()
    place.now += (certificates.LEAF_DAYS - renewal.RENEW_DAYS - 1) * DAY
    keeper.look()
    assert place.node.credentials.chain.read_text() == shown
    place.now += 2 * DAY
    keeper.look()
    assert place.node.credentials.chain.read_text() != shown
    assert setup.certificate_days(place.node, place.now) >= certificates.LEAF_DAYS - 1
    tls.server_context(place.node.credentials, [place.node.ca])


def test_a_sender_gets_its_next_certificate_with_the_one_it_has(place: Place) -> None:
    der, partner = place.pair()
    key = certificates.new_key()
    csr = certificates.new_request(key, "anything")

    def issue() -> str:
        return upkeep.issue(place.node, place.index, partner, der, csr, place.clock)

    with pytest.raises(NotRenewable):
        issue()
    place.now += (certificates.LEAF_DAYS - renewal.RENEW_DAYS + 1) * DAY
    leaf = certificates.from_pem(issue())
    assert leaf.public_key() == key.public_key()
    new = certificates.to_der(leaf)
    assert tls.peer_institution(new, place.node.ca) == THERE.code
    for good in (der, new):  # the one before is good until its own end
        partners.of_certificate(place.index, good, place.node.ca)
    registry.revoke(place.index, THERE.code, "lost")
    for bad in (der, new):
        with pytest.raises(CertificateRevoked):
            partners.of_certificate(place.index, bad, place.node.ca)


def test_a_certificate_without_an_institution_gets_no_next_one(
    place: Place, tmp_path: Path
) -> None:
    registry.add_product(place.node, place.index, THERE, aet="CT1", issue=tmp_path)
    leaf = certificates.from_pem((tmp_path / f"{THERE.code}.crt").read_text())
    der = certificates.to_der(leaf)
    row = partners.of_certificate(place.index, der, place.node.ca)
    csr = certificates.new_request(certificates.new_key(), "x")
    place.now += 390 * DAY
    with pytest.raises(PeerNotRegistered):
        upkeep.issue(place.node, place.index, row, der, csr, place.clock)
    place.keeper().look()  # its end is near, and nobody renews it by itself
    assert any("under 30 days" in cause for cause in place.alarms())
