"""Writes from other sites, sessions that are over, guesses, and claims about who asks."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from common.errors import NotSignedIn, SignInFailed
from common.web.accounts import IDLE_SECONDS, Accounts
from tests.hostile.standing import (
    PASSWORD,
    READER,
    SENDER_CODE,
    Standing,
    error_of,
    status_of,
)
from tests.receiver.filled import Filled
from tests.system.ends import must

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
FORBIDDEN = (403, "E-5003")
NOBODY = (401, "E-5002")
FAILED = (401, "E-5001")


def opened(page: httpx.Client) -> str:
    """Return the address of a write, one that a study's page makes."""
    (row, *_) = page.get("/api/worklist").json()["rows"]
    return f"/api/studies/{row['key']}/opened"


@pytest.mark.requirement("AUT-01")
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"X-Todoke": ""}, marks=pytest.mark.badinput(79, "POST without token")),
        pytest.param(
            {"Origin": "https://evil.example"},
            marks=pytest.mark.badinput(79, "POST with another Origin"),
        ),
        pytest.param({"Origin": "null"}, marks=pytest.mark.badinput(79, "POST with Origin null")),
        pytest.param(
            {"X-Todoke": "", "Content-Type": "application/x-www-form-urlencoded"},
            marks=pytest.mark.badinput(79, "form POST from another site"),
        ),
        pytest.param(
            {"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"},
            marks=pytest.mark.badinput(79, "form POST from another site"),
        ),
    ],
)
def test_a_write_from_elsewhere_is_refused(standing: Standing, headers: dict[str, str]) -> None:
    with standing.page() as page:
        before = page.get("/api/worklist").json()["rows"]
        for path in (opened(page), "/api/sign-out"):
            answer = page.post(path, headers=headers)
            assert (answer.status_code, error_of(answer)) == FORBIDDEN
        assert page.get("/api/worklist").json()["rows"] == before


@pytest.mark.badinput(79, "sign-in from another site")
def test_nobody_is_signed_in_from_another_site(standing: Standing) -> None:
    """Else a reader could be signed in as somebody else without noticing."""
    with standing.page(signed_in=False) as page:
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
            words = {"name": READER, "password": PASSWORD}
            answer = page.post("/api/sign-in", json=words, headers=headers)
            assert (answer.status_code, error_of(answer)) == FORBIDDEN
            assert "set-cookie" not in answer.headers


@pytest.mark.badinput(79, "GET that writes")
def test_no_get_writes(standing: Standing) -> None:
    with standing.page() as page:
        before = page.get("/api/worklist").json()["rows"]
        for path in (opened(page), "/api/sign-out", "/api/sign-in"):
            assert page.get(path).status_code == 404
            assert page.head(path).status_code in {404, 405}
            override = {"X-HTTP-Method-Override": "POST"}
            assert page.get(path, headers=override).status_code == 404
            assert page.get(f"{path}?_method=POST").status_code == 404
        assert page.get("/api/worklist").json()["rows"] == before
        assert page.get("/api/session").status_code == 200


@pytest.mark.requirement("AUT-03")
@pytest.mark.badinput(80, "session fixation")
@pytest.mark.badinput(80, "cookie from before sign-in")
@pytest.mark.badinput(80, "forged cookie")
def test_a_session_is_made_at_sign_in_and_only_there(standing: Standing) -> None:
    with standing.page(signed_in=False) as page:
        for chosen in ("chosen-by-an-attacker", "", "' or 1=1", "0" * 43, "é"):
            fixed = {b"Cookie": f"todoke_session={chosen}".encode()}
            answer = page.get("/api/session", headers=fixed)
            assert (answer.status_code, error_of(answer)) == NOBODY
        words = {"name": READER, "password": PASSWORD}
        page.cookies.set("todoke_session", "chosen-by-an-attacker", domain="localhost.local")
        assert page.post("/api/sign-in", json=words).status_code == 200
        given = {cookie.value for cookie in page.cookies.jar} - {"chosen-by-an-attacker"}
        assert len(given) == 1
        fixed = {b"Cookie": b"todoke_session=chosen-by-an-attacker"}
        assert page.get("/api/session", headers=fixed).status_code == 401
        kept = {b"Cookie": f"todoke_session={given.pop()}".encode()}
        assert page.post("/api/sign-in", json=words, headers=kept).status_code == 200
        assert page.get("/api/session", headers=kept).status_code == 401, "one before sign-in"


