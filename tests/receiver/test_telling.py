"""A second reader is told: by mail over TLS and by a signed webhook, at real servers."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from sqlalchemy import select, update
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from common import tls
from common.errors import SettingsError
from common.free_ports import free_ports
from common.proof.identity import Institution, Node
from common.proof.role import Role
from common.reading_settings import ReadingRoom
from common.web.peer import Listener
from receiver import index, rounds, telling
from receiver.escalation import Escalation
from receiver.telling import Told
from tests.receiver.filled import RECEIVER, Filled, ct_image
from tests.receiver.test_standings import Trail

TOLD = Told("9f" * 8, 5, "0166-00-0000", "ab" * 16)
USER, PASSWORD = "todoke", "Kono-Mise-99"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """Whose certificate the servers show; its CA is the site's own."""
    where = Institution(*RECEIVER, "北海道")
    return Node.create(tmp_path_factory.mktemp("node"), where, Role.SUPPORTER, hosts=["localhost"])


@pytest.fixture
def settings(node: Node, tmp_path: Path) -> ReadingRoom:
    authority = tmp_path / "ca.crt"
    authority.write_text(node.ca)
    return ReadingRoom(alarm_ca=str(authority), alarm_mail_to=("second@hospital.example.jp",))


@dataclass
class Mails:
    """What a mail server has taken."""

    taken: list[tuple[str, bool, str]] = field(default_factory=list)  # user, by TLS, content

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:
        who = session.auth_data.decode() if session.authenticated else ""
        content = envelope.content.decode("utf-8", "replace")
        # implicit TLS is the line's, STARTTLS the session's
        encrypted = _server.transport.get_extra_info("ssl_object") is not None
        self.taken.append((who, encrypted, content))
        return "250 OK"


def _signs_in(_server: SMTP, _session: Any, _envelope: Any, _way: str, said: Any) -> AuthResult:
    good = isinstance(said, LoginPassword) and (said.login, said.password) == (
        USER.encode(), PASSWORD.encode(),
    )  # fmt: skip
    # a refusal is left to the server to say
    return AuthResult(success=good, handled=good, auth_data=said.login if good else None)


@contextlib.contextmanager
def mail_server(node: Node, **how: Any) -> Iterator[tuple[Mails, int]]:
    (port,) = free_ports(1)
    mails = Mails()
    context = tls.server_context(node.credentials, profile="dicom-b12", client_required=False)
    if how.pop("starttls", False):
        how |= {"tls_context": context, "require_starttls": True}
    elif how.pop("tls", False):
        how |= {"ssl_context": context}
    server = Controller(mails, hostname="localhost", port=port, **how)
    server.start()
    try:
        yield mails, port
    finally:
        server.stop()


