"""Joining a receiver: what is pinned, and that the secret goes to nobody else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from common import durable, tls
from common.errors import (
    EqualInstitution,
    InvitationError,
    PeerCertificateRefused,
    PeerRefused,
    PeerUnreachable,
    ProtocolError,
)
from common.proof import certificates
from common.proof.certificates import Authority
from common.proof.identity import Institution, Node
from common.proof.invitation import OTHER_CA, OTHER_INSTITUTION, Invitation
from common.proof.role import Role
from common.settings import Receiver, Sender
from common.web.peer import Listener, peer_certificate
from receiver import index, setup
from receiver.doors import pairing as door
from receiver.index import Index
from sender import pairing
from sender.partners import find_partner, load_partners

HERE = Institution("髙橋病院", "1310000001", "東京都")
THERE = Institution("山﨑診療所", "0110000019")


@dataclass
class Hospital:
    """A receiver with its pairing door open on a port of the loopback."""

    node: Node
    index: Index
    settings: Receiver

    def invite(self, **options: Any) -> Invitation:
        return setup.invite(self.node, self.settings, THERE, **options)

    def used(self) -> bool:
        with self.index.read() as db:
            return any(row.used_at for row in db.execute(index.invitations.select()))


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Hospital]:
    data = tmp_path / "receiver"
    # the name is in no DNS: only the invitation's addresses lead there
    settings = Receiver(hosts=("pacs.example", "127.0.0.1"), dicom_port=11, link_port=12)
    node = setup.init(data, HERE, settings, operator="test")
    with closing(Index.at(data)) as db_index:
        listener = Listener(
            door.application(node, db_index, settings),
            "127.0.0.1",
            0,
            tls=tls.server_context(node.credentials, client_required=False),
        )
        with listener.in_thread() as (_host, port):
            reached = settings.changed(pairing_port=port, hosts=("pacs.example",))
            yield Hospital(node, db_index, reached)


@pytest.fixture
def sender(tmp_path: Path) -> Node:
    return pairing.init(tmp_path / "sender", THERE, Sender(), operator="test")


@dataclass
class Attacker:
    """A server that answers the CA request as it likes and writes down all it is sent."""

    port: int = 0
    heard: list[bytes] = field(default_factory=list)

    @contextmanager
    def listening(
        self, own: tls.Credentials, ca: str, answer: Callable[[dict[str, Any]], Response] | None
    ) -> Iterator[Attacker]:
        async def everything(request: Request) -> Response:
            body = await request.body()
            self.heard.append(repr((request.url, request.headers.raw)).encode() + body)
            if request.method == "GET":
                return PlainTextResponse(ca)
            assert answer is not None
            return answer(json.loads(body))

        app = Starlette(routes=[Route("/{path:path}", everything, methods=["GET", "POST"])])
        context = tls.server_context(own, client_required=False)
        with Listener(app, "127.0.0.1", 0, tls=context).in_thread() as (_host, self.port):
            yield self

    def knows(self, secret: str) -> bool:
        return any(secret.encode() in one for one in self.heard)


def credentials(authority: Authority, folder: Path) -> tls.Credentials:
    key = certificates.new_key()
    hosts = ["pacs.example", "127.0.0.1", "localhost"]
    leaf = authority.issue(key.public_key(), "pacs.example", hosts=hosts)
    own = tls.Credentials(folder / "attacker.key", folder / "attacker.crt")
    durable.save(own.key, certificates.key_to_pem(key), private=True)
    durable.save(own.chain, certificates.to_pem(leaf).encode())
    return own


def local(invitation: Invitation, **changes: Any) -> Invitation:
    return replace(invitation, **{"addresses": ("127.0.0.1",)} | changes)


def nothing_kept(node: Node) -> bool:
    return not list((node.data / "partners").glob("*"))


@pytest.mark.requirement("UX-07")
def test_two_calls_pair_two_hospitals(receiver: Hospital, sender: Node, tmp_path: Path) -> None:
    file = setup.save_invitation(receiver.invite(addresses=["127.0.0.1"]), tmp_path)
    partner = pairing.join(sender, Invitation.read(file))
    assert load_partners(sender.data) == [partner]
    assert find_partner(sender.data) == find_partner(sender.data, HERE.code) == partner
    assert (partner.name, partner.code, partner.kind) == (HERE.name, HERE.code, "todoke")
    assert (partner.dicom_port, partner.link_port, partner.aet) == (11, 12, "TODOKE")
    assert partner.calling_aet == "TDK0000019"
    # each end has pinned the other's signing certificate
    assert partner.signing_certificate == receiver.node.signing_certificate
    with receiver.index.read() as db:
        (row,) = db.execute(index.partners.select()).all()
    assert row.signing_certificate == sender.signing_certificate
    if os.name != "nt":
        assert partner.credentials.key.stat().st_mode & 0o077 == 0


@pytest.mark.requirement("NET-01")
def test_what_pairing_gave_opens_a_mutual_connection(receiver: Hospital, sender: Node) -> None:
    partner = pairing.join(sender, receiver.invite(addresses=["127.0.0.1"]))

    async def who(request: Request) -> PlainTextResponse:
        der = peer_certificate(request.scope) or b""
        return PlainTextResponse(tls.peer_institution(der, receiver.node.ca) or "nobody")

    context = tls.server_context(receiver.node.credentials, [receiver.node.ca])
    app = Starlette(routes=[Route("/", who)])
    with Listener(app, "127.0.0.1", 0, tls=context).in_thread() as (host, port):
        trust = tls.client_context(partner.credentials, [partner.ca])
        with httpx.Client(verify=trust) as client:
            answer = client.get(
                f"https://{host}:{port}/", extensions={"sni_hostname": partner.host}
            )
    assert answer.text == THERE.code


def test_a_server_with_another_ca_never_hears_the_secret(
    receiver: Hospital, sender: Node, tmp_path: Path
) -> None:
    evil = Authority.create("todoke CA 髙橋病院")  # the same name
    invitation = receiver.invite()
    own = credentials(evil, tmp_path)
    with Attacker().listening(own, evil.pem, None) as attacker:
        with pytest.raises(InvitationError) as refused:
            pairing.join(sender, local(invitation, pairing_port=attacker.port))
        assert OTHER_CA in str(refused.value)
        assert len(attacker.heard) == 1  # it was asked for its CA, no more
        assert not attacker.knows(invitation.secret)
    assert nothing_kept(sender)
    assert not receiver.used()


@pytest.mark.parametrize("appended", [False, True], ids=["relayed", "appended"])
def test_a_server_that_shows_the_right_ca_but_has_no_key_of_it_never_hears_the_secret(
    appended: bool, receiver: Hospital, sender: Node, tmp_path: Path
) -> None:
    """The CA is public.  Appended: a second CA in the same answer must not be trusted."""
    evil = Authority.create("evil")
    invitation = receiver.invite()
    shown = receiver.node.ca + (evil.pem if appended else "")
    with Attacker().listening(credentials(evil, tmp_path), shown, None) as attacker:
        with pytest.raises(PeerCertificateRefused):
            pairing.join(sender, local(invitation, pairing_port=attacker.port))
        assert len(attacker.heard) == 1
        assert not attacker.knows(invitation.secret)
    assert nothing_kept(sender)


def test_the_recorder_would_have_heard_it(receiver: Hospital, sender: Node, tmp_path: Path) -> None:
    """The same server under the invitation's CA does get the secret: the tests above can fail."""
    invitation = receiver.invite()
    own = credentials(receiver.node.authority, tmp_path)

    def no(_words: dict[str, Any]) -> Response:
        return JSONResponse({"error": {"number": "E-1", "cause": "no"}}, 403)

    with Attacker().listening(own, receiver.node.ca, no) as attacker:
        with pytest.raises(PeerRefused, match="no"):
            pairing.join(sender, local(invitation, pairing_port=attacker.port))
        assert attacker.knows(invitation.secret)