@pytest.mark.requirement("AUT-03")
@pytest.mark.badinput(80, "replay after sign-out")
def test_a_cookie_is_worth_nothing_after_sign_out(standing: Standing) -> None:
    with standing.page() as page:
        stolen = dict(page.cookies)
        assert page.post("/api/sign-out").status_code == 204
        page.cookies.update(stolen)
        answer = page.get("/api/worklist")
        assert (answer.status_code, error_of(answer)) == NOBODY


@pytest.mark.requirement("AUT-03")
@pytest.mark.badinput(80, "replay after password change")
def test_a_cookie_is_worth_nothing_after_the_password_was_changed(standing: Standing) -> None:
    data = ("--password-stdin", "--data", standing.ends.receiver)
    must("receiver", "user", "add", "mori", *data, stdin="Rainy-Season-2026\n")
    with standing.page(signed_in=False) as page:
        words = {"name": "mori", "password": "Rainy-Season-2026"}
        assert page.post("/api/sign-in", json=words).status_code == 200
        assert page.get("/api/worklist").status_code == 200
        must("receiver", "user", "password", "mori", *data, stdin="Other-Season-2026\n")
        answer = page.get("/api/worklist")
        assert (answer.status_code, error_of(answer)) == NOBODY
        old = page.post("/api/sign-in", json=words)
        assert (old.status_code, error_of(old)) == FAILED
        must("receiver", "user", "disable", "mori", "--data", standing.ends.receiver)


@pytest.mark.requirement("AUT-03", "AUT-07")
@pytest.mark.badinput(81, "10k guesses")
def test_guessing_is_stopped_and_stops_nobody_else(standing: Standing, tmp_path: Path) -> None:
    """Over the wire some hundred guesses from one address; the rest at the same counters."""
    with standing.page(signed_in=False, address="127.0.0.81") as page:
        for number in range(150):
            words = {"name": READER, "password": f"Guess-{number:05}-abc"}
            answer = page.post("/api/sign-in", json=words)
            assert (answer.status_code, error_of(answer)) == FAILED
        right = page.post("/api/sign-in", json={"name": READER, "password": PASSWORD})
        assert (right.status_code, error_of(right)) == FAILED, "even the right one, from there"
    with standing.page() as page:  # and from here at once
        assert page.get("/api/session").status_code == 200
    filled = Filled(tmp_path / "filled")
    filled.user(READER, PASSWORD)
    door = Accounts(filled.index)
    for number in range(10_000):
        with pytest.raises(SignInFailed):
            door.sign_in(READER if number % 2 else f"name{number}", "wrong", "10.0.0.1")
    assert len(door._by_name._times) < 100, "what is refused unread is not even counted"
    door.sign_in(READER, PASSWORD, "10.0.0.2")
    filled.close()


@pytest.mark.requirement("AUT-07")
@pytest.mark.badinput(81, "user enumeration by words")
@pytest.mark.badinput(81, "password of 1 MB")
def test_one_message_whatever_was_wrong(standing: Standing) -> None:
    answers = set()
    tries = ((READER, "wrong"), ("nobody", PASSWORD), (f"{READER}\0", PASSWORD), ("ｎ", ""))
    with standing.page(signed_in=False, address="127.0.0.82") as page:
        for name, password in tries:
            answer = page.post("/api/sign-in", json={"name": name, "password": password})
            answers.add((answer.status_code, answer.text))
        long = page.post("/api/sign-in", json={"name": READER, "password": "x" * (1 << 20)})
        assert (long.status_code, error_of(long)) == (400, "E-1001")
    assert {status for status, _ in answers} == {401}
    assert len(answers) == 1


