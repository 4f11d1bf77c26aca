"""Signing in through the hospital's own service."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp
import pytest
from joserfc import jwt

from common.errors import UsageError
from common.web import oidc, oidc_provider
from common.web.accounts import Accounts
from common.web.oidc import Relying, Unproved
from common.web.vouched import Vouched
from tests.receiver.filled import PASSWORD, USER, Filled
from tests.receiver.oidc_house import (
    FAILED,
    House,
    house,
    housed,
    provider,
    service,
)
from tests.receiver.provider import SECRET, Provider, ec_key

__all__ = ["house", "provider", "service"]


@pytest.mark.requirement("AUT-01", "AUT-02")
def test_who_the_service_knows_gets_in(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for chatty in ("uvicorn", "httpx", "httpcore"):  # as common.logs has it
        caplog.set_level(logging.WARNING, chatty)
    with house.page() as page:
        assert page.get("/api/sign-in/ways").json() == {"oidc": "病院のアカウント"}
        assert house.through(page) == "/"
        said = page.get("/api/session").json()
        assert (said["user"]["name"], said["user"]["display"]) == ("mori", "森医師")
        assert (said["stage"], said["user"]["role"]) == ("full", "reader")
        assert said["oidc"] == "病院のアカウント"
        assert page.get("/api/worklist").status_code == 200
        cookies = {cookie.name: cookie for cookie in page.cookies.jar}
        assert set(cookies) == {"todoke_session"}, "the other one was good once"
    (signed,) = house.events("sign-in", outcome="ok")
    assert (signed["user"], signed["factor"]) == ("mori", "oidc")
    assert house.events("account", what="added", of="mori", role="reader")
    (asked,) = [said for what, said in house.provider.asked if what == "authorize"]
    assert (asked["code_challenge_method"], asked["scope"]) == ("S256", "openid profile")
    (token,) = [said for what, said in house.provider.asked if what == "token"]
    for path in house.filled.data.glob("index.sqlite*"):
        content = path.read_bytes()
        for secret in (token["code"], token["code_verifier"], "at-u-1", SECRET, "eyJ"):
            assert secret.encode() not in content, "no token in what is kept"
            assert secret not in str(house.told) + str(house.refused)
    for secret in (token["code"], token["code_verifier"], "at-u-1", SECRET, "eyJ"):
        assert secret not in caplog.text
    with house.page() as page:  # and again: the same account, whatever they are called by now
        house.provider.person |= {"preferred_username": "yamamoto"}
        assert house.through(page) == "/"
        assert page.get("/api/session").json()["user"]["name"] == "mori"
    assert len(house.events("account", what="added")) == 1


@pytest.mark.slow
@pytest.mark.requirement("AUT-02")
def test_one_factor_there_asks_for_the_second_here(house: House) -> None:
    house.provider.person["amr"] = ["pwd"]
    with house.page() as page:
        assert house.through(page) == "/"
        said = page.get("/api/session").json()
        assert said["stage"] == "enrol"
        assert page.get("/api/worklist").status_code == 401
        secret = page.post("/api/account/totp", json={}).json()["secret"]
        code = pyotp.TOTP(secret).now()
        assert page.post("/api/account/totp/confirm", json={"code": code}).status_code == 200
        assert page.post("/api/account/enrolled").status_code == 200
        assert page.get("/api/worklist").status_code == 200
    with house.page() as page:
        house.through(page)
        assert page.get("/api/session").json()["stage"] == "second"
        for _ in range(5):
            assert page.post("/api/sign-in/totp", json={"code": "000000"}).status_code == 401
        assert house.through(page) == FAILED, "guessed too often: not by this way either"
    house.provider.person["amr"] = ["mfa"]
    assert not house.events("sign-in", outcome="ok", factor="oidc")


@pytest.mark.slow
@pytest.mark.requirement("AUT-04")
@pytest.mark.parametrize(
    ("said", "role"),
    [
        (["todoke-admin"], "administrator"),
        ("todoke-reader", "reader"),
        (["todoke-admin", "todoke-reader"], None),
        (["staff"], None),
        ([], None),
        (7, None),
        ({"todoke-reader": True}, None),
        (None, None),
    ],
)
def test_the_claim_gives_one_role_or_none(house: House, said: Any, role: str | None) -> None:
    house.provider.person["roles"] = said
    with house.page() as page:
        assert house.through(page) == ("/" if role else FAILED)
        answer = page.get("/api/session")
        if role:
            assert answer.json()["user"]["role"] == role
        else:
            assert answer.status_code == 401
            assert not [
                one for one in Accounts(house.filled.index).names() if one["name"] == "mori"
            ]


@pytest.mark.slow
@pytest.mark.requirement("AUT-04")
def test_another_role_there_is_another_here_and_ends_what_is_open(house: House) -> None:
    with house.page() as page, house.page() as later:
        house.through(page)
        house.provider.person["roles"] = ["todoke-admin"]
        assert house.through(later) == "/"
        assert later.get("/api/people").status_code == 200
        assert page.get("/api/worklist").status_code == 401
    assert house.events("account", what="role", of="mori", role="administrator")


@pytest.mark.slow
def test_a_name_that_is_taken_is_not_taken_over(house: House) -> None:
    """Whoever may choose a name at the service must not become somebody else here."""
    house.provider.person["preferred_username"] = "ＹＡＭＡＭＯＴＯ"
    with house.page() as page:
        assert house.through(page) == FAILED
        vouched = Vouched(Accounts(house.filled.index))
        vouched.link(USER, house.provider.issuer, "u-1")
        assert house.through(page) == "/"
        assert page.get("/api/session").json()["user"]["name"] == USER
        vouched.unlink(USER)
        assert page.get("/api/session").status_code == 401
        assert house.through(page) == FAILED
    assert [one for one in house.refused if "oidc name" in one]


@pytest.mark.slow
def test_where_no_role_is_set_only_who_is_linked_gets_in(
    filled: Filled, provider: Provider
) -> None:
    with housed(filled, provider, roles={}) as house, house.page() as page:
        assert house.through(page) == FAILED
        Vouched(Accounts(filled.index)).link(USER, provider.issuer, "u-1")
        assert house.through(page) == "/"
        assert page.get("/api/session").json()["user"]["role"] == "reader"


@pytest.mark.slow
def test_disabled_and_sealed_accounts_stay_out(house: House) -> None:
    door = Accounts(house.filled.index, second_factor=True)
    with house.page() as page:
        house.through(page)
        door.disable("mori")
        assert page.get("/api/session").status_code == 401
        assert house.through(page) == FAILED
        door.seal("hijo")
        with pytest.raises(UsageError):
            Vouched(door).link("hijo", house.provider.issuer, "u-1")
        Vouched(door).link("hijo", house.provider.issuer, "u-9")
        house.provider.person["sub"] = "u-9"
        assert house.through(page) == FAILED


@pytest.mark.slow
def test_claims_of_the_userinfo_are_the_same_persons(house: House) -> None:
    house.provider.in_userinfo = True
    with house.page() as page:
        assert house.through(page) == "/"
        assert page.get("/api/session").json()["user"]["name"] == "mori"

        def other(claims: dict[str, Any]) -> None:
            claims["sub"] = "u-2"

        house.provider.twist = other
        assert house.through(page) == FAILED, "OpenID Connect Core 5.3.2"


@pytest.mark.slow
@pytest.mark.requirement("AUT-06")
def test_the_lock_opens_for_its_own_person_who_shows_it_anew(house: House) -> None:
    with house.page() as page:
        house.through(page)
        assert page.post("/api/session/lock").status_code == 204
        assert page.get("/api/session").json()["stage"] == "locked"
        there = house.way(page, "/api/session/unlock/oidc")
        asked = parse_qs(urlsplit(there).query)
        assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
        house.provider.twist = lambda claims: claims.pop("auth_time")
        assert house.through(page, "/api/session/unlock/oidc") == FAILED
        house.provider.twist = lambda claims: claims.update(auth_time=claims["iat"] - 3600)
        assert house.through(page, "/api/session/unlock/oidc") == FAILED
        house.provider.twist = lambda claims: claims.update(sub="u-2")
        assert house.through(page, "/api/session/unlock/oidc") == FAILED
        assert page.get("/api/session").json()["stage"] == "locked"
        house.provider.twist = lambda _claims: None
        assert house.through(page, "/api/session/unlock/oidc") == "/?sign-in=unlocked"
        assert page.get("/api/worklist").status_code == 200
    assert house.events("session-unlocked", factor="oidc")


@pytest.mark.slow
def test_new_keys_are_found_and_old_ones_forgotten(provider: Provider) -> None:
    moment = [0.0]
    relying = Relying(provider.service(), monotonic=lambda: moment[0])

    def come() -> Any:
        there, browser = relying.begin("http://localhost/back")
        answer = httpx.get(there).headers["location"]
        return relying.finish(
            {name: value for name, (value,) in parse_qs(urlsplit(answer).query).items()}, browser
        )

    assert come().subject == "u-1"
    fresh = ec_key("fresh")
    provider.keys = [fresh.as_dict(private=False)]
    provider.sign = lambda claims: jwt.encode({"alg": "ES256", "kid": "fresh"}, claims, fresh)
    with pytest.raises(Unproved):
        come()
    moment[0] += oidc_provider.AGAIN_SECONDS + 1
    assert come().subject == "u-1"
    provider.sign = Provider().sign
    moment[0] += oidc_provider.AGAIN_SECONDS + 1
    with pytest.raises(Unproved):
        come()
    assert provider.count("discovery") == 1
    there, browser = relying.begin("http://localhost/back")
    answer = parse_qs(urlsplit(httpx.get(there).headers["location"]).query)
    moment[0] += oidc.BEGUN_SECONDS + 1
    with pytest.raises(Unproved, match="state"):
        relying.finish({name: value for name, (value,) in answer.items()}, browser)


@pytest.mark.slow
@pytest.mark.requirement("AUT-07")
def test_a_service_that_is_down_keeps_nobody_from_signing_in_here(house: House) -> None:
    house.provider.down = True
    with house.page() as page:
        for _ in range(3):
            answer = page.post("/api/sign-in/oidc")
            assert (answer.status_code, answer.json()["error"]["number"]) == (503, "E-1330")
        assert house.provider.count("discovery") == 1, "asked once: people wait for no dead line"
        words = {"name": USER, "password": PASSWORD}
        assert page.post("/api/sign-in", json=words).json()["next"] == "enrol"


@pytest.mark.slow
def test_sign_ins_that_nobody_ends_take_no_room(provider: Provider) -> None:
    relying = Relying(provider.service())
    for _ in range(oidc.MOST_BEGUN + 50):
        relying.begin("http://localhost/back")
    assert len(relying._begun) == oidc.MOST_BEGUN
    assert provider.count("discovery") == 1


@pytest.mark.slow
def test_without_a_service_there_is_no_such_way(filled: Filled) -> None:
    with filled.serve() as url, httpx.Client(base_url=url, headers={"X-Todoke": "1"}) as page:
        assert page.get("/api/sign-in/ways").json() == {"oidc": None}
        assert page.post("/api/sign-in/oidc").status_code == 404
        assert page.get("/api/sign-in/oidc/return?code=a&state=b").status_code == 404
        words = {"name": USER, "password": PASSWORD}
        assert page.post("/api/sign-in", json=words).status_code == 200
        assert page.post("/api/session/unlock/oidc").status_code == 403
        assert "oidc" not in page.get("/api/session").json()
