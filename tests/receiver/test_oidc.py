"""Signing in through the hospital's own service, and every way in which that must fail."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from common.errors import SignInServiceAway, UsageError
from common.web import oidc, oidc_provider
from common.web.accounts import Accounts
from common.web.oidc import Relying, Unproved
from common.web.peer import Listener
from common.web.vouched import Vouched
from receiver.web_app import viewer_app
from tests.receiver.filled import PASSWORD, USER, Filled
from tests.receiver.provider import CLIENT, KEY, SECRET, Provider, ec_key, unsigned

FAILED = "/?sign-in=failed"


@dataclass
class House:
    """A viewer's door whose people may come through a service, and what its trail was told."""

    url: str
    filled: Filled
    provider: Provider
    told: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def page(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"X-Todoke": "1"})

    def events(self, event: str, **facts: Any) -> list[dict[str, Any]]:
        return [one for one in self.told if one["event"] == event and facts.items() <= one.items()]

    def way(self, page: httpx.Client, path: str = "/api/sign-in/oidc") -> str:
        """Where the page is told to go."""
        answer = page.post(path)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["address"])

    def back(self, there: str) -> str:
        """Where the service sends the browser."""
        return httpx.get(there).headers["location"]

    def through(self, page: httpx.Client, path: str = "/api/sign-in/oidc") -> str:
        """Go there and come back; gives where the page ends up."""
        answer = page.get(self.back(self.way(page, path)))
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])


@pytest.fixture(scope="module")
def service() -> Iterator[Provider]:
    with Provider().serve() as made:
        yield made


@pytest.fixture
def provider(service: Provider) -> Provider:
    """The service, as good as new."""
    for name, value in vars(Provider()).items():
        setattr(service, name, value if name != "issuer" else service.issuer)
    return service


@pytest.fixture
def house(filled: Filled, provider: Provider) -> Iterator[House]:
    with _house(filled, provider) as made:
        yield made


@contextlib.contextmanager
def _house(filled: Filled, provider: Provider, **more: Any) -> Iterator[House]:
    made = House("", filled, provider)
    services = replace(
        filled.services(),
        second_factor=True,
        sign_in=provider.service(**more),
        sign_in_label="病院のアカウント",
        note=lambda event, **facts: made.told.append({"event": event, **facts}),
        refused=lambda _address, cause, _certificate: made.refused.append(cause),
    )
    with Listener(viewer_app(services), "127.0.0.1", 0, grace=1).in_thread() as (host, port):
        made.url = f"http://{host}:{port}"
        yield made