@pytest.mark.badinput(82, "Host of another site")
@pytest.mark.badinput(82, "X-Forwarded-Proto and Host")
def test_no_address_is_made_from_what_a_header_claims(standing: Standing) -> None:
    """A name that is not ours is refused: a page elsewhere can point its name here (rebinding)."""
    study = standing.studies[SENDER_CODE]
    with standing.page() as page:
        for host in ("evil.example", "evil.example:8080", "localhost.evil.example", "a b", ""):
            for path in ("/", "/api/session", f"/dicomweb/studies/{study}/metadata"):
                answer = page.get(path, headers={"Host": host})
                assert answer.status_code in {400, 421}, (host, path)
                assert "evil" not in answer.text
        claimed = {
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "evil.example",
            "Forwarded": "host=evil.example;proto=https",
        }
        answer = page.get(f"/dicomweb/studies/{study}/metadata", headers=claimed)
        assert answer.status_code == 200
        assert "evil" not in answer.text
        assert "https://" not in answer.text
        assert standing.logged("E-2040") >= 1


@pytest.mark.requirement("AUT-03")
@pytest.mark.badinput(82, "X-Forwarded-For")
def test_guesses_count_where_they_come_from(standing: Standing) -> None:
    with standing.page(signed_in=False, address="127.0.0.83") as page:
        for number in range(6):
            claimed = {
                "X-Forwarded-For": f"192.0.2.{number}",
                "Forwarded": f"for=192.0.2.{number}",
                "X-Real-IP": f"192.0.2.{number}",
            }
            words = {"name": READER, "password": "wrong"}
            assert page.post("/api/sign-in", json=words, headers=claimed).status_code == 401
        words = {"name": READER, "password": PASSWORD}
        answer = page.post("/api/sign-in", json=words, headers={"X-Forwarded-For": "192.0.2.77"})
        assert (answer.status_code, error_of(answer)) == FAILED


@pytest.mark.badinput(82, "PROXY line")
def test_a_proxy_line_is_no_request(standing: Standing) -> None:
    for line in (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"):
        for door in ("viewer", "link"):
            answer = standing.exchange(door, line + b"GET /api/session HTTP/1.1\r\nHost: a\r\n\r\n")
            assert status_of(answer) in {0, 400}


@pytest.mark.requirement("AUT-02")
@pytest.mark.badinput(82, "client certificate in a header")
def test_no_header_stands_in_for_a_certificate(standing: Standing) -> None:
    with standing.side.client(standing.ends.ports["link"]) as ours:
        partner = ours.get("/hello").json()["partner"]
    claimed = {
        "X-SSL-Client-Cert": standing.side.partner.credentials.chain.read_text().replace("\n", ""),
        "X-Client-Verify": "SUCCESS",
        "Client-Cert": ":AAAA:",
    }
    with standing.other.client(standing.ends.ports["link"]) as stranger:
        assert stranger.get("/hello", headers=claimed).json()["partner"] != partner
    with standing.page(signed_in=False) as page:
        assert page.get("/api/session", headers=claimed).status_code == 401


@pytest.mark.badinput(96, "receiver's clock back 1 h")
@pytest.mark.badinput(96, "receiver's clock forward 1 y")
def test_a_clock_that_jumps_keeps_no_session_alive(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "filled")
    filled.user(READER, PASSWORD)
    now = [1_800_000_000.0]
    door = Accounts(filled.index, lambda: now[0])
    for jump in (-3600.0, 365 * 86400.0):
        _, number = door.sign_in(READER, PASSWORD)
        door.session(number)
        now[0] += jump
        with pytest.raises(NotSignedIn):
            door.session(number)
        _, number = door.sign_in(READER, PASSWORD)  # and a new one holds as long as ever
        now[0] += IDLE_SECONDS - 1
        door.session(number)
    filled.close()
