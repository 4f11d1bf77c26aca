"""Bent paths, headers made of data, redirects, what could be made to dial out, storms, the log."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydicom import Dataset, dcmread

from common.refusals import KINDS
from tests.hostile.standing import SENDER_CODE, Standing, error_of, soon, status_of
from tests.system.ends import must
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


@pytest.fixture
def page(standing: Standing) -> Iterator[httpx.Client]:
    with standing.page() as made:
        yield made


def asked(standing: Standing, target: str, *headers: str) -> bytes:
    """GET a target as it is written, without a session."""
    head = (f"GET {target} HTTP/1.1", "Host: localhost", "Connection: close", *headers)
    return standing.exchange("viewer", "\r\n".join(head).encode() + b"\r\n\r\n")


# -- paths (83), headers (84), redirects (85) ------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("//api/worklist", marks=pytest.mark.badinput(83, "//")),
        pytest.param("/api//worklist", marks=pytest.mark.badinput(83, "//")),
        pytest.param("/assets/..;/..;/api/worklist", marks=pytest.mark.badinput(83, "..;/")),
        pytest.param("/api/..;/worklist", marks=pytest.mark.badinput(83, "..;/")),
        pytest.param("/api/worklist%00.js", marks=pytest.mark.badinput(83, "%00")),
        pytest.param("/assets/%00", marks=pytest.mark.badinput(83, "%00")),
        pytest.param(
            "/assets/%252e%252e/%252e%252e/receiver.toml", marks=pytest.mark.badinput(83, "%252e")
        ),
        pytest.param(
            "/assets/%c0%ae%c0%ae/%c0%ae%c0%ae/receiver.toml",
            marks=pytest.mark.badinput(83, "UTF-8 overlong"),
        ),
        pytest.param(
            "/assets/%2e%2e/%2e%2e/web_app.py",
            marks=pytest.mark.badinput(83, "%2e%2e out of the pages"),
        ),
        pytest.param(
            "/..%2f..%2fweb_app.py", marks=pytest.mark.badinput(83, "%2e%2e out of the pages")
        ),
        pytest.param(
            "/assets/..%5c..%5cweb_app.py",
            marks=pytest.mark.badinput(83, "%2e%2e out of the pages"),
        ),
    ],
)
def test_a_bent_path_leads_nowhere(standing: Standing, target: str) -> None:
    """Not to data without a session, nor out of the pages: at most to the page itself."""
    answer = asked(standing, target)
    index = asked(standing, "/").partition(b"\r\n\r\n")[2]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status_of(answer) in {400, 401, 404} or body == index, answer[:300]
    assert b"rows" not in body or body == index
    for secret in (b"dicom_port", b"Starlette(", standing.studies[SENDER_CODE].encode()):
        assert secret not in body
    assert b"set-cookie" not in head.lower()


@pytest.fixture(scope="module")
def crlf(receiver: Standing, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A study whose file and patient have line ends in their names; its Study Instance UID."""
    folder = Path(tmp_path_factory.mktemp("crlf"))
    (file,) = write_series(folder / "ct", 902, slices=1)
    ds: Dataset = dcmread(file)
    ds.PatientID = "7\r\nSet-Cookie: a=b"
    ds.PatientName = "NAGAI\r\n2026-11-26 00:00:00,000 todoke.audit forged"
    ds.save_as(file.with_name("x\r\nSet-Cookie: a=b.dcm"), enforce_file_format=True)
    file.unlink()
    (transfer,) = must("sender", "send", folder / "ct", "--data", receiver.side.data)["transfers"]
    assert transfer["state"] == "receipted"
    return str(transfer["study_uid"])


@pytest.mark.badinput(84, "CRLF in a file name")
@pytest.mark.badinput(84, "CRLF in PatientID")
def test_no_header_is_made_of_data(crlf: str, page: httpx.Client) -> None:
    (one,) = page.get(f"/dicomweb/studies/{crlf}/instances").json()
    series, instance = one["0020000E"]["Value"][0], one["00080018"]["Value"][0]
    root = f"/dicomweb/studies/{crlf}/series/{series}/instances/{instance}"
    accept = {"Accept": "application/dicom"}
    for path in (root, f"{root}/metadata", f"{root}/frames/1", f"{root}/rendered"):
        answer = page.get(path, headers=accept if path == root else {})
        assert answer.status_code == 200, path
        assert "set-cookie" not in answer.headers
        assert "a=b" not in str(answer.headers)
    name = page.get(root, headers=accept).headers["content-disposition"]
    assert name.isprintable()
    assert name.startswith('attachment; filename="')


