"""Attacks on the second factor and on sessions, at the viewer's own door (ROBUSTNESS 80, 81)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pyotp
import pytest

from common.web.accounts import Accounts
from common.web.peer import Listener
from receiver.web_app import viewer_app
from tests.receiver.authenticator import Authenticator
from tests.receiver.filled import PASSWORD, USER, Filled

FAILED = (401, "E-5001")
pytestmark = pytest.mark.slow  # two seconds each; one of their kind in test_people.py is not


@dataclass
class Door:
    """A viewer's door, opened by host name as passkeys want it."""

    url: str
    filled: Filled
    told: list[dict[str, Any]]

    @contextmanager
    def page(self, name: str = USER) -> Iterator[httpx.Client]:
        """A browser that has given name and password."""
        with httpx.Client(base_url=self.url, headers={"X-Todoke": "1"}) as page:
            said = page.post("/api/sign-in", json={"name": name, "password": PASSWORD})
            assert said.status_code == 200, said.text
            yield page

    def totp(self) -> str:
        """Enrol codes; gives their secret."""
        with self.page() as page:
            secret = str(page.post("/api/account/totp", json={}).json()["secret"])
            code = pyotp.TOTP(secret).now()
            page.post("/api/account/totp/confirm", json={"code": code}).raise_for_status()
            page.post("/api/account/enrolled").raise_for_status()
        return secret

    def passkey(self) -> Authenticator:
        """Enrol a passkey."""
        made = Authenticator(self.url)
        with self.page() as page:
            options = page.post("/api/account/passkey/options", json={}).json()
            words = {"credential": made.create(options), "label": "鍵"}
            page.post("/api/account/passkey", json=words).raise_for_status()
            page.post("/api/account/enrolled").raise_for_status()
        return made


@pytest.fixture
def door(filled: Filled) -> Iterator[Door]:
    told: list[dict[str, Any]] = []
    services = replace(
        filled.services(),
        second_factor=True,
        note=lambda event, **facts: told.append({"event": event, **facts}),
    )
    with Listener(viewer_app(services), "127.0.0.1", 0, grace=1).in_thread() as (_, port):
        yield Door(f"http://localhost:{port}", filled, told)


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json()["error"]["number"])


@pytest.mark.requirement("AUT-02", "AUT-07")
@pytest.mark.badinput(81, "TOTP replay")
@pytest.mark.badinput(81, "TOTP skew")
def test_a_code_is_good_once_and_only_around_now(door: Door) -> None:
    codes = pyotp.TOTP(door.totp())
    now = int(time.time())
    with door.page() as page:
        # what enrolled is used up; the others are further from now than this test takes
        for steps in (0, -3, 4, -2880):
            answer = page.post("/api/sign-in/totp", json={"code": codes.at(now + 30 * steps)})
            assert said(answer) == FAILED, steps
        fresh = codes.at(now + 30)  # of a phone whose clock is half a minute ahead
        assert page.post("/api/sign-in/totp", json={"code": fresh}).status_code == 200
    with door.page() as page:
        again = page.post("/api/sign-in/totp", json={"code": fresh})
        assert said(again) == FAILED, "seen over the shoulder"
        full_width = fresh.translate({ord(str(n)): chr(0xFF10 + n) for n in range(10)})
        for same in (f" {fresh[:3]} {fresh[3:]}", full_width):
            assert said(page.post("/api/sign-in/totp", json={"code": same})) == FAILED
        assert page.get("/api/worklist").status_code == 401


@pytest.mark.requirement("AUT-02", "AUT-07")
@pytest.mark.badinput(81, "TOTP brute force")
def test_codes_are_not_guessed(door: Door) -> None:
    """Counted for the person: neither new sessions nor other factors give more guesses."""
    codes, tried, sessions = pyotp.TOTP(door.totp()), 0, 0
    words = {"name": USER, "password": PASSWORD}
    with httpx.Client(base_url=door.url, headers={"X-Todoke": "1"}) as page:
        while page.post("/api/sign-in", json=words).status_code == 200:
            sessions += 1
            for number in range(2):  # two of each session, so that none is ended for it
                kind = ("totp", "recovery")[number]
                wrong = page.post(f"/api/sign-in/{kind}", json={"code": f"{tried:06}"})
                assert said(wrong)[0] == 401
                tried += 1
            assert sessions < 10, "guessing goes on"
        assert tried <= 6
        right = {"code": codes.at(int(time.time()) + 30)}
        assert page.post("/api/sign-in/totp", json=right).status_code == 401
        assert said(page.post("/api/sign-in", json=words)) == FAILED
    assert [one for one in door.told if one.get("what") == "lockout"]
    other = Accounts(door.filled.index)
    other.add("mori", PASSWORD)
    with door.page("mori") as page:
        assert page.get("/api/session").status_code == 200, "nobody else waits for it"


