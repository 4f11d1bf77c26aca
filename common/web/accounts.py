"""People who sign in: accounts with a role, a password and a second factor.

Passwords are kept as Argon2id hashes (RFC 9106), sessions as the SHA-256 of an
opaque number of 256 bits: who reads the database can become nobody.
"""

from __future__ import annotations

import json
import re
import secrets
import time
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Connection, insert, select, update

from common.errors import (
    NotFound,
    PasswordNotRight,
    PasswordTooWeak,
    SignInFailed,
    UsageError,
)
from common.web import account_tables
from common.web.account_tables import MAX_NAME, old_passwords, sessions, users
from common.web.factors import Factors
from common.web.passwords import (
    MIN_PASSWORD,
    MIN_WITH_FACTOR,
    Failures,
    Hashes,
    check_password,
)
from common.web.sessions import (
    ABSOLUTE_SECONDS,
    IDLE_SECONDS,
    Database,
    Sessions,
    Standing,
    User,
)

__all__ = [
    "ABSOLUTE_SECONDS",
    "IDLE_SECONDS",
    "ROLES",
    "Accounts",
    "Failures",
    "Standing",
    "User",
    "check_password",
    "sessions",
    "users",
]

ROLES = ("reader", "administrator", "auditor")
OLD_PASSWORDS = 10  # that a new one may not be again
EMERGENCY_SECONDS = 4 * 60 * 60  # how long an account for emergencies is open once it was used
UNLOCK_TRIES = 5