def test_an_altered_fingerprint_is_refused_before_the_secret_leaves(
    receiver: Hospital, sender: Node
) -> None:
    invitation = receiver.invite(addresses=["127.0.0.1"])
    with pytest.raises(InvitationError, match="CA"):
        pairing.join(sender, replace(invitation, ca_sha256="0" * 64))
    assert not receiver.used()
    pairing.join(sender, invitation)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "別の病院"}, "altered"),
        ({"receiver_name": "別の病院"}, "altered"),
        ({"receiver_code": "2710000002"}, "altered"),
        ({"secret": "0" * 64}, "altered"),
        ({"addresses": ("127.0.0.1", "evil.example")}, "altered"),
        ({"expires_at": "2999-01-01T00:00:00+00:00"}, "altered"),
        ({"id": "0" * 32}, "not of this receiver"),
    ],
)
def test_an_altered_field_is_refused_by_the_receiver(
    change: dict[str, Any], words: str, receiver: Hospital, sender: Node
) -> None:
    invitation = receiver.invite(addresses=["127.0.0.1"])
    with pytest.raises(InvitationError, match=words):
        pairing.join(sender, replace(invitation, **change))
    assert nothing_kept(sender)
    assert not receiver.used()


def test_an_altered_host_is_refused_by_tls(receiver: Hospital, sender: Node) -> None:
    invitation = receiver.invite(addresses=["127.0.0.1"])
    with pytest.raises(PeerCertificateRefused, match="Hostname mismatch"):
        pairing.join(sender, replace(invitation, host="other.example"))
    assert not receiver.used()