@pytest.mark.requirement("AUT-02")
@pytest.mark.badinput(81, "passkey wrong origin")
@pytest.mark.badinput(81, "passkey wrong RP")
def test_what_a_passkey_signed_for_another_page_is_worth_nothing(door: Door) -> None:
    key = door.passkey()
    port = door.url.rpartition(":")[2]
    bent: list[dict[str, Any]] = [
        {"origin": "https://evil.example"},
        {"origin": f"http://localhost.evil.example:{port}"},
        {"origin": f"https://localhost:{port}"},
        {"origin": f"http://localhost:{int(port) + 1}"},
        {"rp_id": "evil.example"},
        {"rp_id": ""},
        {"flags": 0x01},  # present, but whose finger it is was not asked
        {"flags": 0x04},
        {"key": Authenticator(door.url).key},
        {"id": b"somebody else's"},
    ]
    answers = set()
    for change in bent:
        with door.page() as page:
            answer = sign(page, replace(key, **change))
            answers.add((answer.status_code, answer.text))
            assert page.get("/api/worklist").status_code == 401, change
            key.counter += 1
            assert sign(page, key).status_code == 200, "the same passkey, as it should"
    ((status, _),) = answers
    assert status == 401


@pytest.mark.requirement("AUT-02")
@pytest.mark.badinput(81, "passkey wrong origin")
@pytest.mark.badinput(81, "passkey wrong RP")
def test_no_passkey_is_enrolled_for_another_page(door: Door) -> None:
    bent: list[dict[str, Any]] = [{"origin": "https://evil.example"}, {"rp_id": "evil.example"}]
    for change in (*bent, {"flags": 0x01}):
        with door.page() as page:
            options = page.post("/api/account/passkey/options", json={}).json()
            made = replace(Authenticator(door.url), **change).create(options)
            answer = page.post("/api/account/passkey", json={"credential": made})
            assert said(answer) == (409, "E-1314"), change
    assert not Accounts(door.filled.index).factors.of(USER)


@pytest.mark.requirement("AUT-02")
@pytest.mark.badinput(81, "passkey sign count back")
def test_a_copy_of_a_passkey_is_noticed(door: Door) -> None:
    key = door.passkey()
    key.counter = 9
    with door.page() as page:
        assert sign(page, key).status_code == 200
    for back in (9, 8, 1, 0):
        with door.page() as page:
            assert said(sign(page, replace(key, counter=back))) == FAILED, back
    key.counter = 10
    with door.page() as page:
        options = page.post("/api/sign-in/passkey/options").json()
        words = {"credential": key.sign(options)}
        assert page.post("/api/sign-in/passkey", json=words).status_code == 200
        assert said(page.post("/api/sign-in/passkey", json=words))[0] in {401, 403}
    with door.page() as page:  # the same answer to another question
        page.post("/api/sign-in/passkey/options").raise_for_status()
        assert said(page.post("/api/sign-in/passkey", json=words)) == FAILED


@pytest.mark.requirement("AUT-03", "AUT-04")
@pytest.mark.badinput(80, "replay after role change")
def test_a_cookie_is_worth_nothing_after_the_role_was_changed(filled: Filled) -> None:
    """Set by the administrator's page; another role must not go on with the images of before."""
    Accounts(filled.index).add("kanri", PASSWORD, role="administrator")
    words = {"name": USER, "password": PASSWORD}
    with (
        filled.serve() as url,
        httpx.Client(base_url=url, headers={"X-Todoke": "1"}) as reader,
        httpx.Client(base_url=url, headers={"X-Todoke": "1"}) as page,
    ):
        page.post("/api/sign-in", json={**words, "name": "kanri"}).raise_for_status()
        for role in ("auditor", "reader"):
            reader.post("/api/sign-in", json=words).raise_for_status()
            stolen = dict(reader.cookies)
            changed = page.post(f"/api/people/{USER}/role", json={"role": role})
            assert changed.status_code == 204
            for path in ("/api/session", "/api/worklist", "/dicomweb/studies", "/api/audit/events"):
                with httpx.Client(base_url=url, cookies=stolen) as thief:
                    assert said(thief.get(path)) == (401, "E-5002"), path


def sign(page: httpx.Client, key: Authenticator) -> httpx.Response:
    """Let a passkey sign what the door asks now."""
    options = page.post("/api/sign-in/passkey/options").json()
    return page.post("/api/sign-in/passkey", json={"credential": key.sign(options)})