@pytest.mark.badinput(88, "newline in PatientName")
def test_a_name_with_line_ends_writes_no_line(receiver: Standing, crlf: str) -> None:
    del crlf  # it was sent and received
    sender = (
        (receiver.folder / "sender.log").read_text()
        if (receiver.folder / "sender.log").exists()
        else ""
    )
    for log in (receiver.log(), sender):
        assert "forged" not in log
        assert "NAGAI" not in log
    trail = (receiver.ends.receiver / "audit" / "web.jsonl").read_text("utf-8")
    assert "NAGAI" not in trail


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(
            "/dicomweb/studies/%0d%0aSet-Cookie:%20a=b/metadata",
            marks=pytest.mark.badinput(84, "CRLF in the address"),
        ),
        pytest.param(
            "/%0d%0aLocation:%20//evil.example",
            marks=[
                pytest.mark.badinput(84, "CRLF in the address"),
                pytest.mark.badinput(85, "next=//evil"),
            ],
        ),
        pytest.param("/?next=//evil.example", marks=pytest.mark.badinput(85, "next=//evil")),
        pytest.param("//evil.example/", marks=pytest.mark.badinput(85, "next=//evil")),
        pytest.param(
            "/sign-in?next=https://evil.example",
            marks=pytest.mark.badinput(85, "next=https://evil"),
        ),
        pytest.param("/?next=/%5Cevil.example", marks=pytest.mark.badinput(85, "next=/\\evil")),
        pytest.param(
            "/?next=javascript:alert(1)", marks=pytest.mark.badinput(85, "next=javascript:")
        ),
        pytest.param("/api/worklist/", marks=pytest.mark.badinput(85, "next=//evil")),
    ],
)
def test_nobody_is_sent_elsewhere(standing: Standing, target: str) -> None:
    answer = asked(standing, target)
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert status_of(answer) in {200, 401, 404}, answer[:300]
    assert b"location:" not in head
    assert b"set-cookie" not in head
    assert b"evil" not in answer


# -- what could be made to dial (78) ----------------------------------------------


class Trap:
    """A listener that nobody may dial; an HTTP door that redirects there too."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.port = int(self.listener.getsockname()[1])

    def sprung(self) -> bool:
        """Whether somebody dialled."""
        with contextlib.suppress(BlockingIOError):
            self.listener.accept()[0].close()
            return True
        return False


@pytest.fixture
def trap() -> Iterator[Trap]:
    made = Trap()
    yield made
    made.listener.close()


@pytest.mark.parametrize(
    "address",
    [
        pytest.param(
            "http://169.254.169.254/latest/meta-data/",
            marks=pytest.mark.badinput(78, "url parameter to 169.254.169.254"),
        ),
        pytest.param(
            "file:///etc/passwd", marks=pytest.mark.badinput(78, "url parameter to file://")
        ),
        pytest.param(
            "http://localhost:{port}/", marks=pytest.mark.badinput(78, "url parameter to localhost")
        ),
        pytest.param(
            "http://127.0.0.1:{port}/?to=http://169.254.169.254/",
            marks=pytest.mark.badinput(78, "address that redirects"),
        ),
        pytest.param(
            "http://rebind.invalid:{port}/",
            marks=pytest.mark.badinput(78, "name that changes its address"),
        ),
    ],
)
def test_no_parameter_is_ever_fetched(
    standing: Standing, page: httpx.Client, trap: Trap, address: str
) -> None:
    """The fixture sees every connection that the receiver's processes dial: there is none."""
    there = address.format(port=trap.port)
    study = standing.studies[SENDER_CODE]
    for name in ("url", "BulkDataURI", "RetrieveURL", "manifest", "wadouri", "next", "redirect"):
        for path in ("/", "/dicomweb/studies", f"/dicomweb/studies/{study}/metadata"):
            answer = page.get(path, params={name: there})
            assert answer.status_code in {200, 400}, answer.text
            assert "root:" not in answer.text
        refused = page.post("/api/sign-out", headers={"X-Todoke": "", name: there})
        assert refused.status_code == 403
    with standing.side.client(standing.ends.ports["link"]) as peer:
        assert peer.get("/hello", params={"url": there}).status_code == 200
        assert peer.post("/transfers", params={"url": there}, content=there).status_code >= 400
    assert not trap.sprung()


