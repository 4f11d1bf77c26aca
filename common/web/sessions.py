"""Sessions: what a browser holds after sign-in, locked after idle, ended after twelve hours.

A session is kept as the SHA-256 of an opaque number of 256 bits.  It is of a stage:
``second`` (password right, second factor not yet), ``enrol`` (no second factor yet) or
``full``; a full one is ``locked`` when its reader asked for it or was away too long.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import Connection, delete, insert, select, update

from common.errors import NotFound, NotSignedIn, SecondStepNeeded, SessionLocked
from common.web.account_tables import sessions, users

IDLE_SECONDS = 15 * 60
ABSOLUTE_SECONDS = 12 * 60 * 60
TOUCH_SECONDS = 20  # a session's last use is written at most so often
STAGE_SECONDS = {"second": 300, "enrol": 1800}  # how long a sign-in may stay unfinished
KEPT_SESSIONS = 1000  # in memory, each as long as nothing is written


class Database(Protocol):
    """Short transactions, as the rooms' indexes give them."""

    def read(self) -> AbstractContextManager[Connection]:
        """One consistent view."""

    def write(self) -> AbstractContextManager[Connection]:
        """One transaction that writes."""


@dataclass(frozen=True, slots=True)
class User:
    """Who is signed in.

    Attributes
    ----------
    name : str
        As typed at sign-in, case folded.
    display : str
    role : str
        ``reader``, ``administrator`` or ``auditor`` (AUT-04).
    emergency : bool
        An account for emergencies that was opened (AUT-05).
    institutions : frozenset of str or None
        Codes of the requesting institutions whose studies the account may see; None: all.
    """

    name: str
    display: str
    role: str = "reader"
    emergency: bool = False
    institutions: frozenset[str] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the fields as the web API names them."""
        words: dict[str, Any] = {"name": self.name, "display": self.display, "role": self.role}
        if self.institutions is not None:
            words["institutions"] = sorted(self.institutions)
        return words | ({"emergency": True} if self.emergency else {})

    @classmethod
    def of(cls, row: Any) -> User:
        """Return the person of a row of the table of users."""
        limit = None if row.institutions is None else frozenset(json.loads(row.institutions))
        return cls(row.name, row.display, row.role, row.seal is not None, limit)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a session goes: whose it is, its stage, and whether its use should be noted."""

    user: User
    stage: str  # second | enrol | full | locked
    stale: bool
    id: str

    def whole(self) -> Standing:
        """Return it, if it may ask for anything.

        Raises
        ------
        SessionLocked, SecondStepNeeded
        """
        if self.stage == "locked":
            raise SessionLocked
        if self.stage != "full":
            raise SecondStepNeeded
        return self


