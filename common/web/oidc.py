"""Signing in through a hospital's own service: OpenID Connect, authorization code with PKCE.

OpenID Connect Core 1.0 (the sections named below), Discovery 1.0, RFC 7636 (PKCE, S256),
RFC 9207 (who answers).  The ID token is judged by joserfc and by the rules of section
3.1.3.7; no token is kept, logged or handed on.  What is wrong is said to nobody but the
audit trail: :class:`Unproved` has one word for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from common.web.oidc_provider import Provider, Service

#: What an ID token may be signed with: never ``none``, never a key that both ends know.
ALGORITHMS = tuple(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512))
BEGUN_SECONDS = 600.0  # in which a person has to be back
MOST_BEGUN = 2000  # sign-ins under way; the oldest gives way
LEEWAY = 60  # seconds that two clocks may differ
OLD = 600  # seconds after which a token is no answer to this sign-in


class Unproved(Exception):
    """What came back does not prove who somebody is; the word is for the audit trail."""


@dataclass(frozen=True)
class Somebody:
    """Who the service says it is.

    Attributes
    ----------
    role : str or None
        None where roles are given here.
    strong : bool
        Whether the service took a second factor.
    session : str or None
        Number of the locked session that this is to open.
    """

    issuer: str
    subject: str
    name: str
    display: str
    role: str | None
    strong: bool
    session: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _Begun:
    browser: str
    nonce: str
    verifier: str
    back: str
    at: float
    moment: float
    session: str | None = field(repr=False)


class Relying:
    """A relying party of one service.

    Parameters
    ----------
    clock : callable
        Seconds since 1970, for what stands in tokens.
    monotonic : callable
        Seconds that only go on, for how long something is waited for or believed.
    """

    def __init__(
        self,
        service: Service,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.service = service
        self._clock = clock
        self._monotonic = monotonic
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._lock = threading.Lock()
        self._provider = Provider(service, monotonic)

    # --- the way there (section 3.1.2.1) --------------------------------------------------

    def begin(self, back: str, session: str | None = None) -> tuple[str, str]:
        """Begin a sign-in.

        Parameters
        ----------
        back : str
            Address at which the person comes back (``redirect_uri``).
        session : str, optional
            Number of a locked session: its person has to show anew who they are.

        Returns
        -------
        (str, str)
            The service's address to go to, and what this browser alone must show again.

        Raises
        ------
        SignInServiceAway
        """
        there = self._provider.discovered()["authorization_endpoint"]
        state, browser, nonce = (secrets.token_urlsafe(32) for _ in range(3))
        verifier = secrets.token_urlsafe(48)
        now = self._monotonic()
        begun = _Begun(_digest(browser), nonce, verifier, back, now, self._clock(), session)
        with self._lock:
            self._begun[state] = begun
            while len(self._begun) > MOST_BEGUN:
                self._begun.popitem(last=False)
        challenge = hashlib.sha256(verifier.encode("ascii")).digest()
        asked = {
            **{"response_type": "code", "client_id": self.service.client_id, "scope": _SCOPE},
            **{"redirect_uri": back, "state": state, "nonce": nonce},
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode("ascii"),
            "code_challenge_method": "S256",
        }
        if self.service.strong:
            asked["acr_values"] = " ".join(self.service.strong)
        if session is not None:
            asked |= {"prompt": "login", "max_age": "0"}
        joint = "&" if urlsplit(there).query else "?"
        return f"{there}{joint}{urlencode(asked)}", browser

    # --- the way back (sections 3.1.2.5 to 3.1.3.7) ---------------------------------------

    def finish(self, said: Mapping[str, str], browser: str) -> Somebody:
        """Return who came back.

        Parameters
        ----------
        said : mapping
            The parameters of the address that the service sent the browser to.
        browser : str
            What :meth:`begin` gave this browser.

        Raises
        ------
        Unproved
        SignInServiceAway
        """
        with self._lock:
            begun = self._begun.pop(said.get("state", ""), None)
        if begun is None or self._monotonic() - begun.at > BEGUN_SECONDS:
            raise Unproved("state")
        if not hmac.compare_digest(begun.browser, _digest(browser)):
            raise Unproved("browser")
        known = self._provider.discovered()
        named = said.get("iss")
        if named is None and known.get("authorization_response_iss_parameter_supported") is True:
            raise Unproved("iss")
        if named is not None and named != self.service.issuer:
            raise Unproved("iss")
        if "error" in said or not said.get("code"):
            raise Unproved("refused there")
        tokens = self._redeemed(known, said["code"], begun)
        claims = self._judged(tokens.get("id_token"), begun)
        return self._somebody(claims, tokens, known, begun)

    def _redeemed(self, known: Mapping[str, Any], code: str, begun: _Begun) -> dict[str, Any]:
        """Hand in the code (section 3.1.3.1)."""
        form = {
            **{"grant_type": "authorization_code", "code": code, "redirect_uri": begun.back},
            **{"code_verifier": begun.verifier, "client_id": self.service.client_id},
        }
        auth = None
        ways = known.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if self.service.secret and "client_secret_basic" in ways:
            auth = _quoted(self.service.client_id), _quoted(self.service.secret)  # RFC 6749 2.3.1
        elif self.service.secret:
            form["client_secret"] = self.service.secret
        status, said = self._provider.ask("POST", known["token_endpoint"], data=form, auth=auth)
        if status != 200:
            raise Unproved("code")
        return said

    def _judged(self, token: Any, begun: _Begun) -> dict[str, Any]:
        """Return the claims of an ID token that is right (section 3.1.3.7)."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        if not isinstance(token, str):
            raise Unproved("no ID token")
        mine = self.service.client_id
        registry = jwt.JWTClaimsRegistry(
            now=int(self._clock()),
            leeway=LEEWAY,
            iss={"essential": True, "value": self.service.issuer},
            aud={"essential": True, "value": mine},
            nonce={"essential": True, "value": begun.nonce},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        )
        try:
            found = jwt.decode(token, self._provider.key, algorithms=ALGORITHMS)
            registry.validate(found.claims)
        except JoseError as wrong:
            raise Unproved(getattr(wrong, "claim", None) or wrong.error) from None
        except (ValueError, TypeError, KeyError):
            raise Unproved("ID token") from None
        claims: dict[str, Any] = found.claims
        audience = claims["aud"]
        several = isinstance(audience, list) and len(audience) > 1
        if claims.get("azp", None if several else mine) != mine:
            raise Unproved("azp")
        if claims["iat"] < self._clock() - OLD:
            raise Unproved("iat")
        if not claims["sub"] or len(claims["sub"]) > 255:
            raise Unproved("sub")
        if begun.session is not None:
            shown = claims.get("auth_time")
            if not isinstance(shown, int) or shown < begun.moment - LEEWAY:
                raise Unproved("auth_time")
        return claims

    def _somebody(
        self,
        claims: dict[str, Any],
        tokens: Mapping[str, Any],
        known: Mapping[str, Any],
        begun: _Begun,
    ) -> Somebody:
        of = self.service
        wanted = [of.name_claim, *([of.role_claim] if of.roles else [])]
        access, there = tokens.get("access_token"), known.get("userinfo_endpoint")
        lacking = any(_inside(claims, one) is None for one in wanted)
        if lacking and isinstance(access, str) and there:  # section 5.3
            bearer = {"Authorization": f"Bearer {access}"}
            status, more = self._provider.ask("GET", there, headers=bearer)
            if status != 200 or more.get("sub") != claims["sub"]:
                raise Unproved("userinfo")
            claims = more | claims
        name = _inside(claims, of.name_claim)
        if not isinstance(name, str) or not name:
            raise Unproved(of.name_claim)
        display = claims.get("name")
        return Somebody(
            of.issuer,
            claims["sub"],
            name,
            display[:200] if isinstance(display, str) else "",
            self._role(_inside(claims, of.role_claim)),
            "mfa" in _listed(claims.get("amr")) or claims.get("acr") in of.strong,
            begun.session,
        )

    def _role(self, said: Any) -> str | None:
        """Return the one role that the claim gives; two are none (separation of duties)."""
        if not self.service.roles:
            return None
        found = {self.service.roles[one] for one in _listed(said) if one in self.service.roles}
        if len(found) != 1:
            raise Unproved("roles" if found else "no role")
        return found.pop()


_SCOPE = "openid profile"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _quoted(text: str) -> str:
    return urlencode({"": text})[1:]


def _inside(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim; a name with dots leads into objects, if no claim is called so."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _listed(said: Any) -> list[str]:
    many = said if isinstance(said, list) else [said]
    return [one for one in many if isinstance(one, str)]
