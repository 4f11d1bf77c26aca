"""An OpenID provider on a port of its own, that answers as the test says: well, or as an attacker.

It keeps to the protocol where it is not told otherwise, and judges what we send: PKCE, the
client, the address that people come back to.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from common.web.oidc_provider import Service
from common.web.peer import Listener

CLIENT, SECRET = "todoke", "s:ecret/of ours"
KEY = RSAKey.generate_key(2048, {"kid": "a", "use": "sig", "alg": "RS256"}, auto_kid=False)


def base64url(part: bytes) -> str:
    """Encode as RFC 7515 section 2 does."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode("ascii")


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """Return a token with any signature at all."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64url(part) for part in parts)


@dataclass
class Provider:
    """What it says, each of which a test may change.

    Attributes
    ----------
    person : dict
        Claims of who signs in there.
    twist : callable
        Gets the claims of the next ID token and changes them.
    sign : callable
        Makes the token of its claims.
    keys : list
        What stands under ``jwks_uri``.
    asked : list of (str, dict)
        What came to its token endpoint, and how often what was asked.
    """

    issuer: str = ""
    person: dict[str, Any] = field(
        default_factory=lambda: {
            **{"sub": "u-1", "preferred_username": "Mori", "name": "森医師"},
            **{"roles": ["todoke-reader", "staff"], "amr": ["pwd", "mfa"]},
        }
    )
    twist: Callable[[dict[str, Any]], None] = lambda _claims: None
    sign: Callable[[dict[str, Any]], str] = lambda claims: jwt.encode(
        {"alg": "RS256", "kid": "a"}, claims, KEY
    )
    keys: list[Any] = field(default_factory=lambda: [KEY.as_dict(private=False)])
    metadata: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, str] = field(default_factory=dict)
    in_userinfo: bool = False
    down: bool = False
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def service(self, **more: Any) -> Service:
        """What a receiver has agreed with it."""
        roles = {"todoke-reader": "reader", "todoke-admin": "administrator"}
        return Service(**{"issuer": self.issuer, "client_id": CLIENT, "secret": SECRET,
                          "roles": roles} | more)  # fmt: skip

    def count(self, what: str) -> int:
        return sum(one == what for one, _ in self.asked)

    # --- its routes -----------------------------------------------------------------------

    async def discovery(self, _request: Request) -> Response:
        self.asked.append(("discovery", {}))
        if self.down:
            return PlainTextResponse("gone fishing", 503)
        root = self.issuer
        return JSONResponse(
            {
                "issuer": root,
                "authorization_endpoint": f"{root}/authorize",
                "token_endpoint": f"{root}/token",
                "jwks_uri": f"{root}/keys",
                "userinfo_endpoint": f"{root}/me",
                "authorization_response_iss_parameter_supported": True,
                **self.metadata,
            }
        )

    async def authorize(self, request: Request) -> Response:
        """Whoever comes is signed in there already."""
        asked = dict(request.query_params)
        self.asked.append(("authorize", asked))
        if asked.get("client_id") != CLIENT or asked.get("response_type") != "code":
            return PlainTextResponse("who?", 400)
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        said = {"code": code, "state": asked["state"], "iss": self.issuer, **self.answer}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(said)}", 303)

    async def token(self, request: Request) -> Response:
        words = dict(parse_qsl((await request.body()).decode(), strict_parsing=True))
        self.asked.append(("token", words | {"auth": request.headers.get("authorization", "")}))
        asked = self._codes.pop(words.get("code", ""), None)
        known = base64.b64encode(f"{CLIENT}:s%3Aecret%2Fof+ours".encode()).decode()
        proof = base64url(hashlib.sha256(words.get("code_verifier", "").encode()).digest())
        if (
            asked is None
            or request.headers.get("authorization") != f"Basic {known}"
            or asked.get("code_challenge_method") != "S256"
            or proof != asked.get("code_challenge")
            or words.get("redirect_uri") != asked.get("redirect_uri")
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims: dict[str, Any] = {
            **{"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300},
            **{"nonce": asked["nonce"], "auth_time": now},
        }
        claims |= {"sub": self.person["sub"]} if self.in_userinfo else self.person
        self.twist(claims)
        said = {"access_token": f"at-{self.person['sub']}", "token_type": "Bearer"}
        return JSONResponse(said | {"id_token": self.sign(claims)})

    async def jwks(self, _request: Request) -> Response:
        self.asked.append(("keys", {}))
        return JSONResponse({"keys": self.keys})

    async def me(self, request: Request) -> Response:
        self.asked.append(("me", {}))
        if request.headers.get("authorization") != f"Bearer at-{self.person['sub']}":
            return JSONResponse({"error": "invalid_token"}, 401)
        return JSONResponse(self.person)

    @contextlib.contextmanager
    def serve(self) -> Iterator[Provider]:
        """Serve on a free port."""
        app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.discovery),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/keys", self.jwks),
                Route("/me", self.me),
            ]
        )
        with Listener(app, "127.0.0.1", 0, grace=1).in_thread() as (host, port):
            self.issuer = f"http://{host}:{port}"
            yield self


def ec_key(kid: str) -> Any:
    """A key on P-256."""
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig"}, auto_kid=False)