class Sessions:
    """Sessions in one database.

    Parameters
    ----------
    version : callable
        Gives a number that every commit to the database changes, or None for "unknown":
        a session is looked up once for each.
    idle_seconds : int
        Without a request of its user a session is locked after so long.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        version: Callable[[], int | None],
        idle_seconds: int = IDLE_SECONDS,
    ) -> None:
        self.database = database
        self.clock = clock
        self.idle_seconds = idle_seconds
        self._version = version
        self._kept: OrderedDict[str, tuple[int, Any]] = OrderedDict()

    def begin(self, user: str, stage: str, address: str, before: str | None = None) -> str:
        """Make a session and return its number; the one before ends in the same moment."""
        number = secrets.token_urlsafe(32)
        now = self.clock()
        with self.database.write() as db:
            db.execute(delete(sessions).where(sessions.c.made_at < now - ABSOLUTE_SECONDS))
            if before is not None:
                db.execute(delete(sessions).where(sessions.c.digest == digest(before)))
            db.execute(
                insert(sessions).values(
                    digest=digest(number),
                    user=user,
                    made_at=now,
                    used_at=now,
                    id=secrets.token_hex(8),
                    stage=stage,
                    address=address,
                    failures=0,
                )
            )
        return number

    def standing(self, number: str) -> Standing:
        """Return how far a session goes.

        Raises
        ------
        NotSignedIn
            No session, an ended one, or one of an account that is disabled.
        """
        now = self.clock()
        row = self._row(digest(number))
        if row is None or not 0 <= now - row.made_at + 1 <= ABSOLUTE_SECONDS + 1:
            raise NotSignedIn
        if row.seal is not None and not (row.seal == "open" and now < row.open_until):
            raise NotSignedIn
        stage = row.stage
        if stage != "full":
            if now - row.made_at > STAGE_SECONDS[stage]:
                raise NotSignedIn
        # a use in the future is one before the clock was set back
        elif row.locked_at is not None or abs(now - row.used_at) > self.idle_seconds:
            stage = "locked"
        return Standing(User.of(row), stage, now - row.used_at > TOUCH_SECONDS, row.id or "")

    def _row(self, of: str) -> Any:
        """Return the row of a session and its user, from memory while nothing was written."""
        version = self._version()  # before the rows are read, or an old row would be kept as new
        kept = self._kept.get(of)
        if kept is not None and version is not None and kept[0] == version:
            return kept[1]
        with self.database.read() as db:
            row = db.execute(
                select(
                    *(users.c.name, users.c.display, users.c.role, users.c.seal),
                    *(users.c.open_until, sessions.c.made_at, sessions.c.used_at, sessions.c.id),
                    *(sessions.c.stage, sessions.c.locked_at, users.c.institutions),
                )
                .join(users, users.c.name == sessions.c.user)
                .where(sessions.c.digest == of, users.c.disabled.is_(False))
            ).one_or_none()
        self._kept.pop(of, None)
        if row is not None and version is not None:
            self._kept[of] = (version, row)
            while len(self._kept) > KEPT_SESSIONS:
                self._kept.popitem(last=False)
        return row

    def touch(self, number: str) -> None:
        """Note that a session was used just now."""
        self._set(number, used_at=self.clock())

    def lock(self, number: str) -> None:
        """Serve nothing to a session until it is unlocked."""
        self._set(number, locked_at=self.clock())

    def unlock(self, number: str) -> None:
        """Go on with a session whose reader has come back."""
        self._set(number, locked_at=None, used_at=self.clock(), failures=0)

    def failed(self, number: str) -> int:
        """Count a wrong answer of a session; return how many there were."""
        with self.database.write() as db:
            where = sessions.c.digest == digest(number)
            more = update(sessions).where(where).values(failures=sessions.c.failures + 1)
            db.execute(more)
            return db.execute(select(sessions.c.failures).where(where)).scalar() or 0

    def keep(self, number: str, pending: str) -> None:
        """Keep what the next answer of this session is checked against."""
        self._set(number, pending=pending)

    def pending(self, number: str, *, take: bool = True) -> str:
        """Return what was kept last, empty if nothing was; once, unless it is only looked at."""
        with self.database.write() as db:
            where = sessions.c.digest == digest(number)
            found = db.execute(select(sessions.c.pending).where(where)).scalar()
            if take and found is not None:
                db.execute(update(sessions).where(where).values(pending=None))
        return found or ""

    def end(self, number: str) -> None:
        """End a session; one that is not there is no error."""
        with self.database.write() as db:
            db.execute(delete(sessions).where(sessions.c.digest == digest(number)))

    def end_all(self, user: str, *, but: str | None = None, id: str | None = None) -> int:
        """End sessions of a person; return how many.

        Parameters
        ----------
        but : str, optional
            Number of the session that stays.
        id : str, optional
            Of the one that ends.

        Raises
        ------
        NotFound
            No session has that id.
        """
        which = delete(sessions).where(sessions.c.user == user)
        if but is not None:
            which = which.where(sessions.c.digest != digest(but))
        if id is not None:
            which = which.where(sessions.c.id == id)
        with self.database.write() as db:
            count = db.execute(which).rowcount
        if id is not None and not count:
            raise NotFound(thing=id)
        return count

    def of(self, user: str | None = None, *, present: str | None = None) -> list[dict[str, Any]]:
        """Return the open sessions, of one person or of all, without their numbers.

        Parameters
        ----------
        present : str, optional
            Number of the session that asks.
        """
        now = self.clock()
        query = select(sessions).where(sessions.c.made_at > now - ABSOLUTE_SECONDS)
        if user is not None:
            query = query.where(sessions.c.user == user)
        with self.database.read() as db:
            rows = db.execute(query.order_by(sessions.c.made_at)).all()
        mine = None if present is None else digest(present)
        return [
            {
                "id": row.id,
                "user": row.user,
                "address": row.address,
                "made_at": row.made_at,
                "used_at": row.used_at,
                "locked": row.locked_at is not None or now - row.used_at > self.idle_seconds,
                "stage": row.stage,
                "present": row.digest == mine,
            }
            for row in rows
        ]

    def _set(self, number: str, **values: Any) -> None:
        with self.database.write() as db:
            db.execute(update(sessions).where(sessions.c.digest == digest(number)).values(**values))


@lru_cache(256)  # a page asks for thousands of tiles with one number
def digest(number: str) -> str:
    """Return what of a session's number is kept."""
    return hashlib.sha256(number.encode()).hexdigest()
