"""Passkeys: Web Authentication (W3C, level 3) by py_webauthn.

A passkey belongs to a host name and works over https (or at localhost) alone: the
browser signs both, so a page that only looks like ours gets nothing of use.
"""

from __future__ import annotations

import json
from typing import Any

import webauthn
from sqlalchemy import select, update
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from common.errors import PasskeyRefused
from common.web.account_tables import factors
from common.web.factors import Factors
from common.web.hosts import host_of
from common.web.sessions import User


class Passkeys:
    """Enrols passkeys and checks what they sign.

    Parameters
    ----------
    factors : Factors
        Keeps them, and the challenge of a session.
    """

    def __init__(self, factors: Factors) -> None:
        self.factors = factors
        self.sessions = factors.sessions

    def enrol(self, number: str, user: User, rp_id: str) -> dict[str, Any]:
        """Return what the browser is to make a passkey of (section 5.4), as JSON holds it."""
        options = webauthn.generate_registration_options(
            rp_id=rp_id,
            rp_name=self.factors.issuer,
            user_name=user.name,
            user_display_name=user.display,
            user_id=user.name.encode(),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=self._known(user.name, rp_id),
        )
        return self._asked(number, options)

    def enrolled(
        self, number: str, user: User, credential: dict[str, Any], origin: str, label: str
    ) -> None:
        """Check a new passkey (section 7.1) and keep it.

        Raises
        ------
        PasskeyRefused
        """
        rp_id = host_of(origin)
        challenge = self._challenge(number)
        try:
            made = webauthn.verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=rp_id,
                expected_origin=origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as failure:
            raise PasskeyRefused(cause=type(failure).__name__) from failure
        named = bytes_to_base64url(made.credential_id)
        with self.factors.database.read() as db:
            taken = select(factors.c.id).where(factors.c.credential == named)
            if db.execute(taken).one_or_none() is not None:
                raise PasskeyRefused(cause="登録済み / enrolled already")
        self.factors.add(
            user.name,
            "passkey",
            label or "passkey",
            bytes_to_base64url(made.credential_public_key),
            made.sign_count,
            credential=named,
            rp_id=rp_id,
        )

    def ask(self, number: str, user: User, rp_id: str) -> dict[str, Any]:
        """Return what the browser is to sign (section 5.5), as JSON holds it."""
        options = webauthn.generate_authentication_options(
            rp_id=rp_id,
            allow_credentials=self._known(user.name, rp_id),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return self._asked(number, options)

    def answers(self, number: str, user: User, credential: dict[str, Any], origin: str) -> bool:
        """Whether this is what a passkey of the person signed just now (section 7.2).

        A signature counter that does not grow is that of a copy, and is refused.
        """
        challenge = self._challenge(number)
        where = factors.c.user == user.name, factors.c.credential == str(credential.get("id"))
        with self.factors.database.read() as db:
            row = db.execute(select(factors).where(*where)).one_or_none()
        if row is None or not challenge or row.rp_id != host_of(origin):
            return False
        try:
            found = webauthn.verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=row.rp_id,
                expected_origin=origin,
                credential_public_key=base64url_to_bytes(row.secret),
                credential_current_sign_count=row.counter,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError):
            return False
        now = self.factors.clock()
        with self.factors.database.write() as db:
            db.execute(
                update(factors)
                .where(factors.c.id == row.id)
                .values(counter=found.new_sign_count, used_at=now)
            )
        return True

    def _asked(self, number: str, options: Any) -> dict[str, Any]:
        self.sessions.keep(number, f"passkey:{bytes_to_base64url(options.challenge)}")
        asked: dict[str, Any] = json.loads(webauthn.options_to_json(options))
        return asked

    def _challenge(self, number: str) -> bytes:
        """Return the challenge of the session, once; empty if none waits."""
        kind, _, challenge = self.sessions.pending(number).partition(":")
        return base64url_to_bytes(challenge) if kind == "passkey" else b""

    def _known(self, user: str, rp_id: str) -> list[PublicKeyCredentialDescriptor]:
        where = factors.c.user == user, factors.c.kind == "passkey", factors.c.rp_id == rp_id
        with self.factors.database.read() as db:
            found = db.execute(select(factors.c.credential).where(*where)).scalars().all()
        return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in found if one]
