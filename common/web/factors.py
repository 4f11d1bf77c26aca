"""What a person has beside the password: one-time codes, passkeys, recovery codes (AUT-02).

Codes are TOTP (RFC 6238; SHA-1, six digits, 30 s, as authenticator programs take it);
each is taken once.  A code's secret must be known to check it, so it lies in the index,
which its owner alone can read; recovery codes are 80 random bits kept as SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from common.errors import CodeWrong, LastFactor, NotFound
from common.web.account_tables import factors, recovery_codes, sessions
from common.web.sessions import Database, Sessions

STEP = 30  # seconds, RFC 6238 section 4.1
AROUND = 1  # steps before and after that are taken too, section 5.2
RECOVERY_CODES = 10
MAX_LABEL = 64


class Factors:
    """Second factors in one database.

    Parameters
    ----------
    sessions : Sessions
        Where an enrolment waits for its first code.
    issuer : str
        Of the codes, as authenticator programs show it.
    """

    def __init__(
        self, database: Database, sessions: Sessions, clock: Callable[[], float], issuer: str
    ) -> None:
        self.database = database
        self.sessions = sessions
        self.clock = clock
        self.issuer = issuer

    def of(self, user: str) -> list[dict[str, Any]]:
        """Return the factors of a person, without their secrets."""
        with self.database.read() as db:
            rows = db.execute(
                select(factors).where(factors.c.user == user).order_by(factors.c.made_at)
            ).all()
        names = ("id", "kind", "label", "made_at", "used_at", "rp_id")
        return [{name: getattr(row, name) for name in names} for row in rows]

    def kinds(self, user: str) -> list[str]:
        """Return which kinds of factor a person has, ``recovery`` where codes are left."""
        found = {factor["kind"] for factor in self.of(user)}
        left = ["recovery"] if found and self.recovery_left(user) else []
        return [kind for kind in ("totp", "passkey") if kind in found] + left

    # --- one-time codes -------------------------------------------------------------------

    def begin_totp(self, number: str) -> str:
        """Make a secret that waits in the session for its first code; return it in base32."""
        import pyotp

        secret = pyotp.random_base32()
        self.sessions.keep(number, f"totp:{secret}")
        return secret

    def totp_address(self, number: str, user: str) -> str:
        """Return the otpauth address of the secret that waits.

        Raises
        ------
        NotFound
            None waits.
        """
        import pyotp

        kind, _, secret = self.sessions.pending(number, take=False).partition(":")
        if kind != "totp":
            raise NotFound(thing="QR")
        return pyotp.TOTP(secret).provisioning_uri(name=user, issuer_name=self.issuer)

    def confirm_totp(self, number: str, user: str, code: str, label: str) -> None:
        """Take the first code of a secret that waits, and with it the secret.

        Raises
        ------
        CodeWrong
            The secret waits on.
        """
        kind, _, secret = self.sessions.pending(number, take=False).partition(":")
        step = self._step(secret, code) if kind == "totp" else None
        if step is None:
            raise CodeWrong
        self.sessions.pending(number)
        self.add(user, "totp", label or "TOTP", secret, step)

    def check_totp(self, user: str, code: str) -> bool:
        """Whether this is a code of one of the person's secrets that was not used before."""
        with self.database.read() as db:
            rows = db.execute(
                select(factors).where(factors.c.user == user, factors.c.kind == "totp")
            ).all()
        for row in rows:
            step = self._step(row.secret, code)
            if step is not None and self._counted(row.id, step):
                return True
        return False

    def _step(self, secret: str, code: str) -> int | None:
        """Return the time step that a code is of."""
        import pyotp

        code = "".join(code.split())
        now = int(self.clock() // STEP)
        made = pyotp.TOTP(secret)
        found = None
        for step in range(now - AROUND, now + AROUND + 1):
            if hmac.compare_digest(made.generate_otp(step).encode(), code.encode()):
                found = step
        return found

    def _counted(self, factor: str, step: int) -> bool:
        """Take a step if none as late was taken: two requests with one code are told apart here."""
        where = factors.c.id == factor, factors.c.counter < step
        with self.database.write() as db:
            done = db.execute(
                update(factors).where(*where).values(counter=step, used_at=self.clock())
            )
        return done.rowcount == 1

    # --- recovery codes -------------------------------------------------------------------

    def new_recovery(self, user: str) -> list[str]:
        """Make ten codes, each good once, and forget those before; this is their only showing."""
        codes = []
        with self.database.write() as db:
            db.execute(delete(recovery_codes).where(recovery_codes.c.user == user))
            for _ in range(RECOVERY_CODES):
                letters = base64.b32encode(secrets.token_bytes(10)).decode().lower()
                codes.append("-".join(letters[at : at + 4] for at in range(0, 16, 4)))
                db.execute(insert(recovery_codes).values(digest=_digest(codes[-1]), user=user))
        return codes

    def recovery_left(self, user: str) -> int:
        """Return how many codes were not used yet."""
        query = select(func.count()).where(
            recovery_codes.c.user == user, recovery_codes.c.used_at.is_(None)
        )
        with self.database.read() as db:
            return db.execute(query).scalar() or 0

    def use_recovery(self, user: str, code: str) -> bool:
        """Whether this is one of the person's codes; it is used up."""
        where = (
            recovery_codes.c.digest == _digest(code),
            recovery_codes.c.user == user,
            recovery_codes.c.used_at.is_(None),
        )
        with self.database.write() as db:
            done = db.execute(update(recovery_codes).where(*where).values(used_at=self.clock()))
        return done.rowcount == 1

    # --- both -----------------------------------------------------------------------------

    def add(
        self,
        user: str,
        kind: str,
        label: str,
        secret: str,
        counter: int,
        *,
        credential: str | None = None,
        rp_id: str | None = None,
    ) -> None:
        """Keep a factor that has shown itself once."""
        with self.database.write() as db:
            db.execute(
                insert(factors).values(
                    id=secrets.token_hex(8),
                    user=user,
                    kind=kind,
                    label=label[:MAX_LABEL],
                    secret=secret,
                    credential=credential,
                    rp_id=rp_id,
                    counter=counter,
                    made_at=self.clock(),
                )
            )

    def remove(self, user: str, factor: str, *, last: bool) -> None:
        """Forget a factor.

        Parameters
        ----------
        last : bool
            Whether the last one may go.

        Raises
        ------
        NotFound
        LastFactor
        """
        with self.database.write() as db:
            known = set(db.execute(select(factors.c.id).where(factors.c.user == user)).scalars())
            if factor not in known:
                raise NotFound(thing=factor)
            if len(known) == 1 and not last:
                raise LastFactor
            db.execute(delete(factors).where(factors.c.id == factor))
            if len(known) == 1:
                db.execute(delete(recovery_codes).where(recovery_codes.c.user == user))

    def clear(self, user: str) -> int:
        """Forget every factor and recovery code, and end every session; return the factors."""
        with self.database.write() as db:
            count = db.execute(delete(factors).where(factors.c.user == user)).rowcount
            db.execute(delete(recovery_codes).where(recovery_codes.c.user == user))
            db.execute(delete(sessions).where(sessions.c.user == user))
        return count


def _digest(code: str) -> str:
    """As it is kept: case, spaces and hyphens do not count."""
    letters = "".join(sign for sign in code.lower() if sign.isalnum())
    return hashlib.sha256(letters.encode()).hexdigest()