@pytest.mark.badinput(78, "RetrieveURL in a data set")
def test_no_address_in_a_data_set_is_fetched(
    standing: Standing, page: httpx.Client, trap: Trap, tmp_path: Path
) -> None:
    (file,) = write_series(tmp_path / "ct", 903, slices=1)
    ds: Dataset = dcmread(file)
    there = f"http://127.0.0.1:{trap.port}/"
    ds.RetrieveURL = ds.RetrieveURI = there
    ds.PixelDataProviderURL = there
    ds.save_as(file, enforce_file_format=True)
    standing.arriving = 1
    (transfer,) = must("sender", "send", file, "--data", standing.side.data)["transfers"]
    assert transfer["state"] == "receipted"
    study = transfer["study_uid"]
    for path in ("metadata", "instances", "series", "rendered", "thumbnail"):
        assert page.get(f"/dicomweb/studies/{study}/{path}").status_code == 200
    (one,) = page.get(f"/dicomweb/studies/{study}/metadata").json()
    assert there not in one["7FE00010"]["BulkDataURI"]
    assert not trap.sprung()


# -- other sites (86), storms (87) ------------------------------------------------


@pytest.mark.badinput(86, "cross-origin WebSocket")
def test_no_web_socket_is_opened(standing: Standing) -> None:
    upgrade = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Origin: https://evil.example",
    )
    for target in ("/api/events", "/api/worklist", "/"):
        head = (f"GET {target} HTTP/1.1", "Host: localhost", *upgrade)
        answer = standing.exchange("viewer", "\r\n".join(head).encode() + b"\r\n\r\n")
        assert status_of(answer) in {200, 400, 401, 403}, answer[:200]
        assert b"sec-websocket-accept" not in answer.lower()


@pytest.mark.badinput(86, "cross-origin event stream")
def test_no_other_site_reads_with_a_readers_cookie(page: httpx.Client) -> None:
    for site in ("cross-site", "same-site"):
        elsewhere = {"Sec-Fetch-Site": site, "Origin": "https://evil.example"}
        for path in ("/api/events", "/api/worklist", "/dicomweb/studies"):
            answer = page.get(path, headers=elsewhere)
            assert (answer.status_code, error_of(answer)) == (403, "E-5003")
            assert "access-control-allow-origin" not in answer.headers
    preflight = page.options(
        "/api/worklist",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Headers": "x-todoke"},
    )
    assert preflight.status_code in {403, 405}
    assert "access-control-allow-origin" not in preflight.headers


@pytest.mark.badinput(87, "storm of requests")
def test_a_storm_of_requests_keeps_nobody_waiting(standing: Standing) -> None:
    """Ten connections with 500 pipelined requests each, while the fixture's good peers ask."""
    one = b"GET /api/worklist HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.ExitStack() as held:
        lines = [held.enter_context(standing.connection("viewer")) for _ in range(10)]
        for line in lines:
            line.sendall(one * 500)
        for line in lines:
            seen = 0
            while seen < 500:
                piece = line.recv(1 << 16)
                assert piece, f"closed after {seen}"
                seen += piece.count(b"HTTP/1.1 401")


@pytest.mark.badinput(87, "slow read of a big answer")
def test_answers_that_nobody_reads_hold_no_memory(standing: Standing, tmp_path: Path) -> None:
    write_series(tmp_path / "big", 904, slices=2, side=2048)
    standing.arriving = 2
    (sent,) = must("sender", "send", tmp_path / "big", "--data", standing.side.data)["transfers"]
    with standing.page() as page, contextlib.ExitStack() as held:
        cookie = f"todoke_session={page.cookies['todoke_session']}"
        head = (
            f"GET /dicomweb/studies/{sent['study_uid']} HTTP/1.1",
            "Host: localhost",
            f"Cookie: {cookie}",
        )
        for _ in range(40):  # 40 times 16 MB, of which each reads the first bytes
            line = held.enter_context(standing.connection("viewer"))
            line.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
            assert line.recv(100).startswith(b"HTTP/1.1 200")
        for _ in range(5):
            assert page.get("/api/worklist").status_code == 200


@pytest.mark.badinput(87, "many event streams")
def test_many_event_streams_keep_nobody_waiting(standing: Standing) -> None:
    with standing.page() as page, contextlib.ExitStack() as held:
        cookie = f"todoke_session={page.cookies['todoke_session']}"
        head = ("GET /api/events HTTP/1.1", "Host: localhost", f"Cookie: {cookie}")
        for _ in range(150):
            line = held.enter_context(standing.connection("viewer"))
            line.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
            assert line.recv(100).startswith(b"HTTP/1.1 200")
        assert page.get("/api/worklist").status_code == 200