@pytest.fixture(scope="module")
def stranger(service: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house for everything that leads nowhere."""
    filled = Filled(tmp_path_factory.mktemp("stranger") / "receiver")
    with _house(filled, service) as made:
        yield made
    filled.close()


@pytest.fixture
def attacked(stranger: House, provider: Provider) -> Iterator[House]:
    """The same with nothing of before, which must be as it was after the test."""
    assert stranger.provider is provider
    stranger.told.clear()
    stranger.refused.clear()
    yield stranger
    assert not Accounts(stranger.filled.index).names()
    assert not stranger.events("account")
    assert not stranger.events("sign-in", outcome="ok")


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
    with _house(filled, provider, roles={}) as house, house.page() as page:
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


# --- what must fail (ROBUSTNESS section 8, 81) --------------------------------------------


@pytest.mark.slow
@pytest.mark.requirement("AUT-01", "AUT-07")
@pytest.mark.badinput(81, "OIDC state")
def test_an_answer_is_for_the_browser_that_asked_and_once(house: House) -> None:
    with house.page() as page, house.page() as victim:
        for made_up in ("", "?code=x&state=y", "?state=&code=", f"?state={'a' * 5000}&code=1"):
            answer = page.get(f"/api/sign-in/oidc/return{made_up}")
            assert (answer.status_code, answer.headers["location"]) == (303, FAILED)
        stolen = house.back(house.way(page))
        assert victim.get(stolen).headers["location"] == FAILED, "nobody is signed in as another"
        assert page.get(stolen).headers["location"] == FAILED, "and it is worth nothing any more"
        assert house.provider.count("token") == 0, "the code was not even handed in"
        mine = house.back(house.way(page))
        assert page.get(mine).headers["location"] == "/"
        assert page.get(mine).headers["location"] == FAILED, "an answer is good once"
        for spoilt in ("&state=again", "&code=again"):
            twice = house.back(house.way(page)) + spoilt
            assert page.get(twice).headers["location"] == FAILED
        for other in ({"iss": "https://evil.example"}, {"error": "access_denied"}):
            house.provider.answer = other
            assert house.through(page) == FAILED
        assert victim.get("/api/session").status_code == 401
    assert [one for one in house.refused if "oidc state" in one]
    assert len({one["cause"] for one in house.events("sign-in", outcome="refused")}) > 2


@pytest.mark.slow
@pytest.mark.badinput(81, "OIDC state")
def test_a_sign_in_is_begun_by_our_own_page_alone(house: House) -> None:
    """Else another site could have a reader signed in without their doing."""
    with house.page() as page:
        for headers in ({"X-Todoke": ""}, {"Origin": "https://evil.example"}):
            assert page.post("/api/sign-in/oidc", headers=headers).status_code == 403
        assert page.get("/api/sign-in/oidc").status_code in {404, 405}
    assert not house.provider.asked


def _changed(**claims: Any) -> Callable[[dict[str, Any]], None]:
    return lambda of: of.update(claims)


def _without(name: str) -> Callable[[dict[str, Any]], None]:
    def twist(claims: dict[str, Any]) -> None:
        del claims[name]

    return twist


def _aged(seconds: int) -> Callable[[dict[str, Any]], None]:
    def twist(claims: dict[str, Any]) -> None:
        claims["exp"] += seconds
        claims["iat"] += seconds

    return twist


BAD_CLAIMS = [
    pytest.param(_changed(nonce="another"), "nonce", marks=pytest.mark.badinput(81, "OIDC nonce")),
    pytest.param(_without("nonce"), "nonce", marks=pytest.mark.badinput(81, "OIDC nonce")),
    pytest.param(
        _changed(nonce=["another"]), "nonce", marks=pytest.mark.badinput(81, "OIDC nonce")
    ),
    pytest.param(_changed(aud="another"), "aud", marks=pytest.mark.badinput(81, "OIDC aud")),
    pytest.param(_changed(aud=[]), "aud", marks=pytest.mark.badinput(81, "OIDC aud")),
    pytest.param(_without("aud"), "aud", marks=pytest.mark.badinput(81, "OIDC aud")),
    pytest.param(
        _changed(aud=[CLIENT, "another"]), "azp", marks=pytest.mark.badinput(81, "OIDC aud")
    ),
    pytest.param(_changed(azp="another"), "azp", marks=pytest.mark.badinput(81, "OIDC aud")),
    pytest.param(
        _changed(iss="https://evil.example"), "iss", marks=pytest.mark.badinput(81, "OIDC aud")
    ),
    pytest.param(_aged(-400), "exp", marks=pytest.mark.badinput(81, "OIDC expired")),
    pytest.param(_changed(exp="tomorrow"), "exp", marks=pytest.mark.badinput(81, "OIDC expired")),
    pytest.param(_without("exp"), "exp", marks=pytest.mark.badinput(81, "OIDC expired")),
    pytest.param(_without("iat"), "iat", marks=pytest.mark.badinput(81, "OIDC expired")),
    pytest.param(_changed(iat=1), "iat", marks=pytest.mark.badinput(81, "OIDC expired")),
    pytest.param(
        _changed(nbf=9_999_999_999), "nbf", marks=pytest.mark.badinput(81, "OIDC expired")
    ),
    pytest.param(_changed(sub=""), "sub", marks=pytest.mark.badinput(81, "OIDC aud")),
    pytest.param(_changed(sub=["u-1"]), "sub", marks=pytest.mark.badinput(81, "OIDC aud")),
]


def _none(claims: dict[str, Any]) -> str:
    return unsigned({"alg": "none"}, claims)


def _none_in_capitals(claims: dict[str, Any]) -> str:
    return unsigned({"alg": "nOnE", "kid": "a"}, claims)


def _by_the_public_key(claims: dict[str, Any]) -> str:
    """HS256 with our idea of the RSA key as the shared secret."""
    secret = OctKey.import_key(KEY.as_pem(private=False).hex())
    return jwt.encode({"alg": "HS256", "kid": "a"}, claims, secret)


def _by_the_client_secret(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET * 4))


def _other_key(header: dict[str, Any]) -> Callable[[dict[str, Any]], str]:
    other = RSAKey.generate_key(2048, {"kid": "b"}, auto_kid=False)
    own = other.as_dict(private=False)

    def sign(claims: dict[str, Any]) -> str:
        from joserfc.jws import JWSRegistry

        said = {"alg": "RS256"} | header | ({"jwk": own} if "jwk" in header else {})
        registry = JWSRegistry(algorithms=["RS256"], strict_check_header=False)
        return jwt.encode(said, claims, other, registry=registry)

    return sign


def _spoilt(claims: dict[str, Any]) -> str:
    head, body, signature = jwt.encode({"alg": "RS256", "kid": "a"}, claims, KEY).split(".")
    return f"{head}.{body}.{'A' + signature[1:] if signature[0] != 'A' else 'B' + signature[1:]}"


BAD_TOKENS = [
    pytest.param(_none, "unsupported_algorithm", marks=pytest.mark.badinput(81, "OIDC alg none")),
    pytest.param(
        _none_in_capitals, "unsupported_algorithm", marks=pytest.mark.badinput(81, "OIDC alg none")
    ),
    pytest.param(
        _by_the_public_key, "unsupported_algorithm", marks=pytest.mark.badinput(81, "OIDC alg none")
    ),
    pytest.param(
        _by_the_client_secret,
        "unsupported_algorithm",
        marks=pytest.mark.badinput(81, "OIDC alg none"),
    ),
    pytest.param(
        lambda _claims: "a.b", "decode_error", marks=pytest.mark.badinput(81, "OIDC alg none")
    ),
    pytest.param(_spoilt, "bad_signature", marks=pytest.mark.badinput(81, "OIDC kid traversal")),
    *(
        pytest.param(_other_key(header), why, marks=pytest.mark.badinput(81, "OIDC kid traversal"))
        for header, why in (
            ({"kid": "../../../../dev/null"}, "invalid_key_id"),
            ({"kid": "/etc/passwd"}, "invalid_key_id"),
            ({"kid": "a' OR '1'='1"}, "invalid_key_id"),
            ({"kid": "b"}, "invalid_key_id"),
            ({"kid": "a"}, "bad_signature"),
            ({}, "bad_signature"),
            ({"kid": "a", "jwk": True}, "exceeded_size"),
            ({"kid": "a", "jku": "https://evil.example/keys"}, "bad_signature"),
            ({"kid": "a", "x5u": "https://evil.example/cert"}, "bad_signature"),
        )
    ),
]


@pytest.mark.slow
@pytest.mark.requirement("AUT-01", "AUT-07")
@pytest.mark.parametrize(("twist", "why"), BAD_CLAIMS)
def test_claims_that_are_not_this_sign_ins(
    attacked: House, twist: Callable[[dict[str, Any]], None], why: str
) -> None:
    attacked.provider.twist = twist
    with attacked.page() as page:
        assert attacked.through(page) == FAILED
        assert page.get("/api/session").status_code == 401
    assert attacked.provider.count("token") == 1
    assert f"E-5001 oidc {why}" in attacked.refused


@pytest.mark.slow
@pytest.mark.requirement("AUT-01", "AUT-07")
@pytest.mark.parametrize(("sign", "why"), BAD_TOKENS)
def test_tokens_that_the_service_did_not_sign(
    attacked: House, sign: Callable[[dict[str, Any]], str], why: str
) -> None:
    attacked.provider.sign = sign
    with attacked.page() as page:
        assert attacked.through(page) == FAILED
        assert page.get("/api/session").status_code == 401
    assert attacked.provider.count("token") == 1
    assert f"E-5001 oidc {why}" in attacked.refused
    assert attacked.provider.count("keys") <= 2, "a stranger's kid does not make us ask again"


@pytest.mark.slow
@pytest.mark.badinput(81, "OIDC alg none")
def test_a_shared_key_among_the_services_keys_is_none(house: House) -> None:
    shared = OctKey.import_key("k" * 64, {"kid": "shared"})
    house.provider.keys = [shared.as_dict(), KEY.as_dict(private=False)]
    house.provider.sign = lambda claims: jwt.encode(
        {"alg": "HS512", "kid": "shared"}, claims, shared, algorithms=["HS512"]
    )
    with house.page() as page:
        assert house.through(page) == FAILED


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
@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": None},
        {"userinfo_endpoint": 7},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_what_the_service_says_of_itself_is_judged(
    provider: Provider, metadata: dict[str, Any]
) -> None:
    provider.metadata = metadata
    with pytest.raises(SignInServiceAway):
        Relying(provider.service()).begin("http://localhost/back")


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
