"""An OpenID provider as it is asked: what it says of itself, its keys, its answers.

OpenID Connect Discovery 1.0 sections 3 and 4.  It is asked only where a site has set it;
no answer is long, none leads elsewhere, and its tokens go by https.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from common.errors import SignInServiceAway
from common.sign_in_settings import LOOPBACK

TIMEOUT = 5.0  # seconds for one question to the service
LIMIT = 1 << 18  # bytes of an answer
KNOWN_SECONDS = 3600.0  # for which what the service says of itself is believed
AGAIN_SECONDS = 10.0  # between two looks for new keys, or after a failure
_RSA_2048 = 340  # characters of base64 that a modulus of 2048 bits has at least
_PRIVATE = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


@dataclass(frozen=True)
class Service:
    """What is agreed with the service.

    Attributes
    ----------
    issuer : str
        Its address, exactly as it names itself.
    client_id, secret : str
        Ours there; without a secret PKCE alone proves that it is us.
    authority : str
        PEM that its certificate has to come from; empty: what the system trusts.
    name_claim, role_claim : str
        Claims; a dot leads into an object (``realm_access.roles``).
    roles : mapping
        Value of the role's claim to a role of ours; empty: roles are given here.
    strong : tuple of str
        Values of ``acr`` that stand for two factors; ``mfa`` in ``amr`` does as well.
    """

    issuer: str
    client_id: str
    secret: str = field(default="", repr=False)
    authority: str = ""
    name_claim: str = "preferred_username"
    role_claim: str = "roles"
    roles: Mapping[str, str] = field(default_factory=dict)
    strong: tuple[str, ...] = ()


class Provider:
    """The service, asked as rarely as can be.

    Parameters
    ----------
    monotonic : callable
        Seconds that only go on, for how long something is believed.
    """

    def __init__(self, service: Service, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.service = service
        self._monotonic = monotonic
        self._asking = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._keys: dict[str, Any] = {}
        self._known_at = self._keys_at = self._failed_at = float("-inf")

    def look(self) -> dict[str, Any]:
        """Return what the service says of itself, asked anew, with the number of its keys.

        Raises
        ------
        SignInServiceAway
        """
        with self._asking:
            self._known_at = self._keys_at = self._failed_at = float("-inf")
        known = self.discovered()
        self._fetch_keys(known)
        return {**known, "keys": len(self._keys)}

    def discovered(self) -> dict[str, Any]:
        """Return what the service says of itself, asked once an hour.

        Raises
        ------
        SignInServiceAway
        """
        with self._asking:
            now = self._monotonic()
            if now - self._known_at <= KNOWN_SECONDS:
                return self._metadata
            if now - self._failed_at <= AGAIN_SECONDS:
                # a queue of people at sign-in is no storm at a service that is down
                raise SignInServiceAway(cause="a moment ago")
            issuer = self.service.issuer
            try:
                there = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
                status, said = self.ask("GET", there)
                ends = ("authorization_endpoint", "token_endpoint", "jwks_uri")
                optional = [said["userinfo_endpoint"]] if "userinfo_endpoint" in said else []
                if status != 200 or said.get("issuer") != issuer:
                    raise SignInServiceAway(cause="issuer")
                for end in (*(said.get(one) for one in ends), *optional):
                    self._check_address(end)
            except SignInServiceAway:
                self._failed_at = now
                raise
            self._metadata, self._known_at = said, now
            return said

    def _check_address(self, address: Any) -> None:
        """Tokens go by https; by http only beside a service on this machine, for trials."""
        parts = urlsplit(address) if isinstance(address, str) else urlsplit("")
        plain = self.service.issuer.startswith("http://") and parts.hostname in LOOPBACK
        if parts.scheme != "https" and not (parts.scheme == "http" and plain):
            raise SignInServiceAway(cause="https")

    def key(self, guest: Any) -> Any:
        """Return the key of a token: one of the service's own, whatever the header says."""
        from joserfc.errors import InvalidKeyIdError

        kid = guest.headers().get("kid")
        for fresh in (False, True):
            if fresh or not self._keys:
                self._fetch_keys(self.discovered())
            if kid is None and len(self._keys) == 1:
                return next(iter(self._keys.values()))
            if isinstance(kid, str) and kid in self._keys:
                return self._keys[kid]
        raise InvalidKeyIdError

    def _fetch_keys(self, known: Mapping[str, Any]) -> None:
        """Learn the service's keys; a stranger's ``kid`` does not make us ask all the time."""
        from joserfc.errors import JoseError
        from joserfc.jwk import ECKey, RSAKey

        with self._asking:
            now = self._monotonic()
            if now - self._keys_at <= AGAIN_SECONDS:
                return
            self._keys_at = now
            status, said = self.ask("GET", known["jwks_uri"])
            keys = said.get("keys") if status == 200 else None
            found: dict[str, Any] = {}
            for number, one in enumerate(keys if isinstance(keys, list) else []):
                kinds: dict[Any, Any] = {"RSA": RSAKey, "EC": ECKey}
                if not isinstance(one, dict) or one.get("use", "sig") != "sig":
                    continue
                kind = kinds.get(one.get("kty"))
                if kind is None or (kind is RSAKey and len(str(one.get("n"))) < _RSA_2048):
                    continue
                try:
                    key = kind.import_key({k: v for k, v in one.items() if k not in _PRIVATE})
                except (JoseError, ValueError, TypeError, KeyError):
                    continue
                name = one.get("kid")
                found[name if isinstance(name, str) else f"\0{number}"] = key
            self._keys = found

    def ask(self, method: str, address: str, **more: Any) -> tuple[int, dict[str, Any]]:
        """Ask the service; its answer is JSON, never long, and never a way elsewhere.

        Raises
        ------
        SignInServiceAway
        """
        import httpx  # of megabytes, for who has such a service

        trust = ssl.create_default_context(cadata=self.service.authority or None)
        body = b""
        try:
            with (
                httpx.Client(
                    timeout=TIMEOUT, trust_env=False, follow_redirects=False, verify=trust
                ) as client,
                client.stream(method, address, **more) as answer,
            ):
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > LIMIT:
                        raise SignInServiceAway(cause=f"> {LIMIT} bytes")
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as failure:
            raise SignInServiceAway(cause=type(failure).__name__) from None  # it may quote a token
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            said = None
        if status >= 500 or (status == 200 and not isinstance(said, dict)):
            raise SignInServiceAway(cause=f"HTTP {status}")
        return status, said if isinstance(said, dict) else {}