# -- the log (88) -----------------------------------------------------------------


def associate(calling: bytes) -> bytes:
    """An A-ASSOCIATE-RQ with any bytes as calling AE title (PS3.8 section 9.3.2)."""

    def item(kind: int, body: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(body)) + body

    context = item(
        0x20,
        b"\x01\0\0\0" + item(0x30, b"1.2.840.10008.1.1") + item(0x40, b"1.2.840.10008.1.2"),
    )
    user = item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3"))
    body = (
        struct.pack(">H2x", 1)
        + b"TODOKE".ljust(16)
        + calling.ljust(16)[:16]
        + bytes(32)
        + item(0x10, b"1.2.840.10008.3.1.1.1")
        + context
        + user
    )
    return struct.pack(">BxI", 1, len(body)) + body


@pytest.mark.badinput(88, "newline in AE title")
def test_an_ae_title_writes_no_line_of_its_own(standing: Standing) -> None:
    titles = (b"A\r\n2026 forged", b"A\x1b[2J\x9b31m", b"A\xe2\x80\xa8forged")
    for number, title in enumerate(titles, 80):
        # from an address each: what one repeats is counted, and written a minute later
        answer = standing.exchange("dicom", associate(title), f"127.0.0.{number}")
        assert answer[:1] in {b"\x03", b"\x07"}, "rejected or aborted"
    soon(lambda: standing.logged("security-alert") >= 3, "each is in the log")
    lines = standing.log(standing.log_from).splitlines()  # ends at what any reader takes for one
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:", line) for line in lines)
    assert sum("security-alert" in line for line in lines) == 3
    trail = standing.ends.receiver / "audit" / "dicom.jsonl"
    alerts = [json.loads(line) for line in trail.read_text("utf-8").split("\n") if line]
    seen = [one["address"] for one in alerts if one["event"] == "security-alert"]
    assert [seen.count(f"127.0.0.{number}") for number in (80, 81, 82)] == [1, 1, 1]


@pytest.mark.badinput(88, "newline in the address")
def test_an_address_writes_no_line_of_its_own(standing: Standing) -> None:
    forged = "/link/v1/transfers/a%0a2026-11-26%2000:00:00,000%20todoke.audit%20forged%1b%5b2J"
    head = (f"GET {forged} HTTP/1.1", "Host: localhost", "Connection: close")
    answer = standing.exchange("link", "\r\n".join(head).encode() + b"\r\n\r\n")
    assert status_of(answer) == 404
    soon(lambda: standing.logged("GET state: NotFound E-1005") == 1, "it is in the log")
    assert standing.logged("forged") == 0, "and what it asked for is not"


@pytest.mark.badinput(88, "newline in a user name")
@pytest.mark.badinput(88, "terminal escape in a user name")
def test_a_user_name_writes_no_line_of_its_own(standing: Standing) -> None:
    with standing.page(signed_in=False, address="127.0.0.88") as page:
        for name in ("a\n2026-11-26 00:00:00,000 todoke.audit forged", "a\x1b[2J", "a\u2028b"):
            answer = page.post("/api/sign-in", json={"name": name, "password": "x"})
            assert (answer.status_code, error_of(answer)) == (401, "E-5001")
    assert standing.logged("forged") == 0 or "\\x0a" in standing.log(standing.log_from)


@pytest.mark.badinput(88, "Prometheus label explosion")
def test_what_strangers_choose_makes_no_endless_kinds(standing: Standing) -> None:
    """No page of metrics is served; what is counted by address and cause is bounded besides."""
    trail = standing.ends.receiver / "audit" / "web.jsonl"
    before = trail.stat().st_size
    for number in range(KINDS + 100):
        head = (f"GET /api/made-up-{number} HTTP/1.1", "Host: localhost", "Connection: close")
        address = f"127.0.{2 + number // 200}.{1 + number % 200}"
        answer = standing.exchange("viewer", "\r\n".join(head).encode() + b"\r\n\r\n", address)
        assert status_of(answer) == 401
    added = trail.read_bytes()[before:].decode("utf-8")
    lines = [json.loads(line) for line in added.splitlines()]
    alerts = [one for one in lines if one["event"] == "security-alert"]
    assert 0 < len(alerts) <= KINDS + 1
    assert "made-up" not in added, "and nothing of what they asked for is a name of anything"
    for path in ("/metrics", "/api/metrics", "/-/metrics", "/actuator/prometheus", "/debug/vars"):
        answer = asked(standing, path)
        assert b"# TYPE" not in answer
        assert b"_total" not in answer
