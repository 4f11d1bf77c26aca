"""Audit messages reach a real TLS syslog server, none lost while it is away (AUD-06)."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from common.audit import message, syslog
from common.audit.message import Source
from common.audit.syslog import Repository, Spool
from common.audit.trail import Trail
from common.errors import AuditRepositoryAway, SettingsError
from common.proof import certificates
from common.proof.certificates import Authority

pytestmark = pytest.mark.audit
SCHEMA = etree.RelaxNG(file=str(Path(message.__file__).with_name("audit_message.rng")))
SOURCE = Source("0112345675", "receiver")
HEAD = re.compile(
    rb"<85>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 \S+ todoke-receiver-web \d+"
    rb" DICOM\+RFC3881 - \xef\xbb\xbf(<AuditMessage>.*)",
    re.DOTALL,
)


class Server:
    """A repository: reads frames (RFC 5425) of one connection after the other.

    Attributes
    ----------
    rude : bool
        Closes without the close_notify that RFC 5425 section 4.4 asks for.
    """

    def __init__(self, files: Path, authority: Authority, port: int = 0) -> None:
        key = certificates.new_key()
        leaf = authority.issue(key.public_key(), "localhost", hosts=["localhost"])
        (files / "key.pem").write_bytes(certificates.key_to_pem(key))
        (files / "crt.pem").write_text(certificates.to_pem(leaf))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(files / "crt.pem", files / "key.pem")
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.got: list[bytes] = []
        self.rude = False
        self.connections = 0

    @contextmanager
    def serving(self) -> Iterator[Server]:
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        yield self
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                with self.context.wrap_socket(line, server_side=True) as secured:
                    self._read(secured)
            except OSError:
                continue

    def _read(self, secured: ssl.SSLSocket) -> None:
        data = b""
        while part := secured.recv(65536):
            data += part
        if self.rude:
            return
        while data:
            length, _, data = data.partition(b" ")
            self.got.append(data[: int(length)])
            data = data[int(length) :]
        secured.unwrap()


@pytest.fixture
def site(tmp_path: Path) -> tuple[Path, Authority]:
    authority = Authority.create("test CA")
    (tmp_path / "ca.pem").write_text(authority.pem)
    return tmp_path, authority


def spool(folder: Path, port: int) -> Spool:
    return Spool(folder / "audit", SOURCE, Repository("localhost", port, str(folder / "ca.pem")))


def users(got: list[bytes]) -> list[str]:
    """Check each message's header and body, and return who stands in them."""
    found = []
    for one in got:
        head = HEAD.fullmatch(one)
        assert head, one
        body = etree.fromstring(head[1])
        assert SCHEMA.validate(body), SCHEMA.error_log
        found.append(body.find("ActiveParticipant").get("UserID"))
    return found


@pytest.mark.requirement("AUD-06")
def test_a_repository_that_is_down_for_an_hour_loses_none(site: tuple[Path, Authority]) -> None:
    folder, authority = site
    moment = [datetime(2026, 11, 30, 23, 30, tzinfo=UTC)]
    trail = Trail(folder / "audit", "web", lambda: moment[0])
    server = Server(folder, authority)
    with server.serving():
        trail.note("sign-in", user="0")
        assert spool(folder, server.port).send() == 1
    for minute in range(1, 61):  # a month ends meanwhile, and with it the file
        moment[0] += timedelta(minutes=1)
        trail.note("sign-in", user=str(minute))
        if minute % 20 == 0:
            with pytest.raises(AuditRepositoryAway):
                spool(folder, server.port).send()
    trail.close()  # and both are started again
    trail = Trail(folder / "audit", "web", lambda: moment[0])
    again = Server(folder, authority, server.port)
    with again.serving():
        waiting = spool(folder, server.port)
        assert waiting.waiting() == 61  # one of them says that the next file was begun
        assert waiting.send() == 61
        trail.note("sign-in", user="61")
        assert spool(folder, server.port).send() == 1
    trail.close()
    came = [one for one in users(server.got + again.got) if not one.startswith("todoke")]
    assert came == [str(minute) for minute in range(62)]


@pytest.mark.requirement("AUD-06")
def test_a_repository_that_breaks_off_gets_it_again(site: tuple[Path, Authority]) -> None:
    folder, authority = site
    trail = Trail(folder / "audit", "web")
    for number in range(3):
        trail.note("sign-in", user=str(number))
    trail.close()
    server = Server(folder, authority)
    with server.serving():
        server.rude = True
        with pytest.raises(AuditRepositoryAway):
            spool(folder, server.port).send()
        server.rude = False
        assert spool(folder, server.port).send() == 3
        assert spool(folder, server.port).send() == 0
    assert users(server.got) == ["0", "1", "2"]


@pytest.mark.requirement("AUD-06")
def test_nothing_is_said_to_who_is_not_the_repository(site: tuple[Path, Authority]) -> None:
    folder, _ = site
    trail = Trail(folder / "audit", "web")
    trail.note("sign-in", user="0")
    trail.close()
    server = Server(folder, Authority.create("another CA"))
    with server.serving(), pytest.raises(AuditRepositoryAway):
        spool(folder, server.port).send()
    assert (server.connections, server.got) == (1, [])


def test_a_repository_needs_its_authority() -> None:
    assert Repository.of("", "") is None
    found = Repository.of("log.example", "/ca.pem")
    assert found is not None
    assert (found.host, found.port) == ("log.example", syslog.PORT)
    with pytest.raises(SettingsError):
        Repository.of("log.example:6514", "")