@pytest.mark.requirement("UX-04")
@pytest.mark.slow
def test_a_mail_goes_by_starttls_with_a_password(
    node: Node, settings: ReadingRoom, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    asks = {"auth_required": True, "authenticator": _signs_in}
    with mail_server(node, starttls=True, **asks) as (mails, port):
        mine = replace(
            settings, smtp_host="localhost", smtp_port=port, smtp_user=USER,
            smtp_password_file=str(tmp_path / "password"),
        )  # fmt: skip
        telling.ways(mine, tmp_path)["mail"](TOLD)
    ((user, encrypted, content),) = mails.taken
    assert (user, encrypted) == (USER, True)
    for secret in (TOLD.study, "北見", "0110000018"):
        assert secret not in content


@pytest.mark.requirement("UX-04")
@pytest.mark.slow
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.filterwarnings("ignore:Requiring AUTH while:UserWarning")
def test_a_mail_goes_by_implicit_tls_with_a_password(
    node: Node, settings: ReadingRoom, tmp_path: Path, both: bool
) -> None:
    """On port 465 TLS is there from the first byte (RFC 8314); STARTTLS beside it is none."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    # aiosmtpd counts STARTTLS alone as TLS where it asks for it
    asks = {"auth_required": True, "authenticator": _signs_in, "auth_require_tls": False}
    with mail_server(node, tls=True, **asks) as (mails, port):
        mine = replace(
            settings, smtp_host="localhost", smtp_port=port, smtp_user=USER,
            smtp_password_file=str(tmp_path / "password"), smtp_tls=True, smtp_starttls=both,
        )  # fmt: skip
        telling.ways(mine, tmp_path)["mail"](TOLD)
        (tmp_path / "password").write_text("another")
        with pytest.raises(smtplib.SMTPAuthenticationError):
            telling.ways(mine, tmp_path)["mail"](TOLD)
    ((user, encrypted, content),) = mails.taken
    assert (user, encrypted) == (USER, True)
    assert TOLD.study not in content


@pytest.mark.requirement("UX-04")
@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["plain", "stranger", "another host"])
def test_implicit_tls_is_never_left_out(
    node: Node, settings: ReadingRoom, tmp_path: Path, wrong: str
) -> None:
    """A server that speaks first in the clear, one of no known CA, one of another name."""
    with mail_server(node, tls=wrong != "plain") as (mails, port):
        host = "127.0.0.1" if wrong == "another host" else "localhost"
        mine = replace(settings, smtp_host=host, smtp_port=port, smtp_tls=True)
        if wrong == "stranger":
            mine = replace(mine, alarm_ca="")
        with pytest.raises(ssl.SSLError):
            telling.ways(mine, tmp_path)["mail"](TOLD)
    assert mails.taken == []


@pytest.mark.requirement("UX-04")
@pytest.mark.parametrize("wrong", ["plain", "stranger"])
@pytest.mark.slow
def test_no_mail_goes_in_the_clear_or_to_a_stranger(
    node: Node, settings: ReadingRoom, tmp_path: Path, wrong: str
) -> None:
    with mail_server(node, starttls=wrong == "stranger") as (mails, port):
        mine = replace(settings, smtp_host="localhost", smtp_port=port)
        if wrong == "stranger":
            mine = replace(mine, alarm_ca="")  # the system's list has no such CA
        with pytest.raises(OSError):  # noqa: PT011 - of smtplib and of ssl alike
            telling.ways(mine, tmp_path)["mail"](TOLD)
    assert mails.taken == []
    with pytest.raises(SettingsError):
        telling.ways(replace(mine, smtp_user="x", smtp_starttls=False), tmp_path)


@pytest.mark.requirement("UX-04")
def test_a_webhook_over_https_is_signed_and_the_same_at_every_try(
    node: Node, settings: ReadingRoom, tmp_path: Path
) -> None:
    came: list[tuple[dict[str, str], bytes]] = []

    async def hook(request: Request) -> Response:
        came.append((dict(request.headers), await request.body()))
        return Response(status_code=503 if len(came) == 1 else 204)

    app = Starlette(routes=[Route("/hook", hook, methods=["POST"])])
    context = tls.server_context(node.credentials, profile="dicom-b12", client_required=False)
    with Listener(app, "localhost", 0, tls=context, grace=1).in_thread() as (_, port):
        mine = replace(settings, alarm_webhook=f"https://localhost:{port}/hook")
        way = telling.ways(mine, tmp_path)["webhook"]
        with pytest.raises(Exception, match="503"):
            way(TOLD)
        way(TOLD)
        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            telling.ways(replace(mine, alarm_ca=""), tmp_path)["webhook"](TOLD)
    written = (tmp_path / telling.KEY_FILE).read_text()
    assert (tmp_path / telling.KEY_FILE).stat().st_mode & 0o077 == 0
    key = base64.b64decode(written.removeprefix("whsec_"))
    assert len({headers["webhook-id"] for headers, _ in came}) == 1
    for headers, body in came:
        of = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        mac = base64.b64encode(hmac.new(key, of, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{mac}"
        assert json.loads(body) == {
            "event": "urgent-unopened", "study": TOLD.study, "minutes": TOLD.minutes,
        }  # fmt: skip
    telling.ways(mine, tmp_path)
    assert (tmp_path / telling.KEY_FILE).read_text() == written, "the key stays"
    (tmp_path / telling.KEY_FILE).write_text("short")
    with pytest.raises(SettingsError):
        telling.ways(mine, tmp_path)


@pytest.mark.requirement("UX-04")
def test_a_watch_that_fails_is_alarmed_once_and_holds_up_no_other(filled: Filled) -> None:
    """One study whose words cannot be read: the others escalate, and status says so."""
    bad, good = ([ct_image(name, 1)] for name in ("壊", "良"))
    keys = [filled.open(images, priority="urgent") for images in (bad, good)]
    for images in (bad, good):
        filled.arrive(images)
    of_bad = select(index.studies.c.transfer).where(index.studies.c.key == keys[0])
    with filled.index.write() as db:
        broken = update(index.transfers).where(index.transfers.c.id == of_bad.scalar_subquery())
        db.execute(broken.values(request="{"))
    told: list[Told] = []
    trail = Trail()
    later = datetime.now(UTC) + timedelta(minutes=6)
    watch = Escalation(
        filled.index, ReadingRoom(), {"mail": told.append}, trail.note, lambda: later
    )
    watch.rounds.once()
    watch.rounds.once()
    assert [one.study for one in told] == [keys[1]]
    failures = [facts for event, facts in trail.said if facts.get("of") == "escalation"]
    assert len(failures) == 1
    with filled.index.read() as db:
        (trouble,) = rounds.troubles(db)
    assert (trouble["of"], trouble["cause"]) == ("escalation", failures[0]["cause"])
    with filled.index.write() as db:
        db.execute(broken.values(request="{}"))
    watch.rounds.once()
    assert {one.study for one in told} == set(keys)
    with filled.index.read() as db:
        assert rounds.troubles(db) == []
    with filled.index.write() as db:
        db.execute(broken.values(request="{"))
        db.execute(index.alarms.delete())
    watch.rounds.once()
    again = [event for event, facts in trail.said if facts.get("of") == "escalation"]
    assert len(again) == 2, "it went well in between"


def test_the_mail_names_nobody() -> None:
    made: EmailMessage = telling.message(ReadingRoom(alarm_mail_to=("x@example.jp",)), TOLD)
    assert TOLD.study not in str(made)