def test_a_used_invitation_is_refused(receiver: Hospital, sender: Node) -> None:
    invitation = receiver.invite(addresses=["127.0.0.1"])
    pairing.join(sender, invitation)
    with pytest.raises(InvitationError, match="used already") as refused:
        pairing.join(sender, invitation)
    assert refused.value.exit_code == 27
    assert "使用済み" in refused.value.words("ja")


def test_what_is_wrong_in_itself_is_refused_without_a_connection(
    receiver: Hospital, sender: Node, tmp_path: Path
) -> None:
    nowhere = receiver.invite(addresses=["192.0.2.1"])  # would wait for its timeout
    late = datetime.now(UTC) + timedelta(hours=73)
    with pytest.raises(InvitationError, match="expired"):
        pairing.join(sender, nowhere, now=late)
    with pytest.raises(InvitationError) as refused:
        pairing.join(sender, replace(nowhere, code="2710000002"))
    assert OTHER_INSTITUTION in str(refused.value)
    twin = Node.create(tmp_path / "twin", replace(THERE, code=HERE.code), Role.REQUESTER)
    with pytest.raises(EqualInstitution):
        pairing.join(twin, nowhere)
    assert not receiver.used()


def test_addresses_are_tried_in_order(receiver: Hospital, sender: Node) -> None:
    dead = "127.0.0.2"  # nobody listens there
    invitation = receiver.invite(addresses=[dead, "127.0.0.1"])
    partner = pairing.join(sender, invitation)
    assert partner.addresses == (dead, "127.0.0.1")


def test_no_address_that_answers_is_said_with_each_cause(receiver: Hospital, sender: Node) -> None:
    invitation = receiver.invite(addresses=["127.0.0.2", "bad host"])
    with pytest.raises(PeerUnreachable) as failed:
        pairing.join(sender, invitation)
    assert "127.0.0.2" in str(failed.value)
    assert "bad host" in str(failed.value)


def test_our_ae_title_is_wished_and_the_receivers_word_holds(
    receiver: Hospital, sender: Node
) -> None:
    invitation = receiver.invite(addresses=["127.0.0.1"])
    assert pairing.join(sender, invitation, Sender(aet="CT ROOM 1")).calling_aet == "CT ROOM 1"
    assert pairing.calling_aet(sender, Sender()) == "TDK0000019"


