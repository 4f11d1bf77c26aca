"""The pairing door, over TLS, against joiners that are honest and others that are not."""

from __future__ import annotations

import json
import sqlite3
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from common import tls
from common.errors import EqualInstitution, InvitationError, UsageError
from common.proof import certificates, jws
from common.proof.identity import Institution, Node
from common.proof.invitation import ALTERED, EXPIRED, UNKNOWN, USED, Invitation
from common.proof.role import Role
from common.settings import Receiver
from common.web.peer import Listener
from receiver import index, registry, setup
from receiver.doors import pairing
from receiver.index import Index

HERE = Institution("髙橋病院", "1310000001", "東京都")
THERE = Institution("山﨑診療所", "0110000019")


@dataclass
class Door:
    """A receiver whose pairing door is open."""

    node: Node
    index: Index
    settings: Receiver
    now: datetime | None = None  # of the door's clock; None is the real one

    def invite(self, invited: Institution = THERE, **options: Any) -> Invitation:
        return setup.invite(self.node, self.settings, invited, **options)

    def post(self, words: object) -> httpx.Response:
        trust = tls.client_context(None, [self.node.ca])
        url = f"https://localhost:{self.settings.pairing_port}/pairing/v1/join"
        content = words if isinstance(words, bytes) else json.dumps(words).encode()
        return httpx.post(url, content=content, verify=trust, timeout=10)

    def rows(self, table: Any) -> list[Any]:
        with self.index.read() as db:
            return list(db.execute(select(table)).all())


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    data = tmp_path / "receiver"
    settings = Receiver(hosts=("localhost",))
    node = setup.init(data, HERE, settings, operator="test")
    with closing(Index.at(data)) as db_index:
        opened = Door(node, db_index, settings)
        listener = Listener(
            pairing.application(
                node, db_index, settings, clock=lambda: opened.now or datetime.now(UTC)
            ),
            "127.0.0.1",
            0,
            tls=tls.server_context(node.credentials, client_required=False),
        )
        with listener.in_thread() as (_host, port):
            opened.settings = settings.changed(pairing_port=port)
            yield opened


@pytest.fixture
def joiner(tmp_path: Path) -> Node:
    return Node.create(tmp_path / "sender", THERE, Role.REQUESTER)


def request(invitation: Invitation, node: Node, /, **statement: Any) -> dict[str, Any]:
    """What an honest sender posts, with the statement changed where asked."""
    said = {
        "invitation": invitation.id,
        "csr": certificates.new_request(certificates.new_key(), node.institution.name),
    }
    return {
        "invitation": invitation.as_json(),
        "signing_certificate": node.signing_certificate,
        "statement": jws.sign(said | statement, node),
    }


def refused(answer: httpx.Response, number: str, cause: str = "") -> None:
    error = answer.json()["error"]
    assert answer.status_code >= 400
    assert error["number"] == number
    assert cause in error["cause"]
    assert error["ja"]
    assert error["en"]


@pytest.mark.requirement("UX-07", "DIR-13")
def test_a_good_request_gets_a_certificate_for_the_invited_institution(
    door: Door, joiner: Node
) -> None:
    # the joiner calls itself something else; what was typed at `invite` holds
    invitation = door.invite(replace(THERE, name="招いた名前"))
    answer = door.post(request(invitation, joiner))
    assert answer.status_code == 200, answer.text
    leaf = certificates.from_pem(answer.json()["certificate"])
    assert tls.peer_institution(certificates.to_der(leaf), door.node.ca) == THERE.code
    assert "招いた名前" in leaf.subject.rfc4514_string()
    (row,) = door.rows(index.partners)
    assert (row.code, row.name, row.kind, row.aet) == (
        THERE.code,
        "招いた名前",
        "todoke",
        f"TDK{THERE.code[-7:]}",
    )
    assert row.signing_certificate == joiner.signing_certificate
    assert answer.json()["signing_certificate"] == door.node.signing_certificate


def test_a_used_invitation_is_refused(door: Door, joiner: Node) -> None:
    invitation = door.invite()
    assert door.post(request(invitation, joiner)).status_code == 200
    refused(door.post(request(invitation, joiner)), "E-2201", USED)
    assert len(door.rows(index.partners)) == 1


def test_a_forgotten_second_invitation_is_used_up_with_the_first(
    door: Door, joiner: Node, tmp_path: Path
) -> None:
    """Whoever found it later could put other keys in the place of the partner's."""
    lost, used = door.invite(), door.invite()
    assert door.post(request(used, joiner)).status_code == 200
    finder = Node.create(tmp_path / "finder", THERE, Role.REQUESTER)
    refused(door.post(request(lost, finder)), "E-2201", USED)
    (row,) = door.rows(index.partners)
    assert row.signing_certificate == joiner.signing_certificate


