"""Every way in which signing in through a service must fail (ROBUSTNESS section 8, 81)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from common.errors import SignInServiceAway
from common.web.oidc import Relying
from tests.receiver.oidc_house import (
    FAILED,
    House,
    attacked,
    house,
    provider,
    service,
    stranger,
)
from tests.receiver.provider import CLIENT, KEY, SECRET, Provider, unsigned

__all__ = ["attacked", "house", "provider", "service", "stranger"]


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