@pytest.mark.parametrize(
    "fault",
    ["key", "ca", "institution", "signing", "version", "port", "html", "list"],
)
def test_an_answer_that_does_not_fit_is_refused_and_nothing_kept(
    fault: str, receiver: Hospital, sender: Node, tmp_path: Path
) -> None:
    """A server with a certificate of the right CA that answers wrongly."""
    authority = receiver.node.authority
    other = Authority.create("other")

    def answer(words: dict[str, Any]) -> Response:
        statement = json.loads(_payload(words["statement"]))
        key = certificates.requested_key(statement["csr"])
        if fault == "key":
            key = certificates.new_key().public_key()
        issuer = other if fault == "ca" else authority
        good: dict[str, Any] = {
            "version": 2 if fault == "version" else 1,
            "certificate": certificates.to_pem(issuer.issue(key, "x", institution=THERE.code)),
            "signing_certificate": receiver.node.signing_certificate,
            "institution": {"name": HERE.name, "code": HERE.code},
            "dicom_port": "x" if fault == "port" else 1,
            "link_port": 2,
            "aet": "TODOKE",
            "calling_aet": "TDK",
        }
        if fault == "institution":
            code = "2710000002"
            good["institution"] = {"name": "x", "code": code}
            own = certificates.self_issued(certificates.new_key(), "x", code)
            good["signing_certificate"] = certificates.to_pem(own)
        if fault == "signing":
            good["signing_certificate"] = sender.signing_certificate
        if fault == "html":
            return Response("<html>")
        return JSONResponse([] if fault == "list" else good)

    own = credentials(authority, tmp_path)
    listening = Attacker().listening(own, receiver.node.ca, answer)
    with listening as server, pytest.raises(ProtocolError):
        pairing.join(sender, local(receiver.invite(), pairing_port=server.port))
    assert nothing_kept(sender)


def _payload(statement: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(statement.split(".")[1] + "==")


def test_an_endless_ca_answer_is_cut_off(receiver: Hospital, sender: Node, tmp_path: Path) -> None:
    own = credentials(receiver.node.authority, tmp_path)
    listening = Attacker().listening(own, receiver.node.ca + "x" * 200_000, None)
    with listening as server, pytest.raises(InvitationError):
        pairing.join(sender, local(receiver.invite(), pairing_port=server.port))


def test_a_proxy_of_the_environment_hears_nothing(
    receiver: Hospital, sender: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.2:9")
    pairing.join(sender, receiver.invite(addresses=["127.0.0.1"]))


def test_the_firewall_rows_go_outwards(receiver: Hospital, sender: Node) -> None:
    invitation = receiver.invite(addresses=["127.0.0.1"])
    partner = pairing.join(sender, invitation)
    rows = pairing.firewall(partner, invitation.pairing_port)
    assert {(row.address, row.port) for row in rows} == {
        ("127.0.0.1", 11),
        ("127.0.0.1", 12),
        ("127.0.0.1", invitation.pairing_port),
    }
    assert {row.port for row in setup.firewall(receiver.settings)} == {
        11, 12, invitation.pairing_port, receiver.settings.viewer_port,
    }  # fmt: skip


def test_pairing_anew_keeps_what_was_set_of_the_line(receiver: Hospital, sender: Node) -> None:
    first = pairing.join(sender, receiver.invite(addresses=["127.0.0.1"]))
    first.with_line(["20"], 3).save()
    again = pairing.join(sender, receiver.invite(addresses=["127.0.0.1"], replace=True))
    assert (again.limits, again.associations) == (("20",), 3)
    again.file.write_text("half", "utf-8")
    mended = pairing.join(sender, receiver.invite(addresses=["127.0.0.1"], replace=True))
    assert (mended.limits, mended.associations) == ((), 0)