def test_of_many_at_once_one_wins(door: Door, tmp_path: Path) -> None:
    invitation = door.invite()
    nodes = [Node.create(tmp_path / f"s{n}", THERE, Role.REQUESTER) for n in range(4)]
    answers: list[httpx.Response] = []

    def post(node: Node) -> None:
        answers.append(door.post(request(invitation, node)))

    threads = [threading.Thread(target=post, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.status_code for one in answers) == [200, 403, 403, 403]


def test_an_expired_invitation_is_refused_by_the_receivers_clock(door: Door, joiner: Node) -> None:
    invitation = door.invite(hours=1)
    door.now = datetime.now(UTC) + timedelta(hours=1, seconds=1)
    refused(door.post(request(invitation, joiner)), "E-2201", EXPIRED)
    # an expiry that the joiner wrote itself does not help
    late = replace(invitation, expires_at="2999-01-01T00:00:00+00:00")
    refused(door.post(request(late, joiner)), "E-2201", ALTERED)
    assert door.rows(index.partners) == []
    door.now = None
    assert door.post(request(invitation, joiner)).status_code == 200


@pytest.mark.parametrize("name", [row.name for row in fields(Invitation)])
def test_an_altered_invitation_is_refused_and_not_used_up(
    name: str, door: Door, joiner: Node
) -> None:
    invitation = door.invite()
    old = getattr(invitation, name)
    new: Any = {tuple: (*invitation.addresses, "x"), int: invitation.pairing_port + 1}
    altered = replace(invitation, **{name: new.get(type(old)) or old[:-1] + "~"})
    refused(door.post(request(altered, joiner)), "E-2201", UNKNOWN if name == "id" else ALTERED)
    assert door.rows(index.partners) == []
    assert door.post(request(invitation, joiner)).status_code == 200


def test_an_invitation_of_another_receiver_is_refused(
    door: Door, joiner: Node, tmp_path: Path
) -> None:
    other = setup.init(
        tmp_path / "other", replace(HERE, code="2710000002"), Receiver(), operator=""
    )
    foreign = setup.invite(other, Receiver(), THERE)
    refused(door.post(request(foreign, joiner)), "E-2201", UNKNOWN)


@pytest.mark.requirement("DIR-13")
def test_an_equal_institution_code_is_refused(door: Door) -> None:
    with pytest.raises(EqualInstitution):
        door.invite(replace(HERE, name="別の名前"))
    assert door.rows(index.invitations) == []


def test_an_equal_code_is_refused_at_the_door_too(door: Door, joiner: Node) -> None:
    """Say the index was written by another hand."""
    invitation = door.invite()
    forged = replace(invitation, code=HERE.code)
    with door.index.write() as db:
        db.execute(update(index.invitations).values(code=HERE.code, secret_digest=forged.digest))
    refused(door.post(request(forged, joiner)), "E-2202")
    assert door.rows(index.partners) == []


def test_a_known_partner_is_paired_again_only_on_purpose(
    door: Door, joiner: Node, tmp_path: Path
) -> None:
    door.post(request(door.invite(), joiner))
    with pytest.raises(UsageError, match="--replace"):
        door.invite()
    fresh = Node.create(tmp_path / "again", THERE, Role.REQUESTER)
    assert door.post(request(door.invite(replace=True), fresh)).status_code == 200
    (row,) = door.rows(index.partners)
    assert row.signing_certificate == fresh.signing_certificate


def test_nobody_gets_anothers_signing_certificate_pinned(
    door: Door, joiner: Node, tmp_path: Path
) -> None:
    invitation = door.invite()
    thief = Node.create(tmp_path / "thief", THERE, Role.REQUESTER)
    stolen = request(invitation, thief) | {"signing_certificate": joiner.signing_certificate}
    refused(door.post(stolen), "E-4100")
    # nor may a statement of one pairing serve another
    refused(door.post(request(invitation, joiner, invitation="0" * 32)), "E-6010")
    # nor a signing certificate that names somebody else
    stranger = Node.create(tmp_path / "stranger", replace(THERE, code="2710000002"), Role.REQUESTER)
    refused(door.post(request(invitation, stranger)), "E-2201")
    # nor one that a CA issued
    authority = certificates.Authority.create("x")
    key = joiner.signing_key.public_key()
    issued = certificates.to_pem(authority.issue(key, "x", institution=THERE.code))
    refused(door.post(request(invitation, joiner) | {"signing_certificate": issued}), "E-6010")
    assert door.rows(index.partners) == []
    assert door.post(request(invitation, joiner)).status_code == 200


def test_the_index_holds_no_secret(door: Door) -> None:
    secret = door.invite().secret
    with closing(sqlite3.connect(door.node.data / "index.sqlite")) as copy:
        text = "\n".join(copy.iterdump())
    files = b"".join(path.read_bytes() for path in door.node.data.glob("index.sqlite*"))
    assert THERE.name in text
    assert secret not in text
    assert secret.encode() not in files


def test_an_ae_title_belongs_to_one_partner(door: Door, joiner: Node, tmp_path: Path) -> None:
    same = replace(THERE, code="2710000019")  # the same last seven digits
    other = Node.create(tmp_path / "other", same, Role.REQUESTER)
    first = door.post(request(door.invite(), joiner, aet="CT ROOM"))
    second = door.post(request(door.invite(same), other, aet="CT ROOM"))
    assert first.json()["calling_aet"] == "CT ROOM"
    assert second.json()["calling_aet"] == f"TDK{same.code[-7:]}"
    with door.index.write() as db:
        assert registry.free_aet(db, "1310000019", "not\\good") == "TDK0000019B"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"\xff", b"[" * 50_000, b" " * 70_000,
     b'{"invitation": [], "signing_certificate": 1, "statement": {}}'],
)  # fmt: skip
def test_a_body_of_another_form_is_refused(body: bytes, door: Door) -> None:
    answer = door.post(body)
    assert answer.json()["error"]["number"] in {"E-6010", "E-2201"}
    assert ("bytes" in answer.text) is (len(body) > pairing.MAX_BODY)  # cut off before it is read


