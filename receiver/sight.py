"""What a reader may see where the account is limited to some requesting institutions (AUT-04).

The one place where that is decided.  What such a reader asks of a study of another
institution is turned, before it is counted, audited as seen or answered, into the same
question about what does not exist: the answer is that one's, whatever route it is.
The answers that go over several institutions (list, searches, news) ask here what of
theirs is meant: :meth:`Sight.only`, :func:`institutions`, :meth:`Sight.sees`.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import select
from starlette.types import ASGIApp, Receive, Scope, Send

from common.errors import NotFound, UsageError
from common.refusals import Refused
from common.web import guard
from common.web.accounts import Accounts, User
from receiver import index
from receiver.index import Index

NO_KEY = "0" * 32  # as long as a study's key, and no digest that anybody will ever meet
NO_CODE = "0"  # institution codes have ten digits
KEPT = 20_000  # studies whose institution is remembered: it never changes

_studies, _partners = index.studies, index.partners
_KEY = re.compile(r"(?P<root>/api/studies/)(?P<key>[^/]+)(?P<rest>.*)", re.DOTALL)
_AT = re.compile(r"(?P<root>/dicomweb/at/)(?P<code>[^/]+)(?P<rest>.*)", re.DOTALL)
_ANY = re.compile(r"/dicomweb(?P<rest>/studies/(?P<uid>[^/]+).*)", re.DOTALL)


def institutions(scope: Scope) -> frozenset[str] | None:
    """Return the codes that who asks is limited to; None without a limit.

    Raises
    ------
    NotSignedIn
    """
    return guard.signed_in(scope).institutions


def limit(
    accounts: Accounts, database: Index, name: str, codes: Collection[str] | None
) -> list[str] | None:
    """Limit an account to institutions, or lift its limit; its sessions end.

    Parameters
    ----------
    codes : collection of str or None
        Codes of partners; None: all that there are and will be.

    Returns
    -------
    list of str or None

    Raises
    ------
    NotFound
        No such account.
    UsageError
        A code is no partner's, or there is none.
    """
    if codes is not None:
        known = partners(database)
        strange = sorted(set(codes) - {one["code"] for one in known})
        if strange or not codes:
            named = ", ".join(f"{one['code']} {one['name']}" for one in known) or "-"
            raise UsageError(
                cause=f"施設 / institution: {', '.join(strange)[:80] or '-'} ({named})"
            )
    accounts.limit(name, codes)
    return None if codes is None else sorted(set(codes))


def partners(database: Index) -> list[dict[str, str]]:
    """Return code and name of every requesting institution."""
    with database.read() as db:
        rows = db.execute(select(_partners.c.code, _partners.c.name).order_by(_partners.c.code))
        return [{"code": row.code, "name": row.name} for row in rows]


class Sight:
    """Whose each study is.

    Parameters
    ----------
    database : Index
    """

    def __init__(self, database: Index) -> None:
        self._index = database
        self._known: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, key: str) -> str | None:
        """Return the institution of a study, None if there is no such study."""
        with self._lock:
            known = self._known.get(key)
        if known is None:
            with self._index.read() as db:
                query = select(_studies.c.institution).where(_studies.c.key == key)
                known = db.execute(query).scalar()
            if known is not None:
                self._learn([(key, known)])
        return known

    def sees(self, user: User, key: str) -> bool:
        """Whether news of a study is for a person."""
        return user.institutions is None or self.of(key) in user.institutions

    def only(self, scope: Scope, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the rows of the work list that are for who asks."""
        may, rows = institutions(scope), list(rows)
        if may is None:
            return rows
        seen = [row for row in rows if row["institution"]["code"] in may]
        # the line of an announcement is gone when its withdrawal is told
        self._learn([(row["key"], row["institution"]["code"]) for row in seen])
        return seen

    def instead(self, path: str, may: frozenset[str]) -> tuple[str, str | None]:
        """Return the path that is answered in the place of one, and whose study was asked for.

        Returns
        -------
        (str, str or None)
            The institution is None where nothing is kept from who asks.
        """
        if found := _KEY.fullmatch(path):
            code = self.of(found["key"])
            if code not in may:  # what is not there too: some answers repeat the key
                return f"{found['root']}{NO_KEY}{found['rest']}", code
        elif found := _AT.fullmatch(path):
            if found["code"] not in may:
                return f"{found['root']}{NO_CODE}{found['rest']}", found["code"][:16]
        elif found := _ANY.fullmatch(path):
            with self._index.read() as db:
                query = select(_studies.c.institution).where(_studies.c.study_uid == found["uid"])
                codes = set(db.execute(query).scalars())
            if len(codes & may) < 2:  # two that both are for this reader stay a question to ask
                (code,) = codes & may or {NO_CODE}
                hidden = min(codes) if codes and code == NO_CODE else None
                return f"/dicomweb/at/{code}{found['rest']}", hidden
        return path, None

    def _learn(self, of: Iterable[tuple[str, str]]) -> None:
        with self._lock:
            self._known.update(of)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)


class WithinSight:
    """ASGI middleware behind the session check and before everything that counts or answers."""

    def __init__(self, app: ASGIApp, *, sight: Sight, refused: Refused) -> None:
        self.app = app
        self.sight = sight
        self.refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, about nothing if what it is about is not for who asks."""
        user = scope.get("todoke_user")
        if isinstance(user, User) and user.institutions is not None:
            path = scope["path"]
            instead, code = await asyncio.to_thread(self.sight.instead, path, user.institutions)
            if instead != path:
                scope = {**scope, "path": instead, "raw_path": instead.encode()}
            if code is not None:
                cause = f"{NotFound.number} {user.name}: {code}"
                address = (scope.get("client") or ("?", 0))[0]
                await asyncio.to_thread(self.refused, address, cause, None)
        await self.app(scope, receive, send)
