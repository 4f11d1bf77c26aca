"""Accounts of people whom a sign-in service vouches for.

Issuer and subject together are the person (OpenID Connect Core 5.7); a name is none, for
anybody at the service may be called so one day.  An account that is here already is
entered through the service only after the administrator said that it is the same person.
"""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import delete, insert, select, update

from common.errors import SignInFailed, UsageError
from common.web.account_tables import users, vouchers
from common.web.accounts import Accounts, User
from common.web.oidc import Somebody, Unproved


class Vouched:
    """Which account somebody is.

    Parameters
    ----------
    accounts : Accounts
    """

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self._database = accounts.database

    def link(self, name: str, issuer: str, subject: str) -> None:
        """Say that an account is a person of the service, in the place of another of hers.

        Raises
        ------
        NotFound
        UsageError
            The person is another account's, or the subject is none.
        """
        name = self.accounts.known(name)
        if not subject or len(subject) > 255:
            raise UsageError(cause="subject")
        with self._database.write() as db:
            same = (vouchers.c.issuer == issuer) & (vouchers.c.subject == subject)
            held = db.execute(select(vouchers.c.user).where(same)).scalar()
            if held not in (None, name):
                raise UsageError(cause=f"subject: {held}")
            mine = (vouchers.c.issuer == issuer) & (vouchers.c.user == name)
            db.execute(delete(vouchers).where(mine | same))
            values = {"issuer": issuer, "subject": subject, "user": name}
            db.execute(insert(vouchers).values(**values, made_at=self.accounts.clock()))
        self.accounts.sessions.end_all(name)

    def unlink(self, name: str) -> int:
        """Let an account be entered through no service any more; return how many links went."""
        name = self.accounts.known(name)
        with self._database.write() as db:
            gone = db.execute(delete(vouchers).where(vouchers.c.user == name)).rowcount
        self.accounts.sessions.end_all(name)
        return gone

    def links(self) -> list[dict[str, Any]]:
        """Return every link."""
        query = select(vouchers).order_by(vouchers.c.user, vouchers.c.issuer)
        with self._database.read() as db:
            return [dict(row._mapping) for row in db.execute(query)]

    def is_linked(self, name: str, issuer: str) -> bool:
        """Whether a person can show through the service who she is."""
        mine = (vouchers.c.issuer == issuer) & (vouchers.c.user == name)
        with self._database.read() as db:
            return db.execute(select(vouchers.c.user).where(mine)).first() is not None

    def account(self, who: Somebody) -> str | None:
        """Return the account that somebody is, None without one."""
        same = (vouchers.c.issuer == who.issuer) & (vouchers.c.subject == who.subject)
        with self._database.read() as db:
            found = db.execute(select(vouchers.c.user).where(same)).scalar()
        return None if found is None else str(found)

    def enter(self, who: Somebody, address: str) -> tuple[User, str, list[str]]:
        """Begin a session of somebody; see :meth:`Accounts.stage` for how far it goes.

        Returns
        -------
        (User, str, list of str)
            The session's number, for the cookie alone, and what was done with the account:
            ``added``, ``role``.

        Raises
        ------
        Unproved
            There is no account, and none can be made: no role, or the name is another's.
        SignInFailed
            The account is disabled or for emergencies, or its second factor was guessed at.
        """
        name, done = self.account(who), list[str]()
        if name is None:
            name = self._made(who)
            done.append("added")
        with self._database.read() as db:
            row = db.execute(select(users).where(users.c.name == name)).one()
        if row.disabled or row.seal is not None or self.accounts.held(name):
            raise SignInFailed(user=name, lockout=False)
        if who.role is not None and row.role != who.role:
            self.accounts.set_role(name, who.role)
            done.append("role")
            with self._database.read() as db:
                row = db.execute(select(users).where(users.c.name == name)).one()
        same = (vouchers.c.issuer == who.issuer) & (vouchers.c.subject == who.subject)
        with self._database.write() as db:
            db.execute(update(vouchers).where(same).values(used_at=self.accounts.clock()))
        stage = "full" if who.strong else self.accounts.stage(row)
        return User.of(row), self.accounts.sessions.begin(name, stage, address), done

    def _made(self, who: Somebody) -> str:
        """Make the account of somebody who comes for the first time; nobody has its password."""
        if who.role is None:
            raise Unproved("not linked")
        try:
            password = f"Aa1-{secrets.token_urlsafe(32)}"
            made = self.accounts.add(who.name, password, who.display, who.role)
        except UsageError:
            raise Unproved("name") from None
        self.link(made.name, who.issuer, who.subject)
        return made.name