def test_the_door_gives_the_ca_and_nothing_else(door: Door) -> None:
    trust = tls.client_context(None, [door.node.ca])
    with httpx.Client(
        verify=trust, base_url=f"https://localhost:{door.settings.pairing_port}"
    ) as client:
        assert client.get("/pairing/v1/ca").text == door.node.ca
        assert client.get("/pairing/v1/join").status_code == 405
        assert client.get("/link/v1/transfers").status_code == 404
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(cadata=door.node.ca)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"https://localhost:{door.settings.pairing_port}/pairing/v1/ca", verify=old)


def test_a_product_is_entered_with_its_leaf_pinned(door: Door, tmp_path: Path) -> None:
    product = replace(THERE, name="製品")
    issued = registry.add_product(
        door.node, door.index, product, aet="ORTHANC", issue=tmp_path / "issue"
    )
    chain = (tmp_path / "issue" / f"{THERE.code}.crt").read_text()
    assert issued.fingerprint == tls.fingerprint_of_pem(chain)
    der = ssl.PEM_cert_to_DER_cert(chain)
    assert tls.peer_institution(der, door.node.ca) is None  # it is no todoke sender
    own = certificates.self_issued(certificates.new_key(), "x", "2710000002")
    (tmp_path / "own.crt").write_text(certificates.to_pem(own))
    code = replace(THERE, code="2710000002")
    given: Callable[..., registry.Partner] = lambda aet: registry.add_product(  # noqa: E731
        door.node, door.index, code, aet=aet, certificate=tmp_path / "own.crt"
    )
    with pytest.raises(UsageError, match="ORTHANC"):
        given("ORTHANC")
    assert given("DCMTK").fingerprint == tls.fingerprint(certificates.to_der(own))
    with pytest.raises(EqualInstitution):
        registry.add_product(door.node, door.index, HERE, aet="X", issue=tmp_path)
    with pytest.raises(UsageError, match="--cert"):
        registry.add_product(door.node, door.index, THERE, aet="X")
    assert {one.kind for one in registry.list_partners(door.index)} == {"dicom"}


def test_invitations_are_refused_without_a_fixed_port_or_a_life(door: Door) -> None:
    with pytest.raises(UsageError, match="pairing_port"):
        setup.invite(door.node, door.settings.changed(pairing_port=0), THERE)
    with pytest.raises(UsageError, match="--hours"):
        door.invite(hours=0)


def test_the_invitation_file_is_named_after_the_partner_and_private(
    door: Door, tmp_path: Path
) -> None:
    made = door.invite(
        replace(THERE, name="../ 山﨑/診療所"), addresses=["10.0.0.5", "pacs.example"]
    )
    path = setup.save_invitation(made, tmp_path)
    assert path.name == "todoke-invite-山﨑_診療所.json"
    assert path.stat().st_mode & 0o077 == 0
    assert Invitation.read(path) == made
    assert made.addresses == ("10.0.0.5", "pacs.example")
    with pytest.raises(InvitationError):
        Invitation.read(tmp_path / "none")


def test_the_own_certificate_always_names_the_machine_itself(tmp_path: Path) -> None:
    node = setup.init(tmp_path, HERE, Receiver(hosts=("pacs.example",)), operator="test")
    settings = Receiver.load(tmp_path, {})
    assert settings.hosts == ("pacs.example",)
    leaf = certificates.from_pem(node.credentials.chain.read_text())
    names = str(leaf.extensions)
    for host in ("pacs.example", "localhost", "127.0.0.1"):
        assert host in names
    assert setup.certificate_days(node) == 397
    wider = setup.add_host(node, settings, ["10.0.0.5"])
    assert Receiver.load(tmp_path, {}) == wider
    assert "10.0.0.5" in str(certificates.from_pem(node.credentials.chain.read_text()).extensions)