class Accounts:
    """Accounts and sessions in one database.

    Parameters
    ----------
    database : Database
        Its tables are made if they are not there.
    clock : callable
        Seconds since 1970; tests hand in their own.
    version : callable
        Gives a number that every commit to the database changes, or None for "unknown":
        a session is looked up once for each.
    second_factor : bool
        Whether nobody gets a whole session without one. A factor that a person has is
        asked for in any case.
    idle_seconds : int
        After so long without its user a session is locked.
    note : callable
        Told of an account for emergencies that was opened, as an audit trail is.
    issuer : str
        What authenticator programs and browsers call this receiver.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float] = time.time,
        version: Callable[[], int | None] = lambda: None,
        *,
        second_factor: bool = False,
        idle_seconds: int = IDLE_SECONDS,
        issuer: str = "todoke",
        note: Callable[..., None] = lambda *_, **__: None,
    ) -> None:
        self.database = database
        self.clock = clock
        self.second_factor = second_factor
        self._note = note
        self.sessions = Sessions(database, clock, version, idle_seconds)
        self.factors = Factors(database, self.sessions, clock, issuer)
        self._hashes = Hashes()
        self._by_name = Failures(5, 300, clock)
        self._by_address = Failures(30, 300, clock)
        self._second = Failures(5, 900, clock)  # per person: who gets there knows the password
        with database.write() as db:
            account_tables.metadata.create_all(db)
            account_tables.migrate(db)

    @property
    def least(self) -> int:
        """Characters that a password must have (AUT-03)."""
        return MIN_WITH_FACTOR if self.second_factor else MIN_PASSWORD

    # --- accounts -------------------------------------------------------------------------

    def add(self, name: str, password: str, display: str = "", role: str = "reader") -> User:
        """Make an account.

        Raises
        ------
        UsageError
            The name is taken or no name, or there is no such role.
        PasswordTooWeak
        """
        name = _folded(name)
        if not re.fullmatch(r"[^\W_][\w.@-]*", name) or len(name) > MAX_NAME:
            raise UsageError(cause=f"名前 / name: {name!r}")
        _check_role(role)
        check_password(password, name, self.least)
        self._insert(name, password, display, role)
        return User(name, display or name, role)

    def _insert(self, name: str, password: str, display: str, role: str, **more: Any) -> None:
        hashed = self._hashes.make(password)
        with self.database.write() as db:
            if _user(db, name) is not None:
                raise UsageError(cause=f"{name} は使われています / is taken")
            db.execute(
                insert(users).values(
                    name=name,
                    display=display or name,
                    password=hashed,
                    disabled=False,
                    made_at=self.clock(),
                    role=role,
                    short=len(password) < MIN_PASSWORD,
                    **more,
                )
            )

    def names(self) -> list[dict[str, Any]]:
        """Return every account, without its secrets."""
        with self.database.read() as db:
            rows = db.execute(select(users).order_by(users.c.name)).all()
        return [
            {
                "name": row.name,
                "display": row.display,
                "role": row.role,
                "disabled": row.disabled,
                "factors": self.factors.kinds(row.name),
            }
            | ({"seal": self._seal(row)} if row.seal else {})
            | ({"institutions": json.loads(row.institutions)} if row.institutions else {})
            for row in rows
        ]

    def _seal(self, row: Any) -> str:
        if row.seal == "open" and self.clock() >= row.open_until:
            return "used"
        return str(row.seal)

    def disable(self, name: str) -> None:
        """Let an account sign in no more, and end its sessions.

        Raises
        ------
        NotFound
        """
        self._change(name, disabled=True)

    def set_role(self, name: str, role: str) -> None:
        """Give an account another role, and end its sessions.

        Raises
        ------
        NotFound
        UsageError
            No such role.
        """
        _check_role(role)
        self._change(name, role=role)

    def limit(self, name: str, institutions: Iterable[str] | None) -> None:
        """Let an account see the studies of some institutions alone, and end its sessions.

        Parameters
        ----------
        institutions : iterable of str or None
            Their codes; None: of all.

        Raises
        ------
        NotFound
        """
        codes = None if institutions is None else json.dumps(sorted(set(institutions)))
        self._change(name, institutions=codes)

    def set_password(self, name: str, password: str, *, keep: str | None = None) -> None:
        """Give an account another password, and end its sessions.

        Parameters
        ----------
        keep : str, optional
            Number of the session that stays.

        Raises
        ------
        NotFound
        PasswordTooWeak
            Against the rule, or one of the last ten.
        """
        name = _folded(name)
        check_password(password, name, self.least)
        with self.database.read() as db:
            row = _user(db, name)
            query = select(old_passwords.c.password).where(old_passwords.c.user == name)
            old = list(db.execute(query.order_by(old_passwords.c.id.desc())).scalars())
        if row is None:
            raise NotFound(thing=name)
        if row.seal is not None:
            raise UsageError(cause=f"{name}: receiver user seal")
        if any(self._hashes.matches(one, password) for one in (row.password, *old[:OLD_PASSWORDS])):
            raise PasswordTooWeak(cause="前と同じ / one of before", least=self.least)
        with self.database.write() as db:
            db.execute(insert(old_passwords).values(user=name, password=row.password))
        short = len(password) < MIN_PASSWORD
        hashed = self._hashes.make(password)
        self._change(name, keep, password=hashed, disabled=False, short=short)

    def reset(self, name: str) -> int:
        """Forget the second factors of an account, and end its sessions; return how many.

        Raises
        ------
        NotFound
        """
        name = self.known(name)
        return self.factors.clear(name)

    def known(self, name: str) -> str:
        """Return the name as it is kept.

        Raises
        ------
        NotFound
        """
        name = _folded(name)
        with self.database.read() as db:
            if _user(db, name) is None:
                raise NotFound(thing=name)
        return name

    def _change(self, name: str, keep: str | None = None, **values: Any) -> None:
        name = self.known(name)
        with self.database.write() as db:
            db.execute(update(users).where(users.c.name == name).values(**values))
        self.sessions.end_all(name, but=keep)

    # --- emergencies (AUT-05) -------------------------------------------------------------

    def seal(self, name: str, display: str = "") -> str:
        """Make an account for emergencies, or seal one again; return its password, once.

        It signs in without a second factor, which may be what is missing; its use raises an
        alarm, and four hours after its first use it is disabled until it is sealed anew.

        Raises
        ------
        UsageError
            The name is that of a person, or no name.
        """
        name = _folded(name)
        password = "-".join(secrets.token_hex(3) for _ in range(4)) + "-A7"
        with self.database.read() as db:
            row = _user(db, name)
        if row is None:
            if not re.fullmatch(r"[^\W_][\w.@-]*", name) or len(name) > MAX_NAME:
                raise UsageError(cause=f"名前 / name: {name!r}")
            self._insert(name, password, display, "reader", seal="sealed")
        elif row.seal is None:
            raise UsageError(cause=f"{name} は使われています / is taken")
        else:
            hashed = self._hashes.make(password)
            self._change(name, password=hashed, seal="sealed", open_until=None, disabled=False)
        return password

    def _break(self, row: Any) -> bool:
        """Open a sealed account; return whether its seal was whole until now."""
        first = update(users).where(users.c.name == row.name, users.c.seal == "sealed")
        until = self.clock() + EMERGENCY_SECONDS
        with self.database.write() as db:
            return db.execute(first.values(seal="open", open_until=until)).rowcount == 1

    # --- signing in -----------------------------------------------------------------------

    def sign_in(self, name: str, password: str, address: str = "") -> tuple[User, str]:
        """Check a password and begin a session; see :meth:`Sessions.standing` for its stage.

        Parameters
        ----------
        address : str
            Where the request came from; failures are counted per name and per address.

        Returns
        -------
        (User, str)
            The session's number, for the cookie alone.

        Raises
        ------
        SignInFailed
            Always the same, whatever was wrong, and as late for a name that does
            not exist as for one that does.
        """
        name = _folded(name)[:MAX_NAME]
        tried = f"{name}\0{address}"
        if self._by_name.blocked(tried) or self._by_address.blocked(address):
            raise SignInFailed
        with self.database.read() as db:
            row = _user(db, name)
        right = self._hashes.matches(row.password if row else self._hashes.nobody, password)
        if row is None or not right or row.disabled or self._sealed_off(row):
            self._by_name.add(tried)
            self._by_address.add(address)
            out = row is not None and self._by_name.blocked(tried)
            raise SignInFailed(user=name if row is not None else None, lockout=out)
        if self._second.blocked(name):
            raise SignInFailed(user=name, lockout=False)
        self._by_name.forget(tried)
        if row.seal is not None:
            first = self._break(row)
            what = "opened" if first else "used"
            self._note("break-glass", user=name, what=what, address=address, outcome="ok")
            self._note("alarm", of=name, cause="非常時アカウント / emergency account " + what)
        number = self.sessions.begin(name, self.stage(row), address)
        return User.of(row), number

    def _sealed_off(self, row: Any) -> bool:
        return row.seal == "open" and bool(self.clock() >= row.open_until)

    def stage(self, row: Any) -> str:
        """Return how far a session of a person goes whose password, or voucher, was right."""
        if row.seal is not None:
            return "full"
        if self.factors.of(row.name):
            return "second"
        return "enrol" if self.second_factor or row.short else "full"

    def whole(self, number: str, address: str = "") -> str:
        """End a session that was not whole, and return the number of one that is."""
        user = self.sessions.standing(number).user
        self._second.forget(user.name)
        return self.sessions.begin(user.name, "full", address, number)

    def held(self, name: str) -> bool:
        """Whether a person's second factor was guessed at too often just now."""
        return self._second.blocked(name)

    def wrong(self, number: str) -> SignInFailed:
        """Count a second factor that was wrong, and return what is to be raised."""
        user = self.sessions.standing(number).user
        self._second.add(user.name)
        out = self._second.blocked(user.name)
        if out:
            self.sessions.end(number)
        return SignInFailed(user=user.name, lockout=out)

    def wrong_unlock(self, number: str) -> SignInFailed:
        """Count a wrong answer at the lock; the fifth ends the session."""
        user = self.sessions.standing(number).user
        out = self.sessions.failed(number) >= UNLOCK_TRIES
        if out:
            self.sessions.end(number)
        return SignInFailed(user=user.name, lockout=out)

    def is_password(self, name: str, password: str) -> bool:
        """Whether this is the password of an account."""
        with self.database.read() as db:
            row = _user(db, _folded(name))
        return self._hashes.matches(row.password if row else self._hashes.nobody, password)

    def confirm(self, name: str, password: str) -> None:
        """Let a person who is signed in show the password once more, before factors change.

        Raises
        ------
        PasswordNotRight
            Counted as failed sign-ins are.
        """
        if self._second.blocked(name) or not self.is_password(name, password):
            self._second.add(name)
            raise PasswordNotRight

    # --- sessions -------------------------------------------------------------------------

    def sign_out(self, number: str) -> None:
        """End a session; one that is not there is no error."""
        self.sessions.end(number)

    def session(self, number: str) -> tuple[User, bool]:
        """Return whose whole session this is, and whether its use should be noted.

        Raises
        ------
        NotSignedIn
            No session, an ended, locked or unfinished one, or one of a disabled account.
        """
        standing = self.sessions.standing(number).whole()
        return standing.user, standing.stale

    def touch(self, number: str) -> None:
        """Note that a session was used just now."""
        self.sessions.touch(number)


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise UsageError(cause=f"役割 / role: {role!r} ({', '.join(ROLES)})")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _user(db: Connection, name: str) -> Any:
    return db.execute(select(users).where(users.c.name == name)).one_or_none()
